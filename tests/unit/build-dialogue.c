/* Which answer is typed when, and when the program waits in vain. */
#include "build/dialogue.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/posmedia-dialogue.XXXXXX";
static const struct vault nothing;

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL || chdir(dir) != 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, dir, &e);
}

static bool waits(pid_t init)
{
	(void)init;
	return true;
}

static bool works(pid_t init)
{
	(void)init;
	return false;
}

static struct recipe_answers *answers(const char *list)
{
	char *text SCOPED(mem_freep) =
	    mem_format("posmedia-answers: 1\nquiet: 300ms\nanswers: %s\n", list);
	struct recipe_answers *a = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path("a.yaml", text, strlen(text), 0644, &e), 0);
	if (recipe_answers_load("a.yaml", &a, &e) != 0)
		fail_msg("%s", e.msg);
	return a;
}

static void hear(struct dialogue *d, const char *text)
{
	dialogue_hear(d, text, strlen(text));
}

/* What is typed once the output has been still. */
static void types(struct dialogue *d, const char *wanted)
{
	struct buf type SCOPED(buf_release) = BUF_INIT(10000);
	struct err e = ERR_INIT;

	for (int i = 0; i < 4 && type.len == 0; i++) {
		if (dialogue_look(d, works, 1, &type, &e) != 0)
			fail_msg("%s", e.msg);
		(void)usleep(40000);
	}
	assert_string_equal(type.data, wanted);
}

/* It waits for input; after the quiet time that is an error. */
static void in_vain(struct dialogue *d, const char *wanted)
{
	struct buf type SCOPED(buf_release) = BUF_INIT(10000);
	struct err e = ERR_INIT;
	int rc = 0, looks = 0;

	for (; looks < 100 && rc == 0; looks++) {
		rc = dialogue_look(d, waits, 1, &type, &e);
		(void)usleep(20000);
	}
	assert_int_equal(rc, -1);
	assert_true(looks > 15);
	assert_int_equal(e.kind, ERR_STEP);
	assert_string_equal(e.msg, wanted);
	assert_int_equal(type.len, 0);
}

static const struct {
	const char *prompt, *pattern, *heard;
	bool fits;
} fits[] = {
    {"Name:", NULL, "Name: ", true},
    {"Name:", NULL, "Your Name: \nand more", true},
    {"Name:", NULL, "name: ", false},
    {"a*", NULL, "aa", false}, /* text is no pattern */
    {"go on? [y/n]", NULL, "Shall I go on? [y/n] ", true},
    {NULL, "Name*:", "Name of /usr2/bbx:  ", true},
    {NULL, "Name*:", "Name of /usr2/bbx:\n\n", true},
    {NULL, "Name*:", "Name:\nother line", false},
    {NULL, "Name:", "Your Name:", false},
    {NULL, "*Name:  ", "Your Name: ", true},
    {NULL, "Disk ? of [0-9]:", "Disk / of 3:", true},
    {NULL, "go\\? \\[y/n]", "go? [y/n]", true},
    {NULL, "usr/*", "usr", false},
    {NULL, "*", "", false},
};

static void text_and_patterns(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(fits) / sizeof(fits[0]); i++) {
		const struct recipe_answer a = {.prompt = (char *)(uintptr_t)fits[i].prompt,
						.pattern = (char *)(uintptr_t)fits[i].pattern};

		if (dialogue_fits(&a, fits[i].heard) != fits[i].fits)
			fail_msg("row %zu: \"%s\"", i, fits[i].heard);
	}
}

static void in_order_and_so_many_times(void **state)
{
	struct recipe_answers *a SCOPED(recipe_answers_freep) =
	    answers("[{prompt: one, reply: a, times: 2}, {prompt: two, reply: b, enter: false}]");
	struct dialogue d SCOPED(dialogue_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	dialogue_init(&d, a, &nothing);
	hear(&d, "two? "); /* not its turn */
	types(&d, "");
	hear(&d, "on");
	types(&d, "");
	hear(&d, "e? ");
	types(&d, "a\r");
	types(&d, ""); /* what was heard before a reply does not count after it */
	hear(&d, "two? ");
	types(&d, "");
	assert_int_equal(dialogue_end(&d, &e), -1);
	assert_string_equal(e.msg,
			    "a.yaml:3:11: it ended and did not ask \"one\" as often as that");
	hear(&d, "one? ");
	types(&d, "a\r");
	hear(&d, "two? ");
	types(&d, "b");
	assert_int_equal(dialogue_end(&d, &e), 0);
	hear(&d, "one? ");
	in_vain(&d, "it asks \"one?\", and all answers are used, up to a.yaml:3:46");
}

static void optional_ones_may_be_passed_over(void **state)
{
	struct recipe_answers *a SCOPED(recipe_answers_freep) = answers(
	    "[{prompt: one, reply: a, optional: true}, {prompt: two, reply: b, optional: true, "
	    "times: 2}, {prompt: three, reply: c}, {prompt: four, reply: d, optional: true}]");
	struct dialogue d SCOPED(dialogue_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	dialogue_init(&d, a, &nothing);
	hear(&d, "two");
	types(&d, "b\r");
	hear(&d, "one");
	types(&d, "");
	assert_int_equal(dialogue_end(&d, &e), -1);
	assert_string_equal(e.msg, "a.yaml:3:103: it ended and did not ask \"three\"");
	hear(&d, "three");
	types(&d, "c\r");
	assert_int_equal(dialogue_end(&d, &e), 0);
}

static void unmatched_prompts_are_shown(void **state)
{
	struct recipe_answers *a SCOPED(recipe_answers_freep) =
	    answers("[{pattern: \"Name*\", reply: a}]");
	struct dialogue d SCOPED(dialogue_release) = {0};

	(void)state;
	dialogue_init(&d, a, &nothing);
	hear(&d, "Welcome\n\nReally? [y/n] \n");
	types(&d, "");
	in_vain(&d, "it asks \"Really? [y/n]\", and the next answer is for \"Name*\", a.yaml:3:11");
}

static void much_output_is_no_harm(void **state)
{
	struct recipe_answers *a SCOPED(recipe_answers_freep) =
	    answers("[{prompt: one, reply: a}]");
	struct dialogue d SCOPED(dialogue_release) = {0};
	char *much SCOPED(mem_freep) = mem_zalloc(300001);

	(void)state;
	memset(much, 'x', 300000);
	dialogue_init(&d, a, &nothing);
	hear(&d, much);
	for (size_t i = 0; i < 50; i++)
		dialogue_hear(&d, much, 5000);
	hear(&d, "one");
	types(&d, "a\r");
}

/* A program that draws while it waits is answered all the same. */
static void does_not_wait_for_a_spinner_to_stop(void **state)
{
	struct recipe_answers *a SCOPED(recipe_answers_freep) =
	    answers("[{prompt: one, reply: a}]");
	struct dialogue d SCOPED(dialogue_release) = {0};
	struct buf type SCOPED(buf_release) = BUF_INIT(100);
	struct err e = ERR_INIT;
	int i;

	(void)state;
	dialogue_init(&d, a, &nothing);
	hear(&d, "one ");
	for (i = 0; i < 60 && type.len == 0; i++) {
		hear(&d, "-");
		assert_int_equal(dialogue_look(&d, waits, 1, &type, &e), 0);
		(void)usleep(30000);
	}
	assert_string_equal(type.data, "a\r");
	assert_true(i > 15);
}

static void secrets_are_typed_and_not_shown(void **state)
{
	struct recipe_answers *a SCOPED(recipe_answers_freep) =
	    answers("[{prompt: one, secret: good}, {prompt: two, secret: bad}]");
	struct sandbox_secret v[] = {{"good", "tulip-0123\nmore\n", 16}, {"bad", "a\x1b[0mb", 6}};
	struct needle n = {"tulip-0123", 10, "good", false};
	const struct vault vault = {.v = v, .n = 2, .needles = &n, .needles_n = 1};
	struct dialogue d SCOPED(dialogue_release) = {0};
	struct buf type SCOPED(buf_release) = BUF_INIT(100);
	struct err e = ERR_INIT;

	(void)state;
	dialogue_init(&d, a, &vault);
	hear(&d, "one");
	types(&d, "tulip-0123\r");
	hear(&d, "echo tulip-0123?");
	in_vain(&d, "it asks \"echo ***?\", and the next answer is for \"two\", a.yaml:3:40");
	hear(&d, "two");
	(void)usleep(150000);
	assert_int_equal(dialogue_look(&d, waits, 1, &type, &e), -1);
	assert_string_equal(e.msg, "a.yaml:3:40: the first line of the secret bad cannot be typed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_and_patterns),
	    cmocka_unit_test(in_order_and_so_many_times),
	    cmocka_unit_test(optional_ones_may_be_passed_over),
	    cmocka_unit_test(unmatched_prompts_are_shown),
	    cmocka_unit_test(much_output_is_no_harm),
	    cmocka_unit_test(does_not_wait_for_a_spinner_to_stop),
	    cmocka_unit_test(secrets_are_typed_and_not_shown),
	};

	return cmocka_run_group_tests_name("build-dialogue", tests, setup, teardown);
}

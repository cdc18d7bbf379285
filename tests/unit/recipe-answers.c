/* Answers files and the members of a step that not every step has. */
#include "recipe/answers.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	char dir[32];
	char *back;
};

static void put(const char *name, const char *text)
{
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(name, text, strlen(text), 0644, &e), 0);
}

static int enter(void **state)
{
	struct place *p = mem_zalloc(sizeof(*p));

	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/posmedia-answer-XXXXXX");
	p->back = realpath(".", NULL);
	if (mkdtemp(p->dir) == NULL || chdir(p->dir) != 0)
		return -1;
	put("k.gpg", "key");
	*state = p;
	return 0;
}

static int leave(void **state)
{
	struct place *p = *state;
	struct err e = ERR_INIT;
	int rc = chdir(p->back) | fs_rmtree(AT_FDCWD, p->dir, &e);

	free(p->back);
	free(p);
	return rc;
}

#define TOP "posmedia-answers: 1\n"

static void reads_every_member(void **state)
{
	struct recipe_answers *a SCOPED(recipe_answers_freep) = NULL;
	struct err e = ERR_INIT;

	(void)state;
	put("a.yaml", TOP "quiet: 2s\n"
			  "answers:\n"
			  "  - {prompt: \"Go on [y/n]?\", reply: \"y\", times: 2}\n"
			  "  - {pattern: \"Key (*): \", secret: key.1, optional: true}\n"
			  "  - {prompt: any key, reply: \" \", enter: false}\n"
			  "  - {prompt: Enter, reply: \"\"}\n");
	if (recipe_answers_load("a.yaml", &a, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(a->n, 4);
	assert_int_equal(a->quiet_ms, 2000);
	assert_string_equal(a->v[0].prompt, "Go on [y/n]?");
	assert_string_equal(a->v[0].reply, "y");
	assert_int_equal(a->v[0].times, 2);
	assert_false(a->v[0].optional || a->v[0].no_enter);
	assert_string_equal(recipe_answer_wants(&a->v[1]), "Key (*): ");
	assert_string_equal(a->v[1].secret, "key.1");
	assert_null(a->v[1].reply);
	assert_true(a->v[1].optional);
	assert_int_equal(a->v[1].times, 1);
	assert_true(a->v[2].no_enter);
	assert_string_equal(a->v[3].reply, "");
	assert_int_equal(a->v[3].pos.line, 7);
}

static const struct {
	const char *text, *want;
} bads[] = {
    {"answers: []\n", "a.yaml:1:1: missing key \"posmedia-answers\""},
    {"posmedia-answers: 2\n", "a.yaml:1:19: \"posmedia-answers\" cannot be \"2\""},
    {TOP, "a.yaml:1:1: missing key \"answers\""},
    {TOP "answers: []\n", "a.yaml:2:10: \"answers\" is empty"},
    {TOP "answers: [a]\n", "a.yaml:2:11: \"answers\" wants a map, not text"},
    {TOP "answers: [{reply: a}]\n", "a.yaml:2:11: neither \"prompt\" nor \"pattern\""},
    {TOP "answers: [{prompt: a, pattern: b, reply: a}]\n",
     "a.yaml:2:11: both \"prompt\" and \"pattern\""},
    {TOP "answers: [{prompt: a}]\n", "a.yaml:2:11: neither \"reply\" nor \"secret\""},
    {TOP "answers: [{prompt: a, reply: b, secret: c}]\n",
     "a.yaml:2:11: both \"reply\" and \"secret\""},
    {TOP "answers: [{prompt: \"\", reply: b}]\n",
     "a.yaml:2:20: \"prompt\" wants a value, not nothing"},
    {TOP "answers: [{prompt: a, reply: \"b\\nc\"}]\n",
     "a.yaml:2:30: \"reply\" wants one line of text"},
    {TOP "answers: [{prompt: a, reply: [b]}]\n", "a.yaml:2:30: \"reply\" wants one line of text"},
    {TOP "answers: [{prompt: a, secret: ../x}]\n",
     "a.yaml:2:31: \"secret\" wants a name, not \"../x\""},
    {TOP "answers: [{prompt: a, reply: b, times: 0}]\n",
     "a.yaml:2:40: \"times\" wants a number, not \"0\""},
    {TOP "answers: [{prompt: a, reply: b, times: x}]\n",
     "a.yaml:2:40: \"times\" wants a number, not \"x\""},
    {TOP "answers: [{prompt: a, reply: b, enter: nein}]\n",
     "a.yaml:2:40: \"enter\" wants true or false, not \"nein\""},
    {TOP "answers: [{promt: a, reply: b}]\n", "a.yaml:2:12: unknown key \"promt\""},
    {TOP "quiet: 0s\nanswers: [{prompt: a, reply: b}]\n",
     "a.yaml:2:8: \"quiet\" wants a duration, not \"0s\""},
    {"- a\n", "a.yaml:1:1: \"answers file\" wants a map, not a list"},
    {"a: *b\n", "a.yaml:1:4: "},
};

static void refuses_with_position_and_hint(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		struct recipe_answers *a = NULL;
		struct err e = ERR_INIT;

		put("a.yaml", bads[i].text);
		if (recipe_answers_load("a.yaml", &a, &e) == 0)
			fail_msg("accepted:\n%s", bads[i].text);
		if (strncmp(e.msg, bads[i].want, strlen(bads[i].want)) != 0)
			fail_msg("\n got %s\nwant %s", e.msg, bads[i].want);
		assert_int_equal(e.kind, ERR_RECIPE);
		assert_string_not_equal(e.hint, "");
	}
}

#define HEAD "posmedia: 1\nname: t\nversion: 1\nbase: {apt: {suite: bookworm, keyring: k.gpg}}\n"

static int load(const char *step, struct recipe **ret, struct err *e)
{
	char *text SCOPED(mem_freep) = mem_format(HEAD "steps: [{name: a, run: [b]%s}]\n", step);

	put("t.yaml", text);
	return recipe_load("t.yaml", ret, e);
}

static void has_members_in_the_digest_only_when_set(void **state)
{
	struct recipe *r = NULL;
	struct err e = ERR_INIT;
	struct jval *step;

	(void)state;
	put("a.yaml", TOP "answers: [{prompt: p, secret: s}]\n");
	assert_int_equal(load("", &r, &e), 0);
	step = jval_at(jval_get(r->resolved, "steps"), 0);
	assert_int_equal(jval_len(step), 7);
	assert_null(r->steps[0].dialogue);
	recipe_free(r);
	if (load(", answers: a.yaml, secrets: [t, s], capture: true, limits: {memory: 1G, "
		 "processes: 9, disk: 2K, file: 1K, output: 3K}",
		 &r, &e) != 0)
		fail_msg("%s", e.msg);
	step = jval_at(jval_get(r->resolved, "steps"), 0);
	assert_int_equal(jval_len(step), 10);
	assert_string_equal(jval_get_str(step, "answers"), "a.yaml");
	assert_int_equal(jval_len(jval_get(step, "limits")), 5);
	assert_string_equal(jval_str(jval_at(jval_get(step, "secrets"), 0)), "s");
	assert_true(r->steps[0].capture);
	assert_int_equal(r->steps[0].limits.processes, 9);
	assert_int_equal(r->steps[0].limits.disk, 2048);
	recipe_free(r);
}

static void typed_secrets_are_declared(void **state)
{
	struct recipe *r = NULL;
	struct err e = ERR_INIT;

	(void)state;
	put("a.yaml", TOP "answers:\n  - {prompt: p, secret: s}\n");
	assert_int_equal(load(", answers: a.yaml, secrets: [t]", &r, &e), -1);
	assert_non_null(
	    strstr(e.msg, "/a.yaml:3:5: the step at t.yaml:5:9 does not have the secret \"s\""));
	assert_string_equal(e.hint, "Add \"secrets: [s]\" to the step.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_every_member),
	    cmocka_unit_test(refuses_with_position_and_hint),
	    cmocka_unit_test(has_members_in_the_digest_only_when_set),
	    cmocka_unit_test(typed_secrets_are_declared),
	};

	return cmocka_run_group_tests_name("recipe-answers", tests, enter, leave);
}

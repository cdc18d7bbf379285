/* ledger: what is appended is there, whoever dies, whatever is cut off, and whoever changes it is
 * found out. */
#include "ledger/ledger.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char first[] = "00000001.jsonl", second[] = "00000002.jsonl";
static char dir[48], top[40];

static int enter(void **state)
{
	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/posmedia-ledger-XXXXXX");
	if (mkdtemp(top) == NULL)
		return -1;
	(void)snprintf(dir, sizeof(dir), "%s/ledger", top);
	return 0;
}

static int leave(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, top, &e);
}

static void add(const char *kind, size_t n, size_t padding)
{
	struct ledger_event *v = mem_zalloc(n * sizeof(*v));
	struct jval *fields = jval_object();
	char *text = mem_format("%*s", (int)padding, "\"{x");
	struct digest d = digest_of("x", 1);
	struct err e = ERR_INIT;

	jval_put_text(fields, "text", text);
	for (size_t i = 0; i < n; i++)
		v[i] = (struct ledger_event){kind, i % 2 == 0 ? &d : NULL, fields};
	if (ledger_append(dir, v, n, &e) != 0)
		fail_msg("%s", e.msg);
	free(v);
	free(text);
	jval_free(fields);
}

static struct ledger_state good(void)
{
	struct ledger_state st = {.lines = 0};
	struct err e = ERR_INIT;

	if (ledger_read(dir, NULL, NULL, &st, &e) != 0)
		fail_msg("%s", e.msg);
	return st;
}

static void bad(const char *why)
{
	struct ledger_state st = {.lines = 0};
	struct err e = ERR_INIT;

	assert_int_equal(ledger_read(dir, NULL, NULL, &st, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	if (strstr(e.msg, why) == NULL)
		fail_msg("\"%s\" is not in: %s", why, e.msg);
}

/* Two of them are good at once. */
static char *path_of(const char *name)
{
	static char path[2][96];
	static unsigned turn;
	char *p = path[turn++ % 2];

	(void)snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void load(const char *name, struct buf *ret)
{
	struct err e = ERR_INIT;

	*ret = (struct buf)BUF_INIT(64 << 20);
	assert_int_equal(fs_get(AT_FDCWD, path_of(name), ret, &e), 0);
}

static void put(const char *name, const char *p, size_t n)
{
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_unsynced(path_of(name), p, n, 0600, &e), 0);
}

static void behind(const char *name, const char *text)
{
	int fd = open(path_of(name), O_WRONLY | O_APPEND);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int see(void *ctx, const struct ledger_line *l, struct err *e)
{
	struct jval *v = NULL;
	char want[24];

	/* a line is what JSON's own reader takes it for */
	assert_int_equal(jval_parse(l->all.p, l->all.n, "line", &v, e), 0);
	(void)snprintf(want, sizeof(want), "%.*s", (int)l->kind.n, l->kind.p);
	assert_string_equal(jval_get_str(v, "kind"), want);
	(*(size_t *)ctx)++;
	jval_free(v);
	return 0;
}

static void what_is_appended_is_read(void **state)
{
	struct ledger_state st = {.lines = 0};
	struct err e = ERR_INIT;
	size_t n = 0;

	(void)state;
	assert_int_equal(good().lines, 0);
	add("build", 1, 3);
	add("sign", 3, 300);
	assert_int_equal(ledger_read(dir, see, &n, &st, &e), 0);
	assert_int_equal(n, 5);
	assert_int_equal(st.lines, 5);
	assert_int_equal(st.segments, 1);
	assert_true(st.has_head);
	assert_int_equal(st.unfinished, 0);
}

static void what_is_no_event_is_not_written(void **state)
{
	struct jval *text = jval_text("no object"), *large = jval_object();
	struct ledger_event v[] = {
	    {"Build", NULL, NULL}, {"", NULL, NULL}, {"build", NULL, text}, {"build", NULL, large}};
	char *long_text = mem_format("%*s", LEDGER_LINE_MAX, "");

	(void)state;
	jval_put_text(large, "text", long_text);
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct err e = ERR_INIT;

		assert_int_equal(ledger_append(dir, &v[i], 1, &e), -1);
	}
	assert_int_equal(good().lines, 0);
	free(long_text);
	jval_free(text);
	jval_free(large);
}

static void segments_are_one_chain(void **state)
{
	struct buf b;
	struct ledger_state st;

	(void)state;
	add("build", 700, 60000);
	add("build", 1, 10);
	st = good();
	assert_true(st.segments > 4);
	assert_int_equal(st.lines, 701 + st.segments);
	load(second, &b);
	assert_int_equal(unlink(path_of(second)), 0);
	bad("00000002.jsonl is missing");
	put(second, b.data, b.len);
	assert_int_equal(good().lines, st.lines);
	assert_int_equal(rename(path_of(second), path_of("00000003.jsonl")), 0);
	put(second, b.data, b.len);
	bad("00000003.jsonl:1: ");
	buf_release(&b);
}

/* Every byte of a line that is changed is found, by the line itself, the next, or the head. */
static void a_changed_byte_is_found(void **state)
{
	struct buf b;
	struct ledger_state st = {.lines = 0};
	struct err e = ERR_INIT;

	(void)state;
	add("build", 3, 4);
	load(first, &b);
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] ^= 1;
		put(first, b.data, b.len);
		b.data[i] ^= 1;
		if (ledger_read(dir, NULL, NULL, &st, &e) == 0)
			fail_msg("byte %zu", i);
		assert_int_equal(e.kind, ERR_VERIFY);
	}
	buf_release(&b);
}

/* So is every end that is cut off, also with the head record. */
static void a_cut_end_is_found(void **state)
{
	struct buf b;
	struct ledger_state st = {.lines = 0};
	struct err e = ERR_INIT;

	(void)state;
	add("build", 3, 4);
	load(first, &b);
	for (size_t i = 0; i < b.len; i++) {
		put(first, b.data, i);
		assert_int_equal(ledger_read(dir, NULL, NULL, &st, &e), -1);
		assert_int_equal(e.kind, ERR_VERIFY);
	}
	assert_int_equal(unlink(path_of("head")), 0);
	bad("has no head record");
	buf_release(&b);
}

static void a_line_that_is_gone_is_found(void **state)
{
	struct buf b;
	const char *cut, *end;
	char *less;

	(void)state;
	add("build", 3, 4);
	load(first, &b);
	cut = strchr(b.data, '\n') + 1;
	end = strchr(cut, '\n') + 1;
	less = mem_format("%.*s%s", (int)(cut - b.data), b.data, end);
	put(first, less, strlen(less));
	bad("00000001.jsonl:2: ");
	free(less);
	buf_release(&b);
}

/* A torn line is taken away; a whole one that its writer did not live to count is kept. */
static void a_torn_line_is_mended(void **state)
{
	struct buf head;

	(void)state;
	add("build", 1, 4);
	behind(first, "{\"actor\":\"ro");
	assert_true(good().unfinished > 0);
	add("build", 1, 4);
	assert_int_equal(good().lines, 3);
	load("head", &head);
	add("build", 2, 4);
	put("head", head.data, head.len);
	add("build", 1, 4);
	assert_int_equal(good().lines, 6);
	buf_release(&head);
}

/* The ledger goes on without its head record, in a segment that says so for ever. */
static void a_head_that_is_gone_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		add("build", 1, 4);
		put("head", "torn", i == 0 ? 0 : 4);
		bad("has no head record");
		behind(first, "{\"act");
		add("build", 1, 4);
		bad("segment 2 was begun when the head record was gone");
		add("build", 1, 4);
		bad("segment 2 was begun when the head record was gone");
		assert_int_equal(fs_rmtree(AT_FDCWD, dir, &(struct err)ERR_INIT), 0);
	}
}

/* It is there before the first line: a writer that dies between the two leaves no doubt. */
static void a_head_comes_before_the_lines(void **state)
{
	struct buf b;

	(void)state;
	add("build", 1, 4);
	load("head", &b);
	assert_non_null(strstr(b.data, "\nseq 2\n"));
	assert_int_equal(unlink(path_of(first)), 0);
	bad("ends at line 0; its head record knows 2");
	buf_release(&b);
}

/* Lines behind the head record that do not follow are kept beside. */
static void what_does_not_follow_is_set_aside(void **state)
{
	struct strv names = {0};
	struct err e = ERR_INIT;
	bool aside = false;

	(void)state;
	add("build", 1, 4);
	behind(first, "noise\nmore");
	add("build", 1, 4);
	assert_int_equal(good().lines, 3);
	assert_int_equal(fs_list(AT_FDCWD, dir, &names, &e), 0);
	for (size_t i = 0; i < names.n; i++)
		aside |= strncmp(names.v[i], "aside-00000001-", 15) == 0;
	assert_true(aside);
	strv_release(&names);
}

/* What was cut off is not numbered again: the next segment goes on behind the gap, and says so. */
static void a_gap_stays_a_gap(void **state)
{
	struct buf b;

	(void)state;
	add("build", 1, 4);
	load(first, &b);
	add("build", 2, 4);
	put(first, b.data, b.len);
	bad("ends at line 2; its head record knows 4");
	add("build", 1, 4);
	bad("00000002.jsonl:1: is number 5, and 3 comes here");
	assert_int_equal(unlink(path_of(first)), 0);
	assert_int_equal(unlink(path_of(second)), 0);
	add("build", 1, 4);
	bad("00000001.jsonl is missing");
	buf_release(&b);
}

enum { WRITERS = 6, EACH = 20 };

static void writers_at_once_lose_nothing(void **state)
{
	pid_t pids[WRITERS];

	(void)state;
	for (int i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] > 0)
			continue;
		for (int n = 0; n < EACH; n++) {
			const struct ledger_event v = {.kind = "build"};
			struct err e = ERR_INIT;

			if (ledger_append(dir, &v, 1, &e) != 0)
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < WRITERS; i++) {
		int status = 0;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(good().lines, WRITERS * EACH + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define LEDGER_TEST(fn) cmocka_unit_test_setup_teardown(fn, enter, leave)
	    LEDGER_TEST(what_is_appended_is_read),
	    LEDGER_TEST(what_is_no_event_is_not_written),
	    LEDGER_TEST(segments_are_one_chain),
	    LEDGER_TEST(a_changed_byte_is_found),
	    LEDGER_TEST(a_cut_end_is_found),
	    LEDGER_TEST(a_line_that_is_gone_is_found),
	    LEDGER_TEST(a_torn_line_is_mended),
	    LEDGER_TEST(what_does_not_follow_is_set_aside),
	    LEDGER_TEST(a_head_that_is_gone_is_found),
	    LEDGER_TEST(a_head_comes_before_the_lines),
	    LEDGER_TEST(a_gap_stays_a_gap),
	    LEDGER_TEST(writers_at_once_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

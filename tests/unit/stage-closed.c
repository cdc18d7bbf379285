/* stage: the words of a closed instance, and a mark that cannot be read. */
#include "stage/parts.h"

#include "sys/fs.h"
#include "sys/self.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void words(void **state)
{
	static const char *const good[] = {"real", "private", "192.0.2.7/24"};
	static const char *const bad[] = {"",
					  "open",
					  "Real",
					  "192.0.2.7",
					  "192.0.2.0/24",
					  "192.0.2.255/24",
					  "192.0.2.7/024",
					  "192.0.2.7/33",
					  "2001:db8::1/64",
					  "192.0.2.7/24 real"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct stage_mark m SCOPED(stage_mark_release) = {0};
		char *text SCOPED(mem_freep) = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(stage_mark_parse(good[i], &m, &e), 0);
		text = stage_mark_text(&m);
		assert_string_equal(text, good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct stage_mark m = {0};
		struct err e = ERR_INIT;

		assert_int_equal(stage_mark_parse(bad[i], &m, &e), -1);
		assert_int_equal(e.kind, ERR_USAGE);
	}
}

/* What is on disk, and what a look at it says: "" = open, NULL = it is refused. */
static void marks(void **state)
{
	static const struct {
		const char *disk, *is;
	} rows[] = {{NULL, ""},      {"real\n", "real"}, {"192.0.2.7/24\n", "192.0.2.7/24"},
		    {"", NULL},      {"real", NULL},     {"real\nreal\n", NULL},
		    {"rea\n", NULL}, {"real\r\n", NULL}};
	char dir[] = "/tmp/stage-closed-XXXXXX";
	struct site s = {.shop = (char *)(uintptr_t) "1", .env = SITE_QA};
	struct stage_opts o = {.state = dir};
	char *own SCOPED(mem_freep) = NULL, *path SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(mkdtemp(dir));
	own = mem_format("%s/1/qa/.posmedia", dir);
	path = fs_join(own, STAGE_CLOSED);
	assert_int_equal(fs_mkdirs(AT_FDCWD, own, 0700, &e), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stage_mark m SCOPED(stage_mark_release) = {0};
		char *text SCOPED(mem_freep) = NULL;
		int rc;

		if (rows[i].disk != NULL)
			assert_int_equal(
			    fs_put_path(path, rows[i].disk, strlen(rows[i].disk), 0600, &e), 0);
		rc = stage_marked(&s, &o, &m, &e);
		assert_int_equal(rc, rows[i].is == NULL ? -1 : 0);
		assert_true(rc == 0 || e.kind == ERR_VERIFY);
		text = stage_mark_text(&m);
		assert_string_equal(text != NULL ? text : "", rows[i].is != NULL ? rows[i].is : "");
	}
	assert_int_equal(fs_rmtree(AT_FDCWD, dir, &e), 0);
}

/* The moment until which an address is lent: "" = it has it for ever, else what refuses it. */
static void lent(void **state)
{
	char *boot SCOPED(mem_freep) = self_boot_id();
	char *later SCOPED(mem_freep) = mem_format("%s 9000000000000\n", boot);
	char *over SCOPED(mem_freep) = mem_format("%s 1\n", boot);
	const struct {
		const char *disk;
		int kind;
		uint64_t until;
	} rows[] = {{NULL, 0, 0},
		    {later, 0, 9000000000000},
		    {over, ERR_BUSY, 0},
		    {"another-boot 9000000000000\n", ERR_BUSY, 0},
		    {"", ERR_VERIFY, 0},
		    {"9000000000000\n", ERR_VERIFY, 0},
		    {"boot -1\n", ERR_VERIFY, 0}};
	char dir[] = "/tmp/stage-closed-XXXXXX";
	char card[] = "lan0";
	struct site s = {.shop = (char *)(uintptr_t) "1", .network = {.interface = card}};
	const struct stage_opts o = {.state = dir, .runtime = dir};
	const struct stage st = {.s = &s, .o = &o, .own = dir, .ownfd = -1, .lock = -1};
	const struct stage_one one = {.container = (char *)(uintptr_t) "c"};
	char *mark SCOPED(mem_freep) = NULL, *path SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(mkdtemp(dir));
	mark = fs_join(dir, STAGE_CLOSED);
	path = fs_join(dir, STAGE_LENT);
	assert_int_equal(fs_put_path(mark, "real\n", 5, 0600, &e), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stage_given g SCOPED(stage_given_release) = {0};
		struct err why = ERR_INIT;

		if (rows[i].disk != NULL)
			assert_int_equal(
			    fs_put_path(path, rows[i].disk, strlen(rows[i].disk), 0600, &e), 0);
		assert_int_equal(stage_given_of(&st, &one, &g, &why), rows[i].kind == 0 ? 0 : -1);
		assert_true(rows[i].kind == 0 || why.kind == (enum err_kind)rows[i].kind);
		assert_int_equal(g.n.until_ms, rows[i].until);
	}
	/* of one on an address of its own it says nothing */
	assert_int_equal(fs_put_path(mark, "192.0.2.7/24\n", 13, 0600, &e), 0);
	{
		struct stage_given g SCOPED(stage_given_release) = {0};

		assert_int_equal(stage_given_of(&st, &one, &g, &e), 0);
		assert_int_equal(g.n.until_ms, 0);
	}
	assert_int_equal(fs_rmtree(AT_FDCWD, dir, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(words), cmocka_unit_test(marks),
					   cmocka_unit_test(lent)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

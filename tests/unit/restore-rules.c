/* restore: what stays out by which rule, and a part of a manifest as a manifest. */
#include "restore/listed.h"
#include "restore/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool wants(enum site_env env, const char *at, const char *path)
{
	struct restore_filter *f SCOPED(restore_filter_freep) = restore_filter_new(env, NULL, at);

	return restore_filter_wants(f, path, MANIFEST_FILE);
}

static void cardholders_files_stay_in_production(void **state)
{
	static const char *const names[] = {"CCXF01",   "CCXF02",   "ONCA01",
					    "bytefile", "recv.fil", "crddata.pos"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *deep SCOPED(mem_freep) = mem_format("bbx/bbxd/%s", names[i]);
		char *like SCOPED(mem_freep) = mem_format("bbx/%s.old", names[i]);

		assert_true(wants(SITE_PROD, "/usr2", deep));
		assert_false(wants(SITE_QA, "/usr2", deep));
		assert_false(wants(SITE_DEV, "/usr2", deep));
		assert_false(wants(SITE_QA, "", names[i]));
		assert_true(wants(SITE_QA, "/usr2", like));
	}
	assert_false(wants(SITE_QA, "", "etc/shadow"));
	assert_true(wants(SITE_QA, "/usr2", "etc/shadow"));
	assert_false(wants(SITE_QA, "/usr2", "home/a/.ssh/id_rsa"));
	assert_true(wants(SITE_PROD, "/usr2", "home/a/.ssh/id_rsa"));
}

/* What the excludes of old lost: names that only look like something temporary. */
static void nothing_is_left_out_for_its_ending(void **state)
{
	static const char *const names[] = {"a.tar",     "a.tar.gz",     "a.tar.asc",
					    "a.iso",     "a.patch",      "a.revision",
					    "backups/x", "bbx/bbxtmp/x", "bbx/log/x"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (int env = SITE_DEV; env <= SITE_PROD; env++)
			assert_true(wants((enum site_env)env, "/usr2", names[i]));
	assert_false(wants(SITE_PROD, "/usr2", "lost+found"));
	assert_true(wants(SITE_PROD, "/usr2", "bbx/lost+found"));
	assert_true(wants(SITE_PROD, "/usr2", ""));
}

static void what_is_left_out_is_counted(void **state)
{
	struct strv more SCOPED(strv_release) = {0};
	struct restore_filter *f SCOPED(restore_filter_freep) = NULL;
	struct jval *list SCOPED(jval_freep) = jval_array();
	const struct jval *last;
	int64_t n = 0;

	(void)state;
	strv_add(&more, "/usr2/tmp/**");
	f = restore_filter_new(SITE_PROD, &more, "/usr2");
	assert_false(restore_filter_wants(f, "tmp/a", MANIFEST_FILE));
	assert_false(restore_filter_wants(f, "tmp/b\n", MANIFEST_FILE));
	assert_false(restore_filter_passes(f, "tmp/b\n", MANIFEST_FILE));
	assert_true(restore_filter_wants(f, "temp/a", MANIFEST_FILE));
	restore_filter_note(f, "found secrets", "x/key");
	assert_int_equal(restore_filter_count(f), 3);
	restore_filter_report(f, list);
	last = jval_at(list, jval_len(list) - 1);
	assert_string_equal(jval_get_str(last, "rule"), "found secrets");
	last = jval_at(list, jval_len(list) - 2);
	assert_string_equal(jval_get_str(last, "pattern"), "/usr2/tmp/**");
	assert_int_equal(jval_get_int(last, "count", &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(jval_str(jval_at(jval_get(last, "paths"), 0)), "/usr2/tmp/a");
}

static void case_of_letters_hides_nothing(void **state)
{
	(void)state;
	assert_false(wants(SITE_QA, "/usr2", "bbx/ccxf01"));
	assert_false(wants(SITE_DEV, "/usr2", "bbx/ByteFile"));
	assert_false(wants(SITE_QA, "/usr2", "home/a/.SSH/ID_rsa"));
	assert_false(wants(SITE_QA, "", "VAR/Lib/samba/PRIVATE"));
	assert_false(wants(SITE_QA, "", "d/DAISY-1.tar.asc"));
	assert_true(wants(SITE_PROD, "/usr2", "bbx/ccxf01"));
	/* that one is about all environments, and takes no more than it says */
	assert_true(wants(SITE_QA, "/usr2", "Lost+Found"));
	/* a tree that lies in what is held back */
	assert_false(wants(SITE_QA, "/var/lib/Samba/private/x", "a"));
	assert_true(wants(SITE_PROD, "/var/lib/samba/private/x", "a"));
}

static bool fetches(const char *path, bool tests)
{
	struct strv more SCOPED(strv_release) = {0};
	struct restore_filter *f SCOPED(restore_filter_freep) = NULL;
	const struct restore_fetching how = {.tests = tests};

	strv_add(&more, "/tmp");
	f = restore_filter_new(SITE_QA, &more, "");
	return restore_filter_fetches(f, path, &how);
}

static void what_is_in_a_directory_that_is_held_back_is_not_fetched(void **state)
{
	(void)state;
	assert_false(fetches("var/lib/samba/private/a/b.tdb", true));
	assert_true(fetches("var/lib/samba/printing/b.tdb", true));
	assert_true(fetches("etc/samba/x/y.tdb", true));
	assert_true(fetches("tmp/x", true));
	assert_false(fetches("tmp/x", false));
}

static void every_name_of_a_file_is_held_back(void **state)
{
	static const struct restore_name names[] = {
	    {"log/a", "/log/a", NULL},
	    {"usr2/CCXF01", "/usr2/CCXF01", "log/a"},
	    {"usr2/free", "/usr2/free", NULL},
	    {"usr2/innocent", "/usr2/innocent", "log/a"},
	    {"usr2/of the link", "/usr2/of the link", "usr2/innocent"},
	    {"usr2/x", "/usr2/x", "usr2/free"},
	};
	struct restore_filter *f SCOPED(restore_filter_freep) = NULL;
	struct restore_filter *of SCOPED(restore_filter_freep) = NULL;
	struct jval *list SCOPED(jval_freep) = jval_array();
	const struct jval *row = NULL;

	(void)state;
	f = restore_filter_new(SITE_QA, NULL, "");
	of = restore_filter_new(SITE_QA, NULL, "/usr2");
	restore_filter_find_links(f, names, sizeof(names) / sizeof(names[0]));
	assert_true(restore_filter_is_link(f, "log/a"));
	assert_false(restore_filter_is_link(f, "usr2/x"));
	assert_false(restore_filter_passes(f, "log/a", MANIFEST_FILE));
	restore_filter_lend_links(f, "usr2", of);
	assert_false(restore_filter_wants(of, "innocent", MANIFEST_FILE));
	assert_false(restore_filter_wants(of, "of the link", MANIFEST_FILE));
	assert_true(restore_filter_wants(of, "free", MANIFEST_FILE));
	assert_true(restore_filter_wants(of, "x", MANIFEST_FILE));
	assert_true(restore_filter_wants(of, "log/a", MANIFEST_FILE));
	assert_int_equal(restore_filter_count(of), 2);
	restore_filter_report(of, list);
	for (size_t i = 0; i < jval_len(list); i++)
		if (strstr(jval_get_str(jval_at(list, i), "why"), "another name") != NULL)
			row = jval_at(list, i);
	assert_string_equal(jval_get_str(row, "pattern"), "/**/CCXF01");
	assert_string_equal(jval_str(jval_at(jval_get(row, "paths"), 1)), "/usr2/of the link");
}

static void other_names_stay_where_nobody_is_protected(void **state)
{
	static const struct restore_name names[] = {
	    {"lost+found/1", "/lost+found/1", NULL},
	    {"usr2/a", "/usr2/a", "lost+found/1"},
	};
	struct restore_filter *f SCOPED(restore_filter_freep) = NULL;

	(void)state;
	f = restore_filter_new(SITE_QA, NULL, "");
	restore_filter_find_links(f, names, 2);
	assert_false(restore_filter_is_link(f, "usr2/a"));
}

static void card_numbers_in_names_are_masked(void **state)
{
	struct strv more SCOPED(strv_release) = {0};
	struct restore_filter *f SCOPED(restore_filter_freep) = NULL;
	struct jval *list SCOPED(jval_freep) = jval_array();
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

	(void)state;
	strv_add(&more, "/usr2/tmp/**");
	f = restore_filter_new(SITE_QA, &more, "/usr2");
	assert_false(restore_filter_wants(f, "tmp/4556737586899855", MANIFEST_FILE));
	restore_filter_note(f, "found cardholder data", "x/4556737586899855.txt");
	restore_filter_report(f, list);
	jval_write(list, &b);
	assert_null(strstr(b.data, "4556737586899855"));
	assert_non_null(strstr(b.data, "9855"));
}

static void what_rsync_lists(void **state)
{
	char text[] = "cd+++++++++\\#001./\\#001\n"
		      "cd+++++++++\\#001usr2/\\#001\n"
		      "cL+++++++++\\#001usr2/l => k\\#001 -> CCXF01\n"
		      "hf+++++++++\\#001usr2/a => b\\#001 => usr2/zz\n"
		      ">f+++++++++\\#001usr2/n\\#012l\\#134#001\\#377\\#001\n";
	char bad[] = "created directory x\n";
	struct listed l SCOPED(listed_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(listed_rsync(text, &l, &e), 0);
	assert_int_equal(l.n, 5);
	assert_string_equal(l.v[0].path, "");
	assert_string_equal(l.v[1].path, "usr2");
	assert_string_equal(l.v[2].path, "usr2/l => k");
	assert_null(l.v[2].same_as);
	assert_string_equal(l.v[3].full, "/usr2/a => b");
	assert_string_equal(l.v[3].same_as, "usr2/zz");
	assert_string_equal(l.v[4].path, "usr2/n\nl\\#001\377");
	assert_int_equal(listed_rsync(bad, &l, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
}

static void what_tar_lists(void **state)
{
	char text[] = "drwxr-xr-x 0/0               0 2026-11-26 13:48 \"./\"\n"
		      "-rw-r--r-- 0/0               5 2026-11-26 13:48 \"./usr2/a \\\"b\"\n"
		      "hrw-r--r-- 0/0               0 2026-11-26 13:48 \"/usr2/././c\" link to "
		      "\"./usr2/a \\\"b\"\n"
		      "lrwxrwxrwx 0/0               0 2026-11-26 13:48 \"./lnk\" -> \"foo\"\n"
		      "-rw-r--r-- 0/0               1 2026-11-26 13:48 \"n\\nl\\\\#\\377\"\n";
	char bad[][40] = {"hrw 0/0 \"a\" -> \"b\"\n", "-rw 0/0 \"a\n", "-rw 0/0 a\n",
			  "-rw 0/0 \"a\\\n"};
	struct listed l SCOPED(listed_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(listed_tar(text, &l, &e), 0);
	assert_int_equal(l.n, 5);
	assert_string_equal(l.v[1].path, "usr2/a \"b");
	assert_string_equal(l.v[2].raw, "/usr2/././c");
	assert_string_equal(l.v[2].path, "usr2/c");
	assert_string_equal(l.v[2].same_as, "usr2/a \"b");
	assert_null(l.v[3].same_as);
	assert_string_equal(l.v[4].path, "n\nl\\#\377");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(listed_tar(bad[i], &l, &e), -1);
}

static struct manifest_entry entry(const char *path, enum manifest_type t, const char *same_as)
{
	return (struct manifest_entry){.path = (char *)(uintptr_t)path,
				       .type = t,
				       .size = t == MANIFEST_FILE ? 7 : 0,
				       .same_as = (char *)(uintptr_t)same_as};
}

/* As a snapshot of a site has it: "usr2-old" comes before "usr2/a" in byte order. */
static struct manifest_entry whole[8];
static const struct manifest all = {.v = whole, .n = 8};

static int make_whole(void **state)
{
	(void)state;
	whole[0] = entry("", MANIFEST_DIR, NULL);
	whole[1] = entry("log", MANIFEST_DIR, NULL);
	whole[2] = entry("log/one", MANIFEST_FILE, NULL);
	whole[3] = entry("usr2", MANIFEST_DIR, NULL);
	whole[4] = entry("usr2-old", MANIFEST_DIR, NULL);
	whole[5] = entry("usr2/a", MANIFEST_FILE, "log/one");
	whole[6] = entry("usr2/b", MANIFEST_FILE, "log/one");
	whole[7] = entry("usr2/c", MANIFEST_FILE, NULL);
	return 0;
}

static size_t opened;

static int open_it(void *ctx, size_t i, void **ret, struct err *e)
{
	(void)ctx;
	(void)ret;
	(void)e;
	opened = i;
	return 0;
}

static const struct apply_content content = {.open = open_it};

static void a_part_is_a_tree(void **state)
{
	const struct restore_part p = {.of = &all, .content = &content, .below = "usr2"};
	struct restore_view v SCOPED(restore_view_release) = {0};
	struct err e = ERR_INIT;
	void *handle = NULL;

	(void)state;
	assert_int_equal(restore_view_make(&p, &v, &e), 0);
	assert_int_equal(v.m.n, 4);
	assert_string_equal(v.m.v[0].path, "");
	assert_string_equal(v.m.v[1].path, "a");
	/* its first name is in another part: here it is the first */
	assert_null(v.m.v[1].same_as);
	assert_string_equal(v.m.v[2].same_as, "a");
	assert_int_equal(v.m.files, 2);
	assert_int_equal(v.m.bytes, 14);
	assert_int_equal(v.content.open(v.content.ctx, 1, &handle, &e), 0);
	assert_int_equal(opened, 2);
	assert_int_equal(v.content.open(v.content.ctx, 3, &handle, &e), 0);
	assert_int_equal(opened, 7);
}

static void what_is_dropped_is_gone_with_all_below(void **state)
{
	struct map drop = {0};
	const struct restore_part p = {.of = &all, .content = &content, .below = "", .drop = &drop};
	struct restore_view v SCOPED(restore_view_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	(void)map_put(&drop, "log", NULL);
	assert_int_equal(restore_view_make(&p, &v, &e), 0);
	assert_int_equal(v.m.n, 6);
	assert_null(v.m.v[3].same_as);
	assert_string_equal(v.m.v[3].path, "usr2/a");
	assert_string_equal(v.m.v[4].same_as, "usr2/a");
	assert_int_equal(v.m.excluded, 2);
	map_release(&drop, NULL);
}

static void a_part_that_is_not_there_is_named(void **state)
{
	const struct restore_part p = {.of = &all, .content = &content, .below = "usr"};
	struct restore_view v SCOPED(restore_view_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(restore_view_make(&p, &v, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cardholders_files_stay_in_production),
	    cmocka_unit_test(nothing_is_left_out_for_its_ending),
	    cmocka_unit_test(what_is_left_out_is_counted),
	    cmocka_unit_test(case_of_letters_hides_nothing),
	    cmocka_unit_test(what_is_in_a_directory_that_is_held_back_is_not_fetched),
	    cmocka_unit_test(every_name_of_a_file_is_held_back),
	    cmocka_unit_test(other_names_stay_where_nobody_is_protected),
	    cmocka_unit_test(card_numbers_in_names_are_masked),
	    cmocka_unit_test(what_rsync_lists),
	    cmocka_unit_test(what_tar_lists),
	    cmocka_unit_test(a_part_is_a_tree),
	    cmocka_unit_test(what_is_dropped_is_gone_with_all_below),
	    cmocka_unit_test(a_part_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, make_whole, NULL);
}

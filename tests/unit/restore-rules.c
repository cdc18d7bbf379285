/* restore: what stays out by which rule, and a part of a manifest as a manifest. */
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
	assert_false(restore_filter_passes(f, "tmp/b\n"));
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
	    cmocka_unit_test(a_part_is_a_tree),
	    cmocka_unit_test(what_is_dropped_is_gone_with_all_below),
	    cmocka_unit_test(a_part_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, make_whole, NULL);
}

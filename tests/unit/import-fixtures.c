/* import: every file of the fixtures, on every kind of base: the books balance, the recipe is YAML,
 * and what is written is there. */
#include "import/import.h"

#include "form/yaml.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef int importer(const char *path, const struct import_opts *o, struct import **ret,
		     struct err *e);

static char work[] = "/tmp/posmedia-import-XXXXXX";

static void check(const struct import *im, const char *path)
{
	struct buf b = BUF_INIT(8 << 20), report = BUF_INIT(8 << 20);
	struct yaml *y = NULL;
	struct err e = ERR_INIT;

	if (!import_account_ok(im))
		fail_msg("%s: the books do not balance", path);
	import_recipe(im, &b);
	import_report(im, &report);
	if (yaml_parse(b.data, b.len, path, &y, &e) != 0)
		fail_msg("%s", e.msg);
	assert_non_null(yaml_get(y, "name"));
	assert_true(report.len > 0);
	yaml_node_free(y);
	buf_release(&b);
	buf_release(&report);
	if (import_write(im, work, true, &e) != 0)
		fail_msg("%s: %s", path, e.msg);
}

static void all_of(const char *dir, importer *how)
{
	static const struct import_opts opts[] = {
	    {.below = "recipes/", .name = "x"},
	    {.below = "", .base = "base/debian-12.yaml", .name = "x"},
	    {.below = "", .release = "7", .name = "x"}};
	struct strv names = {0};
	struct err e = ERR_INIT;

	assert_int_equal(fs_list(AT_FDCWD, dir, &names, &e), 0);
	assert_true(names.n > 10);
	for (size_t i = 0; i < names.n * 3; i++) {
		char *path SCOPED(mem_freep) = fs_join(dir, names.v[i / 3]);
		struct import *im SCOPED(import_freep) = NULL;

		if (how(path, &opts[i % 3], &im, &e) != 0)
			fail_msg("%s: %s", path, e.msg);
		check(im, path);
	}
	strv_release(&names);
}

static void kickstarts(void **state)
{
	(void)state;
	all_of("tests/fixtures/import/kickstart", import_kickstart);
}

static void dockerfiles(void **state)
{
	(void)state;
	all_of("tests/fixtures/import/dockerfile", import_dockerfile);
}

static void every_form(void **state)
{
	const char *args[] = {"VERSION=10", "MIRROR=x"};
	struct strv list = {(char **)args, 2, 2};
	const struct import_opts o = {
	    .below = "", .context = "tests/fixtures/import/forms/context", .args = &list};
	struct import *a SCOPED(import_freep) = NULL, *b SCOPED(import_freep) = NULL;
	struct buf text = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(import_kickstart("tests/fixtures/import/forms/every.ks", &o, &a, &e), 0);
	check(a, "every.ks");
	assert_string_equal(import_name(a), "every");
	assert_true(import_has(a, IMPORT_ERROR));
	assert_false(import_has(a, IMPORT_NEVER));
	assert_int_equal(
	    import_dockerfile("tests/fixtures/import/forms/every.dockerfile", &o, &b, &e), 0);
	check(b, "every.dockerfile");
	import_recipe(b, &text);
	assert_non_null(strstr(text.data, "docker://registry.example/el:10"));
	buf_release(&text);
}

static void severities(void **state)
{
	enum import_severity s = IMPORT_INFO;

	(void)state;
	assert_int_equal(import_severity_parse("error", &s), 0);
	assert_int_equal(s, IMPORT_ERROR);
	assert_int_equal(import_severity_parse("worse", &s), -1);
	assert_string_equal(import_severity_name(IMPORT_WARNING), "warning");
}

static int set_up(void **state)
{
	(void)state;
	intr_install();
	return mkdtemp(work) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, work, &e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(kickstarts),
	    cmocka_unit_test(dockerfiles),
	    cmocka_unit_test(every_form),
	    cmocka_unit_test(severities),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

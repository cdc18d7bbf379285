/* plan/parts_services: which files of an overlay make services run again. */
#include "plan/parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct jval *parts(const char *to, const char *path, const char *what)
{
	struct recipe_overlay o = {.to = (char *)(uintptr_t)to};
	struct recipe r = {.overlays = &o, .overlays_n = 1};
	struct jval *overlays SCOPED(jval_freep) = jval_object();
	struct jval *list = jval_array(), *one = jval_object();

	r.resolved = jval_object();
	jval_put_text(one, "/", "/ 0:0");
	jval_put_text(one, path, what);
	jval_push(list, one);
	jval_put(overlays, "overlay", list);
	one = parts_services(&r, overlays);
	jval_free(r.resolved);
	return one;
}

/* Whether a change of the entry's content changes the parts. */
static bool counts(const char *to, const char *path, const char *what)
{
	char *other SCOPED(mem_freep) = mem_format("%sx", what);
	struct jval *a SCOPED(jval_freep) = parts(to, path, what);
	struct jval *b SCOPED(jval_freep) = parts(to, path, other);

	return !jval_equal(a, b);
}

#define FILE_ "file sha256:1"

static void what_units_are_made_from(void **state)
{
	static const char *const paths[] = {
	    "etc/systemd/system/a.service",
	    "etc/systemd/system.conf",
	    "usr/lib/x.so",
	    "lib/systemd/system/b.target",
	    "etc/init.d/old",
	    "etc/rc2.d/S01old",
	    "etc/passwd",
	    "etc/ld.so.conf.d/app.conf",
	    "usr/bin/perl",
	    "opt/app/app.service",
	    "srv/x.socket",
	    "srv/x.automount",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (!counts("/", paths[i], FILE_))
			fail_msg("%s does not count", paths[i]);
}

static void what_tells_them_nothing(void **state)
{
	static const char *const paths[] = {"etc/motd", "etc/profile.d/pos.sh", "opt/app/menu.txt",
					    "srv/www/index.html", "home/rti/.profile"};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (counts("/", paths[i], FILE_))
			fail_msg("%s counts", paths[i]);
}

static void links_and_programs_count_anywhere(void **state)
{
	(void)state;
	assert_true(counts("/", "opt/units", "link /srv/units"));
	assert_true(counts("/", "opt/app/run", "program sha256:1"));
}

static void it_is_where_the_overlay_goes(void **state)
{
	(void)state;
	assert_true(counts("/etc/systemd", "system/a.wants/x", FILE_));
	assert_true(counts("/usr", "share/x", FILE_));
	assert_false(counts("/opt", "usr/share/x", FILE_));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_units_are_made_from),
	    cmocka_unit_test(what_tells_them_nothing),
	    cmocka_unit_test(links_and_programs_count_anywhere),
	    cmocka_unit_test(it_is_where_the_overlay_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

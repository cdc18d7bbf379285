/* package/sources: the machine's apt sources, in both of their formats, and what overrides them. */
#include "package/sources.h"

#include "package/apt.h"
#include "sys-put.h"
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

static char *dir; /* a scratch /etc/apt */

static int set_up(void **state)
{
	char name[] = "/tmp/posmedia-sources.XXXXXX";
	struct err e = ERR_INIT;

	(void)state;
	if (mkdtemp(name) == NULL)
		return -1;
	dir = mem_strdup(name);
	(void)unsetenv("POSMEDIA_APT_MIRROR");
	(void)unsetenv("POSMEDIA_APT_SECURITY_MIRROR");
	return fs_mkdirs(AT_FDCWD, dir, 0755, &e);
}

static int tear_down(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	if (fs_rmtree(AT_FDCWD, dir, &e) != 0)
		return -1;
	free(dir);
	return 0;
}

static void expect(const char *suite, const char *want)
{
	struct strv got SCOPED(strv_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);

	sources_scan(dir, suite, &got);
	for (size_t i = 0; i < got.n; i++)
		buf_addf(&b, "%s%s", i > 0 ? " " : "", got.v[i]);
	assert_string_equal(b.data, want);
}

static void reads_one_line_sources(void **state)
{
	(void)state;
	put_text(dir, "sources.list",
		 "# deb http://no/ x main\n"
		 "deb http://one/debian x main contrib # deb http://no x main\n"
		 "deb http://cut/# x main\n"
		 "deb\t[ arch=amd64 signed-by=/k.gpg ]  http://two/d/ x main\n"
		 "deb [arch=amd64] http://three y main\n"
		 "deb-src http://src/ x main\n"
		 "deb cdrom:[Disc]/ x main\n"
		 "deb http://q\"uote/ x main\n"
		 "deb http://one/debian/ x main\ndeb http://short");
	expect("x", "http://one/debian/ http://two/d/");
	expect("y", "http://three/");
	expect("z", "");
}

static void reads_stanzas(void **state)
{
	(void)state;
	put_text(dir, "sources.list.d/b.sources",
		 "# the archive\nTypes: deb deb-src\n# URIs: http://no/\nURIs: http://one/debian\n"
		 "# between\n  https://two/debian\nSuites: x x-updates\nComponents: main\n\n"
		 "Enabled: no\nTypes: deb\nURIs: http://off/\nSuites: x\n\n"
		 "Types: deb-src\nURIs: http://src/\nSuites: x\n");
	put_text(dir, "sources.list.d/a.list", "deb file:/srv/mirror x main\n");
	put_text(dir, "sources.list.d/c.list.save", "deb http://saved/ x main\n");
	expect("x", "file:///srv/mirror/ http://one/debian/ https://two/debian/");
	expect("x-updates", "http://one/debian/ https://two/debian/");
	expect("x-security", "");
}

static void follows_mirror_lists(void **state)
{
	char *list SCOPED(mem_freep) = NULL;

	(void)state;
	list = mem_format("# best first\nhttps://one/d\tpriority:1\nhttp://two/d/\n"
			  "mirror+file:%s/mirrors/m.list\nftp://no/\n",
			  dir);
	put_text(dir, "mirrors/m.list", list);
	free(list);
	list = mem_format("Types: deb\nURIs: mirror+file://%s/mirrors/m.list\nSuites: x\n", dir);
	put_text(dir, "sources.list.d/m.sources", list);
	expect("x", "https://one/d/ http://two/d/");
}

static void copes_with_rubbish(void **state)
{
	(void)state;
	put_text(dir, "sources.list", "deb\ndeb [\ndeb [a=b\ndeb [a] \n]\n\n\tdeb http://a x");
	put_text(dir, "sources.list.d/a.sources",
		 "Types: deb\nSuites: x\n\n:::\n\nURIs: http://a\n");
	expect("x", "http://a/");
}

static const struct recipe_pos here = {"r.yaml", 3, 7};

static void environment_stands_for_the_machine(void **state)
{
	struct recipe_apt a = {.suite = "nowhere", .pos = here};
	struct strv got SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	strv_add(&a.mirrors, "system");
	(void)setenv("POSMEDIA_APT_MIRROR", "http://m/d", 1);
	assert_int_equal(sources_find(&a, "nowhere-updates", &got, &e), 0);
	assert_string_equal(got.v[0], "http://m/d/");
	assert_string_equal(sources_label(&a, got.v[0]), "system");
	/* the main mirror does not stand for the security archive */
	assert_int_equal(sources_find(&a, "nowhere-security", &got, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_non_null(strstr(e.msg, "r.yaml:3:7"));
	assert_non_null(strstr(e.hint, "POSMEDIA_APT_SECURITY_MIRROR"));
	assert_int_equal(got.n, 1);
	(void)setenv("POSMEDIA_APT_SECURITY_MIRROR", "http://s/d/", 1);
	assert_int_equal(sources_find(&a, "nowhere-security", &got, &e), 0);
	assert_string_equal(got.v[1], "http://s/d/");
	(void)unsetenv("POSMEDIA_APT_MIRROR");
	(void)unsetenv("POSMEDIA_APT_SECURITY_MIRROR");
	strv_release(&a.mirrors);
}

static void urls_of_a_package_are_encoded(void **state)
{
	struct recipe_apt a = {.suite = "x", .pos = here};
	struct recipe r = {.file = mem_strdup("r.yaml"), .apt = &a};
	struct lock_package p = {.name = mem_strdup("g++"),
				 .repository = mem_strdup("x"),
				 .path = mem_strdup("pool/main/g/g++_1%3a2+b~1_amd64.deb")};
	struct strv got SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	strv_add(&a.mirrors, "http://one/d");
	strv_add(&a.mirrors, "file:/srv/two/");
	assert_int_equal(apt_urls(&r, &p, &got, &e), 0);
	assert_int_equal(got.n, 2);
	assert_string_equal(got.v[0], "http://one/d/pool/main/g/g%2b%2b_1%253a2%2bb~1_amd64.deb");
	assert_string_equal(got.v[1],
			    "file:///srv/two/pool/main/g/g%2b%2b_1%253a2%2bb~1_amd64.deb");
	assert_string_equal(sources_label(&a, "file:///srv/two/"), "file:/srv/two/");
	strv_release(&a.mirrors);
	free(r.file);
	free(p.name);
	free(p.repository);
	free(p.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(reads_one_line_sources, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(reads_stanzas, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(follows_mirror_lists, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(copes_with_rubbish, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(environment_stands_for_the_machine, set_up, tear_down),
	    cmocka_unit_test(urls_of_a_package_are_encoded),
	};

	return cmocka_run_group_tests_name("package-sources", tests, NULL, NULL);
}

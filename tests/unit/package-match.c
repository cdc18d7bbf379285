/* Which of a server's versions can be had, and what is nearest to those that are gone. */
#include "package/match.h"

#include "package/snapshot.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct job {
	struct inventory list;
	struct match m;
};

static void begin(struct job *j, const char *text)
{
	struct err e = ERR_INIT;

	if (inventory_parse("m", text, strlen(text), INVENTORY_DEB, &j->list, &e) != 0)
		fail_msg("%s", e.msg);
	match_begin(&j->m, "m", &j->list, false);
}

static void end(struct job *j)
{
	match_release(&j->m);
	inventory_release(&j->list);
}

static void expect_report(const struct job *j, const char *want)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

	match_report(&j->m, &b);
	assert_string_equal(b.data, want);
}

static void the_exact_version_stands(void **state)
{
	struct job j SCOPED(end) = {0};

	(void)state;
	begin(&j, "bash 5.2-1 amd64\n");
	assert_int_equal(match_missing(&j.m), 1);
	match_offer(&j.m, "bash", "5.2-2", "amd64", "today");
	match_offer(&j.m, "bash", "5.2-1", "arm64", "other");
	match_offer(&j.m, "dash", "5.2-1", "amd64", "today");
	assert_int_equal(match_missing(&j.m), 1);
	match_offer(&j.m, "bash", "5.2-1", "amd64", "past");
	match_offer(&j.m, "bash", "5.2-1", "amd64", "later");
	assert_int_equal(match_missing(&j.m), 0);
	assert_string_equal(j.m.v[0].where, "past");
	expect_report(&j, "");
}

static void the_nearest_is_the_oldest_newer_one(void **state)
{
	static const char *const offers[] = {"1.0", "3.0", "0.9", "2.5", "2.6", "1.9"};
	static const char *const nearest[] = {"1.0", "3.0", "3.0", "2.5", "2.5", "2.5"};
	struct job j SCOPED(end) = {0}, k SCOPED(end) = {0};

	(void)state;
	begin(&j, "a1 2.0 all\nb1 1:2.0 all\n");
	for (size_t i = 0; i < 6; i++) {
		match_offer(&j.m, "a1", offers[i], "all", "r");
		assert_string_equal(j.m.v[0].version, nearest[i]);
	}
	match_offer(&j.m, "b1", "9.0", "amd64", "r"); /* all and an architecture may follow */
	expect_report(&j, "not to be had: a1 2.0, nearest 2.5 in r (newer)\n"
			  "not to be had: b1 1:2.0, nearest 9.0 in r (older)\n");
	begin(&k, "a1 2.0 all\n");
	match_offer(&k.m, "a1", "1.0", "all", "r");
	match_offer(&k.m, "a1", "1.5", "all", "r");
	match_offer(&k.m, "a1", "1.2", "all", "r");
	assert_string_equal(k.m.v[0].version, "1.5");
	assert_false(match_is_newer(&k.m, &k.m.v[0]));
}

static void rpm_lists_without_epochs(void **state)
{
	struct job j SCOPED(end) = {0}, k SCOPED(end) = {0};

	(void)state;
	begin(&j, "perl-libs-5.32.1-480.el9.x86_64\nglibc-2.34-60.el9.i686\n"
		  "glibc-2.34-60.el9.x86_64\nkernel-5.14.0-70.el9.x86_64\n");
	match_offer(&j.m, "perl-libs", "4:5.32.1-480.el9", "x86_64", "appstream");
	match_offer(&j.m, "glibc", "2.34-60.el9", "x86_64", "baseos");
	match_offer(&j.m, "glibc", "2.34-83.el9", "i686", "baseos");
	expect_report(&j, "not to be had: glibc.i686 2.34-60.el9, "
			  "nearest 2.34-83.el9 in baseos (newer)\n"
			  "not to be had: kernel 5.14.0-70.el9, nor any other version\n");
	assert_string_equal(j.m.v[3].version, "4:5.32.1-480.el9");
	begin(&k, "perl-libs 4 5.32.1 480.el9 x86_64\n"); /* this one has epochs */
	match_offer(&k.m, "perl-libs", "5.32.1-480.el9", "x86_64", "appstream");
	assert_int_equal(match_missing(&k.m), 1);
}

static void what_the_recipe_excludes_is_not_asked_for(void **state)
{
	struct job j SCOPED(end) = {0};
	struct strv globs SCOPED(strv_release) = {0};
	struct jval *v SCOPED(jval_freep) = NULL;
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	strv_add(&globs, "linux-*");
	begin(&j, "bash 5.2-1 amd64\nlinux-image-6.1 6.1-1 amd64\n");
	match_leave_out(&j.m, &globs);
	assert_false(match_wants(&j.m, "linux-image-6.1"));
	assert_true(match_wants(&j.m, "bash"));
	assert_int_equal(match_missing(&j.m), 1);
	match_offer(&j.m, "bash", "5.1-1", "amd64", "r");
	v = match_json(&j.m);
	jval_write(v, &b);
	assert_string_equal(b.data,
			    "{\"exact\":0,\"left-out\":[\"linux-image-6.1\"],\"manifest\":\"m\","
			    "\"packages\":2,\"unavailable\":[{\"nearest\":\"5.1-1\","
			    "\"package\":\"bash\",\"wanted\":\"5.2-1\",\"where\":\"r\"}]}");
}

static void times_of_snapshots(void **state)
{
	static const char *const good[][2] = {
	    {"2024-01-15", "20240115T000000Z"},
	    {"2024-01-15T10:20:30Z", "20240115T102030Z"},
	    {"20240115T102030Z", "20240115T102030Z"},
	};
	static const char *const bad[] = {
	    "", "2024", "2024-13-01", "2024-01-15Z", "20240115102030", "../../../../../x"};
	char time[SNAPSHOT_TIME];
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(snapshot_time(good[i][0], time, &e), 0);
		assert_string_equal(time, good[i][1]);
	}
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(snapshot_time(bad[i], time, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
}

static void expect_bases(const struct recipe_apt *a, const char *suite, const char *want)
{
	struct strv got SCOPED(strv_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);

	snapshot_find(a, suite, "20240115T000000Z", &got);
	for (size_t i = 0; i < got.n; i++)
		buf_addf(&b, "%s ", got.v[i]);
	assert_string_equal(b.data, want);
}

static void places_of_snapshots(void **state)
{
	struct recipe_apt a = {0};

	(void)state;
	(void)unsetenv("POSMEDIA_APT_SECURITY_SNAPSHOT");
	(void)setenv("POSMEDIA_APT_SNAPSHOT", "http://a.test/{time}", 1);
	expect_bases(&a, "bookworm", "http://a.test/20240115T000000Z/ ");
	expect_bases(&a, "bookworm-security", "");
	(void)setenv("POSMEDIA_APT_SECURITY_SNAPSHOT", "http://b.test/{time}/x/", 1);
	expect_bases(&a, "bookworm-security", "http://b.test/20240115T000000Z/x/ ");
	(void)setenv("POSMEDIA_APT_SNAPSHOT", "http://a.test/{time}/ main\ndeb evil", 1);
	expect_bases(&a, "bookworm", "");
	(void)setenv("POSMEDIA_APT_SNAPSHOT", "http://a.test/no-place", 1);
	expect_bases(&a, "bookworm", "");
	strv_add(&a.snapshots, "file:///own/{time}");
	strv_add(&a.snapshots, "system");
	expect_bases(&a, "bookworm", "file:///own/20240115T000000Z/ ");
	assert_string_equal(snapshot_label(&a, "20240115T000000Z", "file:///own/20240115T000000Z/"),
			    "file:///own/{time}");
	assert_string_equal(snapshot_label(&a, "20240115T000000Z", "http://x/"), "system");
	strv_release(&a.snapshots);
	(void)unsetenv("POSMEDIA_APT_SNAPSHOT");
	(void)unsetenv("POSMEDIA_APT_SECURITY_SNAPSHOT");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_exact_version_stands),
	    cmocka_unit_test(the_nearest_is_the_oldest_newer_one),
	    cmocka_unit_test(rpm_lists_without_epochs),
	    cmocka_unit_test(what_the_recipe_excludes_is_not_asked_for),
	    cmocka_unit_test(times_of_snapshots),
	    cmocka_unit_test(places_of_snapshots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

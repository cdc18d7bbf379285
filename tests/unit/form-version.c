/* Which version is newer: every pair of a list, as dpkg and rpm themselves say. */
#include "base/buf.h"
#include "form/version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static int sign(int c)
{
	return (c > 0) - (c < 0);
}

static const char *const debian[] = {
    "1.0",       "1.0-0",        "1.0-1",     "1.0-10",      "1.0-2",     "1:0.1",
    "01.0",      "0:1.0",        "1.0~rc1-1", "1.0~~",       "1.0~",      "1.0a",
    "1.0+b1",    "1.0.1",        "1.0-1+b2",  "1.0-1~bpo12", "1.00",      "1.0-1.1",
    "2.36-9",    "2.36-9+deb12", "10",        "9",           "1a2",       "1ab",
    "1.2-3-4",   "1.2-3.4",      "1.",        "1",           "20230311",  "5.2.15-2+b2",
    "1.0-1+deb", "1.0.-1",       "0",         "0~0",         "1.0-rc1-1", "1.0+dfsg~1-1",
};
enum { DEBIAN = sizeof(debian) / sizeof(debian[0]) };

static const char *const rpm[] = {
    "1.0",           "1.0-1",      "1.0-2",     "1.0-10",      "1:0.1-1",    "0:1.0-1",
    "1.0~rc1-1",     "1.0^git1-1", "1.0^-1",    "1.0~-1",      "1.0.1-1",    "1.0a-1",
    "1.a-1",         "1.1-1",      "1.0_1-1",   "1..0-1",      "01.00-1",    "1.0~rc1^git2-1",
    "1.0^git1~1",    "5.1.8-6",    "5.1.8-6.1", "5.1.8-6.el9", "10-1",       "9-1",
    "1.0",           "1.0A-1",     "2.0-1.fc9", "2.0-1.fc8",   "1.0^^-1",    "1.0^.1-1",
    "a-1",           "1a2-1",      "1.el9_2-1", "1.el9-1",     "1.0-1~beta", "1.0-1^post",
    "1.0-1.el9_2.1",
};
enum { RPM = sizeof(rpm) / sizeof(rpm[0]) };

/* What a command says for each pair, one line of "-1", "0" or "1" each. */
static void compare_all(const char *command, const char *const *v, size_t n,
			int (*compare)(const char *a, const char *b))
{
	FILE *f = popen(command, "r");
	char line[32];

	assert_non_null(f);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++) {
			int got = sign(compare(v[i], v[k]));

			if (fgets(line, sizeof(line), f) == NULL)
				fail_msg("the command ended early");
			if (got != (int)strtol(line, NULL, 10))
				fail_msg("%s and %s: %d, wanted %s", v[i], v[k], got, line);
		}
	assert_int_equal(pclose(f), 0);
}

static void add_list(struct buf *b, const char *const *v, size_t n, const char *quote)
{
	for (size_t i = 0; i < n; i++)
		buf_addf(b, " %s%s%s", quote, v[i], quote);
}

static void as_dpkg(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	buf_addf(&b, "set --");
	add_list(&b, debian, DEBIAN, "'");
	buf_addf(&b, "; for a; do for b; do"
		     " if dpkg --compare-versions \"$a\" lt \"$b\"; then echo -1;"
		     " elif dpkg --compare-versions \"$a\" eq \"$b\"; then echo 0;"
		     " else echo 1; fi; done; done 2>/dev/null");
	compare_all(b.data, debian, DEBIAN, version_compare_deb);
}

static void as_rpm(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	if (system("command -v rpm >/dev/null") != 0)
		skip();
	buf_addf(&b, "rpm --eval '%%{lua: l = \"");
	add_list(&b, rpm, RPM, "");
	buf_addf(&b, "\" for a in l:gmatch(\"%%S+\") do for b in l:gmatch(\"%%S+\") do "
		     "print(rpm.vercmp(a, b) .. \"\\n\") end end}'");
	compare_all(b.data, rpm, RPM, version_compare_rpm);
}

static void epochs_and_releases(void **state)
{
	(void)state;
	assert_string_equal(version_without_epoch("1:2.0-3"), "2.0-3");
	assert_string_equal(version_without_epoch("2.0-3"), "2.0-3");
	assert_string_equal(version_without_epoch("a:b"), "a:b");
	assert_string_equal(version_without_epoch(""), "");
	assert_true(version_compare_rpm("99999999999999999999:1-1", "9:2-1") > 0);
	assert_true(version_compare_rpm("1.0", "1.0-3") < 0);
	assert_true(version_compare_deb("", "1") < 0);
	assert_int_equal(version_compare_deb("", ""), 0);
	assert_true(version_compare_deb("18446744073709551617", "18446744073709551616") > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(as_dpkg),
	    cmocka_unit_test(as_rpm),
	    cmocka_unit_test(epochs_and_releases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

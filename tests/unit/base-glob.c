#include "base/glob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct row {
	const char *pattern, *path;
	bool want;
};

static const struct row rows[] = {
    {"", "", true},
    {"a", "a", true},
    {"a", "b", false},
    {"a", "ab", false},
    {"?", "a", true},
    {"?", "/", false},
    {"*", "", true},
    {"*", "abc", true},
    {"*", "a/b", false},
    {"a*c", "abbc", true},
    {"a*c", "ac", true},
    {"a*c", "ab/c", false},
    {"*.conf", "x.conf", true},
    {"*.conf", ".conf", true},
    {"*a*b", "xxaxxb", true},
    {"*a*b", "xxaxxbx", false},
    {"/usr2/**", "/usr2", true},
    {"/usr2/**", "/usr2/a", true},
    {"/usr2/**", "/usr2/a/b/c", true},
    {"/usr2/**", "/usr20", false},
    {"/usr2/**", "/opt/usr2/a", false},
    {"/**/x", "/a/b/x", true},
    {"/**/x", "/x", false},
    {"**/x", "a/x", true},
    {"**", "any/thing/at/all", true},
    {"/var/**/log*/y", "/var/a/b/log1/y", true},
    {"/var/**/log*/y", "/var/a/b/log1/z/y", false},
    {"[abc]", "b", true},
    {"[abc]", "d", false},
    {"[a-c]x", "cx", true},
    {"[!a-c]x", "cx", false},
    {"[!a-c]x", "dx", true},
    {"[!a]", "/", false},
    {"[]]", "]", true},
    {"[", "[", true},
    {"[a", "[a", true},
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"\\", "\\", true},
};

static void every_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (glob_match(rows[i].pattern, rows[i].path) != rows[i].want)
			fail_msg("%s on %s", rows[i].pattern, rows[i].path);
}

/* Many stars against a text that nearly fits must not take exponential time. */
static void hostile_patterns_end(void **state)
{
	char text[4001];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
	assert_false(glob_match("**a**a**a**a**a**a**a**a**a**a**b", text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_row),
	    cmocka_unit_test(hostile_patterns_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* nightly: what a mail says of a night has a size and lines that every mail system takes, and
 * leaves no recipe out. */
#include "nightly/parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LINE_MAX_MAIL = 998, SIZE_MAX_MAIL = 640 << 10 };

static void night(size_t n, const char *why, struct nightly_result *ret)
{
	ret->v = mem_zalloc(n * sizeof(*ret->v));
	ret->n = n;
	for (size_t i = 0; i < n; i++) {
		char *key SCOPED(mem_freep) = mem_format("recipe%03zu", i);

		outcome_blank(&ret->v[i], key);
		if (i % 3 == 0)
			outcome_fail(&ret->v[i], ERR_FAIL, "build", why);
		else
			ret->v[i].status = i % 3 == 1 ? NIGHTLY_UNCHANGED : NIGHTLY_BUILT;
	}
}

static char *brief(size_t n, const char *why)
{
	char name[] = "shops", state[] = "/var/lib/night";
	const struct nightly of = {.name = name, .state = state};
	struct nightly_result r SCOPED(nightly_result_release) = {.n = 0};
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

	night(n, why, &r);
	nightly_brief(&of, &r, &b);
	assert_false(buf_over(&b));
	return buf_take(&b);
}

static void check_lines(const char *s)
{
	assert_true(strlen(s) <= SIZE_MAX_MAIL);
	for (; *s != '\0'; s += strcspn(s, "\n") + 1)
		assert_true(strcspn(s, "\n") <= LINE_MAX_MAIL);
}

static void a_small_night_is_told_whole(void **state)
{
	char *s SCOPED(mem_freep) = brief(3, "no room");

	(void)state;
	assert_string_equal(s, "shops: 3 recipes, 1 built, 1 unchanged, 1 failed\n\n"
			       "failed    recipe000: build: no room (0.0 s)\n"
			       "built     recipe002 (0.0 s)\n"
			       "unchanged recipe001 (0.0 s)\n");
}

static void a_large_night_names_what_has_no_room(void **state)
{
	char why[4000], *s SCOPED(mem_freep) = NULL, *rest;

	(void)state;
	memset(why, 'x', sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	s = brief(NIGHTLY_RECIPES_MAX, why);
	check_lines(s);
	rest = strstr(s, "\nOf these more is in /var/lib/night/report.txt:\n");
	assert_non_null(rest);
	assert_non_null(strstr(s, "failed    recipe000: build: xxx"));
	assert_non_null(strstr(rest, "\nfailed    recipe999\n"));
	for (size_t i = 0; i < NIGHTLY_RECIPES_MAX; i++) {
		char *key SCOPED(mem_freep) = mem_format(" recipe%03zu", i);

		assert_non_null(strstr(s, key));
	}
}

static void lines_are_cut_between_characters(void **state)
{
	char why[3001], *s SCOPED(mem_freep) = NULL;

	(void)state;
	/* whatever stands before it, some cut is within one of them */
	for (size_t shift = 0; shift < 3; shift++) {
		memset(why, 'x', shift);
		for (size_t i = shift; i + 3 < sizeof(why); i += 3)
			memcpy(why + i, "\xe2\x82\xac", 4);
		free(s);
		s = brief(1, why);
		check_lines(s);
		assert_non_null(strstr(s, "\xe2\x82\xac [...]\n"));
		assert_null(strstr(s, "?"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_small_night_is_told_whole),
	    cmocka_unit_test(a_large_night_names_what_has_no_room),
	    cmocka_unit_test(lines_are_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

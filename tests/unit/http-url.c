/* Where a Location leads, and what two URLs have in common. */
#include "http/http.h"
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_urls(void **state)
{
	static const struct {
		const char *base, *location, *want;
	} v[] = {
	    {"http://h/v2/x", "/up/1?_state=a%3D", "http://h/up/1?_state=a%3D"},
	    {"http://h/v2/x", "y", "http://h/v2/y"},
	    {"http://h/v2/x", "https://k:8/z#frag", "https://k:8/z"},
	    {"http://u:p@h/v2/x", "/z", "http://h/z"},
	    {"https://h/v2/x", "http://h/z", NULL},
	    {"https://h/v2/x", "//k/z", "https://k/z"},
	    {"http://h/x", "ftp://h/z", NULL},
	    {"http://h/x", "http://u@h/z", NULL},
	    {"nonsense://", "/x", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		char *got SCOPED(mem_freep) = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(http_resolve(v[i].base, v[i].location, &got, &e),
				 v[i].want != NULL ? 0 : -1);
		if (v[i].want != NULL)
			assert_string_equal(got, v[i].want);
	}
	assert_true(http_same_origin("http://H/a", "http://h:80/b?c"));
	assert_false(http_same_origin("http://h/a", "https://h/a"));
	assert_false(http_same_origin("http://h/a", "http://h:81/a"));
	assert_false(http_same_origin("http://h/a", "http://h.evil/a"));
	assert_false(http_same_origin("", ""));
}

static void test_shown(void **state)
{
	static const char *const v[][2] = {
	    {"http://user:secret@h:5/p?sig=1#f", "http://h:5/p"},
	    {"http://h", "http://h/"},
	    {"", "(not a URL)"},
	};
	char *escaped SCOPED(mem_freep) = http_escape("repository:a/b c");

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		char *got SCOPED(mem_freep) = http_shown(v[i][0]);

		assert_string_equal(got, v[i][1]);
	}
	assert_string_equal(escaped, "repository%3Aa%2Fb%20c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_urls),
	    cmocka_unit_test(test_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

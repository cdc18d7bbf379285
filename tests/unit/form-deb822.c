/* Stanzas, as apt and dpkg write them and as nobody should. */
#include "form/deb822.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int next(struct deb822 *t, struct deb822 *s)
{
	return deb822_next(t, s);
}

static void field_is(const struct deb822 *s, const char *name, const char *wanted)
{
	char *v = deb822_field(s, name);

	if (wanted == NULL)
		assert_null(v);
	else if (v == NULL)
		fail_msg("no %s", name);
	else
		assert_string_equal(v, wanted);
	free(v);
}

static void stanzas_and_fields(void **state)
{
	static const char text[] =
	    "\n# a comment\n\nPackage: one\nVersion:1.0-1\t\nDescription: short\n"
	    " long\n .\n\tmore \nEmpty:\n\n \t\n\r\npackage: two\r\nPackage-"
	    "Type: deb\n\nLast: line";
	struct deb822 t = {text, sizeof(text) - 1}, s = {0};

	(void)state;
	assert_int_equal(next(&t, &s), 1);
	field_is(&s, "Package", "one");
	field_is(&s, "VERSION", "1.0-1");
	field_is(&s, "Description", "short\nlong\n.\nmore");
	field_is(&s, "Empty", "");
	field_is(&s, "Pack", NULL);
	field_is(&s, "Last", NULL);
	assert_int_equal(next(&t, &s), 1);
	field_is(&s, "Package", "two");
	field_is(&s, "Package-Type", "deb");
	assert_int_equal(next(&t, &s), 1);
	field_is(&s, "Last", "line");
	assert_int_equal(next(&t, &s), 0);
	field_is(&s, "Last", "line"); /* as it was */
	assert_int_equal(next(&t, &s), 0);
}

static void odd_texts_end(void **state)
{
	static const char *const odd[] = {"", "\n", "\n\n\n", " ", "# only\n# comments", "\t\n \n"};
	struct deb822 s = {"A: b", 4};

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct deb822 t = {odd[i], strlen(odd[i])};

		assert_int_equal(next(&t, &s), 0);
	}
	s = (struct deb822){":", 1};
	field_is(&s, "", "");
	s = (struct deb822){"no colon\nA:", 11};
	field_is(&s, "A", "");
	field_is(&s, "no colon", NULL);
	s = (struct deb822){" B: indented\nB: real", 20};
	field_is(&s, "B", "real");
	s = (struct deb822){"A: one\nA: two", 13};
	field_is(&s, "A", "one");
}

/* Every prefix of a text ends somewhere; sanitizers see reads past it. */
static void every_cut_is_safe(void **state)
{
	static const char text[] = "A: 1\n b\n\nB:\n c\n# x\nC: d\n";

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		char *copy = malloc(n ? n : 1);
		struct deb822 t = {copy, n}, s;

		memcpy(copy, text, n);
		while (next(&t, &s) != 0) {
			free(deb822_field(&s, "A"));
			free(deb822_field(&s, "C"));
			free(deb822_field(&s, "Longer-Than-All-Of-It-Together"));
		}
		assert_int_equal(t.n, 0);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(stanzas_and_fields),
	    cmocka_unit_test(odd_texts_end),
	    cmocka_unit_test(every_cut_is_safe),
	};

	return cmocka_run_group_tests_name("form-deb822", tests, NULL, NULL);
}

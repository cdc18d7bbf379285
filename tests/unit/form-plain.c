/* form: foreign text that people read, without what a terminal obeys or an eye is deceived by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "form/plain.h"
#include <stdio.h>
#include <string.h>

static void becomes(void (*make)(char *), const char *text, const char *want)
{
	char got[100];

	(void)snprintf(got, sizeof(got), "%s", text);
	make(got);
	assert_string_equal(got, want);
}

static void nothing_that_a_terminal_obeys_is_left(void **state)
{
	(void)state;
	becomes(plain_text, "a\033[2Jb\a\b\177c", "a?[2Jb???c");
	/* CSI, as a character and as a byte */
	becomes(plain_text, "\302\23331m", "?31m");
	becomes(plain_text, "x\23331m", "x?31m");
	becomes(plain_text, "\377\376\303", "???");
}

static void what_deceives_an_eye_is_shown(void **state)
{
	(void)state;
	becomes(plain_text, "x\342\200\256y", "x?y");
	becomes(plain_text, "a\342\200\250b\357\273\277c", "a?b?c");
	becomes(plain_text, "so\302\255ft", "so?ft");
	becomes(plain_text, "M\303\274ller \344\270\255\tx", "M\303\274ller \344\270\255\tx");
}

static void no_line_is_forged(void **state)
{
	(void)state;
	becomes(plain_text, "sold\rposmedia: ok\n", "sold?posmedia: ok\n");
	becomes(plain_text, "a\r\nb\r\r\n\r", "a\nb?\n?");
	becomes(plain_line, "a\nok b\r\n", "a?ok b??");
	becomes(plain_line, "", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_that_a_terminal_obeys_is_left),
	    cmocka_unit_test(what_deceives_an_eye_is_shown),
	    cmocka_unit_test(no_line_is_forged),
	};

	return cmocka_run_group_tests_name("form-plain", tests, NULL, NULL);
}

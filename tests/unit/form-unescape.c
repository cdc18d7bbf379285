/* What a terminal's stream says, in whatever pieces it comes. */
#include "form/unescape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *stream, *says;
} rows[] = {
    {"", ""},
    {"a b\tc\n", "a b\tc\n"},
    {"a\r\nb\r\r\nc\rd\n", "a\nb\nc\nd\n"},
    {"\x1b[1;31mred\x1b[0m? ", "red? "},
    {"\x1b[2J\x1b[HName\x1b[10;20H: ", "Name: "},
    {"\x1b]0;a title\x07the text", "the text"},
    {"\x1b]0;a title\x1b\\the text", "the text"},
    {"\x1bPqabc\x1b\\x", "x"},
    {"\x1b(Bx\x1b=y\x1b#8z", "xyz"},
    {"a\x07\x08\x7f\x01z", "az"},
    {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
    {"a\x1b[3", "a"},
};

static void says_the_same_in_any_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t piece = 1; piece < 8; piece++) {
			struct buf out SCOPED(buf_release) = BUF_INIT(1000);
			size_t n = strlen(rows[i].stream);
			struct unescape p = {0};

			for (size_t at = 0; at < n; at += piece)
				unescape_add(&p, rows[i].stream + at,
					     n - at < piece ? n - at : piece, &out);
			assert_string_equal(out.data, rows[i].says);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(says_the_same_in_any_pieces),
	};

	return cmocka_run_group_tests_name("form-unescape", tests, NULL, NULL);
}

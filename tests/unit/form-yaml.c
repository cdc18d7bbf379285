/* form/yaml: what a strict reader takes, what it refuses, and where it says so. */
#include "form/yaml.h"

#include "base/buf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct yaml *must_parse(const char *text)
{
	struct err e = ERR_INIT;
	struct yaml *y = NULL;

	if (yaml_parse(text, strlen(text), "t.yaml", &y, &e) != 0)
		fail_msg("%s", e.msg);
	return y;
}

static void keeps_every_scalar_as_text(void **state)
{
	struct yaml *y SCOPED(yaml_freep) =
	    must_parse("a: no\nb: 0755\nc: 1e3\nd: ~\ne:\nf: 'x'\ng: |\n  one\n  two\n");
	const char *want[] = {"no", "0755", "1e3", "~", "", "x", "one\ntwo\n"};

	(void)state;
	assert_int_equal(y->kind, YAML_MAP);
	assert_int_equal(y->n, 7);
	for (size_t i = 0; i < y->n; i++) {
		assert_int_equal(y->pairs[i].val->kind, YAML_SCALAR);
		assert_string_equal(y->pairs[i].val->text, want[i]);
		assert_int_equal(y->pairs[i].val->quoted, i >= 5);
	}
}

static void knows_where_everything_stands(void **state)
{
	struct yaml *y SCOPED(yaml_freep) = must_parse("---\na:\n  - x\n  - {k: v}\nü: [1]\n");
	const struct yaml *a = yaml_get(y, "a"), *k = yaml_get(a->items[1], "k");

	(void)state;
	assert_int_equal(y->pairs[0].line, 2);
	assert_int_equal(y->pairs[0].col, 1);
	assert_int_equal(a->items[0]->line, 3);
	assert_int_equal(a->items[0]->col, 5);
	assert_int_equal(k->line, 4);
	assert_int_equal(k->col, 9);
	assert_string_equal(k->file, "t.yaml");
	/* columns count characters, not bytes */
	assert_int_equal(y->pairs[1].val->col, 4);
}

static void lends_only_what_a_map_has(void **state)
{
	struct yaml *y SCOPED(yaml_freep) = must_parse("a: b\n");

	(void)state;
	assert_null(yaml_get(y, "b"));
	assert_null(yaml_get(yaml_get(y, "a"), "b"));
	assert_null(yaml_get(NULL, "a"));
}

static void copies_deeply(void **state)
{
	struct yaml *y = must_parse("a: [b, {c: d}, []]\ne: {}\n");
	struct yaml *c SCOPED(yaml_freep) = yaml_copy(y);
	const struct yaml *a = yaml_get(c, "a");

	(void)state;
	yaml_node_free(y);
	yaml_node_free(NULL);
	assert_int_equal(a->n, 3);
	assert_string_equal(a->items[0]->text, "b");
	assert_string_equal(yaml_get(a->items[1], "c")->text, "d");
	assert_int_equal(yaml_get(c, "e")->n, 0);
}

struct bad {
	const char *text, *want; /* the whole message */
};

static const struct bad bads[] = {
    {"", "t.yaml:1:1: the file is empty"},
    {"# only a comment\n", "t.yaml:2:1: the file is empty"},
    {"a: &x b\n", "t.yaml:1:4: anchors are not allowed"},
    {"a: &x [b]\n", "t.yaml:1:4: anchors are not allowed"},
    {"a: &x {b: c}\n", "t.yaml:1:4: anchors are not allowed"},
    {"&x a: b\n", "t.yaml:1:1: anchors are not allowed"},
    {"a: b\nc: *a\n", "t.yaml:2:4: aliases are not allowed"},
    {"*a : b\n", "t.yaml:1:1: a key must be one plain word"},
    {"a: !!str b\n", "t.yaml:1:4: tags are not allowed"},
    {"a: ! b\n", "t.yaml:1:4: tags are not allowed"},
    {"a: !x [b]\n", "t.yaml:1:4: tags are not allowed"},
    {"a: !x {b: c}\n", "t.yaml:1:4: tags are not allowed"},
    {"!x a: b\n", "t.yaml:1:1: tags are not allowed"},
    {"a:\n\tb: c\n", "t.yaml:2:1: tab in the indentation"},
    {"a:\n  -\tb\n", "t.yaml:2:4: tab in the indentation"},
    {"a: b\n---\nc: d\n", "t.yaml:2:1: a second document"},
    {"a: b\n...\n---\nc: d\n", "t.yaml:3:1: a second document"},
    {"%YAML 1.1\n---\na: b\n", "t.yaml:1:1: directives are not allowed"},
    {"%TAG ! !x\n---\na: b\n", "t.yaml:1:1: directives are not allowed"},
    {"a: b\nc: d\na: e\n", "t.yaml:3:1: duplicate key \"a\", first at 1:1"},
    {"x: {a: b, a: c}\n", "t.yaml:1:11: duplicate key \"a\", first at 1:5"},
    {"a: {}\n<<: {b: c}\n", "t.yaml:2:1: merge keys are not allowed"},
    {"'a': b\n", "t.yaml:1:1: a key must be one plain word"},
    {"\"a\": b\n", "t.yaml:1:1: a key must be one plain word"},
    {"{\"a\":1,b: 2}\n", "t.yaml:1:8: a key must be one plain word"},
    {"{\"a\":1,'b':2}\n", "t.yaml:1:8: a key must be one plain word"},
    {"{\"a\":1,\"a\":2}\n", "t.yaml:1:8: duplicate key \"a\", first at 1:2"},
    {"{\"\":1}\n", "t.yaml:1:2: a key must be one plain word"},
    {"{? : b}\n", "t.yaml:1:4: a key must be one plain word"},
    {"? a\n: b\n", "t.yaml:1:3: a key must be one plain word"},
    {"x: ü\n? a\n: b\n", "t.yaml:2:3: a key must be one plain word"},
    {"{a: b, ? c : d}\n", "t.yaml:1:10: a key must be one plain word"},
    {"[a]: b\n", "t.yaml:1:1: a key must be one plain word"},
    {"? {a: b}\n: c\n", "t.yaml:1:3: a key must be one plain word"},
    {"a: b\r\nc: d\r\n", "t.yaml:1:5: control character U+000D"},
    {"\xef\xbb\xbf"
     "a: b\n",
     "t.yaml:1:1: control character U+FEFF"},
    {"a: \x01\n", "t.yaml:1:4: control character U+0001"},
    {"a: \xc2\x85\n", "t.yaml:1:4: control character U+0085"},
    {"a: \xe2\x80\xa8\n", "t.yaml:1:4: control character U+2028"},
    {"a: \"x\\0y\"\n", "t.yaml:1:4: control character in a value"},
    {"a: \"\\e[31m\"\n", "t.yaml:1:4: control character in a value"},
    {"ü: \xff\n", "t.yaml:1:4: not UTF-8"},
    {"a: \xc3(\n", "t.yaml:1:4: not UTF-8"},
    {"a: \xc0\xaf\n", "t.yaml:1:4: not UTF-8"},
    {"a: \xed\xa0\x80\n", "t.yaml:1:4: not UTF-8"},
    {"a: \xe2\x82", "t.yaml:1:4: not UTF-8"},
    {"a: \xf4\x90\x80\x80\n", "t.yaml:1:4: not UTF-8"},
};

static void refuses_with_position_and_hint(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		struct err e = ERR_INIT;
		struct yaml *y = NULL;

		if (yaml_parse(bads[i].text, strlen(bads[i].text), "t.yaml", &y, &e) == 0)
			fail_msg("accepted: %s", bads[i].text);
		assert_null(y);
		assert_string_equal(e.msg, bads[i].want);
		assert_int_equal(e.kind, ERR_RECIPE);
		assert_true(e.hint[0] != '\0');
	}
}

static void hints_at_the_editor(void **state)
{
	static const char *const pairs[][2] = {
	    {"a: b\r\n", "Save the file with Unix line ends."},
	    {"\xef\xbb\xbf"
	     "a: b\n",
	     "Save the file as UTF-8 without a byte order mark."},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct err e = ERR_INIT;
		struct yaml *y = NULL;

		assert_int_equal(yaml_parse(pairs[i][0], strlen(pairs[i][0]), "t", &y, &e), -1);
		assert_string_equal(e.hint, pairs[i][1]);
	}
}

static void places_syntax_errors(void **state)
{
	static const struct bad syntax[] = {
	    {"a: [b\nc: d\n", "t.yaml:2:"}, {"a: b: c\n", "t.yaml:1:5:"},
	    {"a: \"x\n", "t.yaml:2:1:"},    {"a:\n  b: c\n d: e\n", "t.yaml:3:2:"},
	    {"a: @b\n", "t.yaml:1:4:"},     {"a: b\n- c\n", "t.yaml:2:1:"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(syntax) / sizeof(syntax[0]); i++) {
		struct err e = ERR_INIT;
		struct yaml *y = NULL;

		assert_int_equal(
		    yaml_parse(syntax[i].text, strlen(syntax[i].text), "t.yaml", &y, &e), -1);
		if (strncmp(e.msg, syntax[i].want, strlen(syntax[i].want)) != 0)
			fail_msg("%s, wanted %s", e.msg, syntax[i].want);
		assert_int_equal(e.kind, ERR_RECIPE);
		assert_true(e.hint[0] != '\0');
	}
}

static void refuses_a_nul(void **state)
{
	struct err e = ERR_INIT;
	struct yaml *y = NULL;

	(void)state;
	assert_int_equal(yaml_parse("a: \0b\n", 6, "t.yaml", &y, &e), -1);
	assert_string_equal(e.msg, "t.yaml:1:4: control character U+0000");
}

static char *repeat(const char *what, size_t n)
{
	struct buf b = BUF_INIT(4U << 20);

	for (size_t i = 0; i < n; i++)
		buf_add(&b, what, strlen(what));
	return buf_take(&b);
}

static void refuses_past_its_limits(void **state)
{
	static const struct {
		const char *what;
		size_t n;
		const char *want;
	} limits[] = {
	    {"[", 33, "t.yaml:1:33: nested deeper than 32"},
	    {"[", 600000, "t.yaml:1:33: nested deeper than 32"},
	    {"- a\n", 100001, "t.yaml:100000:3: more than 100000 values"},
	    {"# xxxxx\n", 131073, "t.yaml:1:1: larger than 1048576 bytes"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		char *text SCOPED(mem_freep) = repeat(limits[i].what, limits[i].n);
		struct err e = ERR_INIT;
		struct yaml *y = NULL;

		assert_int_equal(yaml_parse(text, strlen(text), "t.yaml", &y, &e), -1);
		assert_string_equal(e.msg, limits[i].want);
		assert_int_equal(e.kind, ERR_RECIPE);
	}
}

static void takes_32_levels(void **state)
{
	char *open SCOPED(mem_freep) = repeat("[", 32);
	char *close SCOPED(mem_freep) = repeat("]", 32);
	char *text SCOPED(mem_freep) = mem_format("%s%s\n", open, close);
	struct yaml *y SCOPED(yaml_freep) = must_parse(text);

	(void)state;
	assert_int_equal(y->kind, YAML_LIST);
}

/* A long line of keys must not cost the square of its length. */
static void reads_a_long_line(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct yaml *y SCOPED(yaml_freep) = NULL;
	char *text SCOPED(mem_freep) = NULL;

	(void)state;
	buf_addf(&b, "{");
	for (int i = 0; i < 40000; i++)
		buf_addf(&b, "k%d: v, ", i);
	buf_addf(&b, "}\n");
	text = buf_take(&b);
	y = must_parse(text);
	assert_int_equal(y->n, 40000);
}

static void sets_errors_at_a_node(void **state)
{
	struct yaml *y SCOPED(yaml_freep) = must_parse("a:\n  b: c\n");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(yaml_err(yaml_get(yaml_get(y, "a"), "b"), &e, "not a %s", "number"), -1);
	assert_string_equal(e.msg, "t.yaml:2:6: not a number");
	assert_int_equal(e.kind, ERR_RECIPE);
}

static void finds_the_nearest_word(void **state)
{
	static const char *const known[] = {"name",      "packages", "services",
					    "hardening", "to",       NULL};
	static const char *const pairs[][2] = {
	    {"nmae", "name"},
	    {"package", "packages"},
	    {"seriveces", "services"},
	    {"hardenning", "hardening"},
	    {"hrdenign", "hardening"},
	    {"hardxxxng", "hardening"},
	    {"hardxxxx", NULL},
	    {"t", NULL},
	    {"ta", "to"},
	    {"ab", NULL},
	    {"", NULL},
	    {"colour", NULL},
	    {"name", "name"},
	};
	char *longest SCOPED(mem_freep) = repeat("x", 65);
	const char *known_long[] = {NULL, NULL};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const char *got = yaml_nearest(pairs[i][0], known);

		if (pairs[i][1] == NULL)
			assert_null(got);
		else if (got == NULL)
			fail_msg("nothing near %s", pairs[i][0]);
		else
			assert_string_equal(got, pairs[i][1]);
	}
	assert_null(yaml_nearest(longest, known));
	known_long[0] = longest;
	assert_null(yaml_nearest(longest + 1, known_long));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keeps_every_scalar_as_text),
	    cmocka_unit_test(knows_where_everything_stands),
	    cmocka_unit_test(lends_only_what_a_map_has),
	    cmocka_unit_test(copies_deeply),
	    cmocka_unit_test(refuses_with_position_and_hint),
	    cmocka_unit_test(hints_at_the_editor),
	    cmocka_unit_test(places_syntax_errors),
	    cmocka_unit_test(refuses_a_nul),
	    cmocka_unit_test(refuses_past_its_limits),
	    cmocka_unit_test(takes_32_levels),
	    cmocka_unit_test(reads_a_long_line),
	    cmocka_unit_test(sets_errors_at_a_node),
	    cmocka_unit_test(finds_the_nearest_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* form/kickstart and form/dockerfile: lines, sections, words; instructions, flags, bodies. */
#include "form/kickstart.h"

#include "form/dockerfile.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void words(void **state)
{
	struct strv w = {0};
	const char *line = "repo  --name=\"EL Updates\"\t-grub\\* 'a # b' c\"d\"e # rest";

	(void)state;
	assert_true(kickstart_words(line, strlen(line), &w));
	assert_int_equal(w.n, 5);
	assert_string_equal(w.v[1], "--name=EL Updates");
	assert_string_equal(w.v[2], "-grub*");
	assert_string_equal(w.v[3], "a # b");
	assert_string_equal(w.v[4], "cde");
	strv_release(&w);
	assert_false(kickstart_words("a \"b", 4, &w));
	assert_string_equal(w.v[1], "b");
	strv_release(&w);
}

static void kinds(const char *text, const char *want)
{
	static const char letters[] = "_#chb.";
	struct kickstart k = {0};
	struct err e = ERR_INIT;
	char is[64] = "";

	assert_int_equal(kickstart_read(text, strlen(text), "x.ks", &k, &e), 0);
	for (size_t i = 0; i < k.n && i < sizeof(is) - 1; i++)
		is[i] = letters[k.lines[i].kind];
	assert_string_equal(is, want);
	kickstart_release(&k);
}

static void sections(void **state)
{
	(void)state;
	kinds("text\n\n# c\n%packages\nbash\n# x\n\n%end\nskipx\n", "c_#hbbb.c");
	/* a section ends where another begins, and a word like one of them is none */
	kinds("%post\n%packages-not\n %end\n%pre\n%end\n%include x\n", "hbbh.c");
	kinds("\xef\xbb\xbftext\r\n#%addon a\r\n#%end\r\n", "c##");
	kinds("", "");
}

static void refuse(const char *p, size_t n, const char *what)
{
	struct kickstart k = {0};
	struct dockerfile d = {0};
	struct err e = ERR_INIT;

	assert_int_equal(kickstart_read(p, n, "x", &k, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_non_null(strstr(e.msg, what));
	assert_int_equal(dockerfile_read(p, n, "x", &d, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_non_null(strstr(e.msg, what));
}

static void limits(void **state)
{
	size_t n = KICKSTART_BYTES + 1;
	char *p = mem_zalloc(n + 1);

	(void)state;
	refuse("a\nb\0c\n", 6, "x:2:1: ");
	memset(p, 'a', n);
	refuse(p, KICKSTART_LINE + 1, "x:1:1: ");
	memset(p, '\n', n);
	refuse(p, n, "4 MiB");
	refuse(p, KICKSTART_LINES + 1, "100000");
	mem_freep(&p);
}

static void must_read(const char *text, struct dockerfile *ret)
{
	struct err e = ERR_INIT;

	if (dockerfile_read(text, strlen(text), "x", ret, &e) != 0)
		fail_msg("%s", e.msg);
}

static void continuations(void **state)
{
	struct dockerfile d;

	(void)state;
	must_read("# c\nFROM a\nrun  a && \\\n  # inside\n\n  b \\  \n  c\nCMD x", &d);
	assert_int_equal(d.n, 3);
	assert_string_equal(d.v[1].name, "RUN");
	assert_string_equal(d.v[1].rest, "a &&   b   c");
	assert_string_equal(d.v[1].text, "a && \\\n  b \\\n  c");
	assert_int_equal(d.v[1].line, 3);
	assert_int_equal(d.v[1].last, 7);
	assert_int_equal(d.v[1].lines[1], 6);
	assert_int_equal(d.comments_n, 2);
	assert_int_equal(d.blanks_n, 1);
	dockerfile_release(&d);
}

static void directives(void **state)
{
	struct dockerfile d;

	(void)state;
	must_read("# Escape = `\nFROM a\nRUN a `\n b\\\nRUN c\n", &d);
	assert_int_equal(d.n, 3);
	assert_string_equal(d.directives.v[0], "escape=`");
	assert_string_equal(d.v[1].text, "a \\\n b\\");
	dockerfile_release(&d);
	must_read("FROM a\n# escape=`\nRUN a `\n", &d);
	assert_int_equal(d.directives.n, 0);
	dockerfile_release(&d);
}

static void forms(void **state)
{
	struct dockerfile d;

	(void)state;
	must_read("CMD [\"a\", \"b c\"]\nCMD [“a”]\nCMD [a]\nCOPY --from=x --link [\"a\", \"b\"]\n",
		  &d);
	assert_int_equal(d.v[0].form, DOCKERFILE_EXEC);
	assert_string_equal(d.v[0].exec.v[1], "b c");
	assert_int_equal(d.v[1].form, DOCKERFILE_TYPOGRAPHIC);
	assert_string_equal(d.v[1].exec.v[0], "a");
	assert_int_equal(d.v[2].form, DOCKERFILE_SHELL);
	assert_int_equal(d.v[3].flags.n, 2);
	assert_string_equal(d.v[3].flags.v[0], "--from=x");
	assert_int_equal(d.v[3].form, DOCKERFILE_EXEC);
	dockerfile_release(&d);
}

static void bodies(void **state)
{
	struct dockerfile d;

	(void)state;
	must_read("RUN <<A cat <<-'B'\nx # y\nA\n\tz\n\tB\nENV a <<A\nCOPY <<C /d\nend", &d);
	assert_int_equal(d.n, 3);
	assert_int_equal(d.v[0].heredocs_n, 2);
	assert_string_equal(d.v[0].heredocs[0].body, "x # y\n");
	assert_string_equal(d.v[0].heredocs[1].body, "z\n");
	assert_true(d.v[0].heredocs[1].quoted && d.v[0].heredocs[1].closed);
	assert_int_equal(d.v[1].heredocs_n, 0);
	assert_false(d.v[2].heredocs[0].closed);
	dockerfile_release(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words),         cmocka_unit_test(sections),   cmocka_unit_test(limits),
	    cmocka_unit_test(continuations), cmocka_unit_test(directives), cmocka_unit_test(forms),
	    cmocka_unit_test(bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* form/shell: the commands of a script, and what hides between them. */
#include "form/shell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void read_text(const char *text, struct shell *ret)
{
	shell_read(text, strlen(text), ret);
}

static void words_and_ends(void **state)
{
	struct shell sh;

	(void)state;
	read_text("yum -y install 'a b' \"c$d\" \\\n  e && x=1 f 2>/dev/null || g | h\n", &sh);
	assert_int_equal(sh.commands_n, 4);
	assert_int_equal(sh.commands[0].words.n, 6);
	assert_string_equal(shell_arg(&sh.commands[0], 3), "a b");
	assert_true(sh.commands[0].words.v[3].quoted && !sh.commands[0].words.v[3].expands);
	assert_string_equal(shell_arg(&sh.commands[0], 4), "c$d");
	assert_true(sh.commands[0].words.v[4].expands);
	assert_int_equal(sh.commands[0].words.v[5].line, 2);
	assert_int_equal(sh.commands[0].end, SHELL_AND);
	assert_int_equal(sh.commands[1].end, SHELL_OR);
	assert_string_equal(sh.commands[1].files.v[0].text, "/dev/null");
	assert_int_equal(sh.commands[1].words.n, 2);
	assert_int_equal(sh.commands[2].end, SHELL_PIPE);
	assert_string_equal(shell_arg(&sh.commands[3], 0), "h");
	assert_string_equal(shell_arg(&sh.commands[3], 9), "");
	assert_false(sh.compound);
	shell_release(&sh);
}

static void substitutions(void **state)
{
	struct shell sh;

	(void)state;
	read_text("a $(curl x | sh) `date`; echo $((1 << 4)) \"$(b \"$(c)\")\"", &sh);
	/* what is inside comes first */
	assert_string_equal(shell_arg(&sh.commands[0], 0), "curl");
	assert_int_equal(sh.commands[0].depth, 1);
	assert_string_equal(shell_arg(&sh.commands[2], 0), "date");
	assert_string_equal(shell_arg(&sh.commands[3], 0), "a");
	assert_int_equal(sh.commands[3].depth, 0);
	assert_string_equal(shell_arg(&sh.commands[4], 0), "c");
	assert_int_equal(sh.commands[4].depth, 2);
	assert_int_equal(sh.heredocs_n, 0);
	shell_release(&sh);
}

static void here_documents(void **state)
{
	struct shell sh;

	(void)state;
	read_text("cat <<E > f <<-'F'\nplain\n\\$x\n$x\nE\n\tlater\n\tF\ncat <<< here\necho end\n",
		  &sh);
	assert_int_equal(sh.heredocs_n, 2);
	assert_string_equal(sh.heredocs[0].marker, "E");
	assert_true(sh.heredocs[0].closed && !sh.heredocs[0].quoted);
	assert_int_equal(sh.heredocs[0].expands, 4);
	assert_int_equal(sh.heredocs[0].last, 5);
	assert_true(sh.heredocs[1].closed && sh.heredocs[1].quoted);
	assert_int_equal(sh.heredocs[1].expands, 0);
	assert_int_equal(sh.commands_n, 3);
	assert_int_equal(sh.commands[2].line, 9);
	shell_release(&sh);
}

static void one_marker_in_itself(void **state)
{
	struct shell sh;

	(void)state;
	read_text("cat << X\ncat << Xy\ncat <<'X' > b\nX\nrest\nX\n", &sh);
	assert_int_equal(sh.heredocs_n, 1);
	assert_int_equal(sh.heredocs[0].nested, 3);
	assert_int_equal(sh.commands_n, 3);
	shell_release(&sh);
	read_text("cat <<X\nnever", &sh);
	assert_false(sh.heredocs[0].closed);
	shell_release(&sh);
}

static void comments_that_go_on(void **state)
{
	struct shell sh;

	(void)state;
	read_text("# a \\\nlive\n# b \\\n# c \\\n\n# d\nx#y \"# z\\\n\"\n", &sh);
	assert_int_equal(sh.continued_n, 1);
	assert_int_equal(sh.continued[0], 1);
	assert_int_equal(sh.commands_n, 2);
	assert_string_equal(shell_arg(&sh.commands[1], 0), "x#y");
	shell_release(&sh);
}

static void loops_and_groups(void **state)
{
	struct shell sh;

	(void)state;
	read_text("for f in \"a b\"\ndo\n  wget $f\ndone\n", &sh);
	assert_true(sh.compound);
	assert_string_equal(shell_arg(&sh.commands[0], 0), "for");
	assert_string_equal(shell_arg(&sh.commands[1], 0), "wget");
	shell_release(&sh);
	read_text("(cd /x; ls)", &sh);
	assert_true(sh.compound);
	assert_int_equal(sh.commands_n, 2);
	shell_release(&sh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words_and_ends),      cmocka_unit_test(substitutions),
	    cmocka_unit_test(here_documents),      cmocka_unit_test(one_marker_in_itself),
	    cmocka_unit_test(comments_that_go_on), cmocka_unit_test(loops_and_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

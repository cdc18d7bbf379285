/* What a step of a recipe gets beyond a plain run: a terminal, secrets, limits, no one left over.
 */
#include "sandbox-root.h"
#include "sys/intr.h"
#include <signal.h>

static int setup(void **state)
{
	(void)state;
	intr_install(); /* SIGPIPE, as in posmedia */
	return make_root();
}

static int teardown(void **state)
{
	(void)state;
	return drop_root();
}

/* Types one line each time that the program waits for one. */
struct typist {
	const char *const *lines;
	size_t rest; /* looks until what was typed has surely arrived */
};

static int type_when_asked(void *ctx, pid_t init, struct buf *type, struct err *e)
{
	struct typist *t = ctx;

	(void)e;
	if (t->rest > 0) {
		t->rest--;
	} else if (*t->lines != NULL && sandbox_waits(init)) {
		buf_addf(type, "%s", *t->lines++);
		t->rest = 10;
	}
	return 0;
}

static void on_terminal(const char *text, const char *const *lines, const char *wanted)
{
	struct typist t = {.lines = lines};
	const struct sandbox_watch w = {type_when_asked, &t};
	struct sandbox_spec s = {.terminal = true, .watch = &w, .timeout_ms = 20000};
	struct outcome o;

	run_shell(text, &s, &o);
	assert_exit(&o, 0);
	assert_string_equal(o.out.data, wanted);
	buf_release(&o.out);
}

static void has_a_terminal(void **state)
{
	static const char *const none[] = {NULL};

	(void)state;
	on_terminal("tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all; "
		    "echo direct >/dev/tty; ls /dev/pts; ps -o tty= -p $$ 2>/dev/null | head -c 5",
		    none, "/dev/pts/0\r\n24 80\r\nall\r\ndirect\r\n0  ptmx\r\npts/0");
}

static void types_what_is_asked(void **state)
{
	static const char *const lines[] = {"tulip\n", "hush\n", "x", NULL};

	(void)state;
	on_terminal("printf 'Name: '; read n; stty -echo; printf 'Key: '; read k; stty echo; "
		    "stty -icanon; printf 'Any: '; c=$(head -c 1); printf '[%s %s %s]' $n $k $c",
		    lines, "Name: tulip\r\nKey: Any: x[tulip hush x]");
}

/* Also readline's and perl's way of waiting, and not a program that is busy or sleeps. */
static void knows_who_waits(void **state)
{
	static const char *const one[] = {"a\n", NULL};

	(void)state;
	on_terminal("perl -e '$r = \"\"; vec($r, 0, 1) = 1; select($r, undef, undef, undef); "
		    "print \"got \" . <STDIN>'",
		    one, "a\r\ngot a\r\n");
	on_terminal("sleep 0.6; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; read x; echo $x",
		    one, "a\r\na\r\n");
}

static void loses_nothing_of_a_lot(void **state)
{
	struct sandbox_spec s = {.terminal = true, .timeout_ms = 20000};
	struct outcome o;

	(void)state;
	run_shell("head -c 3000000 /dev/zero | tr '\\0' a", &s, &o);
	assert_exit(&o, 0);
	assert_int_equal(o.out.len, 3000000);
	buf_release(&o.out);
}

static void without_a_terminal_there_is_none(void **state)
{
	(void)state;
	assert_says("test -t 0 || echo no; (: </dev/tty) 2>/dev/null || echo none; read x; echo e",
		    "no\nnone\ne\n");
}

static int stop_it(void *ctx, pid_t init, struct buf *type, struct err *e)
{
	(void)ctx;
	(void)init;
	(void)type;
	return err_set(e, ERR_STEP, "enough");
}

static void a_watcher_can_end_it(void **state)
{
	const struct sandbox_watch w = {stop_it, NULL};
	struct sandbox_spec s = {.watch = &w, .timeout_ms = 20000};
	struct outcome o;

	(void)state;
	run_shell("sleep 100", &s, &o);
	assert_int_equal(o.rc, -1);
	assert_string_equal(o.e.msg, "enough");
	assert_int_equal(o.e.kind, ERR_STEP);
	buf_release(&o.out);
}

static int type_without_end(void *ctx, pid_t init, struct buf *type, struct err *e)
{
	(void)ctx;
	(void)init;
	(void)e;
	for (int i = 0; i < 4000; i++)
		buf_addf(type, "y\n");
	return 0;
}

static void what_nobody_reads_is_not_waited_for(void **state)
{
	const struct sandbox_watch w = {type_without_end, NULL};
	struct sandbox_spec s = {.terminal = true, .watch = &w, .timeout_ms = 20000};
	struct outcome o;

	(void)state;
	run_shell("stty -echo; sleep 5", &s, &o);
	assert_int_equal(o.rc, -1);
	assert_string_equal(o.e.msg, "sandbox: the program does not read what is typed");
	assert_int_equal(o.e.kind, ERR_STEP);
	buf_release(&o.out);
}

static void secrets_are_files_in_memory(void **state)
{
	static const struct sandbox_secret secrets[] = {{"key", "k1\n", 3}, {"other", "", 0}};
	struct sandbox_spec s = {.secrets = secrets, .secrets_n = 2, .timeout_ms = 20000};
	struct outcome o;

	(void)state;
	run_shell("cd /run/secrets; stat -c '%a %u %n' . *; stat -fc %T .; cat key; "
		  "(echo x >>key) 2>/dev/null || echo kept; rm -f key 2>/dev/null || echo there",
		  &s, &o);
	assert_exit(&o, 0);
	assert_string_equal(o.out.data,
			    "700 0 .\n400 0 key\n400 0 other\ntmpfs\nk1\nkept\nthere\n");
	buf_release(&o.out);
	assert_says("ls /run", "lock\n");
}

static void nobody_is_left(void **state)
{
	struct sandbox_spec s = {.alone = true, .timeout_ms = 20000};
	struct outcome o;

	(void)state;
	run_shell("sleep 0.5 & exit 0", &s, &o);
	assert_exit(&o, 0);
	s = (struct sandbox_spec){.alone = true, .timeout_ms = 20000};
	run_shell("setsid sleep 1000 & sleep 1000 & exit 0", &s, &o);
	assert_int_equal(o.rc, -1);
	assert_string_equal(o.e.msg, "left 2 processes running: sleep sleep");
	assert_int_equal(o.e.kind, ERR_STEP);
	s = (struct sandbox_spec){.timeout_ms = 20000};
	run_shell("sleep 1000 & exit 0", &s, &o);
	assert_exit(&o, 0);
}

static void memory_has_a_limit_for_all_together(void **state)
{
	struct sandbox_spec s = {.memory_max = 200 << 20, .timeout_ms = 30000};
	struct outcome o;

	(void)state;
	run_shell("for i in 1 2 3 4; do perl -e '$x = \"a\" x 70000000; sleep 30' & done; wait", &s,
		  &o);
	assert_int_equal(o.rc, -1);
	assert_string_equal(o.e.msg, "sandbox: more than 209715200 bytes of memory at once");
	assert_int_equal(o.e.kind, ERR_STEP);
}

static void files_and_tmp_have_a_limit(void **state)
{
	struct sandbox_spec s = {.file_max = 1 << 20, .timeout_ms = 20000};
	struct outcome o;

	(void)state;
	run_shell("head -c 2M /dev/zero >/work/big", &s, &o);
	assert_exit(&o, 128 + SIGXFSZ);
	buf_release(&o.out);
	s = (struct sandbox_spec){.tmp_max = 1 << 20, .timeout_ms = 20000};
	run_shell("for d in /tmp /run /dev/shm; do head -c 2M /dev/zero >$d/big && exit 1; "
		  "stat -c %s $d/big; done 2>/dev/null; exit 0",
		  &s, &o);
	assert_exit(&o, 0);
	assert_string_equal(o.out.data, "1048576\n1048576\n1048576\n");
	buf_release(&o.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(has_a_terminal),
	    cmocka_unit_test(types_what_is_asked),
	    cmocka_unit_test(knows_who_waits),
	    cmocka_unit_test(loses_nothing_of_a_lot),
	    cmocka_unit_test(without_a_terminal_there_is_none),
	    cmocka_unit_test(a_watcher_can_end_it),
	    cmocka_unit_test(what_nobody_reads_is_not_waited_for),
	    cmocka_unit_test(secrets_are_files_in_memory),
	    cmocka_unit_test(nobody_is_left),
	    cmocka_unit_test(memory_has_a_limit_for_all_together),
	    cmocka_unit_test(files_and_tmp_have_a_limit),
	};

	return cmocka_run_group_tests_name("sandbox-step", tests, setup, teardown);
}

/* Programs, locks, interrupts and the clock. */
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/lock.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char scratch[] = "/tmp/sys-proc.XXXXXX";

static int setup(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN); /* as intr_install does */
	return mkdtemp(scratch) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, scratch, &e);
}

/* Runs a shell text with s's other wishes. */
static int run(const char *text, struct proc_spec *s, struct proc_result *r, struct err *e)
{
	const char *argv[] = {"sh", "-c", text, NULL};
	int rc;

	s->argv = argv;
	rc = proc_run(s, r, e);
	s->argv = NULL;
	return rc;
}

static void ok(int rc, const struct err *e)
{
	if (rc != 0)
		fail_msg("%s", e->msg);
}

static void streams(void **state)
{
	struct buf out = BUF_INIT(1 << 20), err = BUF_INIT(1 << 20);
	struct proc_spec s = {.out = &out, .err = &err, .input = "in", .input_len = 2};
	struct proc_result r = {0};
	struct err e = ERR_INIT;

	(void)state;
	ok(run("cat; echo o; echo e >&2; exit 3", &s, &r, &e), &e);
	assert_int_equal(r.status, 3);
	assert_int_equal(r.signal, 0);
	assert_string_equal(out.data, "ino\n");
	assert_string_equal(err.data, "e\n");
	buf_cut(&out, 0);
	s = (struct proc_spec){.out = &out, .err = &out};
	ok(run("echo 1; echo 2 >&2; cat; kill -9 $$", &s, &r, &e), &e);
	assert_string_equal(out.data, "1\n2\n");
	assert_int_equal(r.status, -1);
	assert_int_equal(r.signal, SIGKILL);
	buf_release(&out);
	buf_release(&err);
}

/* More than a pipe holds, both ways at once. */
static void big_input_and_output(void **state)
{
	enum { BIG = 3 << 20 };
	struct buf out = BUF_INIT(BIG);
	char *in = mem_zalloc(BIG);
	struct proc_spec s = {.out = &out, .input = in, .input_len = BIG};
	struct proc_result r = {0};
	struct err e = ERR_INIT;

	(void)state;
	memset(in, 'x', BIG);
	ok(run("cat", &s, &r, &e), &e);
	assert_int_equal(out.len, BIG);
	assert_memory_equal(out.data, in, BIG);
	buf_cut(&out, 0);
	ok(run("head -c 10", &s, &r, &e), &e); /* does not want it all */
	assert_int_equal(out.len, 10);
	buf_cut(&out, 0);
	out.max = 5;
	ok(run("echo 1234; cat", &s, &r, &e), &e); /* nor do we */
	assert_true(buf_over(&out));
	assert_int_equal(r.status, 0);
	buf_release(&out);
	free(in);
}

static void output_to_a_descriptor(void **state)
{
	char *path = mem_format("%s/out", scratch);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	struct proc_spec s = {.out_fd = fd};
	struct proc_result r = {0};
	struct err e = ERR_INIT;
	char text[8] = "";

	(void)state;
	ok(run("echo text; echo lost >&2", &s, &r, &e), &e);
	assert_int_equal(pread(fd, text, 7, 0), 5);
	assert_string_equal(text, "text\n");
	(void)close(fd);
	free(path);
}

static void nothing_is_inherited(void **state)
{
	struct buf out = BUF_INIT(10000);
	struct proc_spec s = {.out = &out, .cwd = "/usr"};
	struct proc_result r = {0};
	struct err e = ERR_INIT;
	int leak = open("/etc/passwd", O_RDONLY); /* without O_CLOEXEC */
	void (*before)(int) = signal(SIGPIPE, SIG_IGN);

	(void)state;
	assert_int_equal(setenv("SECRET", "x", 1), 0);
	ok(run("env | grep -v ^PWD | sort; pwd; ls /proc/$$/fd; grep SigIgn /proc/self/status", &s,
	       &r, &e),
	   &e);
	assert_string_equal(out.data,
			    "LC_ALL=C\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/"
			    "bin:/sbin:/bin\nTZ=UTC\n/usr\n0\n1\n2\nSigIgn:\t"
			    "0000000000000000\n");
	(void)signal(SIGPIPE, before);
	(void)close(leak);
	(void)unsetenv("SECRET");
	buf_release(&out);
}

static void path_is_that_of_the_environment_given(void **state)
{
	char *tool = mem_format("%s/our-tool", scratch), *path = mem_format("PATH=%s", scratch);
	const char *env[] = {path, NULL}, *argv[] = {"our-tool", NULL};
	struct buf out = BUF_INIT(100);
	struct proc_spec s = {.argv = argv, .env = env, .out = &out};
	struct proc_result r = {0};
	struct err e = ERR_INIT;

	(void)state;
	ok(fs_put_path(tool, "#!/bin/sh\necho ours\n", 20, 0755, &e), &e);
	ok(proc_run(&s, &r, &e), &e);
	assert_string_equal(out.data, "ours\n");
	s.env = NULL;
	assert_int_equal(proc_run(&s, &r, &e), -1);
	assert_string_equal(e.msg, "run our-tool: No such file or directory");
	assert_int_equal(e.sys, ENOENT);
	assert_true(proc_has("sh"));
	assert_false(proc_has("our-tool"));
	buf_release(&out);
	free(tool);
	free(path);
}

static bool is_gone(pid_t pid)
{
	for (int i = 0; i < 300 && pid > 1; i++) {
		char *path = mem_format("/proc/%ld/status", (long)pid);
		struct buf b = BUF_INIT(1 << 16);
		struct err e = ERR_INIT;
		bool gone = fs_get(AT_FDCWD, path, &b, &e) != 0 || strstr(b.data, "\nState:\tZ");

		buf_release(&b);
		free(path);
		if (gone)
			return true;
		(void)usleep(10000);
	}
	return false;
}

static void time_has_a_limit(void **state)
{
	struct buf out = BUF_INIT(100);
	struct proc_spec s = {.out = &out, .timeout_ms = 1500};
	struct proc_result r = {0};
	struct err e = ERR_INIT;
	uint64_t before = clock_mono_ms();

	(void)state;
	ok(run("sleep 1000 & echo $!; sleep 1000", &s, &r, &e), &e);
	assert_true(r.timed_out);
	assert_int_equal(r.status, -1);
	assert_true(is_gone((pid_t)strtol(out.data, NULL, 10)));
	ok(run("exec >&- 2>&-; sleep 1000", &s, &r, &e), &e); /* deaf, but not dead */
	assert_true(r.timed_out);
	assert_true(clock_mono_ms() - before < 30000);
	buf_release(&out);
}

static void failures_say_what_the_program_said(void **state)
{
	const char *fails[] = {"sh", "-c", "echo one >&2; echo two >&2; exit 4", NULL};
	const char *dies[] = {"sh", "-c", "kill -SEGV $$", NULL};
	const char *slow[] = {"sleep", "1000", NULL};
	const char *fine[] = {"true", NULL};
	struct proc_spec s = {.argv = fails};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(proc_ok(&s, ERR_REMOTE, &e), -1);
	assert_string_equal(e.msg, "sh: exit 4: one | two");
	assert_int_equal(e.kind, ERR_REMOTE);
	s.argv = dies;
	assert_int_equal(proc_ok(&s, ERR_STEP, &e), -1);
	assert_string_equal(e.msg, "sh: killed by signal 11: ");
	s = (struct proc_spec){.argv = slow, .timeout_ms = 100};
	assert_int_equal(proc_ok(&s, ERR_STEP, &e), -1);
	assert_string_equal(e.msg, "sleep: took longer than 100 ms");
	s.argv = fine;
	ok(proc_ok(&s, ERR_STEP, &e), &e);
}

static void one_holder_at_a_time(void **state)
{
	struct err e = ERR_INIT;
	int dir SCOPED(fd_closep) = -1;
	int fd = -1, second = -1, status = 0;
	char *held = mem_format("lock: held by process %ld", (long)getpid());
	pid_t pid;

	(void)state;
	ok(fs_open_dir(AT_FDCWD, scratch, &dir, &e), &e);
	ok(lock_take(dir, "lock", &fd, &e), &e);
	assert_int_equal(lock_take(dir, "lock", &second, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_string_equal(e.msg, held);
	assert_int_equal(second, -1);
	assert_string_not_equal(e.hint, "");
	(void)close(fd);
	/* a holder that is killed lets go */
	pid = fork();
	if (pid == 0) {
		if (lock_take(dir, "lock", &fd, &e) == 0)
			(void)raise(SIGKILL);
		_exit(1);
	}
	(void)waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	ok(lock_take(dir, "lock", &fd, &e), &e);
	(void)close(fd);
	assert_int_equal(lock_take(dir, "none/lock", &fd, &e), -1);
	free(held);
}

static int interrupted_run(void)
{
	struct proc_spec s = {0};
	struct proc_result r = {0};
	struct err e = ERR_INIT;

	intr_install();
	if (intr_pending() || run("kill -TERM $PPID; sleep 1000", &s, &r, &e) == 0)
		return 1;
	if (!intr_pending() || strncmp(e.msg, "interrupted by signal 15", 24) != 0)
		return 2;
	if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
		return 3;
	(void)raise(SIGINT); /* the second ends it at once */
	return 4;
}

static void interrupts_end_programs_and_then_us(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(interrupted_run());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 128 + SIGINT);
}

static void epoch_rules_when_set(void **state)
{
	static const char *const bad[] = {
	    "", "x", "-1", "1.5", " 1", "253402300800", "99999999999999999999"};
	char *text = clock_rfc3339(1795418160);

	(void)state;
	assert_string_equal(text, "2026-11-23T07:16:00Z");
	free(text);
	text = clock_rfc3339(0);
	assert_string_equal(text, "1970-01-01T00:00:00Z");
	free(text);
	assert_int_equal(setenv("SOURCE_DATE_EPOCH", "1000000000", 1), 0);
	assert_int_equal(clock_epoch_s(), 1000000000);
	assert_true(clock_epoch_is_fixed());
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(setenv("SOURCE_DATE_EPOCH", bad[i], 1), 0);
		assert_false(clock_epoch_is_fixed());
		assert_true(clock_epoch_s() > 1700000000);
	}
	(void)unsetenv("SOURCE_DATE_EPOCH");
	assert_false(clock_epoch_is_fixed());
	assert_true(clock_mono_ms() <= clock_mono_ms());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(streams),
	    cmocka_unit_test(big_input_and_output),
	    cmocka_unit_test(output_to_a_descriptor),
	    cmocka_unit_test(nothing_is_inherited),
	    cmocka_unit_test(path_is_that_of_the_environment_given),
	    cmocka_unit_test(time_has_a_limit),
	    cmocka_unit_test(failures_say_what_the_program_said),
	    cmocka_unit_test(one_holder_at_a_time),
	    cmocka_unit_test(interrupts_end_programs_and_then_us),
	    cmocka_unit_test(epoch_rules_when_set),
	};

	return cmocka_run_group_tests_name("sys-proc", tests, setup, teardown);
}

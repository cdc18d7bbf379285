/* What a program in the sandbox gets: its root, its binds, its output, its end. */
#include "sandbox-root.h"
#include "sys/clock.h"
#include "sys/intr.h"
#include <errno.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

static int setup(void **state)
{
	(void)state;
	return make_root();
}

static int teardown(void **state)
{
	struct buf mounts = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	bool clean = fs_get(AT_FDCWD, "/proc/self/mounts", &mounts, &e) == 0 &&
		     strstr(mounts.data, scratch) == NULL;

	(void)state;
	buf_release(&mounts);
	return drop_root() == 0 && clean ? 0 : -1;
}

static char *in_scratch(const char *name)
{
	return mem_format("%s/%s", scratch, name);
}

static void is_root_of_its_own_world(void **state)
{
	struct sandbox_spec s = {.cwd = "/etc", .hostname = "pos1"};
	struct outcome o;

	(void)state;
	assert_says("id -u; id -g; id -G; hostname; pwd; env | sort", "0\n0\n0\nlocalhost\n/\n"
								      "LC_ALL=C\n"
								      "PATH=/usr/sbin:/usr/bin\n"
								      "PWD=/\n");
	run_shell("hostname; pwd; cat", &s, &o);
	assert_exit(&o, 0);
	assert_string_equal(o.out.data, "pos1\n/etc\n");
	buf_release(&o.out);
}

static void input_comes_as_it_is_given(void **state)
{
	static const char text[] = "one\0two\n";
	struct sandbox_spec s = {.input = text, .input_len = sizeof(text) - 1};
	struct outcome o;

	(void)state;
	run_shell("od -An -c | tr -d ' \\n'; cat", &s, &o);
	assert_exit(&o, 0);
	assert_string_equal(o.out.data, "one\\0two\\n");
	buf_release(&o.out);
	run_shell("cat; wc -c", &(struct sandbox_spec){.input = "", .input_len = 0}, &o);
	assert_exit(&o, 0);
	assert_string_equal(o.out.data, "0\n");
	buf_release(&o.out);
}

/* CAP_NET_ADMIN is bit 12. */
static void only_its_own_network_is_its_to_configure(void **state)
{
	static const char bits[] = "set -- $(grep CapBnd /proc/self/status); "
				   "echo $((0x$2 >> 12 & 1)); grep -c : /proc/net/dev";
	struct sandbox_spec s = {.net_admin = true};
	struct outcome o;

	(void)state;
	assert_says(bits, "0\n1\n");
	run_shell(bits, &s, &o);
	assert_exit(&o, 0);
	assert_string_equal(o.out.data, "1\n1\n");
	buf_release(&o.out);
	s.net = SANDBOX_NET_HOST;
	run_shell("true", &s, &o);
	assert_int_equal(o.rc, -1);
	assert_non_null(strstr(o.e.msg, "machine's network"));
	buf_release(&o.out);
}

static void has_its_own_proc_and_dev(void **state)
{
	(void)state;
	assert_says("ls /dev",
		    "fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\n"
		    "urandom\nzero\n");
	assert_says("set -- /proc/[0-9]*; echo $#", "2\n"); /* init and the shell */
	assert_says("head -c 3 /dev/zero | od -An -tx1; echo x > /dev/null; head -c 9 /dev/urandom "
		    "| wc -c; echo e >&2; echo o > /dev/stderr",
		    " 00 00 00\n9\ne\no\n");
	assert_says("script -qc tty /dev/null | tr -d '\\r'", "/dev/pts/0\n");
	assert_says("ls /sys 2>&1; ls -A /tmp /run", "ls: cannot access '/sys': No such file or "
						     "directory\n/run:\nlock\n\n/tmp:\n");
}

static void tmp_and_run_stay_out_of_the_tree(void **state)
{
	char *tmp = mem_format("%s/tmp/x", root), *run = mem_format("%s/run/x", root);
	char *etc = mem_format("%s/etc/x", root);

	(void)state;
	free(shell_ok("touch /tmp/x /run/x /dev/x /dev/shm/x /etc/x"));
	assert_int_not_equal(access(tmp, F_OK), 0);
	assert_int_not_equal(access(run, F_OK), 0);
	assert_int_equal(access(etc, F_OK), 0);
	free(tmp);
	free(run);
	free(etc);
}

static void keeps_owners_modes_and_capabilities(void **state)
{
	char *path = mem_format("%s/work/f", root);
	struct stat st;

	(void)state;
	assert_says("cd /work; touch f; chown 33:65534 f; chmod 4751 f; setcap cap_net_raw+ep f; "
		    "getcap f; chown 65536 f 2>/dev/null || echo no; stat -c '%u %g' f",
		    "f cap_net_raw=ep\nno\n33 65534\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 33);
	assert_int_equal(st.st_gid, 65534);
	free(path);
}

static void status_and_signal(void **state)
{
	struct sandbox_spec s = {0};
	struct outcome o;

	(void)state;
	run_shell("exit 7", &s, &o);
	assert_exit(&o, 7);
	run_shell("kill -TERM $$", &s, &o);
	assert_exit(&o, -1);
	assert_int_equal(o.r.signal, SIGTERM);
	assert_false(o.r.timed_out);
	run_shell("kill -KILL 1; kill -TERM 1; sleep 0.1; exit 4", &s, &o);
	assert_exit(&o, 4);
}

/* A process that ignores SIGPIPE, as posmedia does, would pass that on. */
static void starts_from_a_clean_slate(void **state)
{
	void (*before)(int) = signal(SIGPIPE, SIG_IGN);
	char *said = shell_ok("umask; grep -E '^(Sig(Blk|Ign)|Cap|NoNew|Seccomp:)' "
			      "/proc/self/status; ulimit -c; readlink /proc/self/fd/*; true");

	(void)state;
	(void)signal(SIGPIPE, before);
	assert_non_null(strstr(said, "0022\nSigBlk:\t0000000000000000\n"
				     "SigIgn:\t0000000000000000\n"
				     "CapInh:\t0000000000000000\nCapPrm:\t00000000800405fb\n"
				     "CapEff:\t00000000800405fb\nCapBnd:\t00000000800405fb\n"
				     "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
				     "0\n/dev/null\npipe:["));
	assert_null(strstr(said, scratch)); /* and no descriptor of ours */
	free(said);
}

static void missing_program_is_named(void **state)
{
	const char *argv[] = {"no-such-program", NULL};
	struct sandbox_spec s = {.argv = argv};
	struct outcome o;

	(void)state;
	run_spec(&s, &o);
	assert_int_equal(o.rc, -1);
	assert_string_equal(o.e.msg, "run no-such-program: No such file or directory");
	s = (struct sandbox_spec){.cwd = "/nowhere"};
	run_shell("true", &s, &o);
	assert_int_equal(o.rc, -1);
	assert_string_equal(o.e.msg, "enter directory /nowhere: No such file or directory");
}

static void wrong_specs_are_explained(void **state)
{
	const struct sandbox_bind none = {"/nonexistent", "/x", false};
	const struct sandbox_bind mixed = {"/etc/passwd", "/etc", false};
	const struct sandbox_bind relative = {"/etc/passwd", "etc/passwd", false};
	struct sandbox_spec s = {.binds = &none, .binds_n = 1};
	struct outcome o;

	(void)state;
	run_shell("true", &s, &o);
	assert_int_equal(o.rc, -1);
	assert_string_equal(o.e.msg, "sandbox: bind /nonexistent: No such file or directory");
	s = (struct sandbox_spec){.binds = &mixed, .binds_n = 1};
	run_shell("true", &s, &o);
	assert_int_equal(o.rc, -1);
	assert_string_equal(o.e.msg, "sandbox: bind /etc/passwd: one is a directory, /etc is not");
	s = (struct sandbox_spec){.binds = &relative, .binds_n = 1};
	run_shell("true", &s, &o);
	assert_int_equal(o.rc, -1);
	s = (struct sandbox_spec){.root = "/nonexistent"};
	run_shell("true", &s, &o);
	assert_int_equal(o.rc, -1);
	assert_string_equal(o.e.msg, "sandbox: open tree /nonexistent: No such file or directory");
	s = (struct sandbox_spec){.root = "tmp"};
	run_shell("true", &s, &o);
	assert_int_equal(o.rc, -1);
}

static void binds_are_read_only_unless_said(void **state)
{
	char *rw = in_scratch("rw"), *ro = in_scratch("ro"), *file = in_scratch("ro/file");
	const struct sandbox_bind binds[] = {
	    {rw, "/mnt/deep/rw", true}, {ro, "/ro", false}, {file, "/run/new/file", false}};
	struct sandbox_spec s = {.binds = binds, .binds_n = 3};
	struct err e = ERR_INIT;
	struct outcome o;

	(void)state;
	assert_int_equal(mkdir(rw, 0755) | mkdir(ro, 0755), 0);
	assert_int_equal(fs_put_path(file, "text\n", 5, 0644, &e), 0);
	run_shell("touch /mnt/deep/rw/made || exit 1; cat /run/new/file /ro/file; touch /ro/x && "
		  "exit 2; echo y > /run/new/file && exit 3; rm /run/new/file && exit 4; "
		  "touch /usr/x && exit 5; rmdir /ro && exit 6; exit 0",
		  &s, &o);
	assert_exit(&o, 0);
	assert_int_equal(strncmp(o.out.data, "text\ntext\n", 10), 0);
	buf_release(&o.out);
	free(file);
	file = in_scratch("rw/made");
	assert_int_equal(access(file, F_OK), 0);
	free(rw);
	free(ro);
	free(file);
}

/* A link in the tree must never lead a mount point outside of it. */
static void links_in_the_tree_lead_nowhere(void **state)
{
	char *outside = in_scratch("outside"), *made = in_scratch("outside/made");
	char *absolute = mem_format("%s/absolute", root), *up = mem_format("%s/up", root);
	const struct sandbox_bind binds[] = {{"/etc", "/absolute/made", true},
					     {"/etc", "/up/made", true}};
	struct sandbox_spec s = {.binds = binds, .binds_n = 1};
	struct outcome o;

	(void)state;
	assert_int_equal(mkdir(outside, 0755), 0);
	assert_int_equal(symlink(outside, absolute), 0);
	assert_int_equal(symlink("../outside", up), 0);
	run_shell("true", &s, &o); /* dangling inside: refused */
	assert_int_equal(o.rc, -1);
	s = (struct sandbox_spec){.binds = binds + 1, .binds_n = 1};
	run_shell("true", &s, &o);
	assert_int_equal(o.rc, -1);
	assert_int_not_equal(access(made, F_OK), 0);
	free(outside);
	free(made);
	free(absolute);
	free(up);
}

static void read_only_root(void **state)
{
	char *rw = in_scratch("rw2"), *proc = mem_format("%s/proc", root);
	const struct sandbox_bind bind = {rw, "/work", true};
	const struct sandbox_bind absent = {rw, "/absent", true};
	struct sandbox_spec s = {.read_only = true, .binds = &bind, .binds_n = 1};
	struct outcome o;

	(void)state;
	assert_int_equal(mkdir(rw, 0755), 0);
	free(shell_ok("true")); /* makes /self */
	run_shell("touch /x && exit 1; touch /etc/x2 && exit 2; chmod 700 /etc && exit 3; "
		  "touch /tmp/x /run/x /dev/x /work/x || exit 4; exit 0",
		  &s, &o);
	assert_exit(&o, 0);
	buf_release(&o.out);
	s = (struct sandbox_spec){.read_only = true, .binds = &absent, .binds_n = 1};
	run_shell("true", &s, &o);
	assert_int_equal(o.rc, -1);
	assert_string_equal(o.e.msg, "sandbox: make mount point /absent: make directory /absent: "
				     "Read-only file system");
	assert_string_equal(o.e.hint, "make /absent in the tree before");
	free(rw);
	free(proc);
}

static void output_comes_whole_and_in_order(void **state)
{
	struct sandbox_spec s = {.timeout_ms = 60000};
	struct outcome o;

	(void)state;
	run_shell("seq 1 200000; head -c 65536 /dev/zero; echo end >&2", &s, &o);
	assert_exit(&o, 0);
	assert_int_equal(o.out.len, 1288895 + 65536 + 4);
	assert_int_equal(strncmp(o.out.data, "1\n2\n3\n", 6), 0);
	assert_string_equal(o.out.data + o.out.len - 4, "end\n");
	buf_release(&o.out);
}

static int refuse(void *ctx, const void *p, size_t n, struct err *e)
{
	(void)ctx;
	(void)p;
	(void)n;
	return err_set(e, ERR_STEP, "disk full");
}

static void a_full_sink_ends_it(void **state)
{
	const char *argv[] = {"sh", "-c", "yes", NULL};
	const struct sandbox_bind usr = {"/usr", "/usr", false};
	const struct sink sink = {refuse, NULL};
	const struct sandbox_spec s = {
	    .root = root, .argv = argv, .env = test_env, .binds = &usr, .binds_n = 1, .out = &sink};
	struct sandbox_result r;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(sandbox_run(&s, &r, &e), -1);
	assert_string_equal(e.msg, "disk full");
	assert_int_equal(e.kind, ERR_STEP);
}

static void time_has_a_limit(void **state)
{
	struct sandbox_spec s = {.timeout_ms = 1500};
	uint64_t before = clock_mono_ms();
	struct outcome o;

	(void)state;
	run_shell("trap '' TERM INT HUP; echo begun; setsid sleep 1000 & sleep 1000", &s, &o);
	assert_exit(&o, -1);
	assert_true(o.r.timed_out);
	assert_string_equal(o.out.data, "begun\n");
	assert_true(clock_mono_ms() - before < 60000);
	buf_release(&o.out);
}

static void what_it_left_running_ends_with_it(void **state)
{
	uint64_t before = clock_mono_ms();

	(void)state;
	assert_says("setsid sleep 1000 & echo done", "done\n");
	assert_true(clock_mono_ms() - before < 60000);
}

static void orphans_are_reaped(void **state)
{
	(void)state;
	free(shell_ok("for i in 1 2 3 4 5 6 7 8 9; do (true &) ; done; "
		      "for i in $(seq 100); do sleep 0.1; "
		      "grep -q '^State:.Z' /proc/[0-9]*/status || exit 0; done; exit 1"));
}

/* Holds a lock in the sandbox and says so; the lock is free again when the sandbox is dead. */
static pid_t locked_sandbox(const char *dir)
{
	const struct sandbox_bind bind = {dir, "/work", true};
	struct sandbox_spec s = {.binds = &bind, .binds_n = 1};
	struct outcome o;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	intr_install();
	run_shell("exec 9> /work/lock; flock 9; touch /work/ready; sleep 1000", &s, &o);
	_exit(o.rc == -1 && strstr(o.e.msg, "interrupted") != NULL ? 42 : 1);
}

static bool comes_true(bool (*fn)(const char *), const char *path)
{
	for (int i = 0; i < 1000; i++) {
		if (fn(path))
			return true;
		(void)usleep(10000);
	}
	return false;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static bool unlocked(const char *path)
{
	int fd SCOPED(fd_closep) = open(path, O_RDWR | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void all_die_with(int sig, int wanted_status, const char *name)
{
	char *dir = in_scratch(name), *ready = mem_format("%s/ready", dir);
	char *lock = mem_format("%s/lock", dir);
	int status = 0;
	pid_t pid;

	assert_int_equal(mkdir(dir, 0755), 0);
	pid = locked_sandbox(dir);
	assert_true(comes_true(exists, ready));
	assert_false(unlocked(lock));
	assert_int_equal(kill(pid, sig), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (wanted_status >= 0)
		assert_int_equal(WEXITSTATUS(status), wanted_status);
	else
		assert_true(WIFSIGNALED(status));
	assert_true(comes_true(unlocked, lock));
	free(dir);
	free(ready);
	free(lock);
}

static void all_die_with_us(void **state)
{
	(void)state;
	all_die_with(SIGKILL, -1, "killed");
}

static void an_interrupt_ends_it(void **state)
{
	(void)state;
	all_die_with(SIGTERM, 42, "interrupted");
}

static void memory_has_a_limit(void **state)
{
	struct sandbox_spec s = {.memory_max = 256 << 20, .timeout_ms = 60000};
	struct outcome o;

	(void)state;
	run_shell("dd if=/dev/zero of=/dev/null bs=512M count=1 2>/dev/null && exit 1; "
		  "dd if=/dev/zero of=/dev/null bs=16M count=1 2>/dev/null || exit 2; exit 0",
		  &s, &o);
	assert_exit(&o, 0);
}

/* A fork bomb is met by the kernel or, when it grows slowly, by our own counting. */
static void processes_have_a_limit(void **state)
{
	struct sandbox_spec s = {.processes_max = 40, .timeout_ms = 60000};
	struct outcome o;

	(void)state;
	run_shell("n=0; while [ $n -lt 2000 ]; do sleep 1000 & n=$((n+1)); done", &s, &o);
	if (o.rc == 0) {
		assert_exit(&o, 2);
		assert_non_null(strstr(o.out.data, "fork"));
	} else {
		assert_string_equal(o.e.msg, "sandbox: more than 40 processes at once");
	}
	buf_release(&o.out);
	s = (struct sandbox_spec){.processes_max = 40, .timeout_ms = 60000};
	run_shell("n=0; while [ $n -lt 41 ]; do sleep 1000 & n=$((n+1)); done; sleep 1000", &s, &o);
	assert_int_equal(o.rc, -1);
	assert_string_equal(o.e.msg, "sandbox: more than 40 processes at once");
	s = (struct sandbox_spec){.processes_max = 40, .timeout_ms = 60000};
	run_shell("n=0; while [ $n -lt 38 ]; do sleep 1000 & n=$((n+1)); done; sleep 0.6", &s, &o);
	assert_exit(&o, 0);
}

static void policy_has_a_name(void **state)
{
	(void)state;
	assert_int_equal(strncmp(sandbox_policy_id(), "sha256:", 7), 0);
	assert_string_equal(sandbox_policy_id(), sandbox_policy_id());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(is_root_of_its_own_world),
	    cmocka_unit_test(input_comes_as_it_is_given),
	    cmocka_unit_test(only_its_own_network_is_its_to_configure),
	    cmocka_unit_test(has_its_own_proc_and_dev),
	    cmocka_unit_test(tmp_and_run_stay_out_of_the_tree),
	    cmocka_unit_test(keeps_owners_modes_and_capabilities),
	    cmocka_unit_test(status_and_signal),
	    cmocka_unit_test(starts_from_a_clean_slate),
	    cmocka_unit_test(missing_program_is_named),
	    cmocka_unit_test(wrong_specs_are_explained),
	    cmocka_unit_test(binds_are_read_only_unless_said),
	    cmocka_unit_test(links_in_the_tree_lead_nowhere),
	    cmocka_unit_test(read_only_root),
	    cmocka_unit_test(output_comes_whole_and_in_order),
	    cmocka_unit_test(a_full_sink_ends_it),
	    cmocka_unit_test(time_has_a_limit),
	    cmocka_unit_test(what_it_left_running_ends_with_it),
	    cmocka_unit_test(orphans_are_reaped),
	    cmocka_unit_test(all_die_with_us),
	    cmocka_unit_test(an_interrupt_ends_it),
	    cmocka_unit_test(memory_has_a_limit),
	    cmocka_unit_test(processes_have_a_limit),
	    cmocka_unit_test(policy_has_a_name),
	};

	return cmocka_run_group_tests_name("sandbox-run", tests, setup, teardown);
}

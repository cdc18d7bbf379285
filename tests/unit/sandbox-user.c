/* An ordinary user with subordinate ids gets the same as root; without any, words of help. */
#include "sandbox-root.h"
#include "sys/proc.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char name[32];
static uid_t uid;
static gid_t gid;

static int call(const char *const *argv)
{
	const struct proc_spec s = {.argv = argv};
	struct err e = ERR_INIT;

	if (proc_ok(&s, ERR_FAIL, &e) == 0)
		return 0;
	print_error("%s\n", e.msg);
	return -1;
}

static int setup(void **state)
{
	const char *add[] = {"useradd", "--no-create-home", "--shell", "/bin/sh", name, NULL};
	char owner[40];
	const char *own[] = {"chown", "-R", owner, scratch, NULL};
	struct passwd *pw;

	(void)state;
	(void)snprintf(name, sizeof(name), "sandbox-%ld", (long)getpid());
	(void)snprintf(owner, sizeof(owner), "%s:", name);
	if (make_root() != 0 || call(add) != 0 || call(own) != 0)
		return -1;
	pw = getpwnam(name);
	if (pw == NULL)
		return -1;
	uid = pw->pw_uid;
	gid = pw->pw_gid;
	return 0;
}

static int teardown(void **state)
{
	const char *del[] = {"userdel", name, NULL};

	(void)state;
	return drop_root() == 0 && call(del) == 0 ? 0 : -1;
}

/* Runs fn as the user, in a process of its own; what fn says on failure fails the test. */
static void as_user(int (*fn)(struct err *e))
{
	struct err e = ERR_INIT;
	int status = 0, p[2];
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
		    setresuid(uid, uid, uid) != 0 || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
			_exit(3);
		if (fn(&e) == 0)
			_exit(0);
		(void)!write(p[1], &e, sizeof(e));
		_exit(1);
	}
	(void)close(p[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0 && read(p[0], &e, sizeof(e)) == (ssize_t)sizeof(e))
		fail_msg("%s (%s)", e.msg, e.hint);
	(void)close(p[0]);
	assert_int_equal(status, 0);
}

static int shell(const char *text, const char *tree, const char *wanted, struct err *e)
{
	struct sandbox_spec s = {.root = tree, .processes_max = 30, .timeout_ms = 60000};
	struct outcome o;

	run_shell(text, &s, &o);
	if (o.rc != 0) {
		*e = o.e;
		return -1;
	}
	if (o.r.status != 0 || strcmp(o.out.data, wanted) != 0)
		return err_set(e, ERR_FAIL, "status %d: %s", o.r.status, o.out.data);
	buf_release(&o.out);
	return 0;
}

static int run_as_root_inside(struct err *e)
{
	if (sandbox_enter(e) != 0 || sandbox_enter(e) != 0)
		return -1;
	return shell("id -u; cd /work; touch f; chown 33:42 f; stat -c '%u %g' f; "
		     "setcap cap_net_raw+ep f; getcap f; hostname",
		     root, "0\n33 42\nf cap_net_raw=ep\nlocalhost\n", e);
}

static void entered_it_is_root_inside(void **state)
{
	char *path = mem_format("%s/work/f", root);
	struct stat st;

	(void)state;
	as_user(run_as_root_inside);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_uid >= 100000); /* and a subordinate id outside */
	free(path);
}

static int processes(struct err *e)
{
	if (sandbox_enter(e) != 0)
		return -1;
	return shell("n=0; (while [ $n -lt 300 ]; do sleep 1000 & n=$((n+1)); echo $n > /tmp/n; "
		     "done) 2> /dev/null; [ $(cat /tmp/n) -lt 30 ] && echo limited",
		     root, "limited\n", e);
}

static void processes_have_a_limit(void **state)
{
	(void)state;
	as_user(processes);
}

/* Root of a container: uid 0 with everything but the right to mount. */
static int lose_mounting(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) != 0)
		return -1;
	data[0].effective &= ~(1u << CAP_SYS_ADMIN);
	data[0].permitted &= ~(1u << CAP_SYS_ADMIN);
	return (int)syscall(SYS_capset, &head, data);
}

static int run_in_container(struct err *e)
{
	char *one = mem_format("%s/etc", root), *two = mem_format("%s/work", root);
	char *target = mem_format("%s/view", scratch);
	const char *lower[] = {one, two};
	int rc = -1;

	if (lose_mounting() != 0)
		return err_sys(e, "capset");
	if (mkdir(target, 0755) == 0 && sandbox_enter(e) == 0 &&
	    sandbox_overlay(lower, 2, NULL, NULL, target, e) == 0 &&
	    sandbox_unmount(target, e) == 0)
		rc = shell("cd /work; touch c; chown 33:42 c; stat -c '%u %g' c; cat "
			   "/proc/self/uid_map | tr -s ' '",
			   root, "33 42\n 0 0 65536\n", e);
	free(one);
	free(two);
	free(target);
	return rc;
}

static void root_of_a_container_may_do_it_too(void **state)
{
	int status = 0;
	pid_t pid = fork();
	struct err e = ERR_INIT;

	(void)state;
	if (pid == 0) {
		if (run_in_container(&e) == 0)
			_exit(0);
		(void)fprintf(stderr, "%s\n", e.msg);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static char *make_in_scratch(const char *leaf)
{
	char *path = mem_format("%s/%s", scratch, leaf);

	(void)mkdir(path, 0755);
	return path;
}

static int stack(struct err *e)
{
	char *upper = make_in_scratch("upper"), *work = make_in_scratch("ovl");
	char *target = make_in_scratch("target");
	const char *lower[] = {root};
	int rc = -1;

	if (sandbox_enter(e) == 0 && sandbox_overlay(lower, 1, upper, work, target, e) == 0 &&
	    shell("rm -rf /work; mkdir /work; touch /work/new; ls /work; rmdir /etc; ls -d /etc "
		  "2>&1",
		  target, "new\n", e) == 0)
		rc = sandbox_unmount(target, e);
	free(upper);
	free(work);
	free(target);
	return rc;
}

static int overlay_works(struct err *e)
{
	/* the last command of stack()'s text fails on purpose */
	if (stack(e) == 0)
		return err_set(e, ERR_FAIL, "/etc is still there");
	return strstr(e->msg, "status 2: new\nls: cannot access '/etc'") != NULL ? 0 : -1;
}

static void overlays_can_delete_and_replace(void **state)
{
	(void)state;
	as_user(overlay_works);
}

static int touch(void *arg, struct err *e)
{
	int fd = open("/touched", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)arg;
	if (fd < 0)
		return err_sys(e, "/touched");
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? 0 : err_set(e, ERR_FAIL, "passwd");
}

static int worker_alone(struct err *e)
{
	const struct sandbox_worker_spec s = {.fn = touch, .root = root};

	return sandbox_worker(&s, e);
}

static int chown_it(void *arg, struct err *e)
{
	(void)arg;
	return chown("/touched", 5, 5) == 0 ? 0 : err_sys(e, "chown");
}

static int worker_entered(struct err *e)
{
	const struct sandbox_worker_spec s = {.fn = chown_it, .root = root};

	if (sandbox_enter(e) != 0)
		return -1;
	return sandbox_worker(&s, e);
}

static void workers_work_before_and_after(void **state)
{
	(void)state;
	as_user(worker_alone);
	as_user(worker_entered);
}

static int no_ids(struct err *e)
{
	if (sandbox_enter(e) == 0)
		return err_set(e, ERR_FAIL, "entered");
	if (strstr(e->msg, "has no subordinate ids") == NULL)
		return -1;
	return strstr(e->hint, "usermod --add-subuids") != NULL ? 0 : -1;
}

static void without_subordinate_ids_it_says_how(void **state)
{
	(void)state;
	uid = 54321; /* nobody's */
	as_user(no_ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(entered_it_is_root_inside),
	    cmocka_unit_test(root_of_a_container_may_do_it_too),
	    cmocka_unit_test(processes_have_a_limit),
	    cmocka_unit_test(overlays_can_delete_and_replace),
	    cmocka_unit_test(workers_work_before_and_after),
	    cmocka_unit_test(without_subordinate_ids_it_says_how),
	};

	return cmocka_run_group_tests_name("sandbox-user", tests, setup, teardown);
}

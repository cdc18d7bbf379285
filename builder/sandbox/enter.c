#include "sandbox/priv.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the helper outside needs to give us our ids. */
struct grant {
	pid_t pid;
	struct strv uid_argv, gid_argv; /* newuidmap PID ..., or empty: all ids we have */
};

static void grant_release(struct grant *g)
{
	strv_release(&g->uid_argv);
	strv_release(&g->gid_argv);
}

static int map_program(const struct strv *argv, struct err *e)
{
	const struct proc_spec s = {.argv = (const char *const *)argv->v};

	if (proc_ok(&s, ERR_FAIL, e) == 0)
		return 0;
	return e->sys == ENOENT ? err_hint(e, "install the package uidmap") : -1;
}

static int helper(const struct grant *g, int go, struct err *e)
{
	char byte;

	if (read(go, &byte, 1) != 1)
		return err_set(e, ERR_FAIL, "no user namespace was made");
	if (g->uid_argv.n == 0)
		return idmap_give(g->pid, UINT32_MAX, e);
	if (map_program(&g->uid_argv, e) != 0)
		return -1;
	return map_program(&g->gid_argv, e);
}

static int plan_grant(struct grant *g, struct err *e)
{
	const struct passwd *pw = getpwuid(getuid());
	const char *name = pw != NULL ? pw->pw_name : "";

	g->pid = getpid();
	if (geteuid() == 0)
		return 0;
	strv_add(&g->uid_argv, "newuidmap");
	strv_addf(&g->uid_argv, "%ld", (long)g->pid);
	strv_add(&g->gid_argv, "newgidmap");
	strv_addf(&g->gid_argv, "%ld", (long)g->pid);
	if (idmap_subordinate("/etc/subuid", name, getuid(), &g->uid_argv, e) != 0 ||
	    idmap_subordinate("/etc/subgid", name, getgid(), &g->gid_argv, e) != 0)
		return -1;
	if (g->uid_argv.n > 2 && g->gid_argv.n > 2)
		return 0;
	(void)err_set(e, ERR_FAIL, "user %s (%u) has no subordinate ids", name, (unsigned)getuid());
	return err_hint(e,
			"run as root: usermod --add-subuids 100000-165535 --add-subgids "
			"100000-165535 %s",
			name);
}

/* In the new user namespace, with its ids: be its root. */
static int become_root(struct err *e)
{
	if (setgroups(0, NULL) != 0 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
		return err_sys(e, "become root of the user namespace");
	return 0;
}

static int unshare_with(pid_t child, int go, int report, struct err *e)
{
	struct err said = ERR_INIT;
	int status = 0;
	bool made = unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
	int why = errno;

	if (made)
		(void)!write(go, "", 1);
	fd_closep(&go);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	errno = why;
	if (!made) {
		(void)err_sys(e, "make a user namespace");
		return err_hint(e, geteuid() == 0
				       ? "give the container CAP_SYS_ADMIN or user namespaces"
				       : "run as root, or allow unprivileged user namespaces");
	}
	if (status == 0)
		return become_root(e);
	if (report_take(report, &said) == 0)
		return err_set(e, ERR_FAIL, "mapping ids failed");
	*e = said;
	return -1;
}

static int enter_user(struct err *e)
{
	struct grant g SCOPED(grant_release) = {0};
	struct err own = ERR_INIT;
	int go[2] = {-1, -1}, report[2] = {-1, -1}, rc;
	pid_t child;

	if (plan_grant(&g, e) != 0)
		return -1;
	if (pipe2(go, O_CLOEXEC) != 0 || pipe2(report, O_CLOEXEC) != 0)
		return err_sys(e, "make a pipe");
	child = fork();
	if (child == 0) {
		(void)close(go[1]);
		if (helper(&g, go[0], &own) == 0)
			_exit(0);
		report_send(report[1], &own);
		_exit(1);
	}
	fd_closep(&go[0]);
	fd_closep(&report[1]);
	rc = child < 0 ? err_sys(e, "fork") : unshare_with(child, STEAL_FD(go[1]), report[0], e);
	fd_closep(&report[0]);
	return rc;
}

int sandbox_enter(struct err *e)
{
	static bool done;

	if (done)
		return 0;
	if (!caps_have(CAP_SYS_ADMIN)) {
		if (enter_user(e) != 0)
			return -1;
	} else if (unshare(CLONE_NEWNS) != 0) {
		return err_sys(e, "make a mount namespace");
	}
	if (mounts_private(e) != 0)
		return -1;
	done = true;
	return 0;
}

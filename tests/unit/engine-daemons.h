/* engine-daemons.h - dockerd and podman as a test's own: their files below one directory, in a
 * network of their own, and gone with the test. */
#ifndef TESTS_DAEMONS_H
#define TESTS_DAEMONS_H

#include "base/mem.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct daemon {
	pid_t pid;
	char dir[64];
	char socket[96];
	bool docker;
};

static void daemon_exec(const struct daemon *d)
{
	char *data = mem_format("%s/data", d->dir), *exec = mem_format("%s/exec", d->dir);
	char *pid = mem_format("%s/pid", d->dir), *host = mem_format("unix://%s", d->socket);
	char *conf = mem_format("CONTAINERS_CONF=%s/containers.conf", d->dir);

	if (d->docker)
		execlp("dockerd", "dockerd", "--data-root", data, "--exec-root", exec, "--pidfile",
		       pid, "-H", host, "--storage-driver", "overlay2", (char *)NULL);
	(void)putenv(conf);
	execlp("podman", "podman", "--root", data, "--runroot", exec, "system", "service",
	       "--time=0", host, (char *)NULL);
	_exit(127);
}

static void daemon_child(const struct daemon *d)
{
	char *log = mem_format("%s/log", d->dir);
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)setpgid(0, 0);
	(void)dup2(fd, 1);
	(void)dup2(fd, 2);
	if (unshare(CLONE_NEWNET) != 0 || system("ip link set lo up") != 0)
		_exit(126);
	daemon_exec(d);
}

/* What runc of this machine can do: the limits of a container's processes and files. */
static void daemon_conf(const struct daemon *d)
{
	char *path SCOPED(mem_freep) = mem_format("%s/containers.conf", d->dir);
	FILE *f = fopen(path, "we");

	if (f == NULL)
		abort();
	(void)fputs("[containers]\ndefault_ulimits = [\"nofile=16384:16384\", "
		    "\"nproc=4096:4096\"]\n[engine]\nruntime = \"runc\"\n"
		    "cgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n",
		    f);
	(void)fclose(f);
}

/* Starts one and waits for its socket. Returns -1 when it is not installed, or will not come up. */
UNUSED static int daemon_start(struct daemon *d, bool docker)
{
	d->docker = docker;
	(void)snprintf(d->dir, sizeof(d->dir), "/tmp/posmedia-engine-XXXXXX");
	if (mkdtemp(d->dir) == NULL)
		return -1;
	memcpy(d->socket, d->dir, strlen(d->dir));
	memcpy(d->socket + strlen(d->dir), "/sock", 6);
	daemon_conf(d);
	d->pid = fork();
	if (d->pid == 0)
		daemon_child(d);
	for (int i = 0; i < 900 && d->pid > 0; i++) {
		if (access(d->socket, F_OK) == 0)
			return 0;
		if (waitpid(d->pid, NULL, WNOHANG) == d->pid)
			d->pid = 0;
		(void)usleep(100000);
	}
	return -1;
}

/* Ends it by a signal, and waits until it is gone. */
UNUSED static void daemon_kill(struct daemon *d, int sig)
{
	if (d->pid > 0) {
		(void)kill(d->pid, sig);
		(void)waitpid(d->pid, NULL, 0);
	}
	d->pid = 0;
}

UNUSED static void daemon_stop(struct daemon *d)
{
	char *cmd SCOPED(mem_freep) = NULL;

	daemon_kill(d, SIGTERM);
	if (d->dir[0] == '\0')
		return;
	/* podman has one wait five minutes for somebody to ask how an exec ended */
	cmd = mem_format(
	    "pkill -KILL -f '^/usr/bin/conmon .* -b %s/'; "
	    "grep -o ' %s/[^ ]*' /proc/self/mountinfo | sort -r | xargs -r umount -l 2>/dev/null; "
	    "rm -rf %s",
	    d->dir, d->dir, d->dir);
	(void)!system(cmd);
}

#endif

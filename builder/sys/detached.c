#include "sys/detached.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Memory, for what a program of ours says: it cannot be closed from the other side. */
static int new_file(int *ret, struct err *e)
{
	*ret = memfd_create("said", MFD_CLOEXEC);
	return *ret >= 0 ? 0 : err_sys(e, "make a file in memory");
}

static void actions_release(posix_spawn_file_actions_t *a)
{
	(void)posix_spawn_file_actions_destroy(a);
}

static void attr_release(posix_spawnattr_t *a)
{
	(void)posix_spawnattr_destroy(a);
}

static int spawn(const struct strv *argv, struct detached *d, struct err *e)
{
	const int err_fd = d->err >= 0 ? d->err : d->out;
	posix_spawn_file_actions_t files SCOPED(actions_release);
	posix_spawnattr_t attr SCOPED(attr_release);
	sigset_t all, none;
	int rc;

	(void)sigfillset(&all);
	(void)sigemptyset(&none);
	if (posix_spawn_file_actions_init(&files) != 0 || posix_spawnattr_init(&attr) != 0)
		mem_exhausted();
	rc = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&files, d->out, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&files, err_fd, STDERR_FILENO);
	if (rc == 0)
		rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
							 POSIX_SPAWN_SETSIGMASK);
	(void)posix_spawnattr_setsigdefault(&attr, &all);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	if (rc == 0)
		rc = posix_spawn(&d->pid, argv->v[0], &files, &attr, argv->v, environ);
	if (rc == 0)
		return 0;
	errno = rc;
	d->pid = 0;
	return err_sys(e, "start %s", argv->v[0]);
}

int detached_start(const struct strv *argv, bool together, struct detached *ret, struct err *e)
{
	struct detached d SCOPED(detached_release) = DETACHED_INIT;

	if (new_file(&d.out, e) != 0 || (!together && new_file(&d.err, e) != 0) ||
	    spawn(argv, &d, e) != 0)
		return -1;
	*ret = d;
	d = DETACHED_INIT;
	return 0;
}

bool detached_ended(struct detached *d)
{
	int status = 0;

	if (d->ended || d->pid == 0)
		return true;
	switch (waitpid(d->pid, &status, WNOHANG)) {
	case 0:
		return false;
	case -1:
		if (errno == EINTR)
			return false;
		d->result.status = -1;
		break;
	default:
		d->result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		d->result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	}
	d->ended = true;
	return true;
}

void detached_release(struct detached *d)
{
	/* one that ended later is init's, since we end too or do not look again */
	fd_closep(&d->out);
	fd_closep(&d->err);
	*d = DETACHED_INIT;
}

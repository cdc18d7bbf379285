#include "base/fault.h"
#include "base/num.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long what a killed process left running may take to die, on a machine with much to do. */
enum { DYING_MS = 30000, NAP_US = 20000 };

/* The process id in "KIND.PID.N", or 0. */
static pid_t owner(const char *name)
{
	char *copy SCOPED(mem_freep) = mem_strdup(name);
	char *pid = strchr(copy, '.');
	char *end = pid == NULL ? NULL : strchr(pid + 1, '.');
	uint64_t v;

	if (end == NULL)
		return 0;
	*end = '\0';
	return num_u64(pid + 1, INT32_MAX, &v) == 0 ? (pid_t)v : 0;
}

static bool is_dead(pid_t pid)
{
	return pid != getpid() && (pid == 0 || (kill(pid, 0) != 0 && errno == ESRCH));
}

int store_leftovers(struct store *s, struct strv *ret, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};

	if (fs_list(store_fd(s), "tmp", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (is_dead(owner(names.v[i])))
			strv_add(ret, names.v[i]);
	return 0;
}

/* What the dead process had started dies with it, though not at once, and may make files meanwhile.
 */
static int remove_dying(int tmp, const char *name, struct err *e)
{
	const uint64_t until = clock_mono_ms() + DYING_MS;
	struct err why = ERR_INIT;

	while (fs_rmtree(tmp, name, &why) != 0) {
		if (why.sys != ENOTEMPTY || clock_mono_ms() >= until || intr_pending()) {
			*e = why;
			return err_in(e, "store: sweep");
		}
		(void)usleep(NAP_US);
	}
	return 0;
}

int store_sweep(struct store *s, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	int tmp SCOPED(fd_closep) = -1;

	if (fs_open_dir(store_fd(s), "tmp", &tmp, e) != 0 || store_leftovers(s, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (remove_dying(tmp, names.v[i], e) != 0)
			return -1;
	return 0;
}

int store_drop(struct store *s, const char *path, struct err *e)
{
	char *dir SCOPED(mem_freep) = NULL, *name SCOPED(mem_freep) = NULL;
	char *to SCOPED(mem_freep) = NULL;
	struct err late = ERR_INIT;
	int rc = 0;

	if (store_scratch(s, "drop", &dir, e) != 0)
		return -1;
	name = fs_basename(dir);
	to = mem_format("tmp/%s/it", name);
	if (renameat(store_fd(s), path, store_fd(s), to) != 0 && errno != ENOENT)
		rc = err_sys(e, "store: remove %s", path);
	fault_point("dropped");
	if (store_scratch_drop(s, dir, &late) != 0 && rc == 0) {
		*e = late;
		rc = -1;
	}
	return rc;
}

int store_scratch(struct store *s, const char *label, char **ret_path, struct err *e)
{
	static unsigned long n;

	for (;;) {
		char *path SCOPED(mem_freep) =
		    mem_format("%s/tmp/%s.%ld.%lu", store_path(s), label, (long)getpid(), n++);

		if (mkdir(path, 0700) == 0) {
			*ret_path = STEAL(path);
			return 0;
		}
		if (errno != EEXIST)
			return err_sys(e, "make directory %s", path);
	}
}

int store_scratch_drop(struct store *s, const char *path, struct err *e)
{
	char *name SCOPED(mem_freep) = fs_basename(path);
	int tmp SCOPED(fd_closep) = -1;

	if (fs_open_dir(store_fd(s), "tmp", &tmp, e) != 0)
		return -1;
	return fs_rmtree(tmp, name, e);
}

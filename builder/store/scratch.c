#include "base/num.h"
#include "store/store.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

int store_sweep(struct store *s, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	int tmp SCOPED(fd_closep) = -1;

	if (fs_open_dir(store_fd(s), "tmp", &tmp, e) != 0 || fs_list(tmp, ".", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		pid_t pid = owner(names.v[i]);

		if (pid != getpid() && (pid == 0 || (kill(pid, 0) != 0 && errno == ESRCH)) &&
		    fs_rmtree(tmp, names.v[i], e) != 0)
			return err_in(e, "store: sweep");
	}
	return 0;
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

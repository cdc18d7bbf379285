#include "base/num.h"
#include "sandbox/sandbox.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Calls in which a program that looks at several descriptors waits: proc(5), /proc/PID/syscall. */
static const long selects[] = {
#ifdef SYS_poll
    SYS_poll,
#endif
#ifdef SYS_select
    SYS_select,
#endif
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
    SYS_ppoll,      SYS_pselect6, SYS_epoll_pwait,
};

static bool is_terminal(const char *pid, unsigned long fd)
{
	char *path SCOPED(mem_freep) = mem_format("/proc/%s/fd/%lu", pid, fd);
	struct stat st;
	unsigned major_of;

	if (stat(path, &st) != 0 || !S_ISCHR(st.st_mode))
		return false;
	major_of = major(st.st_rdev);
	return (major_of >= 136 && major_of <= 143) || /* pts, devices.txt */
	       (major_of == 5 && minor(st.st_rdev) == 0);
}

/* "NUMBER ARGUMENT… SP PC", or "running". */
static bool waits(const char *pid, char *syscall_text)
{
	char *at = syscall_text, *number = strsep(&at, " "), *first = strsep(&at, " ");
	uint64_t nr;

	if (first == NULL || num_u64(number, 1000000, &nr) != 0)
		return false;
	if (nr == SYS_read || nr == SYS_readv)
		return is_terminal(pid, strtoul(first, NULL, 16));
	for (size_t i = 0; i < sizeof(selects) / sizeof(selects[0]); i++)
		if ((long)nr == selects[i])
			return is_terminal(pid, STDIN_FILENO);
	return false;
}

static bool same_world(const char *pid, const struct stat *world)
{
	char *path SCOPED(mem_freep) = mem_format("/proc/%s/ns/pid", pid);
	struct stat st;

	return pid[0] >= '1' && pid[0] <= '9' && stat(path, &st) == 0 &&
	       st.st_ino == world->st_ino && st.st_dev == world->st_dev;
}

bool sandbox_waits(pid_t init)
{
	char *own SCOPED(mem_freep) = mem_format("/proc/%ld/ns/pid", (long)init);
	struct strv names SCOPED(strv_release) = {0};
	struct err quiet = ERR_INIT;
	bool known = false;
	struct stat world;

	if (stat(own, &world) != 0 || fs_list(AT_FDCWD, "/proc", &names, &quiet) != 0)
		return true;
	for (size_t i = 0; i < names.n; i++) {
		char *path SCOPED(mem_freep) = mem_format("/proc/%s/syscall", names.v[i]);
		struct buf b SCOPED(buf_release) = BUF_INIT(1000);

		if (!same_world(names.v[i], &world) || fs_get(AT_FDCWD, path, &b, &quiet) != 0)
			continue;
		known = true;
		if (waits(names.v[i], b.data))
			return true;
	}
	return !known;
}

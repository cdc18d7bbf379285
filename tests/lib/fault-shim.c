/* fault-shim.so - preloaded into a program, makes one of its calls go wrong: what a disk, a quota
 * or somebody else does to a file while it is read. For tests/lib/restore-runs.
 *
 * $FAULT_SHIM is "TROUBLE CLASS N PREFIX": the N-th call of a class whose file is below PREFIX.
 * Classes: open (for reading), read, stat, write, meta (what makes, renames, removes, syncs).
 * Troubles: eio, and from there on every time enospc and edquot; short (half of the bytes); vanish,
 * shrink, grow, rewrite (the file itself is changed, before the call); lie (the size that stat says
 * is one too many); stop (the program stands still until it is sent SIGCONT). What struck is
 * written to $FAULT_SHIM_LOG. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char trouble[16], class[16], prefix[PATH_MAX];
static unsigned long nth;
static atomic_ulong count;

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("FAULT_SHIM");

	if (text == NULL ||
	    sscanf(text, "%15s %15s %lu %4000[^\n]", trouble, class, &nth, prefix) != 4)
		nth = 0;
	(void)unsetenv("FAULT_SHIM");
	(void)unsetenv("LD_PRELOAD");
}

static void note(const char *path)
{
	const char *log = getenv("FAULT_SHIM_LOG");
	const int saved = errno;
	char line[PATH_MAX + 64];
	const int n = snprintf(line, sizeof line, "%s %s %s\n", trouble, class, path);
	const int fd = log == NULL ? -1
				   : (int)syscall(SYS_openat, AT_FDCWD, log,
						  O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0) {
		(void)!syscall(SYS_write, fd, line, (size_t)n);
		(void)syscall(SYS_close, fd);
	}
	errno = saved;
}

/* The path of a descriptor, or of a name below one; false where it is not one of ours. */
static bool find(int dirfd, const char *name, char *path)
{
	char link[64], at[PATH_MAX] = "";

	if (name != NULL && strncmp(name, "/proc/self/fd/", 14) == 0 &&
	    strchr(name + 14, '/') == NULL) {
		dirfd = (int)strtol(name + 14, NULL, 10);
		name = NULL;
	}
	if (name == NULL || name[0] != '/') {
		if (dirfd == AT_FDCWD)
			snprintf(link, sizeof link, "/proc/self/cwd");
		else
			snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
		const ssize_t n = readlink(link, at, sizeof at - 1);
		if (n <= 0)
			return false;
		at[n] = '\0';
	}
	if (name == NULL || name[0] == '\0')
		snprintf(path, PATH_MAX, "%s", at);
	else if (snprintf(path, PATH_MAX, "%s%s%s", at, at[0] ? "/" : "", name) >= PATH_MAX)
		return false;
	return strncmp(path, prefix, strlen(prefix)) == 0;
}

static void change(const char *path, const char *how)
{
	const int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return;
	if (syscall(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode)) {
		const struct timespec same[2] = {st.st_atim, st.st_mtim};

		if (strcmp(how, "vanish") == 0)
			(void)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
		else if (strcmp(how, "shrink") == 0)
			(void)!syscall(SYS_ftruncate, fd, st.st_size / 2);
		else if (strcmp(how, "grow") == 0)
			(void)!syscall(SYS_pwrite64, fd, "more", (size_t)4, st.st_size);
		else if (syscall(SYS_pwrite64, fd, "else", (size_t)4, st.st_size / 2) == 4)
			(void)syscall(SYS_utimensat, fd, NULL, same, 0);
	}
	(void)syscall(SYS_close, fd);
}

enum verdict { GO_ON, FAIL, HALVE, LIE };

static enum verdict strike(const char *path, bool lasts)
{
	if (strcmp(trouble, "short") == 0)
		return HALVE;
	if (strcmp(trouble, "lie") == 0)
		return LIE;
	if (strcmp(trouble, "stop") == 0) {
		(void)kill(getpid(), SIGSTOP);
		return GO_ON;
	}
	if (strcmp(trouble, "eio") != 0 && !lasts) {
		change(path, trouble);
		return GO_ON;
	}
	errno = strcmp(trouble, "eio") == 0      ? EIO
		: strcmp(trouble, "enospc") == 0 ? ENOSPC
						 : EDQUOT;
	return FAIL;
}

/* What is to become of a call; errno is set when it is to fail. */
static enum verdict judge(const char *what, int dirfd, const char *name)
{
	char path[PATH_MAX];

	if (nth == 0 || strcmp(what, class) != 0 || !find(dirfd, name, path))
		return GO_ON;
	const unsigned long n = atomic_fetch_add(&count, 1) + 1;
	const bool lasts = strcmp(trouble, "enospc") == 0 || strcmp(trouble, "edquot") == 0;
	if (n < nth || (n > nth && !lasts))
		return GO_ON;
	if (n == nth)
		note(path);
	return strike(path, lasts);
}

/* An open for reading, and one that makes something, may go wrong. */
static bool open_fails(int dirfd, const char *path, uint64_t flags)
{
	const bool reads = (flags & O_ACCMODE) == O_RDONLY && (flags & O_PATH) == 0;

	return ((flags & O_CREAT) != 0 || reads) &&
	       judge(reads ? "open" : "meta", dirfd, path) == FAIL;
}

/* openat2(2) has no other way in. What is not passed is not looked at. */
long syscall(long number, ...)
{
	static long (*real)(long number, ...);
	va_list args;
	long v[6];

	va_start(args, number);
	for (size_t i = 0; i < 6; i++)
		v[i] = va_arg(args, long);
	va_end(args);
	if (real == NULL)
		real = (long (*)(long, ...))(uintptr_t)dlsym(RTLD_NEXT, "syscall");
	if (number == SYS_openat2 &&
	    open_fails((int)v[0], (const char *)v[1], ((const struct open_how *)v[2])->flags))
		return -1;
	return real(number, v[0], v[1], v[2], v[3], v[4], v[5]);
}

static size_t half(enum verdict v, size_t n)
{
	return v == HALVE && n > 1 ? n / 2 : n;
}

ssize_t read(int fd, void *p, size_t n)
{
	const enum verdict v = judge("read", fd, NULL);

	return v == FAIL ? -1 : syscall(SYS_read, fd, p, half(v, n));
}

ssize_t pread(int fd, void *p, size_t n, off_t at)
{
	const enum verdict v = judge("read", fd, NULL);

	return v == FAIL ? -1 : syscall(SYS_pread64, fd, p, half(v, n), at);
}

ssize_t pread64(int fd, void *p, size_t n, off_t at) __attribute__((alias("pread")));

ssize_t write(int fd, const void *p, size_t n)
{
	const enum verdict v = judge("write", fd, NULL);

	return v == FAIL ? -1 : syscall(SYS_write, fd, p, half(v, n));
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	const enum verdict v = judge("write", fd, NULL);

	return v == FAIL ? -1 : syscall(SYS_pwrite64, fd, p, half(v, n), at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at) __attribute__((alias("pwrite")));

int openat(int dirfd, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode = 0;

	if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	if (open_fails(dirfd, path, (uint64_t)flags))
		return -1;
	return (int)syscall(SYS_openat, dirfd, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode = 0;

	if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return openat(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int openat64(int dirfd, const char *path, int flags, ...) __attribute__((alias("openat")));

int fstat(int fd, struct stat *st)
{
	const enum verdict v = judge("stat", fd, NULL);
	const int rc = v == FAIL ? -1 : (int)syscall(SYS_fstat, fd, st);

	if (v == LIE && rc == 0)
		st->st_size++;
	return rc;
}

int fstat64(int fd, struct stat64 *st) __attribute__((alias("fstat")));

int fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
	const enum verdict v = judge("stat", dirfd, path);
	const int rc = v == FAIL ? -1 : (int)syscall(SYS_newfstatat, dirfd, path, st, flags);

	if (v == LIE && rc == 0)
		st->st_size++;
	return rc;
}

int fstatat64(int dirfd, const char *path, struct stat64 *st, int flags)
    __attribute__((alias("fstatat")));

int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *stx)
{
	const enum verdict v = judge("stat", dirfd, path);
	const int rc = v == FAIL ? -1 : (int)syscall(SYS_statx, dirfd, path, flags, mask, stx);

	if (v == LIE && rc == 0)
		stx->stx_size++;
	return rc;
}

int fsync(int fd)
{
	return judge("meta", fd, NULL) == FAIL ? -1 : (int)syscall(SYS_fsync, fd);
}

int syncfs(int fd)
{
	return judge("meta", fd, NULL) == FAIL ? -1 : (int)syscall(SYS_syncfs, fd);
}

int ftruncate(int fd, off_t n)
{
	return judge("meta", fd, NULL) == FAIL ? -1 : (int)syscall(SYS_ftruncate, fd, n);
}

int ftruncate64(int fd, off_t n) __attribute__((alias("ftruncate")));

int fallocate(int fd, int mode, off_t at, off_t n)
{
	return judge("meta", fd, NULL) == FAIL ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, n);
}

int fallocate64(int fd, int mode, off_t at, off_t n) __attribute__((alias("fallocate")));

int renameat2(int from, const char *a, int to, const char *b, unsigned flags)
{
	return judge("meta", to, b) == FAIL ? -1
					    : (int)syscall(SYS_renameat2, from, a, to, b, flags);
}

int renameat(int from, const char *a, int to, const char *b)
{
	return renameat2(from, a, to, b, 0);
}

int linkat(int from, const char *a, int to, const char *b, int flags)
{
	return judge("meta", to, b) == FAIL ? -1 : (int)syscall(SYS_linkat, from, a, to, b, flags);
}

int unlinkat(int dirfd, const char *path, int flags)
{
	return judge("meta", dirfd, path) == FAIL ? -1
						  : (int)syscall(SYS_unlinkat, dirfd, path, flags);
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
	return judge("meta", dirfd, path) == FAIL ? -1
						  : (int)syscall(SYS_mkdirat, dirfd, path, mode);
}

int symlinkat(const char *target, int dirfd, const char *path)
{
	return judge("meta", dirfd, path) == FAIL
		   ? -1
		   : (int)syscall(SYS_symlinkat, target, dirfd, path);
}

int fchownat(int dirfd, const char *path, uid_t u, gid_t g, int flags)
{
	return judge("meta", dirfd, path) == FAIL
		   ? -1
		   : (int)syscall(SYS_fchownat, dirfd, path, u, g, flags);
}

int utimensat(int dirfd, const char *path, const struct timespec t[2], int flags)
{
	return judge("meta", dirfd, path) == FAIL
		   ? -1
		   : (int)syscall(SYS_utimensat, dirfd, path, t, flags);
}

int mknodat(int dirfd, const char *path, mode_t mode, dev_t dev)
{
	return judge("meta", dirfd, path) == FAIL
		   ? -1
		   : (int)syscall(SYS_mknodat, dirfd, path, mode, dev);
}

int chmod(const char *path, mode_t mode)
{
	return judge("meta", AT_FDCWD, path) == FAIL
		   ? -1
		   : (int)syscall(SYS_fchmodat, AT_FDCWD, path, mode);
}

int setxattr(const char *path, const char *name, const void *val, size_t n, int flags)
{
	return judge("meta", AT_FDCWD, path) == FAIL
		   ? -1
		   : (int)syscall(SYS_setxattr, path, name, val, n, flags);
}

/* archive-lib.h - what the tests of builder/archive share: a scratch directory, files made in one
 * line, bytes collected by a sink, and strangers to read what we wrote. */
#ifndef TESTS_UNIT_ARCHIVE_LIB_H
#define TESTS_UNIT_ARCHIVE_LIB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/sink.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

struct scratch {
	char path[64];
	int fd;
};

static inline struct scratch scratch_make(void)
{
	struct scratch s = {.path = "/tmp/posmedia-archive.XXXXXX"};

	(void)umask(022); /* whatever the caller's: programs that the tests run make files too */
	assert_non_null(mkdtemp(s.path));
	s.fd = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(s.fd >= 0);
	return s;
}

static inline void scratch_drop(struct scratch *s)
{
	struct err e = ERR_INIT;

	(void)close(s->fd);
	assert_int_equal(fs_rmtree(AT_FDCWD, s->path, &e), 0);
}

/* Directories above name are made; the mode is exact whatever the umask; the time is 1000. */
static inline void put(const struct scratch *s, const char *name, const char *text, mode_t mode)
{
	struct err e = ERR_INIT;
	char *dir SCOPED(mem_freep) = fs_dirname(name);
	const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	int fd;

	assert_int_equal(fs_mkdirs(s->fd, dir, 0755, &e), 0);
	fd = openat(s->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, text, strlen(text), &e), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(futimens(fd, times), 0);
	(void)close(fd);
}

static inline int open_sub(const struct scratch *s, const char *name)
{
	struct err e = ERR_INIT;
	int fd = -1;

	assert_int_equal(fs_mkdirs(s->fd, name, 0755, &e), 0);
	assert_int_equal(fs_open_dir(s->fd, name, &fd, &e), 0);
	return fd;
}

static inline int to_buf(void *ctx, const void *p, size_t n, struct err *e)
{
	struct buf *b = ctx;

	buf_add(b, p, n);
	return buf_over(b) ? err_set(e, ERR_FAIL, "too much") : 0;
}

static inline void put_bytes(const struct scratch *s, const char *name, const void *p, size_t n)
{
	struct err e = ERR_INIT;

	assert_int_equal(fs_put(s->fd, name, p, n, 0644, &e), 0);
}

/* Runs a program in the scratch directory and returns what it printed; it must end with 0. */
static inline char *run(const struct scratch *s, const char *const *argv)
{
	struct buf out = BUF_INIT(1 << 20);
	struct proc_spec spec = {
	    .argv = argv, .cwd = s->path, .out = &out, .err = &out, .timeout_ms = 60000};
	struct proc_result res;
	struct err e = ERR_INIT;

	assert_int_equal(proc_run(&spec, &res, &e), 0);
	if (res.status != 0)
		fail_msg("%s: exit %d: %s", argv[0], res.status, out.data);
	return buf_take(&out);
}

#define RUN(s, ...) run((s), (const char *const[]){__VA_ARGS__, NULL})

static inline void do_run(const struct scratch *s, const char *const *argv)
{
	free(run(s, argv));
}

#define DO(s, ...) do_run((s), (const char *const[]){__VA_ARGS__, NULL})

#endif

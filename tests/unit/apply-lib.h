/* apply-lib.h - a source, a target and a memory in a scratch directory, for the tests of apply/. */
#ifndef UNIT_APPLY_LIB_H
#define UNIT_APPLY_LIB_H

#include "apply/apply.h"
#include "base/log.h"
#include "sys/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

struct bed {
	char dir[32];
	int top, src, dst;
};

static inline int opened(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static inline void make_dir(int dirfd, const char *path)
{
	assert_int_equal(mkdirat(dirfd, path, 0755), 0);
}

static inline int bed_setup(void **state)
{
	struct bed *b = mem_zalloc(sizeof(*b));

	(void)snprintf(b->dir, sizeof(b->dir), "/var/tmp/apply.XXXXXX");
	if (mkdtemp(b->dir) == NULL)
		return -1;
	b->top = opened(AT_FDCWD, b->dir);
	make_dir(b->top, "src");
	make_dir(b->top, "dst");
	b->src = opened(b->top, "src");
	b->dst = opened(b->top, "dst");
	*state = b;
	return 0;
}

static inline int bed_teardown(void **state)
{
	struct bed *b = *state;
	struct err e = ERR_INIT;
	int rc = fs_rmtree(AT_FDCWD, b->dir, &e);

	fd_closep(&b->top);
	fd_closep(&b->src);
	fd_closep(&b->dst);
	free(b);
	return rc;
}

/* Writes n bytes at an offset of a file, which is made when it is not there. */
static inline void put_at(int dirfd, const char *path, const void *p, size_t n, off_t at)
{
	int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, p, n, at), (ssize_t)n);
	assert_int_equal(close(fd), 0);
}

static inline void put_text(int dirfd, const char *path, const char *text)
{
	put_at(dirfd, path, text, strlen(text), 0);
}

/* n bytes that depend on the seed and are no zeroes. */
static inline void put_bytes(int dirfd, const char *path, size_t n, unsigned seed)
{
	uint8_t *p = mem_zalloc(n);
	uint32_t x = seed * 2654435761U + 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525U + 1013904223U;
		p[i] = (uint8_t)(x >> 24 | 1);
	}
	put_at(dirfd, path, p, n, 0);
	free(p);
}

static inline void set_size(int dirfd, const char *path, off_t size)
{
	int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(close(fd), 0);
}

static inline struct stat stat_of(int dirfd, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static inline void set_time(int dirfd, const char *path, time_t s, long ns)
{
	const struct timespec t[] = {{0, UTIME_OMIT}, {s, ns}};

	assert_int_equal(utimensat(dirfd, path, t, AT_SYMLINK_NOFOLLOW), 0);
}

static inline void set_attr(const struct bed *b, const char *path, const char *name,
			    const void *val, size_t n)
{
	char *full SCOPED(mem_freep) = mem_format("%s/%s", b->dir, path);

	assert_int_equal(lsetxattr(full, name, val, n, 0), 0);
}

static inline struct manifest made_of(int dirfd, bool later)
{
	const struct manifest_opts o = {.later = later};
	struct manifest m = {0};
	struct err e = ERR_INIT;

	if (manifest_make(dirfd, &o, &m, &e) != 0)
		fail_msg("%s", e.msg);
	return m;
}

static inline struct manifest manifest_of(int dirfd)
{
	return made_of(dirfd, false);
}

static inline void tell(void *ctx, const struct manifest_difference *d)
{
	(void)ctx;
	(void)fprintf(stderr, "%s: %s: %s, %s\n", d->path, d->field, d->a != NULL ? d->a : "-",
		      d->b != NULL ? d->b : "-");
}

static inline uint64_t differences(const struct bed *b)
{
	struct manifest src SCOPED(manifest_release) = manifest_of(b->src);
	struct manifest dst SCOPED(manifest_release) = manifest_of(b->dst);

	return manifest_compare(&src, &dst, tell, NULL);
}

/* One run from src to dst, with the memory in the file `memory` or without. */
struct run {
	bool memory, dry_run;
	bool unread; /* the contents are read as they are written */
	unsigned threads;
	struct apply_result r;
	struct digest root; /* of what was wanted, when it was applied */
	struct err e;
};

static inline int run_apply(const struct bed *b, struct run *run)
{
	struct manifest want SCOPED(manifest_release) = made_of(b->src, run->unread);
	struct apply_content c = {0};
	struct apply_opts o = {.dry_run = run->dry_run, .threads = run->threads};
	int rc;

	run->e = (struct err)ERR_INIT;
	if (run->memory && apply_memory_load(b->top, "memory", &o.memory, &run->e) != 0)
		fail_msg("%s", run->e.msg);
	if (apply_content_of_dir(b->src, &want, &c, &run->e) != 0)
		fail_msg("%s", run->e.msg);
	if (run->unread)
		apply_content_learns(&c, &want, NULL);
	rc = apply_tree(&want, &c, b->dst, &o, &run->r, &run->e);
	manifest_settle(&want);
	run->root = manifest_root(&want);
	if (o.memory != NULL && !run->dry_run) {
		struct err e = ERR_INIT;

		if (apply_memory_save(o.memory, b->top, "memory", &e) != 0)
			fail_msg("%s", e.msg);
	}
	apply_memory_free(o.memory);
	apply_content_free(&c);
	return rc;
}

/* Applies, and the target is the source afterwards; a second run finds nothing to do. */
static inline struct apply_result applies(const struct bed *b, bool memory)
{
	struct run run = {.memory = memory}, again = {.memory = memory};

	if (run_apply(b, &run) != 0)
		fail_msg("%s", run.e.msg);
	assert_int_equal(differences(b), 0);
	if (run_apply(b, &again) != 0)
		fail_msg("%s", again.e.msg);
	assert_int_equal(again.r.made + again.r.changed + again.r.removed, 0);
	assert_int_equal(again.r.bytes_written, 0);
	assert_int_equal(differences(b), 0);
	return run.r;
}

#endif

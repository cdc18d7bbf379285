/* harden-lib.h - what the tests of builder/harden share: a scratch tree, files made in one line, a
 * small tree that looks like Debian 12 as it is installed, and runs of a profile on it. */
#ifndef TESTS_UNIT_HARDEN_LIB_H
#define TESTS_UNIT_HARDEN_LIB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harden/harden.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* 2026-11-23 */
#define TODAY INT64_C(1795392000)

struct rootfs {
	char path[64];
	int fd;
};

static inline struct rootfs rootfs_make(void)
{
	struct rootfs t = {.path = "/dev/shm/posmedia-harden.XXXXXX"};

	/* in memory, where that can be: there are hundreds of them */
	if (access("/dev/shm", W_OK) != 0)
		(void)snprintf(t.path, sizeof(t.path), "/tmp/posmedia-harden.XXXXXX");
	assert_non_null(mkdtemp(t.path));
	assert_int_equal(chmod(t.path, 0755), 0);
	t.fd = open(t.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(t.fd >= 0);
	return t;
}

/* Everything of a tree, as it is, into an empty one. */
static inline void rootfs_copy(const struct rootfs *from, const struct rootfs *to)
{
	char *all SCOPED(mem_freep) = mem_format("%s/.", from->path);
	char *path SCOPED(mem_freep) = mem_strdup(to->path);
	char cp[] = "cp", as_it_is[] = "-a", rest[] = "--";
	char *const argv[] = {cp, as_it_is, rest, all, path, NULL};
	int status = -1;
	pid_t pid;

	/* no fork: a sanitizer's memory takes long to copy */
	assert_int_equal(posix_spawnp(&pid, cp, NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static inline void rootfs_drop(struct rootfs *t)
{
	struct err e = ERR_INIT;

	(void)close(t->fd);
	assert_int_equal(fs_rmtree(AT_FDCWD, t->path, &e), 0);
}

/* Directories above name are made, mode 0755; the file's mode is exact. */
static inline void put(const struct rootfs *t, const char *name, const char *text, mode_t mode)
{
	struct err e = ERR_INIT;
	char *dir SCOPED(mem_freep) = fs_dirname(name);
	int fd;

	(void)umask(022);
	assert_int_equal(fs_mkdirs(t->fd, dir, 0755, &e), 0);
	fd = openat(t->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		fail_msg("%s: %s", name, strerror(errno));
	assert_int_equal(fs_write_all(fd, text, strlen(text), &e), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	(void)close(fd);
}

static inline char *get(const struct rootfs *t, const char *name)
{
	struct buf b = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	if (fs_get(t->fd, name, &b, &e) != 0)
		fail_msg("%s", e.msg);
	return buf_take(&b);
}

static inline void append(const struct rootfs *t, const char *name, const char *text)
{
	struct stat st = {.st_mode = 0644};
	char *old = NULL, *both;

	if (fstatat(t->fd, name, &st, 0) == 0)
		old = get(t, name);
	both = mem_format("%s%s", old == NULL ? "" : old, text);
	put(t, name, both, st.st_mode & 07777);
	free(old);
	free(both);
}

/* Replaces the first `from` of a file. */
static inline void edit(const struct rootfs *t, const char *name, const char *from, const char *to)
{
	char *old = get(t, name), *at = strstr(old, from), *text;
	struct stat st;

	if (at == NULL)
		fail_msg("%s has no \"%s\"", name, from);
	assert_int_equal(fstatat(t->fd, name, &st, 0), 0);
	text = mem_format("%.*s%s%s", (int)(at - old), old, to, at + strlen(from));
	put(t, name, text, st.st_mode & 07777);
	free(old);
	free(text);
}

static inline bool there(const struct rootfs *t, const char *name)
{
	struct stat st;

	return fstatat(t->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline mode_t mode_of(const struct rootfs *t, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(t->fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

static inline struct harden_profile *load(const char *path)
{
	struct harden_profile *p = NULL;
	struct err e = ERR_INIT;

	if (harden_profile_load(path, &p, &e) != 0)
		fail_msg("%s (%s)", e.msg, e.hint);
	return p;
}

/* Writes a profile with these controls beside the tree's own files and loads it. */
static inline struct harden_profile *load_text(const struct rootfs *t, const char *controls)
{
	char *text SCOPED(mem_freep) =
	    mem_format("posmedia-profile: 1\nid: test\nversion: 1.0.0\ntitle: a test\n"
		       "controls:\n%s",
		       controls);
	char *path SCOPED(mem_freep) = mem_format("%s.yaml", t->path);
	struct err e = ERR_INIT;
	struct harden_profile *p;

	assert_int_equal(fs_put_path(path, text, strlen(text), 0600, &e), 0);
	p = load(path);
	assert_int_equal(unlink(path), 0);
	return p;
}

/* A profile of one control whose `want` is this YAML list, indented by 6. */
static inline struct harden_profile *load_want(const struct rootfs *t, const char *want)
{
	char *text SCOPED(mem_freep) =
	    mem_format("  - id: T-1\n    title: a test\n    severity: high\n"
		       "    sources: {posmedia: [\"1\"]}\n    want:\n%s",
		       want);

	return load_text(t, text);
}

static inline struct harden_report check(const struct harden_profile *p, const struct rootfs *t,
					 const struct recipe *r)
{
	const struct harden_context c = {.recipe = r, .today = TODAY};
	struct harden_report rep = {0};
	struct err e = ERR_INIT;

	if (harden_check(p, t->path, &c, &rep, &e) != 0)
		fail_msg("%s", e.msg);
	return rep;
}

static inline struct harden_report apply(const struct harden_profile *p, const struct rootfs *t,
					 const struct recipe *r)
{
	const struct harden_context c = {.recipe = r, .today = TODAY};
	struct harden_report rep = {0};
	struct err e = ERR_INIT;

	if (harden_apply(p, t->path, &c, &rep, &e) != 0)
		fail_msg("%s", e.msg);
	return rep;
}

/* The ids that failed, joined by blanks; the caller frees them. */
static inline char *failed(const struct harden_report *r)
{
	struct buf b = BUF_INIT(1 << 16);

	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].status == HARDEN_FAIL)
			buf_addf(&b, "%s%s", b.len == 0 ? "" : " ", r->v[i].id);
	return buf_take(&b);
}

/* What the only control of a profile finds: "" when it passes; the caller frees it. */
static inline char *finding(const struct harden_profile *p, const struct rootfs *t)
{
	struct harden_report r = check(p, t, NULL);
	char *text = mem_strdup(r.v[0].status == HARDEN_PASS ? "" : r.v[0].detail);

	harden_report_release(&r);
	return text;
}

/* Every path of a tree with mode, owner, size, link and bytes, as one digest. */
static inline int rootfs_entry_digest(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct hash *h = ctx;
	char *line SCOPED(mem_freep) =
	    mem_format("%s %o %u:%u\n", en->path, en->st.st_mode, en->st.st_uid, en->st.st_gid);
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 22);
	char link[4096];
	ssize_t n;

	hash_add(h, line, strlen(line));
	if (S_ISREG(en->st.st_mode) && fs_get(en->parent_fd, en->name, &b, e) != 0)
		return -1;
	hash_add(h, b.data, b.len);
	n = readlinkat(en->parent_fd, en->name, link, sizeof(link));
	if (n > 0)
		hash_add(h, link, (size_t)n);
	return 0;
}

static inline struct digest rootfs_digest(const struct rootfs *t)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct err e = ERR_INIT;

	if (fs_walk(t->fd, rootfs_entry_digest, h, &e) != 0)
		fail_msg("%s", e.msg);
	return hash_final(h);
}

#endif

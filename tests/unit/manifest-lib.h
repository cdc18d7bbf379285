/* manifest-lib.h - trees and their manifests, in one line. */
#ifndef TESTS_UNIT_MANIFEST_LIB_H
#define TESTS_UNIT_MANIFEST_LIB_H

#include "archive-lib.h"
#include "manifest/manifest.h"
#include "sys/intr.h"
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static const char passwd[] = "root:x:0:0::/root:/bin/sh\n"
			     "anna:x:1001:1001::/:/bin/sh\n"
			     "odd one:x:1002:100::/:/bin/sh\n"
			     "1001:x:77:77::/:/bin/sh\n"      /* a number is no name */
			     "anna2:x:1001:1001::/:/bin/sh\n" /* nor is a second of one number */
			     "anna:x:1003:1001::/:/bin/sh\n"
			     "+::::::\n\nhalf:x\nbad:x:12a:0\n:x:5:5\n";
static const char group[] = "root:x:0:\nstaff:x:50:anna\nusers:x:100:";

UNUSED static struct manifest_names *names(void)
{
	struct manifest_names *n = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(manifest_names_of(passwd, group, &n, &e), 0);
	return n;
}

UNUSED static struct manifest make_with(int fd, const struct manifest_opts *o)
{
	struct manifest m = {0};
	struct err e = ERR_INIT;

	if (manifest_make(fd, o, &m, &e) != 0)
		fail_msg("%s", e.msg);
	return m;
}

UNUSED static struct manifest make_of(int fd)
{
	struct manifest_names *n = names();
	struct manifest m = make_with(fd, &(struct manifest_opts){.names = n, .threads = 2});

	manifest_names_free(n);
	return m;
}

/* The text; the caller owns it. */
UNUSED static char *text_of(const struct manifest *m)
{
	struct buf b = BUF_INIT(64 << 20);
	const struct sink out = {.write = to_buf, .ctx = &b};
	struct err e = ERR_INIT;

	assert_int_equal(manifest_write(m, &out, &e), 0);
	return buf_take(&b);
}

UNUSED static int read_text(const char *text, size_t n, struct manifest *ret, struct err *e)
{
	int fd = memfd_create("manifest", MFD_CLOEXEC), rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), (ssize_t)n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	rc = manifest_read(fd, "m", ret, e);
	(void)close(fd);
	return rc;
}

UNUSED static const struct manifest_entry *at(const struct manifest *m, const char *path)
{
	const struct manifest_entry *en = manifest_find(m, path);

	if (en == NULL)
		fail_msg("no entry %s", path);
	return en;
}

UNUSED static void add_difference(void *ctx, const struct manifest_difference *d)
{
	buf_addf(ctx, "%s %s %s %s\n", d->path, d->field, d->a != NULL ? d->a : "-",
		 d->b != NULL ? d->b : "-");
}

/* All differences as text; the caller owns it. */
UNUSED static char *differences(const struct manifest *a, const struct manifest *b)
{
	struct buf text = BUF_INIT(1 << 20);
	uint64_t n = manifest_compare(a, b, add_difference, &text), lines = 0;

	for (const char *s = text.data; *s != '\0'; s++)
		lines += *s == '\n' ? 1 : 0;
	assert_int_equal(n, lines);
	return buf_take(&text);
}

UNUSED static void set_time(const struct scratch *s, const char *name, time_t sec, long ns)
{
	const struct timespec times[2] = {{.tv_sec = sec, .tv_nsec = ns},
					  {.tv_sec = sec, .tv_nsec = ns}};

	assert_int_equal(utimensat(s->fd, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* One of everything that a tree can hold. */
UNUSED static struct scratch awkward(void)
{
	struct scratch s = scratch_make();
	char name[256] = {0}, *path;
	int fd;

	memset(name, 'x', 255);
	put(&s, "plain", "hello", 0644);
	put(&s, "dir/a b\nc\xff#*[?=\\", "odd", 0600);
	put(&s, "dir-x", "before dir/ in bytes", 0640);
	put(&s, name, "long", 0644);
	put(&s, "empty", "", 0000);
	put(&s, "setuid", "su", 04755);
	assert_int_equal(fchownat(s.fd, "setuid", 1001, 50, 0), 0);
	assert_int_equal(fchmodat(s.fd, "setuid", 04755, 0), 0);
	put(&s, "owned", "by nobody known", 0644);
	assert_int_equal(fchownat(s.fd, "owned", 1003, 77, 0), 0);
	assert_int_equal(linkat(s.fd, "plain", s.fd, "dir/same", 0), 0);
	assert_int_equal(linkat(s.fd, "plain", s.fd, "zz", 0), 0);
	assert_int_equal(symlinkat("../a b", s.fd, "link"), 0);
	assert_int_equal(mkfifoat(s.fd, "fifo", 0622), 0);
	assert_int_equal(mknodat(s.fd, "null", S_IFCHR | 0666, makedev(1, 300)), 0);
	assert_int_equal(mknodat(s.fd, "socket", S_IFSOCK | 0666, 0), 0);
	fd = openat(s.fd, "sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(pwrite(fd, "end", 3, 1 << 20), 3);
	(void)close(fd);
	path = mem_format("%s/plain", s.path);
	assert_int_equal(setxattr(path, "user.b=\n", "\0\1", 2, 0), 0);
	assert_int_equal(setxattr(path, "user.a", "", 0, 0), 0);
	assert_int_equal(setxattr(path, "trusted.t", "x", 1, 0), 0);
	free(path);
	set_time(&s, "plain", 12, 345);
	set_time(&s, "link", -2, 999999999);
	set_time(&s, "dir", 7, 1);
	return s;
}

#endif

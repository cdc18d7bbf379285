/* A tree copied: all that it is, nothing through a symlink, no more than is allowed. What engines
 * show of an image: tests/system/stage-seed.bats. */
#include "archive-lib.h"
#include "archive/copy.h"
#include "archive/tree.h"

#include <sys/mount.h>
#include <sys/xattr.h>

static int copy(const struct scratch *s, const struct copy_limits *l, struct err *e)
{
	int from SCOPED(fd_closep) = open_sub(s, "from"), to SCOPED(fd_closep) = open_sub(s, "to");

	return copy_tree(from, to, l, e);
}

static void copy_ok(const struct scratch *s)
{
	const struct copy_limits usual = {0};
	struct err e = ERR_INIT;

	if (copy(s, &usual, &e) != 0)
		fail_msg("%s", e.msg);
}

static void refused(const struct scratch *s, struct copy_limits l, const char *why)
{
	struct err e = ERR_INIT;

	assert_int_equal(copy(s, &l, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
	if (strstr(e.msg, why) == NULL)
		fail_msg("%s", e.msg);
}

static struct tree scan(const struct scratch *s, const char *name)
{
	int fd SCOPED(fd_closep) = open_sub(s, name);
	struct tree t = {0};
	struct err e = ERR_INIT;

	if (tree_scan(fd, &t, NULL, &e) != 0)
		fail_msg("%s", e.msg);
	return t;
}

static void same(const struct tree_entry *a, const struct tree_entry *b)
{
	assert_string_equal(a->path, b->path);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->mtime, b->mtime);
	assert_int_equal(a->inode, b->inode);
	assert_true(tree_same_xattrs(a, b));
	assert_int_equal(a->link == NULL, b->link == NULL);
	if (a->link != NULL)
		assert_string_equal(a->link, b->link);
}

static void all_that_it_is(void **state)
{
	static const uint8_t cap[20] = {0, 0, 0, 2, 1, 4}; /* revision 2, CAP_SETUID permitted */
	struct scratch s = scratch_make();
	char *su = mem_format("%s/from/a/su", s.path), *d = mem_format("%s/from/d", s.path);
	struct stat st;
	struct tree a, b;

	(void)state;
	put(&s, "from/a/su", "12345", 0644);
	put(&s, "from/d/f", "", 0640);
	put(&s, "from/d/new\nline", "x", 0);
	assert_int_equal(linkat(s.fd, "from/a/su", s.fd, "from/d/su", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", s.fd, "from/d/ln"), 0);
	assert_int_equal(symlinkat("../../..", s.fd, "from/up"), 0);
	assert_int_equal(fchownat(s.fd, "from/d/ln", 1, 2, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(fchownat(s.fd, "from/a/su", 12, 34, 0), 0);
	assert_int_equal(fchmodat(s.fd, "from/a/su", 06755, 0), 0);
	assert_int_equal(setxattr(su, "security.capability", cap, sizeof(cap), 0), 0);
	assert_int_equal(setxattr(su, "user.a", "", 0, 0), 0);
	assert_int_equal(setxattr(d, "user.b", "b", 1, 0), 0);
	assert_int_equal(fchownat(s.fd, "from/d", 56, 78, 0), 0);
	assert_int_equal(fchmodat(s.fd, "from/d", 01511, 0), 0);
	assert_int_equal(fchmodat(s.fd, "from", 02750, 0), 0);
	copy_ok(&s);
	a = scan(&s, "from");
	b = scan(&s, "to");
	assert_int_equal(a.n, 8);
	assert_int_equal(b.n, 8);
	for (size_t i = 0; i < a.n; i++)
		same(&a.v[i], &b.v[i]);
	assert_int_equal(fstatat(s.fd, "to", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 02750);
	tree_release(&a);
	tree_release(&b);
	free(su);
	free(d);
	scratch_drop(&s);
}

static void what_is_no_file_is_left_out(void **state)
{
	struct scratch s = scratch_make();
	struct tree t;

	(void)state;
	put(&s, "from/f", "", 0644);
	assert_int_equal(mknodat(s.fd, "from/pipe", S_IFIFO | 0644, 0), 0);
	copy_ok(&s);
	t = scan(&s, "to");
	assert_int_equal(t.n, 1);
	tree_release(&t);
	scratch_drop(&s);
}

static void limits(void **state)
{
	struct scratch s = scratch_make();

	(void)state;
	put(&s, "from/a", "12345", 0644);
	put(&s, "from/b", "12345", 0644);
	refused(&s, (struct copy_limits){.bytes_max = 9}, "b: more bytes");
	scratch_drop(&s);
	s = scratch_make();
	put(&s, "from/a", "", 0644);
	put(&s, "from/b", "", 0644);
	refused(&s, (struct copy_limits){.entries_max = 1}, "b: more entries");
	scratch_drop(&s);
}

static void other_file_systems_are_refused(void **state)
{
	struct scratch s = scratch_make();
	char *path = mem_format("%s/from/mnt", s.path);

	(void)state;
	put(&s, "from/mnt/f", "", 0644);
	assert_int_equal(mount("tmpfs", path, "tmpfs", 0, NULL), 0);
	refused(&s, (struct copy_limits){0}, "mnt: it is a file system of its own");
	assert_int_equal(umount(path), 0);
	free(path);
	scratch_drop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_that_it_is),
	    cmocka_unit_test(what_is_no_file_is_left_out),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(other_file_systems_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

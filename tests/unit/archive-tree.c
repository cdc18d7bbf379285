/* The index of a root tree. */
#include "archive-lib.h"
#include "archive/tree.h"

#include <sys/mount.h>
#include <sys/xattr.h>

static struct tree scan(const struct scratch *s, size_t *left_out)
{
	struct tree t = {0};
	struct err e = ERR_INIT;

	if (tree_scan(s->fd, &t, left_out, &e) != 0)
		fail_msg("%s", e.msg);
	return t;
}

static void order_is_that_of_whole_paths(void **state)
{
	static const char *const want[] = {"a", "a-b", "a.d", "a/b", "a/c", "a0", "z\xff"};
	struct scratch s = scratch_make();
	struct tree t;

	(void)state;
	put(&s, "a/c", "", 0644);
	put(&s, "z\xff", "", 0644);
	put(&s, "a0", "", 0644);
	put(&s, "a.d", "", 0644);
	put(&s, "a/b", "", 0644);
	put(&s, "a-b", "", 0644);
	t = scan(&s, NULL);
	assert_int_equal(t.n, sizeof(want) / sizeof(want[0]));
	for (size_t i = 0; i < t.n; i++) {
		assert_string_equal(t.v[i].path, want[i]);
		assert_ptr_equal(tree_find(&t, want[i]), &t.v[i]);
	}
	assert_null(tree_find(&t, ""));
	assert_null(tree_find(&t, "a/"));
	assert_null(tree_find(&t, "zz"));
	tree_release(&t);
	scratch_drop(&s);
}

static void what_an_entry_holds(void **state)
{
	struct scratch s = scratch_make();
	const struct tree_entry *en;
	struct tree t;

	(void)state;
	put(&s, "bin/su", "12345", 04755);
	assert_int_equal(symlinkat("../etc/x", s.fd, "bin/ln"), 0);
	assert_int_equal(fchownat(s.fd, "bin/su", 12, 34, 0), 0);
	assert_int_equal(fchmodat(s.fd, "bin/su", 04755, 0), 0);
	t = scan(&s, NULL);
	en = tree_find(&t, "bin/su");
	assert_int_equal(en->mode, S_IFREG | 04755);
	assert_int_equal(en->uid, 12);
	assert_int_equal(en->gid, 34);
	assert_int_equal(en->size, 5);
	assert_int_equal(en->mtime, 1000);
	assert_null(en->link);
	assert_int_equal(en->inode, 0);
	assert_int_equal(en->layer, 0);
	en = tree_find(&t, "bin/ln");
	assert_true(S_ISLNK(en->mode));
	assert_string_equal(en->link, "../etc/x");
	assert_int_equal(en->size, 0);
	assert_true(S_ISDIR(tree_find(&t, "bin")->mode));
	tree_release(&t);
	scratch_drop(&s);
}

static void devices_and_the_like_are_counted(void **state)
{
	struct scratch s = scratch_make();
	size_t left_out = 99;
	struct tree t;

	(void)state;
	put(&s, "file", "", 0644);
	assert_int_equal(mkfifoat(s.fd, "fifo", 0600), 0);
	assert_int_equal(mknodat(s.fd, "sock", S_IFSOCK | 0600, 0), 0);
	assert_int_equal(mknodat(s.fd, "null", S_IFCHR | 0600, 0x103), 0);
	t = scan(&s, &left_out);
	assert_int_equal(left_out, 3);
	assert_int_equal(t.n, 1);
	tree_release(&t);
	scratch_drop(&s);
}

static void names_of_one_file_share_a_number(void **state)
{
	struct scratch s = scratch_make();
	struct tree t;

	(void)state;
	put(&s, "m", "x", 0644);
	put(&s, "other", "y", 0644);
	put(&s, "outside", "z", 0644);
	assert_int_equal(linkat(s.fd, "m", s.fd, "b", 0), 0);
	assert_int_equal(linkat(s.fd, "m", s.fd, "z", 0), 0);
	assert_int_equal(linkat(s.fd, "other", s.fd, "c", 0), 0);
	/* its second name is not in the tree */
	assert_int_equal(mkdirat(s.fd, "tree", 0755), 0);
	for (int i = 0; i < 2; i++) {
		t = scan(&s, NULL);
		assert_true(tree_find(&t, "b")->inode != 0);
		assert_int_equal(tree_find(&t, "b")->inode, tree_find(&t, "m")->inode);
		assert_int_equal(tree_find(&t, "b")->inode, tree_find(&t, "z")->inode);
		assert_int_equal(tree_find(&t, "c")->inode, tree_find(&t, "other")->inode);
		assert_true(tree_find(&t, "b")->inode != tree_find(&t, "c")->inode);
		assert_int_equal(tree_find(&t, "outside")->inode, 0);
		tree_release(&t);
	}
	scratch_drop(&s);
}

static void a_second_name_elsewhere_does_not_count(void **state)
{
	struct scratch s = scratch_make(), outside = scratch_make();
	struct tree t;

	(void)state;
	put(&s, "f", "x", 0644);
	assert_int_equal(linkat(s.fd, "f", outside.fd, "f", 0), 0);
	t = scan(&s, NULL);
	assert_int_equal(tree_find(&t, "f")->inode, 0);
	tree_release(&t);
	scratch_drop(&outside);
	scratch_drop(&s);
}

static void only_listed_attributes(void **state)
{
	/* cap_net_bind_service=ep, struct vfs_cap_data version 2 */
	static const uint8_t cap[20] = {1, 0, 0, 2, 0, 4};
	struct scratch s = scratch_make();
	const struct tree_entry *en;
	struct tree t;
	char *path;

	(void)state;
	put(&s, "d/f", "x", 0755);
	path = mem_format("%s/d/f", s.path);
	assert_int_equal(setxattr(path, "user.zz", "2", 1, 0), 0);
	assert_int_equal(setxattr(path, "user.aa", "", 0, 0), 0);
	assert_int_equal(setxattr(path, "user.overlay.origin", "x", 1, 0), 0);
	assert_int_equal(setxattr(path, "trusted.t", "x", 1, 0), 0);
	assert_int_equal(setxattr(path, "security.capability", cap, sizeof(cap), 0), 0);
	free(path);
	path = mem_format("%s/d", s.path);
	assert_int_equal(setxattr(path, "user.dir", "v", 1, 0), 0);
	free(path);
	t = scan(&s, NULL);
	en = tree_find(&t, "d/f");
	assert_int_equal(en->xattrs_n, 3);
	assert_string_equal(en->xattrs[0].name, "security.capability");
	assert_int_equal(en->xattrs[0].len, sizeof(cap));
	assert_memory_equal(en->xattrs[0].val, cap, sizeof(cap));
	assert_string_equal(en->xattrs[1].name, "user.aa");
	assert_int_equal(en->xattrs[1].len, 0);
	assert_string_equal(en->xattrs[2].name, "user.zz");
	assert_int_equal(tree_find(&t, "d")->xattrs_n, 1);
	tree_release(&t);
	scratch_drop(&s);
}

static void other_file_systems_are_not_entered(void **state)
{
	struct scratch s = scratch_make();
	char *path = mem_format("%s/mnt", s.path);
	struct tree t;
	int fd;

	(void)state;
	assert_int_equal(mkdirat(s.fd, "mnt", 0755), 0);
	assert_int_equal(mount("tmpfs", path, "tmpfs", 0, NULL), 0);
	fd = openat(s.fd, "mnt/foreign", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	t = scan(&s, NULL);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	assert_int_equal(t.n, 1);
	assert_string_equal(t.v[0].path, "mnt");
	tree_release(&t);
	free(path);
	scratch_drop(&s);
}

static void an_empty_tree(void **state)
{
	struct scratch s = scratch_make();
	struct tree t = scan(&s, NULL);

	(void)state;
	assert_int_equal(t.n, 0);
	assert_null(tree_find(&t, "a"));
	tree_release(&t);
	scratch_drop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(order_is_that_of_whole_paths),
	    cmocka_unit_test(what_an_entry_holds),
	    cmocka_unit_test(devices_and_the_like_are_counted),
	    cmocka_unit_test(names_of_one_file_share_a_number),
	    cmocka_unit_test(a_second_name_elsewhere_does_not_count),
	    cmocka_unit_test(only_listed_attributes),
	    cmocka_unit_test(other_file_systems_are_not_entered),
	    cmocka_unit_test(an_empty_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

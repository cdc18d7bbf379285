/* harden/root: nothing leads out of a tree, and a replaced file keeps who and what it was. */
#include "harden-lib.h"

#include "harden/root.h"

#include <signal.h>
#include <sys/wait.h>

static struct rootfs t, outside;

static int set_up(void **state)
{
	(void)state;
	t = rootfs_make();
	outside = rootfs_make();
	put(&outside, "secret", "outside\n", 0644);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rootfs_drop(&t);
	rootfs_drop(&outside);
	return 0;
}

static char *read_text(const char *path, bool *ret_there)
{
	struct buf b = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;

	if (root_read(t.fd, path, &b, ret_there, &e) != 0)
		fail_msg("%s", e.msg);
	return buf_take(&b);
}

/* An absolute link means the tree's own root; ".." stops there. */
static void links_stay_inside(void **state)
{
	char *away SCOPED(mem_freep) = fs_join(outside.path, "secret");
	static const char *const up = "../../../../../../../../../../etc/inside";
	char *text;
	bool there;

	(void)state;
	put(&t, "etc/inside", "inside\n", 0644);
	assert_int_equal(symlinkat(away, t.fd, "etc/away"), 0);
	assert_int_equal(symlinkat(up, t.fd, "etc/up"), 0);
	text = read_text("etc/away", &there);
	assert_false(there);
	free(text);
	text = read_text("etc/up", &there);
	assert_true(there);
	assert_string_equal(text, "inside\n");
	free(text);
	text = read_text("../../../../../../etc/inside", &there);
	assert_string_equal(text, "inside\n");
	free(text);
}

/* What others rename meanwhile, anywhere, makes no file disappear (openat2(2), EAGAIN). */
static void is_there_on_a_busy_machine(void **state)
{
	struct stat st;
	pid_t child;

	(void)state;
	put(&t, "usr/lib/os", "here\n", 0644);
	assert_int_equal(symlinkat("../usr/lib/../lib/os", t.fd, "etc/os"), 0);
	put(&outside, "a", "", 0644);
	child = fork();
	if (child == 0)
		for (;;)
			if (renameat(outside.fd, "a", outside.fd, "b") != 0 ||
			    renameat(outside.fd, "b", outside.fd, "a") != 0)
				_exit(1);
	for (int i = 0; i < 20000; i++)
		if (root_stat(t.fd, "etc/os", true, &st) != 1)
			fail_msg("not there the %d. time", i);
	kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
}

static void writes_stay_inside(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(64);
	struct err e = ERR_INIT;
	char *away SCOPED(mem_freep) = fs_join(outside.path, "secret");
	char *landed SCOPED(mem_freep) = fs_join(outside.path + 1, "secret");
	char *text;

	(void)state;
	assert_int_equal(symlinkat(away, t.fd, "link"), 0);
	assert_int_equal(symlinkat(outside.path, t.fd, "dirlink"), 0);
	buf_addf(&b, "new\n");
	assert_int_equal(root_write(t.fd, "link", &b, 0644, &e), 0);
	assert_int_equal(root_write(t.fd, "dirlink/x", &b, 0644, &e), 0);
	text = get(&outside, "secret");
	assert_string_equal(text, "outside\n");
	free(text);
	assert_false(there(&outside, "x"));
	/* it went to the place of that name inside */
	text = get(&t, landed);
	assert_string_equal(text, "new\n");
	free(text);
	assert_int_equal(root_chmod(t.fd, "link", 0777, &e), -1);
	assert_int_equal(mode_of(&outside, "secret"), 0644);
	assert_int_equal(root_remove(t.fd, "dirlink", &e), 0);
	assert_true(there(&outside, "secret"));
}

static void keeps_owner_and_mode(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(64);
	struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	put(&t, "etc/old", "a\n", 0640);
	assert_int_equal(fchownat(t.fd, "etc/old", 12, 34, 0), 0);
	buf_addf(&b, "b\n");
	assert_int_equal(root_write(t.fd, "etc/old", &b, 0600, &e), 0);
	assert_int_equal(root_write(t.fd, "etc/new/er", &b, 0604, &e), 0);
	assert_int_equal(fstatat(t.fd, "etc/old", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_uid, 12);
	assert_int_equal(st.st_gid, 34);
	assert_int_equal(mode_of(&t, "etc/new"), 0755);
	assert_int_equal(mode_of(&t, "etc/new/er"), 0604);
}

/* Changing the owner of a set-user-id program must not lose the bit unseen. */
static void chown_keeps_the_mode(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	put(&t, "bin/su", "x", 04755);
	assert_int_equal(root_chown(t.fd, "bin/su", 7, 7, &e), 0);
	assert_int_equal(mode_of(&t, "bin/su"), 04755);
}

static void refuses_what_is_no_file(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(64);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(mkdirat(t.fd, "dir", 0755), 0);
	assert_int_equal(mkfifoat(t.fd, "fifo", 0644), 0);
	assert_int_equal(root_read(t.fd, "dir", &b, NULL, &e), -1);
	assert_int_equal(root_read(t.fd, "fifo", &b, NULL, &e), -1);
	assert_int_equal(root_write(t.fd, "dir", &b, 0644, &e), -1);
	assert_int_equal(root_write(t.fd, "fifo", &b, 0644, &e), -1);
	assert_int_equal(symlinkat("loop", t.fd, "loop"), 0);
	assert_int_equal(root_write(t.fd, "loop", &b, 0644, &e), -1);
}

static void globs(void **state)
{
	static const struct {
		const char *pattern, *found;
	} rows[] = {
	    {"/g/*.conf", "g/a.conf g/b.conf"},
	    {"g/.*", "g/.hidden"},
	    {"g/*/x", "g/d/x g/l/x"},
	    {"g/**/x", "g/d/e/x g/d/x"},
	    {"g/[ab].conf", "g/a.conf g/b.conf"},
	    {"g/none", ""},
	    {"g/d/x/y", ""},
	    {"none/*", ""},
	};

	(void)state;
	put(&t, "g/b.conf", "", 0644);
	put(&t, "g/a.conf", "", 0644);
	put(&t, "g/.hidden", "", 0644);
	put(&t, "g/d/x", "", 0644);
	put(&t, "g/d/e/x", "", 0644);
	assert_int_equal(symlinkat("d", t.fd, "g/l"), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct strv found = {0};
		struct buf b = BUF_INIT(4096);
		struct err e = ERR_INIT;

		assert_int_equal(root_glob(t.fd, rows[i].pattern, &found, &e), 0);
		for (size_t k = 0; k < found.n; k++)
			buf_addf(&b, "%s%s", k == 0 ? "" : " ", found.v[k]);
		assert_string_equal(b.data, rows[i].found);
		buf_release(&b);
		strv_release(&found);
	}
}

static void near_ones_are_what_they_are(void **state)
{
	static const char *const paths[] = {
	    "n/a",    "n/b",  "n/none", "n/d/a", "n/l",     "n/l/a", "n/out", "n/out/passwd",
	    "none/a", "n/..", "n/.",    "..",    "n/d/a/x", "n",     "n/b",   "m/b"};
	struct root_near near SCOPED(root_near_release) = ROOT_NEAR_INIT;

	(void)state;
	put(&t, "n/a", "", 0640);
	put(&t, "n/b", "", 0600);
	put(&t, "n/d/a", "", 0644);
	put(&t, "m/a", "", 0644);
	assert_int_equal(symlinkat("d", t.fd, "n/l"), 0);
	assert_int_equal(symlinkat("/etc", t.fd, "n/out"), 0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct stat want = {0}, is = {0};
		int there = root_stat(t.fd, paths[i], false, &want);

		assert_int_equal(root_stat_near(t.fd, &near, paths[i], &is), there);
		assert_int_equal(is.st_ino, want.st_ino);
		assert_int_equal(is.st_mode, want.st_mode);
	}
}

static void matches(void **state)
{
	(void)state;
	assert_true(root_match("**/.rhosts", ".rhosts"));
	assert_true(root_match("**/.rhosts", "home/a/.rhosts"));
	assert_false(root_match("**/.rhosts", "home/a/x.rhosts"));
	assert_true(root_match("usr/bin/*", "usr/bin/su"));
	assert_false(root_match("usr/bin/*", "usr/bin/x/su"));
	assert_false(root_match("usr/bin/su", "usr/bin/sudo"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(links_stay_inside),           cmocka_unit_test(writes_stay_inside),
	    cmocka_unit_test(keeps_owner_and_mode),        cmocka_unit_test(chown_keeps_the_mode),
	    cmocka_unit_test(refuses_what_is_no_file),     cmocka_unit_test(globs),
	    cmocka_unit_test(near_ones_are_what_they_are), cmocka_unit_test(matches),
	    cmocka_unit_test(is_there_on_a_busy_machine),
	};

	return cmocka_run_group_tests_name("harden-root", tests, set_up, tear_down);
}

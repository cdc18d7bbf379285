/* Small files out of a hostile tar, into memory, and back. */
#include "archive/files.h"

#include "archive-lib.h"
#include "archive-tar.h"
#include <sys/mman.h>

static bool wants_most(void *ctx, const char *path)
{
	(void)ctx;
	return strstr(path, "unwanted") == NULL;
}

static const struct files_want most = {
    .below = "", .wants = wants_most, .bytes_max = 1000, .entries_max = 20};

static int read_items(const struct tar_item *items, size_t n, const struct files_want *w,
		      struct files *ret, struct err *e)
{
	struct buf tar SCOPED(buf_release) = BUF_INIT(1 << 20);
	int fd SCOPED(fd_closep) = memfd_create("tar", MFD_CLOEXEC);
	static const char zeros[1024];

	assert_true(fd >= 0);
	for (size_t i = 0; i < n; i++)
		tar_entry(&tar, &items[i]);
	buf_add(&tar, zeros, sizeof(zeros));
	assert_int_equal(fs_write_all(fd, tar.data, tar.len, e), 0);
	return files_read(fd, w, ret, e);
}

static void what_is_wanted(void **state)
{
	const struct tar_item items[] = {
	    {.name = "etc/", .type = '5', .mode = 0755},
	    {.name = "./etc/shadow", .type = '0', .mode = 06640, .data = "a\0b", .data_n = 3},
	    {.name = "etc/unwanted", .type = '0', .data = "x", .data_n = 1},
	    {.name = "etc/link", .link = "/etc/shadow", .type = '2'},
	    {.name = "etc/hard", .link = "etc/shadow", .type = '1'},
	    {.name = "etc/fifo", .type = '6'},
	    {.name = "etc/empty", .type = '0'},
	};
	const struct files_want w = {
	    .below = "var", .wants = wants_most, .bytes_max = 1000, .entries_max = 20};
	struct files f SCOPED(files_release) = {0}, again SCOPED(files_release) = {0};
	struct buf tar SCOPED(buf_release) = BUF_INIT(1 << 20);
	int fd SCOPED(fd_closep) = memfd_create("tar", MFD_CLOEXEC);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(read_items(items, sizeof(items) / sizeof(items[0]), &w, &f, &e), 0);
	assert_int_equal(f.n, 2);
	assert_string_equal(f.v[0].path, "var/etc/shadow");
	assert_int_equal(f.v[0].mode, S_IFREG | 0640);
	assert_int_equal(f.v[0].n, 3);
	assert_memory_equal(f.v[0].data, "a\0b", 4);
	assert_non_null(files_find(&f, "var/etc/empty"));
	assert_null(files_find(&f, "var/etc"));
	/* as we write it, it is read again */
	assert_int_equal(files_tar(&f, &tar, &e), 0);
	assert_int_equal(fs_write_all(fd, tar.data, tar.len, &e), 0);
	assert_int_equal(files_read(fd, &most, &again, &e), 0);
	assert_int_equal(again.n, 2);
	assert_memory_equal(again.v[0].data, "a\0b", 4);
	assert_string_equal(again.v[0].path, "var/etc/shadow");
}

static void refused(const struct tar_item *items, size_t n, const char *why)
{
	struct files f SCOPED(files_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(read_items(items, n, &most, &f, &e), -1);
	if (strstr(e.msg, why) == NULL)
		fail_msg("%s", e.msg);
	assert_int_equal(f.n, 0);
}

static void hostile(void **state)
{
	static char large[1001];
	const struct tar_item out[] = {
	    {.name = "a", .type = '0', .data = "x", .data_n = 1},
	    {.name = "../etc/passwd", .type = '0', .data = "x", .data_n = 1}};
	const struct tar_item big = {.name = "a", .type = '0', .data = large, .data_n = 1001};
	const struct tar_item two[] = {{.name = "a", .type = '0', .data = large, .data_n = 600},
				       {.name = "b", .type = '0', .data = large, .data_n = 600}};
	const struct tar_item cut = {
	    .name = "a", .type = '0', .data = "x", .data_n = 1, .size = 5000000};
	struct tar_item many[30];

	(void)state;
	for (size_t i = 0; i < 30; i++)
		many[i] = (struct tar_item){.name = "d/", .type = '5'};
	refused(out, 2, "a path that leaves the tree");
	refused(&big, 1, "too large");
	refused(two, 2, "b: too large");
	refused(many, 30, "more than 20 entries");
	refused(&cut, 1, "");
}

static bool enters_some(void *ctx, const char *path)
{
	(void)ctx;
	return strcmp(path, "etc/closed") != 0;
}

/* A tree of links, devices and what is mounted there. */
static void out_of_a_tree(void **state)
{
	struct scratch s = scratch_make();
	struct files f SCOPED(files_release) = {0};
	struct files_want w = most;
	struct err e = ERR_INIT;

	(void)state;
	w.enters = enters_some;
	put(&s, "etc/shadow", "secret", 06640);
	put(&s, "etc/unwanted", "x", 0644);
	put(&s, "etc/deep/er/file", "f", 0644);
	put(&s, "etc/closed/file", "f", 0644);
	put(&s, "out", "of it", 0644);
	assert_int_equal(symlinkat("shadow", s.fd, "etc/link"), 0);
	assert_int_equal(symlinkat("/etc/deep", s.fd, "etc/dir"), 0);
	assert_int_equal(symlinkat("/etc", s.fd, "in"), 0);
	assert_int_equal(symlinkat("../../../../etc", s.fd, "up"), 0);
	assert_int_equal(mkfifoat(s.fd, "etc/fifo", 0644), 0);
	assert_int_equal(files_look(s.fd, "/etc", &w, &f, &e), 0);
	assert_int_equal(f.n, 2);
	assert_string_equal(f.v[0].path, "etc/deep/er/file");
	assert_string_equal(f.v[1].path, "etc/shadow");
	assert_int_equal(f.v[1].mode, S_IFREG | 0640);
	assert_string_equal(f.v[1].data, "secret");
	assert_int_equal(f.v[1].n, 6);
	/* one file, behind links that lead out but for the root */
	assert_int_equal(files_look(s.fd, "/in/shadow", &w, &f, &e), 0);
	assert_int_equal(files_look(s.fd, "/up/shadow", &w, &f, &e), 0);
	assert_int_equal(f.n, 4);
	assert_string_equal(f.v[3].path, "up/shadow");
	assert_string_equal(f.v[3].data, "secret");
	/* what is not there, is a link, or is in none */
	assert_int_equal(files_look(s.fd, "/etc/none", &w, &f, &e), 0);
	assert_int_equal(files_look(s.fd, "/none/none", &w, &f, &e), 0);
	assert_int_equal(files_look(s.fd, "/out/none", &w, &f, &e), 0);
	assert_int_equal(files_look(s.fd, "/etc/link", &w, &f, &e), 0);
	assert_int_equal(files_look(s.fd, "/in", &w, &f, &e), 0);
	assert_int_equal(files_look(s.fd, "/etc/fifo", &w, &f, &e), 0);
	assert_int_equal(f.n, 4);
	scratch_drop(&s);
}

static void another_mount_is_not_of_the_tree(void **state)
{
	struct files f SCOPED(files_release) = {0};
	struct err e = ERR_INIT;
	int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_true(root >= 0);
	assert_int_equal(files_look(root, "/proc/version", &most, &f, &e), 0);
	assert_int_equal(files_look(root, "/proc/self/root/etc/passwd", &most, &f, &e), 0);
	assert_int_equal(f.n, 0);
	(void)close(root);
}

static void too_much_of_a_tree(void **state)
{
	struct scratch s = scratch_make();
	struct files f SCOPED(files_release) = {0};
	struct files_want w = most;
	struct err e = ERR_INIT;

	(void)state;
	put(&s, "etc/a", "12345", 0644);
	put(&s, "etc/b", "12345", 0644);
	w.bytes_max = 9;
	assert_int_equal(files_look(s.fd, "/etc", &w, &f, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
	w.bytes_max = 10;
	w.entries_max = 1;
	assert_int_equal(files_look(s.fd, "/etc", &w, &f, &e), -1);
	assert_string_equal(e.msg, "more than 1 entries");
	w.entries_max = 2;
	w.files_max = 1;
	files_release(&f);
	assert_int_equal(files_look(s.fd, "/etc", &w, &f, &e), -1);
	assert_string_equal(e.msg, "more than 1 files");
	w.files_max = 2;
	files_release(&f);
	assert_int_equal(files_look(s.fd, "/etc", &w, &f, &e), 0);
	assert_int_equal(f.n, 2);
	scratch_drop(&s);
}

static void lay_text(struct files *f, const char *path, mode_t mode, const char *text)
{
	struct small_file like = {.path = (char *)(uintptr_t)path, .mode = mode};

	like.uid = getuid();
	like.gid = getgid();
	files_put_text(f, &like, text);
}

static void assert_mode(const struct scratch *s, const char *path, mode_t mode)
{
	struct stat st;

	assert_int_equal(fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode, mode);
}

static void assert_text(const struct scratch *s, const char *path, const char *text)
{
	struct buf got SCOPED(buf_release) = BUF_INIT(100);
	struct err e = ERR_INIT;

	assert_int_equal(fs_get(s->fd, path, &got, &e), 0);
	assert_string_equal(got.data, text);
}

static void into_a_tree(void **state)
{
	struct scratch s = scratch_make();
	struct files f SCOPED(files_release) = {0};
	struct strv names SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	put(&s, "root/etc/shadow", "old", 0644);
	put(&s, "root/etc/kept", "kept", 0600);
	put(&s, "outside/shadow", "host", 0644);
	put(&s, "outside/x", "host", 0644);
	/* a link in a file's place, and links above one that lead out but for the root */
	assert_int_equal(symlinkat("../../outside/x", s.fd, "root/etc/link"), 0);
	assert_int_equal(symlinkat("../outside", s.fd, "root/up"), 0);
	assert_int_equal(mkdirat(s.fd, "root/outside", 0755), 0);
	lay_text(&f, "etc/shadow", S_IFREG | 0640, "new");
	lay_text(&f, "etc/link", S_IFREG | 0600, "plain");
	lay_text(&f, "up/shadow", S_IFREG | 0600, "inside");
	lay_text(&f, "var/spool/cron/alice", S_IFREG | 0600, "0 3");
	lay_text(&f, "home/clerk", S_IFDIR | 0700, "");
	for (int i = 0; i < 2; i++) {
		int root SCOPED(fd_closep) =
		    openat(s.fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		assert_int_equal(files_lay(root, &f, &e), 0);
	}
	assert_text(&s, "root/etc/shadow", "new");
	assert_mode(&s, "root/etc/shadow", S_IFREG | 0640);
	assert_text(&s, "root/etc/kept", "kept");
	assert_text(&s, "root/etc/link", "plain");
	assert_mode(&s, "root/etc/link", S_IFREG | 0600);
	assert_text(&s, "root/outside/shadow", "inside");
	assert_text(&s, "root/var/spool/cron/alice", "0 3");
	assert_mode(&s, "root/home/clerk", S_IFDIR | 0700);
	assert_text(&s, "outside/shadow", "host");
	assert_text(&s, "outside/x", "host");
	/* and nothing of the way there */
	assert_int_equal(fs_list(s.fd, "root/home", &names, &e), 0);
	assert_int_equal(fs_list(s.fd, "root/etc", &names, &e), 0);
	assert_int_equal(names.n, 4);
	scratch_drop(&s);
}

static void not_into_a_tree(void **state)
{
	static const char *const paths[] = {"../x", "/etc/x", "etc/../../x", ""};
	struct scratch s = scratch_make();
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct files f SCOPED(files_release) = {0};

		lay_text(&f, paths[i], S_IFREG | 0600, "x");
		assert_int_equal(files_lay(s.fd, &f, &e), -1);
		assert_string_equal(e.msg, "a path that leaves the tree");
	}
	scratch_drop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_wanted),
	    cmocka_unit_test(hostile),
	    cmocka_unit_test(out_of_a_tree),
	    cmocka_unit_test(another_mount_is_not_of_the_tree),
	    cmocka_unit_test(too_much_of_a_tree),
	    cmocka_unit_test(into_a_tree),
	    cmocka_unit_test(not_into_a_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

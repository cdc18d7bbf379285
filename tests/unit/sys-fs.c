/* Files: whole or not at all, walks in order, no surprises by links. */
#include "sys/fs.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char scratch[] = "/tmp/sys-fs.XXXXXX";
static int top = -1;

static int setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)umask(022);
	/* what one of the tests mounts is nobody else's, and ends with us */
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return -1;
	return mkdtemp(scratch) != NULL ? fs_open_dir(AT_FDCWD, scratch, &top, &e) : -1;
}

static int teardown(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)close(top);
	return fs_rmtree(AT_FDCWD, scratch, &e);
}

static void ok(int rc, const struct err *e)
{
	if (rc != 0)
		fail_msg("%s", e->msg);
}

static void assert_file(const char *name, const char *wanted)
{
	struct buf b = BUF_INIT(1000);
	struct err e = ERR_INIT;

	ok(fs_get(top, name, &b, &e), &e);
	assert_string_equal(b.data, wanted);
	buf_release(&b);
}

static void make(const char *name, const char *text)
{
	char *path = mem_format("%s/%s", scratch, name);
	struct err e = ERR_INIT;

	ok(fs_put_path(path, text, strlen(text), 0640, &e), &e);
	free(path);
}

static void assert_names(const char *dir, const char *wanted)
{
	struct strv l = {0};
	struct buf b = BUF_INIT(10000);
	struct err e = ERR_INIT;

	ok(fs_list(top, dir, &l, &e), &e);
	for (size_t i = 0; i < l.n; i++)
		buf_addf(&b, "%s%s", i > 0 ? " " : "", l.v[i]);
	assert_string_equal(b.data, wanted);
	buf_release(&b);
	strv_release(&l);
}

static void put_replaces_and_leaves_nothing_else(void **state)
{
	struct err e = ERR_INIT;
	char *path = mem_format("%s/d/by-path", scratch), *none = mem_format("%s/x/y", scratch);
	struct stat st;

	(void)state;
	ok(fs_mkdirs(top, "d", 0755, &e), &e);
	make("d/file", "");
	make("d/file", "old");
	make("d/file", "new");
	assert_file("d/file", "new");
	assert_int_equal(fstatat(top, "d/file", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_nlink, 1);
	ok(fs_put_path(path, "x\n", 2, 0600, &e), &e);
	assert_names("d", "by-path file");
	assert_int_equal(fs_put_path(none, "x", 1, 0600, &e), -1);
	assert_int_equal(e.sys, ENOENT);
	assert_int_equal(fs_put(AT_FDCWD, "x", "x", 1, 0600, &e), -1);
	free(path);
	free(none);
}

/* Not even when the temporary name is taken: by a crash before, or our number elsewhere. */
static void put_gets_by_leftovers(void **state)
{
	struct err e = ERR_INIT;
	char *left = mem_format(".file.new.%ld.0", (long)getpid());
	char *path = mem_format("%s/e/%s", scratch, left);
	int dir SCOPED(fd_closep) = -1;

	(void)state;
	ok(fs_mkdirs(top, "e", 0755, &e), &e);
	ok(fs_open_dir(top, "e", &dir, &e), &e);
	ok(fs_put_path(path, "left", 4, 0600, &e), &e);
	ok(fs_put(dir, "file", "new", 3, 0600, &e), &e);
	assert_file("e/file", "new");
	/* a directory in its place stays, and no file beside it */
	ok(fs_mkdirs(top, "e/dir/sub", 0755, &e), &e);
	assert_int_equal(fs_put(dir, "dir", "x", 1, 0600, &e), -1);
	(void)unlinkat(dir, left, 0);
	assert_names("e", "dir file");
	free(left);
	free(path);
}

static void get_keeps_nothing_half(void **state)
{
	struct buf b = BUF_INIT(10);
	struct err e = ERR_INIT;

	(void)state;
	make("five", "12345");
	make("nine", "123456789");
	ok(fs_get(top, "five", &b, &e), &e);
	ok(fs_get(top, "five", &b, &e), &e);
	assert_string_equal(b.data, "1234512345");
	buf_cut(&b, 5);
	assert_int_equal(fs_get(top, "nine", &b, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_string_equal(e.msg, "nine: larger than 10 bytes");
	assert_string_equal(b.data, "12345");
	ok(fs_get(top, "five", &b, &e), &e); /* and goes on */
	assert_int_equal(fs_get(top, "absent", &b, &e), -1);
	assert_int_equal(e.sys, ENOENT);
	assert_int_equal(fs_get(top, ".", &b, &e), -1);
	assert_int_equal(e.sys, EISDIR);
	buf_release(&b);
}

static void whole_reads_and_writes(void **state)
{
	struct err e = ERR_INIT;
	char in[4] = "";
	int p[2], full = open("/dev/full", O_WRONLY);

	(void)state;
	assert_int_equal(pipe(p), 0);
	ok(fs_write_all(p[1], "abc", 3, &e), &e);
	(void)close(p[1]);
	ok(fs_read_all(p[0], in, 2, &e), &e);
	assert_string_equal(in, "ab");
	assert_int_equal(fs_read_all(p[0], in, 3, &e), -1);
	assert_string_equal(e.msg, "ends 2 bytes early");
	assert_int_equal(fs_write_all(full, "x", 1, &e), -1);
	assert_int_equal(e.sys, ENOSPC);
	(void)close(p[0]);
	(void)close(full);
}

static void directories_are_made_and_kept(void **state)
{
	struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	ok(fs_mkdirs(top, "m/n/o/", 0700, &e), &e);
	ok(fs_mkdirs(top, "m/n", 0755, &e), &e);
	assert_int_equal(fstatat(top, "m/n", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	ok(fs_mkdirs(AT_FDCWD, "/", 0755, &e), &e);
	make("m/file", "");
	assert_int_equal(fs_mkdirs(top, "m/file", 0755, &e), -1);
	assert_int_equal(fs_mkdirs(top, "m/file/x", 0755, &e), -1);
	assert_int_equal(fs_mkdirs(top, "", 0755, &e), -1);
}

static void rmtree_follows_no_links(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	ok(fs_mkdirs(top, "keep/me", 0755, &e), &e);
	ok(fs_mkdirs(top, "rm/a/b", 0755, &e), &e);
	assert_int_equal(symlinkat("../../keep", top, "rm/a/link"), 0);
	assert_int_equal(symlinkat("keep", top, "rmlink"), 0);
	make("rm/a/b/file", "");
	ok(fs_rmtree(top, "rm", &e), &e);
	ok(fs_rmtree(top, "rmlink", &e), &e);
	ok(fs_rmtree(top, "absent", &e), &e);
	make("file", "");
	ok(fs_rmtree(top, "file", &e), &e);
	assert_names("keep", "me");
	assert_int_equal(faccessat(top, "rm", F_OK, 0), -1);
}

static void rmtree_stays_on_its_file_system(void **state)
{
	struct err e = ERR_INIT;
	char *at = mem_format("%s/mnt/on", scratch), *file = mem_format("%s/precious", at);
	char *other = mem_format("%s/other", scratch), *theirs = mem_format("%s/x", other);

	(void)state;
	ok(fs_mkdirs(top, "mnt/on", 0755, &e), &e);
	assert_int_equal(mount("tmpfs", at, "tmpfs", 0, "size=64k"), 0);
	ok(fs_put_path(file, "x", 1, 0600, &e), &e);
	assert_int_equal(fs_rmtree(top, "mnt", &e), -1);
	assert_non_null(strstr(e.msg, "a file system is mounted there"));
	assert_int_equal(access(file, F_OK), 0);
	assert_int_equal(umount(at), 0);
	/* and not to another place of the same */
	ok(fs_mkdirs(top, "other", 0755, &e), &e);
	ok(fs_put_path(theirs, "x", 1, 0600, &e), &e);
	assert_int_equal(mount(other, at, NULL, MS_BIND, NULL), 0);
	assert_int_equal(fs_rmtree(top, "mnt", &e), -1);
	assert_int_equal(umount(at), 0);
	assert_int_equal(access(theirs, F_OK), 0);
	ok(fs_rmtree(top, "other", &e), &e);
	ok(fs_rmtree(top, "mnt", &e), &e);
	free(other);
	free(theirs);
	free(at);
	free(file);
}

/* A tree that is deeper than any path may be long, and than there are descriptors. */
/* Two builds may sweep after the same dead one. */
static void rmtree_beside_rmtree(void **state)
{
	enum { DIRS = 200, ROUNDS = 10, BESIDE = 3 };
	struct err e = ERR_INIT;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		int status, bad = 0;

		for (int i = 0; i < DIRS; i++) {
			char path[64];

			(void)snprintf(path, sizeof(path), "both/%d/in", i);
			ok(fs_mkdirs(top, path, 0755, &e), &e);
		}
		for (int i = 0; i < BESIDE; i++)
			if (fork() == 0) {
				if (fs_rmtree(top, "both", &e) == 0)
					_exit(0);
				(void)fprintf(stderr, "%s\n", e.msg);
				_exit(1);
			}
		while (wait(&status) > 0)
			bad += status != 0;
		assert_int_equal(bad, 0);
		assert_int_equal(faccessat(top, "both", F_OK, 0), -1);
	}
}

static void rmtree_of_a_deep_tree(void **state)
{
	enum { DEEP = 4500 };
	const struct rlimit few = {200, 200};
	struct err e = ERR_INIT;
	int at;

	(void)state;
	ok(fs_open_dir(top, ".", &at, &e), &e);
	for (int i = 0; i < DEEP; i++) {
		int down;

		assert_int_equal(mkdirat(at, i == 0 ? "deep" : "d", 0755), 0);
		down = openat(at, i == 0 ? "deep" : "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(down >= 0);
		(void)close(at);
		at = down;
	}
	(void)close(at);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	ok(fs_rmtree(top, "deep", &e), &e);
	assert_int_equal(faccessat(top, "deep", F_OK, 0), -1);
}

static int note(void *ctx, const struct fs_entry *en, struct err *e)
{
	buf_addf(ctx, "%s%s ", en->path, S_ISDIR(en->st.st_mode) ? "/" : "");
	if (strcmp(en->name, "stop") == 0)
		return err_set(e, ERR_FAIL, "stopped");
	return strcmp(en->name, "skip") == 0;
}

static void walks_are_in_byte_order(void **state)
{
	struct buf b = BUF_INIT(1000);
	struct err e = ERR_INIT;
	int dir SCOPED(fd_closep) = -1;

	(void)state;
	ok(fs_mkdirs(top, "w/a/x", 0755, &e), &e);
	ok(fs_mkdirs(top, "w/skip/x", 0755, &e), &e);
	make("w/a-b", "");
	make("w/B", "");
	make("w/\xc3\xa4", "");
	assert_int_equal(symlinkat("a", top, "w/l"), 0);
	ok(fs_open_dir(top, "w", &dir, &e), &e);
	ok(fs_walk(dir, note, &b, &e), &e);
	assert_string_equal(b.data, "B a/ a/x/ a-b l skip/ \xc3\xa4 ");
	buf_cut(&b, 0);
	make("w/a/stop", "");
	assert_int_equal(fs_walk(dir, note, &b, &e), -1);
	assert_string_equal(e.msg, "stopped");
	assert_string_equal(b.data, "B a/ a/stop ");
	buf_release(&b);
}

static int count(void *ctx, const struct fs_entry *en, struct err *e)
{
	(void)en;
	(void)e;
	*(int *)ctx += 1;
	return 0;
}

static void types_of_names(void **state)
{
	struct fs_names names SCOPED(fs_names_release) = {0};
	struct err e = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	(void)state;
	ok(fs_mkdirs(top, "types/b", 0755, &e), &e);
	make("types/c", "");
	assert_int_equal(symlinkat("b", top, "types/a"), 0);
	ok(fs_open_dir(top, "types", &fd, &e), &e);
	ok(fs_list_types(fd, &names, &e), &e);
	assert_int_equal(names.n, 3);
	assert_string_equal(names.v[0].name, "a");
	assert_int_equal(names.v[0].type, DT_LNK);
	assert_string_equal(names.v[1].name, "b");
	assert_int_equal(names.v[1].type, DT_DIR);
	assert_string_equal(names.v[2].name, "c");
	assert_int_equal(names.v[2].type, DT_REG);
}

/* Where the caller has read a directory to is his: a walk sees all of it. */
static void walks_begin_at_the_start(void **state)
{
	struct fs_names names SCOPED(fs_names_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);
	struct err e = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	(void)state;
	ok(fs_mkdirs(top, "again/b", 0755, &e), &e);
	make("again/a", "");
	ok(fs_open_dir(top, "again", &fd, &e), &e);
	ok(fs_list_types(fd, &names, &e), &e);
	ok(fs_walk(fd, note, &b, &e), &e);
	assert_string_equal(b.data, "a b/ ");
}

static int note_type(void *ctx, const struct fs_entry *en, struct err *e)
{
	(void)e;
	buf_addf(ctx, "%s%c ", en->path,
		 S_ISDIR(en->st.st_mode)   ? '/'
		 : S_ISLNK(en->st.st_mode) ? '@'
		 : S_ISREG(en->st.st_mode) ? '-'
					   : '?');
	return 0;
}

static void walks_by_type_alone(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);
	struct err e = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	(void)state;
	ok(fs_mkdirs(top, "kinds/b/c", 0755, &e), &e);
	make("kinds/b/c/d", "");
	make("kinds/b-a", "");
	assert_int_equal(symlinkat("b", top, "kinds/a"), 0);
	assert_int_equal(mkfifoat(top, "kinds/p", 0600), 0);
	ok(fs_open_dir(top, "kinds", &fd, &e), &e);
	ok(fs_walk_types(fd, note_type, &b, &e), &e);
	assert_string_equal(b.data, "a@ b/ b/c/ b/c/d- b-a- p? ");
}

/* Takes away what comes next. */
static int take(void *ctx, const struct fs_entry *en, struct err *e)
{
	const char *const *gone = ctx;

	if (strcmp(en->name, "a") == 0)
		assert_int_equal(unlinkat(top, gone[0], 0), 0);
	if (strcmp(en->name, "c") == 0) {
		assert_int_equal(unlinkat(top, "used/c", AT_REMOVEDIR), 0);
		assert_int_equal(symlinkat("/", top, "used/c"), 0);
	}
	return strcmp(en->name, "c") == 0 || en->path[1] == '\0' ? 0 : err_set(e, ERR_FAIL, "left");
}

static void walks_while_things_go(void **state)
{
	const char *gone[] = {"used/b"};
	struct err e = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	(void)state;
	ok(fs_mkdirs(top, "used/c", 0755, &e), &e);
	make("used/a", "");
	make("used/b", "");
	ok(fs_open_dir(top, "used", &fd, &e), &e);
	assert_int_equal(fs_walk(fd, take, gone, &e), -1);
	assert_int_equal(e.sys, ENOENT);
	make("used/b", "");
	e = (struct err)ERR_INIT;
	ok(fs_walk_living(fd, take, gone, &e), &e);
	assert_int_equal(e.sys, 0);
}

static void walks_have_an_end(void **state)
{
	enum { DEEP = 3000 };
	struct err e = ERR_INIT;
	int dir SCOPED(fd_closep) = -1;
	int at, n = 0;

	(void)state;
	ok(fs_mkdirs(top, "endless", 0755, &e), &e);
	ok(fs_open_dir(top, "endless", &dir, &e), &e);
	at = dup(dir);
	for (int i = 0; i < DEEP; i++) {
		int down;

		assert_int_equal(mkdirat(at, "d", 0755), 0);
		down = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		(void)close(at);
		at = down;
	}
	(void)close(at);
	assert_int_equal(fs_walk(dir, count, &n, &e), -1);
	assert_non_null(strstr(e.msg, "deeper than"));
	assert_true(n < DEEP);
	ok(fs_rmtree(top, "endless", &e), &e);
}

static void copies_what_pretends_to_be_empty(void **state)
{
	struct err e = ERR_INIT;
	struct stat st;
	int in = open("/proc/self/limits", O_RDONLY);
	int out = openat(top, "limits", O_RDWR | O_CREAT, 0600);
	uint64_t n = 0;

	(void)state;
	assert_int_equal(fstat(in, &st), 0);
	assert_int_equal(st.st_size, 0);
	ok(fs_copy_fd(in, out, &n, &e), &e);
	assert_int_equal(fstat(out, &st), 0);
	assert_true(n > 100 && (uint64_t)st.st_size == n);
	(void)close(in);
	in = openat(top, "limits", O_RDONLY);
	(void)close(out);
	out = openat(top, "copy", O_RDWR | O_CREAT, 0600);
	ok(fs_copy_fd(in, out, NULL, &e), &e);
	assert_int_equal(fstat(out, &st), 0);
	assert_int_equal(st.st_size, n);
	(void)close(out);
	out = open("/dev/full", O_WRONLY);
	(void)lseek(in, 0, SEEK_SET);
	assert_int_equal(fs_copy_fd(in, out, NULL, &e), -1);
	assert_int_equal(e.sys, ENOSPC);
	(void)close(in);
	(void)close(out);
}

static void paths(void **state)
{
	static const char *const t[][3] = {{"a", ".", "a"},     {"/a", "/", "a"},
					   {"/", "/", ""},      {"a/b", "a", "b"},
					   {"a/b/", "a/b", ""}, {"//a", "/", "a"}};
	static const char *const bad[] = {"",     "/",    "/a", ".",   "..",    "a/..",
					  "../a", "a//b", "a/", "./a", "a/./b", "a/../b"};
	static const char *const good[] = {"a", "a/b", "...", ".a", "a..", "..a/b.", "\n", " "};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char *d = fs_dirname(t[i][0]), *b = fs_basename(t[i][0]);

		assert_string_equal(d, t[i][1]);
		assert_string_equal(b, t[i][2]);
		free(d);
		free(b);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(fs_relative_ok(bad[i]));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(fs_relative_ok(good[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(put_replaces_and_leaves_nothing_else),
	    cmocka_unit_test(put_gets_by_leftovers),
	    cmocka_unit_test(get_keeps_nothing_half),
	    cmocka_unit_test(whole_reads_and_writes),
	    cmocka_unit_test(directories_are_made_and_kept),
	    cmocka_unit_test(rmtree_follows_no_links),
	    cmocka_unit_test(rmtree_stays_on_its_file_system),
	    cmocka_unit_test(rmtree_beside_rmtree),
	    cmocka_unit_test(walks_are_in_byte_order),
	    cmocka_unit_test(types_of_names),
	    cmocka_unit_test(walks_begin_at_the_start),
	    cmocka_unit_test(walks_by_type_alone),
	    cmocka_unit_test(walks_while_things_go),
	    cmocka_unit_test(walks_have_an_end),
	    cmocka_unit_test(copies_what_pretends_to_be_empty),
	    cmocka_unit_test(paths),
	    cmocka_unit_test(rmtree_of_a_deep_tree), /* last: it leaves few descriptors */
	};

	return cmocka_run_group_tests_name("sys-fs", tests, setup, teardown);
}

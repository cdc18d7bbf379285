/* What a stage made: the same is the same, and any difference that an image shows is one. */
#include "build/contents.h"
#include "sandbox/sandbox.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	char dir[64];
	int fd;
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof(*f));
	struct err e = ERR_INIT;

	memcpy(f->dir, "/tmp/posmedia-contents.XXXXXX", 30);
	if (mkdtemp(f->dir) == NULL || fs_open_dir(AT_FDCWD, f->dir, &f->fd, &e) != 0)
		return -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	fd_closep(&f->fd);
	assert_int_equal(fs_rmtree(AT_FDCWD, f->dir, &e), 0);
	free(f);
	return 0;
}

static void put(struct fixture *f, const char *path, const char *text, time_t when)
{
	char *full SCOPED(mem_freep) = fs_join(f->dir, path);
	struct timespec ts[2] = {{when, 0}, {when, 0}};
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(full, text, strlen(text), 0644, &e), 0);
	assert_int_equal(utimensat(f->fd, path, ts, 0), 0);
}

/* The output of the tree, its times kept up to 1000. */
static struct digest output(struct fixture *f)
{
	const struct contents_times times = {.kept = true, .epoch = 1000};
	char *tree SCOPED(mem_freep) = fs_join(f->dir, "tree");
	struct contents c = {0};
	struct err e = ERR_INIT;
	struct digest d;

	if (contents_scan(tree, &times, &c, &e) != 0)
		fail_msg("%s", e.msg);
	assert_true(c.loaded);
	d = c.output;
	contents_release(&c);
	return d;
}

static void tree(struct fixture *f)
{
	struct err e = ERR_INIT;

	assert_int_equal(fs_rmtree(f->fd, "tree", &e), 0);
	assert_int_equal(fs_mkdirs(f->fd, "tree/etc", 0755, &e), 0);
	put(f, "tree/etc/a", "a", 500);
	put(f, "tree/etc/b", "b", 2000);
	assert_int_equal(linkat(f->fd, "tree/etc/a", f->fd, "tree/etc/c", 0), 0);
	assert_int_equal(symlinkat("a", f->fd, "tree/etc/link"), 0);
}

static void what_does_not_count(void **state)
{
	struct fixture *f = *state;
	struct timespec ts[2] = {{77, 0}, {77, 0}};
	struct digest before, after;

	tree(f);
	before = output(f);
	tree(f);
	put(f, "tree/etc/b", "b", 3000); /* both are later than the image */
	assert_int_equal(utimensat(f->fd, "tree/etc", ts, 0), 0);
	assert_int_equal(mkfifoat(f->fd, "tree/etc/pipe", 0600), 0);
	after = output(f);
	assert_true(digest_equal(&before, &after));
}

static void what_counts(void **state)
{
	static const char *const changes[] = {
	    "printf x >a",      "rm b",
	    "touch d",          "mkdir d",
	    "chmod 600 a",      "chmod 700 .",
	    "chown 7 b",        "chgrp 7 link -h",
	    "ln -sf b link",    "rm c; cp -p a c",
	    "touch -d @501 a",  "touch -d @900 b",
	    "mknod gone c 0 0",
	};
	struct fixture *f = *state;
	struct digest before;

	tree(f);
	before = output(f);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		char *command SCOPED(mem_freep) =
		    mem_format("cd %s/tree/etc && { %s; }", f->dir, changes[i]);
		struct digest after;

		tree(f);
		assert_int_equal(system(command), 0);
		after = output(f);
		if (digest_equal(&before, &after))
			fail_msg("does not count: %s", changes[i]);
	}
}

static void attributes_count(void **state)
{
	struct fixture *f = *state;
	char *path SCOPED(mem_freep) = fs_join(f->dir, "tree/etc/a");
	char *dir SCOPED(mem_freep) = fs_join(f->dir, "tree/etc");
	struct digest before, after;

	tree(f);
	before = output(f);
	assert_int_equal(setxattr(path, "user.x", "1", 1, 0), 0);
	after = output(f);
	assert_false(digest_equal(&before, &after));
	assert_int_equal(removexattr(path, "user.x"), 0);
	assert_int_equal(setxattr(dir, sandbox_opaque_mark(), "y", 1, 0), 0);
	after = output(f);
	assert_false(digest_equal(&before, &after));
}

static void it_is_kept_and_checked(void **state)
{
	const struct contents_times times = {.epoch = 1000};
	struct fixture *f = *state;
	char *tree_path SCOPED(mem_freep) = fs_join(f->dir, "tree");
	char *path SCOPED(mem_freep) = fs_join(f->dir, "contents");
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct contents c = {0}, again = {0};
	struct digest a = digest_of("a", 1);
	struct err e = ERR_INIT;

	tree(f);
	assert_int_equal(contents_scan(tree_path, &times, &c, &e), 0);
	assert_int_equal(contents_save(&c, path, &e), 0);
	assert_int_equal(contents_load(path, &again, &e), 0);
	assert_true(again.loaded && digest_equal(&c.output, &again.output));
	assert_true(digest_equal(contents_find(&again, "etc/c"), &a));
	assert_null(contents_find(&again, "etc/link"));
	assert_int_equal(again.tree.n, 5);
	assert_string_equal(tree_find(&again.tree, "etc/link")->link, "a");
	contents_release(&again);
	contents_release(&c);

	assert_int_equal(fs_get(AT_FDCWD, path, &b, &e), 0);
	for (size_t i = 0; i < b.len; i += 7) {
		b.data[i] ^= 1;
		assert_int_equal(fs_put_path(path, b.data, b.len, 0644, &e), 0);
		assert_int_equal(contents_load(path, &again, &e), -1);
		assert_int_equal(e.kind, ERR_VERIFY);
		b.data[i] ^= 1;
	}
	for (size_t n = 0; n < b.len; n += 11) {
		assert_int_equal(fs_put_path(path, b.data, n, 0644, &e), 0);
		assert_int_equal(contents_load(path, &again, &e), -1);
	}
}

/* An overlay that the kernel mounts shows what contents_merge says. */
static void as_the_kernel_merges(void **state)
{
	static const char make[] =
	    "cd %s && rm -rf l u w m && mkdir l u w m && cd l && mkdir -p a/b c/d e gone && "
	    "echo 1 >a/b/f && ln a/b/f a/b/g && echo 2 >a-b && echo 3 >c/d/x && echo 4 >e/y && "
	    "ln -s a link && echo 5 >gone/z && echo 6 >dir && mkdir -p turns/into && "
	    "for n in gone c turns; do echo 1 >$n-1; echo 2 >${n}0; mkdir $n.d; echo 3 >$n.d/x; "
	    "done "
	    "&& cd ..";
	static const char change[] =
	    "cd %s && mount -t overlay none -o lowerdir=l,upperdir=u,workdir=w m && cd m && "
	    "echo 7 >a/b/new && rm -r gone && rm -r c && mkdir c && echo 8 >c/k && chmod 700 e && "
	    "rm link && rm dir && mkdir dir && echo 9 >dir/in && rm -r turns && echo 0 >turns && "
	    "rm a/b/g && echo 1 >a/b/h && ln a/b/h a/i";
	const struct contents_times times = {.epoch = 1000};
	struct fixture *f = *state;
	char *before SCOPED(mem_freep) = mem_format(make, f->dir);
	char *command SCOPED(mem_freep) = mem_format(change, f->dir);
	char *file SCOPED(mem_freep) = fs_join(f->dir, "l/a/b/f");
	char *end SCOPED(mem_freep) = mem_format("umount %s/m", f->dir);
	char *low SCOPED(mem_freep) = fs_join(f->dir, "l"),
		  *up SCOPED(mem_freep) = fs_join(f->dir, "u");
	struct contents v[2] = {0};
	struct tree want = {0}, is = {0};
	struct err e = ERR_INIT;
	int fd;

	assert_int_equal(system(before), 0);
	assert_int_equal(setxattr(file, "user.n", "v", 1, 0), 0);
	assert_int_equal(system(command), 0);
	fd = openat(f->fd, "m", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(tree_scan(fd, &want, NULL, &e), 0);
	(void)close(fd);
	assert_int_equal(system(end), 0);
	assert_int_equal(contents_scan(low, &times, &v[0], &e), 0);
	assert_int_equal(contents_scan(up, &times, &v[1], &e), 0);
	contents_merge(v, 2, &is);
	assert_int_equal(is.n, want.n);
	for (size_t i = 0; i < is.n; i++) {
		const struct tree_entry *a = &is.v[i], *b = &want.v[i];

		assert_string_equal(a->path, b->path);
		if (a->mode != b->mode || a->size != b->size || a->inode != b->inode ||
		    a->xattrs_n != b->xattrs_n || (a->link == NULL) != (b->link == NULL))
			fail_msg("%s", a->path);
	}
	tree_release(&is);
	tree_release(&want);
	contents_release(&v[0]);
	contents_release(&v[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_does_not_count, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_counts, setup, teardown),
	    cmocka_unit_test_setup_teardown(attributes_count, setup, teardown),
	    cmocka_unit_test_setup_teardown(it_is_kept_and_checked, setup, teardown),
	    cmocka_unit_test_setup_teardown(as_the_kernel_merges, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

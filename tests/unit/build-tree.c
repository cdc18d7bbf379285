#include "build/job.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

	memcpy(f->dir, "/tmp/posmedia-build.XXXXXX", 27);
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

static void put(struct fixture *f, const char *path, const char *text, mode_t mode)
{
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	char *full SCOPED(mem_freep) = fs_join(f->dir, path);
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(f->fd, dir, 0755, &e), 0);
	assert_int_equal(fs_put_path(full, text, strlen(text), 0600, &e), 0);
	assert_int_equal(chmod(full, mode), 0);
}

static void is(struct fixture *f, const char *path, const char *text, mode_t mode)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1000);
	struct err e = ERR_INIT;
	struct stat st;

	assert_int_equal(fs_get(f->fd, path, &b, &e), 0);
	assert_string_equal(b.data, text);
	assert_int_equal(fstatat(f->fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode & 07777, mode);
}

static int lay(struct fixture *f, const char *to, struct err *e)
{
	char *from SCOPED(mem_freep) = fs_join(f->dir, "from");
	char *root SCOPED(mem_freep) = fs_join(f->dir, "root");
	struct recipe_overlay o = {
	    .from = from, .to = (char *)(uintptr_t)to, .uid = 7, .gid = 8, .pos = {"r.yaml", 3, 4}};

	return job_overlay(&o, root, e);
}

static void overlay_takes_content_and_executable_bit(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct stat st;

	put(f, "from/etc/motd", "hello", 0600);
	put(f, "from/bin/run", "#!", 0700);
	put(f, "root/etc/motd", "old", 0640);
	assert_int_equal(lay(f, "/", &e), 0);
	is(f, "root/etc/motd", "hello", 0644);
	is(f, "root/bin/run", "#!", 0755);
	assert_int_equal(fstatat(f->fd, "root/etc/motd", &st, 0), 0);
	assert_int_equal(st.st_uid, 7);
	assert_int_equal(st.st_gid, 8);
	assert_int_equal(fstatat(f->fd, "root/etc", &st, 0), 0);
	assert_int_equal(st.st_uid, 0); /* a directory that was there keeps its owner */
	assert_int_equal(fstatat(f->fd, "root/bin", &st, 0), 0);
	assert_int_equal(st.st_uid, 7);
}

static void overlay_follows_links_only_inside_the_image(void **state)
{
	struct fixture *f = *state;
	char *outside SCOPED(mem_freep) = fs_join(f->dir, "outside");
	struct err e = ERR_INIT;

	put(f, "from/bin/tool", "tool", 0755);
	put(f, "from/abs/x", "x", 0644);
	put(f, "root/usr/bin/sh", "sh", 0755);
	put(f, "outside/keep", "k", 0644);
	assert_int_equal(symlinkat("usr/bin", f->fd, "root/bin"), 0);
	/* as seen from inside, this absolute link names root/<dir>/outside, which is not there */
	assert_int_equal(symlinkat(outside, f->fd, "root/abs"), 0);
	assert_int_equal(lay(f, "/", &e), -1);
	assert_non_null(strstr(e.msg, "r.yaml:3:4"));
	assert_int_equal(unlinkat(f->fd, "root/abs", 0), 0);
	assert_int_equal(lay(f, "/", &e), 0);
	is(f, "root/usr/bin/tool", "tool", 0755);
	assert_int_equal(faccessat(f->fd, "outside/x", F_OK, 0), -1);
}

static void overlay_goes_to_a_place_inside_the_image(void **state)
{
	struct fixture *f = *state;
	char *outside SCOPED(mem_freep) = fs_join(f->dir, "outside");
	struct err e = ERR_INIT;

	put(f, "from/file", "x", 0644);
	put(f, "outside/keep", "k", 0644);
	put(f, "root/data/keep", "k", 0644);
	assert_int_equal(symlinkat(outside, f->fd, "root/out"), 0);
	assert_int_equal(symlinkat("/data", f->fd, "root/in"), 0);
	assert_int_equal(lay(f, "/out/deep/er", &e), -1);
	assert_int_equal(faccessat(f->fd, "outside/deep", F_OK, 0), -1);
	assert_int_equal(lay(f, "/in/deep/er", &e), 0);
	is(f, "root/data/deep/er/file", "x", 0644);
	put(f, "from/in/file", "y", 0644); /* a directory over a link to one */
	assert_int_equal(lay(f, "/", &e), 0);
	is(f, "root/data/file", "y", 0644);
}

static void overlay_replaces_links(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	char text[64] = "";

	put(f, "from/etc/plain", "new", 0644);
	put(f, "root/etc/target", "stays", 0644);
	assert_int_equal(symlinkat("target", f->fd, "root/etc/plain"), 0);
	assert_int_equal(symlinkat("somewhere", f->fd, "from/etc/link"), 0);
	assert_int_equal(lay(f, "/", &e), 0);
	is(f, "root/etc/plain", "new", 0644);
	is(f, "root/etc/target", "stays", 0644);
	assert_int_equal(readlinkat(f->fd, "root/etc/link", text, sizeof(text) - 1), 9);
	assert_string_equal(text, "somewhere");
}

static int writes(struct fixture *f, const char *const *dirs, struct err *e)
{
	struct strv trees SCOPED(strv_release) = {0};
	struct recipe_step st = {.name = (char *)(uintptr_t) "install", .pos = {"r.yaml", 9, 5}};
	char *upper SCOPED(mem_freep) = fs_join(f->dir, "upper");
	int rc;

	strv_addf(&trees, "%s/base", f->dir);
	for (; *dirs != NULL; dirs++)
		strv_add(&st.writes, *dirs);
	rc = job_writes(&st, upper, &trees, e);
	strv_release(&st.writes);
	return rc;
}

static void only_declared_writes_pass(void **state)
{
	static const char *const opt[] = {"/opt", NULL}, *const etc[] = {"/opt/", "/etc/app", NULL},
				 *const all[] = {"/", NULL}, *const none[] = {NULL};
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	put(f, "base/etc/passwd", "root", 0644);
	put(f, "upper/opt/app/bin", "x", 0755);
	put(f, "upper/tmp/rest", "x", 0644);
	assert_int_equal(writes(f, opt, &e), 0);
	put(f, "upper/etc/app/conf", "x", 0644);
	assert_int_equal(writes(f, etc, &e), 0);
	assert_int_equal(writes(f, opt, &e), -1);
	assert_int_equal(e.kind, ERR_STEP);
	assert_non_null(strstr(e.msg, "r.yaml:9:5: step install"));
	assert_non_null(strstr(e.msg, " /etc/app"));
	assert_int_equal(writes(f, all, &e), 0);
	assert_int_equal(writes(f, none, &e), -1);
	put(f, "upper/optional", "x", 0644);
	assert_int_equal(writes(f, etc, &e), -1);
	assert_non_null(strstr(e.msg, " /optional"));
}

static void a_changed_directory_counts(void **state)
{
	static const char *const app[] = {"/etc/app", NULL};
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	put(f, "base/etc/passwd", "root", 0644);
	put(f, "upper/etc/app/conf", "x", 0644);
	assert_int_equal(writes(f, app, &e), 0);
	assert_int_equal(fchmodat(f->fd, "upper/etc", 0777, 0), 0);
	assert_int_equal(writes(f, app, &e), -1);
	assert_non_null(strstr(e.msg, " /etc"));
}

static void an_emptied_directory_counts(void **state)
{
	static const char *const app[] = {"/etc/app", NULL};
	struct fixture *f = *state;
	char *etc SCOPED(mem_freep) = fs_join(f->dir, "upper/etc");
	struct err e = ERR_INIT;

	put(f, "base/etc/passwd", "root", 0644);
	put(f, "upper/etc/app/conf", "x", 0644);
	assert_int_equal(setxattr(etc, sandbox_opaque_mark(), "y", 1, 0), 0);
	assert_int_equal(writes(f, app, &e), -1);
	assert_int_equal(e.kind, ERR_STEP);
	assert_non_null(strstr(e.msg, " /etc"));
	assert_int_equal(removexattr(etc, sandbox_opaque_mark()), 0);
	assert_int_equal(writes(f, app, &e), 0);
	if (strcmp(sandbox_opaque_mark(), "user.overlay.opaque") == 0)
		return;
	assert_int_equal(setxattr(etc, "user.overlay.opaque", "y", 1, 0), 0); /* not the kernel */
	assert_int_equal(writes(f, app, &e), 0);
}

static void a_medium_may_lie_in_any_place(void **state)
{
	struct fixture *f = *state;
	char *path SCOPED(mem_freep) = fs_join(f->dir, "a b%41#?/disc");
	char *place SCOPED(mem_freep) = fs_join(f->dir, "store");
	struct store *s SCOPED(store_freep) = NULL;
	struct recipe_media m = {.name = (char *)(uintptr_t) "disc", .url = path, .is_file = true};
	struct recipe r = {.media = &m, .media_n = 1};
	struct build_opts o = {0};
	struct plan plan = {0};
	struct lock l = {.recipe_name = (char *)(uintptr_t) "t",
			 .solver = (char *)(uintptr_t) "none"};
	struct job j = {.r = &r, .l = &l, .o = &o, .plan = &plan};
	struct err e = ERR_INIT;

	put(f, "a b%41#?/disc", "medium", 0644);
	m.digest = digest_of("medium", 6);
	assert_int_equal(store_open(place, &s, &e), 0);
	j.s = s;
	assert_int_equal(job_fetch(&j, &e), 0);
	assert_true(store_has(s, &m.digest, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(overlay_takes_content_and_executable_bit, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(overlay_follows_links_only_inside_the_image, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(overlay_goes_to_a_place_inside_the_image, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(overlay_replaces_links, setup, teardown),
	    cmocka_unit_test_setup_teardown(only_declared_writes_pass, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_changed_directory_counts, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_emptied_directory_counts, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_medium_may_lie_in_any_place, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

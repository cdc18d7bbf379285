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
	assert_int_equal(setxattr(etc, "trusted.overlay.opaque", "y", 1, 0), 0);
	assert_int_equal(writes(f, app, &e), -1);
	assert_int_equal(e.kind, ERR_STEP);
	assert_non_null(strstr(e.msg, " /etc"));
	assert_int_equal(removexattr(etc, "trusted.overlay.opaque"), 0);
	assert_int_equal(writes(f, app, &e), 0);
}

struct layered {
	struct recipe r;
	struct lock l;
	struct plan_stage stages[4];
	struct plan plan;
	struct contents contents[4];
	struct recipe_pin pin;
	struct job j;
	struct tree t;
};

static void layers_for(struct fixture *f, struct layered *x)
{
	static const enum plan_kind kinds[] = {PLAN_BASE, PLAN_USERS, PLAN_STEP, PLAN_CONFIG};
	char *root SCOPED(mem_freep) = fs_join(f->dir, "merged");
	int fd SCOPED(fd_closep) = -1;
	struct err e = ERR_INIT;
	size_t n;

	for (size_t i = 0; i < 4; i++) {
		x->stages[i].kind = kinds[i];
		strv_addf(&x->j.trees, "%s/%zu", f->dir, i);
	}
	x->l.epoch = 1000;
	x->plan = (struct plan){.v = x->stages, .n = 4};
	x->pin.name = (char *)(uintptr_t) "data";
	strv_add(&x->pin.match, "/srv/**");
	x->r.pins = &x->pin;
	x->r.pins_n = 1;
	x->j.r = &x->r;
	x->j.l = &x->l;
	x->j.plan = &x->plan;
	x->j.contents = x->contents;
	for (size_t i = 0; i < 4; i++) {
		const struct contents_times times = {.kept = i == 0, .epoch = 1000};

		if (access(x->j.trees.v[i], F_OK) == 0)
			assert_int_equal(
			    contents_scan(x->j.trees.v[i], &times, &x->contents[i], &e), 0);
	}
	assert_int_equal(fs_open_dir(AT_FDCWD, root, &fd, &e), 0);
	assert_int_equal(tree_scan(fd, &x->t, NULL, &e), 0);
	assert_int_equal(job_layers(&x->j, &x->t, &n, &e), 0);
	assert_int_equal(n, 4);
}

static void layered_release(struct layered *x)
{
	free(x->j.origins);
	for (size_t i = 0; i < 4; i++)
		contents_release(&x->contents[i]);
	strv_release(&x->j.trees);
	strv_release(&x->pin.match);
	tree_release(&x->t);
}

static void aged(struct fixture *f, const char *path, const char *text, time_t when)
{
	struct timespec ts[2] = {{when, 0}, {when, 0}};

	put(f, path, text, 0644);
	assert_int_equal(utimensat(f->fd, path, ts, 0), 0);
}

static void layer_is(struct layered *x, const char *path, const char *name, int64_t mtime)
{
	const struct tree_entry *en = tree_find(&x->t, path);

	assert_non_null(en);
	assert_string_equal(job_layer_name(&x->j, (size_t)en->layer), name);
	assert_int_equal(en->mtime, mtime);
}

static void layers_follow_the_stage_and_times_the_package(void **state)
{
	struct fixture *f = *state;
	struct layered x = {0};

	aged(f, "0/usr/lib/a", "a", 500);
	aged(f, "merged/usr/lib/a", "a", 500);
	aged(f, "0/etc/generated", "g", 2000);
	aged(f, "merged/etc/generated", "g", 2000);
	aged(f, "0/etc/conf", "old", 500);
	aged(f, "3/etc/conf", "new", 700);
	aged(f, "merged/etc/conf", "new", 700);
	aged(f, "2/opt/app", "x", 300);
	aged(f, "merged/opt/app", "x", 300);
	aged(f, "1/etc/passwd", "p", 300);
	aged(f, "merged/etc/passwd", "p", 300);
	aged(f, "2/srv/data", "d", 300);
	aged(f, "merged/srv/data", "d", 300);
	layers_for(f, &x);
	layer_is(&x, "usr/lib/a", "os", 500);
	layer_is(&x, "usr", "os", 1000);
	layer_is(&x, "etc/generated", "os", 1000);
	layer_is(&x, "etc/conf", "config", 1000);
	layer_is(&x, "etc/passwd", "config", 1000);
	layer_is(&x, "opt/app", "app", 1000);
	layer_is(&x, "opt", "app", 1000);
	layer_is(&x, "srv/data", "data", 1000);
	layered_release(&x);
}

static bool key_is(struct layered *x, int layer, const struct digest *want)
{
	struct digest key = job_layer_key(&x->j, &x->t, layer, "gzip-6");

	return digest_equal(&key, want);
}

/* Each change that a layer's bytes would show must give another key, and nothing else may. */
static void layer_keys_follow_what_is_packed(void **state)
{
	struct fixture *f = *state;
	struct layered x = {0};
	struct tree_entry *en, *dir;
	struct digest os, config, *a;

	aged(f, "0/usr/lib/a", "a", 500);
	aged(f, "merged/usr/lib/a", "a", 500);
	aged(f, "3/etc/conf", "new", 700);
	aged(f, "merged/etc/conf", "new", 700);
	layers_for(f, &x);
	os = job_layer_key(&x.j, &x.t, 0, "gzip-6");
	config = job_layer_key(&x.j, &x.t, 3, "gzip-6");
	assert_true(key_is(&x, 0, &os));
	assert_false(digest_equal(&os, &config));

	en = tree_find(&x.t, "usr/lib/a");
	dir = tree_find(&x.t, "usr/lib");
	en->mode ^= 04000;
	assert_false(key_is(&x, 0, &os));
	assert_true(key_is(&x, 3, &config));
	en->mode ^= 04000;
	dir->gid = 5; /* a parent stands in the layer too */
	assert_false(key_is(&x, 0, &os));
	assert_true(key_is(&x, 3, &config));
	dir->gid = 0;
	assert_true(key_is(&x, 0, &os));
	a = map_get(&x.contents[0].files, "usr/lib/a");
	a->b[0] ^= 1; /* other contents, same metadata */
	assert_false(key_is(&x, 0, &os));
	a->b[0] ^= 1;
	x.stages[0].key.b[0] ^= 1; /* other inputs, same output */
	assert_true(key_is(&x, 0, &os));
	x.l.epoch++;
	assert_false(key_is(&x, 0, &os));
	layered_release(&x);
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
	struct lock l = {0};
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
	    cmocka_unit_test_setup_teardown(layer_keys_follow_what_is_packed, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_medium_may_lie_in_any_place, setup, teardown),
	    cmocka_unit_test_setup_teardown(layers_follow_the_stage_and_times_the_package, setup,
					    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

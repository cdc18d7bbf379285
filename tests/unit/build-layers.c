/* Which layer an entry goes to, with which time, and what decides a layer's bytes. */
#include "build/job.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT(s) ((char *)(uintptr_t)(s))

struct fixture {
	char dir[64];
	int fd;
	struct recipe r;
	struct lock l;
	struct lock_package packages[3];
	struct plan_stage stages[4];
	struct plan plan;
	struct contents contents[4];
	struct recipe_pin pin;
	struct job j;
	struct tree t;
	size_t n;
};

static int setup(void **state)
{
	static const enum plan_kind kinds[] = {PLAN_BASE, PLAN_USERS, PLAN_STEP, PLAN_CONFIG};
	static const struct lock_package packages[] = {
	    {.name = TEXT("app"), .version = TEXT("1"), .source = TEXT("app 1"), .size = 10000},
	    {.name = TEXT("liba"),
	     .version = TEXT("1"),
	     .source = TEXT("src-a 1+deb12u9"),
	     .size = 2000000},
	    {.name = TEXT("liba-dev"),
	     .version = TEXT("1"),
	     .source = TEXT("src-a 1+deb12u9"),
	     .size = 2000000},
	};
	struct fixture *f = mem_zalloc(sizeof(*f));
	struct err e = ERR_INIT;

	memcpy(f->dir, "/tmp/posmedia-layer.XXXXXX", 27);
	if (mkdtemp(f->dir) == NULL || fs_open_dir(AT_FDCWD, f->dir, &f->fd, &e) != 0)
		return -1;
	for (size_t i = 0; i < 4; i++) {
		f->stages[i].kind = kinds[i];
		strv_addf(&f->j.trees, "%s/%zu", f->dir, i);
	}
	for (size_t i = 0; i < 3; i++) {
		f->packages[i] = packages[i];
		f->packages[i].arch = TEXT("amd64");
		f->packages[i].repository = TEXT("bookworm");
	}
	f->l = (struct lock){.epoch = 1000, .packages = f->packages, .packages_n = 3};
	f->plan = (struct plan){.v = f->stages, .n = 4};
	f->pin.name = TEXT("data");
	strv_add(&f->pin.match, "/srv/**");
	f->r = (struct recipe){.pins = &f->pin,
			       .pins_n = 1,
			       .layer_plan = TEXT("history"),
			       .layer_budget = 2,
			       .compression = TEXT("gzip")};
	f->j.r = &f->r;
	f->j.l = &f->l;
	f->j.plan = &f->plan;
	f->j.contents = f->contents;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	fd_closep(&f->fd);
	assert_int_equal(fs_rmtree(AT_FDCWD, f->dir, &e), 0);
	free(f->j.origins);
	job_forget_owned(&f->j);
	layering_release(&f->j.layering);
	for (size_t i = 0; i < 4; i++)
		contents_release(&f->contents[i]);
	strv_release(&f->j.trees);
	strv_release(&f->pin.match);
	tree_release(&f->t);
	free(f);
	return 0;
}

static void aged(struct fixture *f, const char *path, const char *text, time_t when)
{
	struct timespec ts[2] = {{when, 0}, {when, 0}};
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	char *full SCOPED(mem_freep) = fs_join(f->dir, path);
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(f->fd, dir, 0755, &e), 0);
	assert_int_equal(fs_put_path(full, text, strlen(text), 0644, &e), 0);
	assert_int_equal(utimensat(f->fd, path, ts, 0), 0);
}

/* A file of a stage, as the merged tree has it too. */
static void stage_file(struct fixture *f, unsigned stage, const char *path, time_t when)
{
	char *own SCOPED(mem_freep) = mem_format("%u/%s", stage, path);
	char *merged SCOPED(mem_freep) = mem_format("merged/%s", path);

	aged(f, own, path, when);
	aged(f, merged, path, when);
}

static void installed(struct fixture *f, const char *name, const char *files)
{
	char *own SCOPED(mem_freep) = mem_format("0/var/lib/dpkg/info/%s.list", name);
	char *merged SCOPED(mem_freep) = mem_format("merged/var/lib/dpkg/info/%s.list", name);

	aged(f, own, files, 2000);
	aged(f, merged, files, 2000);
}

static void make(struct fixture *f)
{
	char *root SCOPED(mem_freep) = fs_join(f->dir, "merged");
	int fd SCOPED(fd_closep) = -1;
	struct err e = ERR_INIT;

	tree_release(&f->t);
	for (size_t i = 0; i < 4; i++) {
		const struct contents_times times = {.kept = i == 0, .epoch = 1000};

		contents_release(&f->contents[i]);
		if (access(f->j.trees.v[i], F_OK) == 0)
			assert_int_equal(
			    contents_scan(f->j.trees.v[i], &times, &f->contents[i], &e), 0);
	}
	assert_int_equal(fs_open_dir(AT_FDCWD, root, &fd, &e), 0);
	assert_int_equal(tree_scan(fd, &f->t, NULL, &e), 0);
	assert_int_equal(job_layers(&f->j, root, &f->t, &f->n, &e), 0);
}

static void layer_is(struct fixture *f, const char *path, const char *name, int64_t mtime)
{
	const struct tree_entry *en = tree_find(&f->t, path);
	char *got SCOPED(mem_freep) = NULL;

	assert_non_null(en);
	got = job_layer_name(&f->j, (size_t)en->layer);
	if (strcmp(got, name) != 0 || en->mtime != mtime)
		fail_msg("%s: layer %s, time %lld", path, got, (long long)en->mtime);
}

static void a_small_system(struct fixture *f)
{
	stage_file(f, 0, "usr/bin/app", 400);
	stage_file(f, 0, "usr/lib/a", 500);
	stage_file(f, 0, "usr/lib/p/a.py", 600);
	stage_file(f, 0, "usr/lib/p/__pycache__/a.cpython-311.pyc", 2000);
	stage_file(f, 0, "usr/lib/p/__pycache__/b.cpython-311.pyc", 2000);
	stage_file(f, 0, "var/lib/dpkg/status", 2000);
	stage_file(f, 0, "var/lib/dpkg/info/liba:amd64.md5sums", 450);
	installed(f, "app", "/usr/bin\n/usr/bin/app\n/etc/conf\n");
	installed(f, "liba:amd64", "/usr/lib/a\n/usr/lib/p/a.py\n");
	aged(f, "0/etc/conf", "old", 500);
	aged(f, "3/etc/conf", "new", 700);
	aged(f, "merged/etc/conf", "new", 700);
	stage_file(f, 2, "opt/app", 300);
	stage_file(f, 1, "etc/passwd", 300);
	stage_file(f, 2, "srv/data", 300);
}

static void packages_lie_by_source_and_the_rest_by_stage(void **state)
{
	struct fixture *f = *state;

	a_small_system(f);
	make(f);
	assert_int_equal(f->n, 6);
	layer_is(f, "usr/bin/app", "os-1", 400);
	layer_is(f, "usr/lib/a", "os-2", 500);
	layer_is(f, "usr/lib/p/a.py", "os-2", 600);
	/* follows from one package: with it, and its time does not move with the lock's */
	layer_is(f, "usr/lib/p/__pycache__/a.cpython-311.pyc", "os-2", 600);
	layer_is(f, "var/lib/dpkg/info/liba:amd64.list", "os-2", 600);
	layer_is(f, "var/lib/dpkg/info/liba:amd64.md5sums", "os-2", 600);
	layer_is(f, "var/lib/dpkg/info/app.list", "os-1", 400); /* not 700 */
	/* of no package */
	layer_is(f, "usr/lib/p/__pycache__/b.cpython-311.pyc", "state", 1000);
	layer_is(f, "var/lib/dpkg/status", "state", 1000);
	/* a package's, but changed */
	layer_is(f, "etc/conf", "config", 1000);
	layer_is(f, "etc/passwd", "config", 1000);
	layer_is(f, "opt/app", "app", 1000);
	layer_is(f, "srv/data", "data", 1000);
	layer_is(f, "usr/bin", "os-1", JOB_DIRECTORY_TIME);
	layer_is(f, "opt", "app", JOB_DIRECTORY_TIME);
}

static void a_recipe_may_want_one_layer_or_its_pins_only(void **state)
{
	struct fixture *f = *state;

	a_small_system(f);
	f->r.layer_plan = TEXT("single");
	make(f);
	assert_int_equal(f->n, 1);
	layer_is(f, "usr/lib/a", "image", 500);
	layer_is(f, "srv/data", "image", 1000);
	f->r.layer_plan = TEXT("manual");
	make(f);
	assert_int_equal(f->n, 2);
	layer_is(f, "usr/lib/a", "rest", 500);
	layer_is(f, "etc/conf", "rest", 1000);
	layer_is(f, "srv/data", "data", 1000);
	f->r.pins_n = 0;
	make(f);
	assert_int_equal(f->n, 1);
	layer_is(f, "srv/data", "rest", 1000);
}

/* The plan decides where an entry lies, never what it is. */
static void every_plan_gives_the_same_entries(void **state)
{
	static const char *const plans[] = {"single", "manual", "history"};
	struct fixture *f = *state;
	int64_t *times SCOPED(mem_freep) = NULL;

	a_small_system(f);
	for (size_t p = 0; p < 3; p++) {
		f->r.layer_plan = TEXT(plans[p]);
		make(f);
		if (times == NULL)
			times = mem_zalloc(f->t.n * sizeof(*times));
		for (size_t i = 0; i < f->t.n; i++) {
			assert_true(f->t.v[i].layer >= 0 && (size_t)f->t.v[i].layer < f->n);
			if (p == 0)
				times[i] = f->t.v[i].mtime;
			assert_int_equal(f->t.v[i].mtime, times[i]);
		}
	}
}

static void all_names_of_a_file_lie_in_one_layer(void **state)
{
	struct fixture *f = *state;

	a_small_system(f);
	assert_int_equal(linkat(f->fd, "merged/usr/bin/app", f->fd, "merged/usr/lib/z", 0), 0);
	assert_int_equal(linkat(f->fd, "0/usr/bin/app", f->fd, "0/usr/lib/z", 0), 0);
	installed(f, "liba:amd64", "/usr/lib/a\n/usr/lib/p/a.py\n/usr/lib/z\n");
	make(f);
	layer_is(f, "usr/bin/app", "os-1", 400);
	layer_is(f, "usr/lib/z", "os-1", 400);
}

static struct digest key_of(struct fixture *f, const char *path)
{
	return job_layer_key(&f->j, &f->t, tree_find(&f->t, path)->layer, "gzip-6");
}

static bool key_is(struct fixture *f, const char *path, const struct digest *want)
{
	struct digest key = key_of(f, path);

	return digest_equal(&key, want);
}

/* Each change that a layer's bytes would show must give another key, and nothing else may. */
static void layer_keys_follow_what_is_packed(void **state)
{
	struct fixture *f = *state;
	struct tree_entry *en, *dir;
	struct digest os, config, *content;

	a_small_system(f);
	make(f);
	os = key_of(f, "usr/lib/a");
	config = key_of(f, "etc/conf");
	assert_true(key_is(f, "usr/lib/p/a.py", &os));
	assert_false(digest_equal(&os, &config));

	en = tree_find(&f->t, "usr/lib/a");
	dir = tree_find(&f->t, "usr/lib");
	en->mode ^= 04000;
	assert_false(key_is(f, "usr/lib/a", &os));
	assert_true(key_is(f, "etc/conf", &config));
	en->mode ^= 04000;
	dir->gid = 5; /* a parent stands in the layer too */
	assert_false(key_is(f, "usr/lib/a", &os));
	assert_true(key_is(f, "etc/conf", &config));
	dir->gid = 0;
	assert_true(key_is(f, "usr/lib/a", &os));
	content = (struct digest *)(uintptr_t)contents_find(&f->contents[0], "usr/lib/a");
	content->b[0] ^= 1; /* other contents, same metadata */
	assert_false(key_is(f, "usr/lib/a", &os));
	content->b[0] ^= 1;
	assert_true(key_is(f, "usr/lib/a", &os));
	f->stages[0].key.b[0] ^= 1; /* other inputs, same output */
	assert_true(key_is(f, "usr/lib/a", &os));
}

/* A lock's time moves with every update: only layers that have something of that time may. */
static void a_later_lock_leaves_package_layers_alone(void **state)
{
	struct fixture *f = *state;
	struct digest cold, hot, left, config;

	a_small_system(f);
	make(f);
	cold = key_of(f, "usr/bin/app");
	hot = key_of(f, "usr/lib/a");
	left = key_of(f, "var/lib/dpkg/status");
	config = key_of(f, "etc/conf");
	f->l.epoch = 1100;
	make(f);
	assert_true(key_is(f, "usr/bin/app", &cold));
	assert_true(key_is(f, "usr/lib/a", &hot));
	assert_false(key_is(f, "var/lib/dpkg/status", &left));
	assert_false(key_is(f, "etc/conf", &config));
	layer_is(f, "opt/app", "app", 1100);
	f->l.steps_date = 900;
	make(f);
	layer_is(f, "opt/app", "app", 900);
	layer_is(f, "srv/data", "data", 900);
	layer_is(f, "etc/conf", "config", 1100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(packages_lie_by_source_and_the_rest_by_stage, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(a_recipe_may_want_one_layer_or_its_pins_only, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(every_plan_gives_the_same_entries, setup, teardown),
	    cmocka_unit_test_setup_teardown(all_names_of_a_file_lie_in_one_layer, setup, teardown),
	    cmocka_unit_test_setup_teardown(layer_keys_follow_what_is_packed, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_later_lock_leaves_package_layers_alone, setup,
					    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* build/seal: what may not leave in an image, and whose fault it is. */
#include "build/leak.h"

#include "build/verdict.h"
#include "sys-put.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY                                                                                        \
	"-----BEGIN PRIVATE KEY-----\n"                                                            \
	"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n"
#define EPOCH_DAY 20000

/* A build of base, one step and configuration: the trees of the first two stages, the merged view,
 * and a project with one overlay. */
struct world {
	char dir[40];
	char *base, *step, *root, *overlay;
	struct recipe r;
	struct recipe_overlay o;
	struct lock l;
	struct plan plan;
	struct plan_stage stages[3];
	struct job j;
};

static char *sub(const struct world *w, const char *name)
{
	char *path = mem_format("%s/%s", w->dir, name);
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(AT_FDCWD, path, 0755, &e), 0);
	return path;
}

static int set_up(void **state)
{
	struct world *w = mem_zalloc(sizeof(*w));

	memcpy(w->dir, "/tmp/posmedia-seal.XXXXXX", 26);
	if (mkdtemp(w->dir) == NULL)
		return -1;
	w->base = sub(w, "base");
	w->step = sub(w, "step");
	w->root = sub(w, "root");
	w->overlay = sub(w, "project/overlays/pos");
	w->r.root = mem_format("%s/project", w->dir);
	w->o.from = w->overlay;
	w->o.to = mem_strdup("/");
	w->r.overlays = &w->o;
	w->r.overlays_n = 1;
	w->l.epoch = EPOCH_DAY * INT64_C(86400) + 5;
	w->stages[0] = (struct plan_stage){.kind = PLAN_BASE, .name = (char *)(uintptr_t) "base"};
	w->stages[1] =
	    (struct plan_stage){.kind = PLAN_STEP, .name = (char *)(uintptr_t) "step install"};
	w->plan = (struct plan){.v = w->stages, .n = 2};
	w->j = (struct job){.r = &w->r, .l = &w->l, .plan = &w->plan};
	strv_add(&w->j.trees, w->base);
	strv_add(&w->j.trees, w->step);
	put_text(w->root, "var/lib/dpkg/info/foo.list",
		 "/.\n/etc\n/etc/foo.key\n"
		 "/usr/share/doc/foo/key.pem\n"
		 "/usr/lib/foo/t/key.pem\n/usr/lib/foo/k.pem\n"
		 "/usr/lib/foo/config\n");
	put_text(w->root, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;
	int rc = fs_rmtree(AT_FDCWD, w->dir, &e);

	job_forget_owned(&w->j);
	strv_release(&w->j.trees);
	verdict_release(&w->j);
	free(w->base);
	free(w->step);
	free(w->root);
	free(w->overlay);
	free(w->r.root);
	free(w->o.to);
	free(w);
	return rc;
}

/* A file of the stage's tree, or of the overlay, and of the merged view. */
static void put_both(const struct world *w, const char *dir, const char *name, const char *text)
{
	put_text(dir, name, text);
	put_text(w->root, name, text);
}

static void passes(struct world *w)
{
	struct err e = ERR_INIT;

	if (job_clean(&w->j, w->root, &e) != 0 || job_seal(&w->j, w->j.trees.n, w->root, &e) != 0)
		fail_msg("%s", e.msg);
}

static void refuses(struct world *w, const char *what)
{
	struct err e = ERR_INIT;

	assert_int_equal(job_clean(&w->j, w->root, &e), 0);
	assert_int_equal(job_seal(&w->j, w->j.trees.n, w->root, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	if (strstr(e.msg, what) == NULL)
		fail_msg("not \"%s\": %s", what, e.msg);
	assert_string_not_equal(e.hint, "");
}

static void names_the_package(void **state)
{
	struct world *w = *state;

	put_both(w, w->base, "etc/foo.key", KEY);
	refuses(w, "/etc/foo.key: private key (package foo)");
}

static void names_the_maintainer_script(void **state)
{
	struct world *w = *state;

	put_both(w, w->base, "etc/made.key", KEY);
	refuses(w, "/etc/made.key: private key (a maintainer script)");
}

static void names_the_step(void **state)
{
	struct world *w = *state;

	put_both(w, w->base, "etc/foo.key", "shipped");
	put_both(w, w->step, "etc/foo.key", KEY);
	put_both(w, w->step, "srv/other.key", KEY);
	refuses(w, "/etc/foo.key: private key (step install, package foo); "
		   "/srv/other.key: private key (step install)");
}

static void names_the_overlay(void **state)
{
	struct world *w = *state;

	put_both(w, w->overlay, "etc/foo.key", KEY);
	refuses(w, "/etc/foo.key: private key (overlay overlays/pos)");
}

static void names_configuration(void **state)
{
	struct world *w = *state;

	put_text(w->root, "etc/late.key", KEY);
	refuses(w, "/etc/late.key: private key (services or hardening)");
}

/* Only as shipped, only by a package, only where tests, examples and documents are. */
static void lets_published_keys_pass(void **state)
{
	struct world *w = *state;

	put_both(w, w->base, "usr/share/doc/foo/key.pem", KEY);
	put_both(w, w->base, "usr/lib/foo/t/key.pem", KEY);
	passes(w);
	put_both(w, w->base, "usr/lib/foo/k.pem", KEY);
	refuses(w, "1 secret in the image: /usr/lib/foo/k.pem: private key (package foo)");
}

static void only_keys_are_published(void **state)
{
	struct world *w = *state;

	put_text(w->root, "var/lib/dpkg/info/bar.list", "/usr/share/doc/bar/.netrc\n");
	put_both(w, w->base, "usr/share/doc/bar/.netrc", "machine x login y password z\n");
	refuses(w, "/usr/share/doc/bar/.netrc: credentials (package bar)");
}

static void a_key_of_nobody_in_doc_is_refused(void **state)
{
	struct world *w = *state;

	put_both(w, w->base, "usr/share/doc/bar/key.pem", KEY);
	refuses(w, "/usr/share/doc/bar/key.pem: private key (a maintainer script)");
}

static void a_published_key_replaced_is_refused(void **state)
{
	struct world *w = *state;

	put_both(w, w->base, "usr/share/doc/foo/key.pem", KEY);
	put_both(w, w->step, "usr/share/doc/foo/key.pem", KEY "x");
	refuses(w, "/usr/share/doc/foo/key.pem: private key (step install, package foo)");
}

static void finds_the_kernel_in_what_a_step_wrote(void **state)
{
	struct world *w = *state;
	struct utsname u;
	char *text SCOPED(mem_freep) = NULL;

	assert_int_equal(uname(&u), 0);
	text = mem_format("built on Linux %s\n", u.release);
	put_both(w, w->overlay, "etc/declared", text);
	put_both(w, w->base, "usr/lib/foo/config", text);
	passes(w);
	put_both(w, w->step, "opt/app/build.info", text);
	refuses(w, "1 trace of this machine in the image: /opt/app/build.info: "
		   "the release of the running kernel");
}

static void finds_the_folder_of_the_build(void **state)
{
	struct world *w = *state;

	w->j.scratch = w->dir;
	put_both(w, w->base, "var/lib/made", w->dir);
	refuses(w, "/var/lib/made: the folder of the build");
	w->j.scratch = NULL;
}

static void words_stand_alone(void **state)
{
	struct leak_words w = {.hard_n = 2};

	(void)state;
	strv_add(&w.v, "till-7");
	strv_add(&w.v, "6.1.0-18-amd64");
	strv_add(&w.v, "10.1.2.3");
	assert_int_equal(leak_in(&w, "host=till-7\n", 12), 0);
	assert_int_equal(leak_in(&w, "till-7", 6), 0);
	assert_int_equal(leak_in(&w, "till-70 still-7 till-7_x", 24), -1);
	assert_int_equal(leak_in(&w, "x\0Linux 6.1.0-18-amd64", 22), 1);
	assert_int_equal(leak_in(&w, "at 10.1.2.3:80", 14), 2);
	assert_int_equal(leak_in(&w, "at 110.1.2.3, 10.1.2.34", 23), -1);
	assert_int_equal(leak_in(&w, "\0 10.1.2.3", 10), -1);
	leak_release(&w);
	assert_true(leak_telling_name("till-7"));
	assert_true(leak_telling_name("build.example"));
	assert_false(leak_telling_name("vm"));
	assert_false(leak_telling_name("vm-1"));
	assert_false(leak_telling_name("localhost"));
	assert_false(leak_telling_name("localhost.localdomain"));
	assert_false(leak_telling_name("buildserver"));
}

static void days_are_not_after_the_image(void **state)
{
	struct world *w = *state;
	char *path SCOPED(mem_freep) = fs_join(w->root, "etc/shadow");
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);
	struct err e = ERR_INIT;

	put_text(w->root, "etc/shadow",
		 "root:*:20500:0:99999:7:::\na:!:20000:0:99999:7:::\nb:!:0:::::\nc:!::::::\n"
		 "d:!:19000::::::\ne:!:20001");
	passes(w);
	assert_int_equal(fs_get(AT_FDCWD, path, &b, &e), 0);
	assert_string_equal(b.data,
			    "root:*:20000:0:99999:7:::\na:!:20000:0:99999:7:::\nb:!:0:::::\n"
			    "c:!::::::\nd:!:19000::::::\ne:!:20000");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(names_the_package),
	    TEST(names_the_maintainer_script),
	    TEST(names_the_step),
	    TEST(names_the_overlay),
	    TEST(names_configuration),
	    TEST(lets_published_keys_pass),
	    TEST(only_keys_are_published),
	    TEST(a_key_of_nobody_in_doc_is_refused),
	    TEST(a_published_key_replaced_is_refused),
	    TEST(finds_the_kernel_in_what_a_step_wrote),
	    TEST(finds_the_folder_of_the_build),
	    cmocka_unit_test(words_stand_alone),
	    TEST(days_are_not_after_the_image),
	};

	return cmocka_run_group_tests_name("build-seal", tests, NULL, NULL);
}

/* package/install: a small archive becomes a tree, by dpkg in the sandbox, offline. */
#include "package/apt.h"

#include "base/map.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/posmedia-install.XXXXXX";
static unsigned runs;

static int make_archive(void **state)
{
	const char *argv[] = {"tests/lib/apt-repo", dir, "tiny", NULL};
	struct proc_spec spec = {.argv = argv};
	struct err e = ERR_INIT;

	(void)state;
	if (sandbox_enter(&e) != 0 || mkdtemp(dir) == NULL || proc_ok(&spec, ERR_FAIL, &e) != 0) {
		(void)fprintf(stderr, "# %s\n", e.msg);
		return -1;
	}
	return 0;
}

static int drop_archive(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, dir, &e);
}

struct job {
	struct recipe_apt apt;
	struct recipe r;
	struct lock l;
	struct err e;
	struct buf out;
	struct sink sink;
	char *root, *scratch;
	int fd; /* of root */
};

static char *file_path(void *ctx, const struct lock_package *p)
{
	(void)ctx;
	return mem_format("%s/mirror/%s", dir, p->path);
}

static int keep(void *ctx, const void *p, size_t n, struct err *e)
{
	(void)e;
	buf_add(ctx, p, n);
	return 0;
}

/* Resolves the packages; they are not installed yet. */
static void job_init(struct job *j, const char *install)
{
	static const struct package_ask newest;
	char *solve SCOPED(mem_freep) = mem_format("%s/solve%u", dir, runs);

	*j = (struct job){.e = ERR_INIT, .out = BUF_INIT(1 << 20), .fd = -1};
	j->sink = (struct sink){keep, &j->out};
	j->root = mem_format("%s/root%u", dir, runs);
	j->scratch = mem_format("%s/scratch%u", dir, runs++);
	j->apt = (struct recipe_apt){.suite = mem_strdup("tiny"),
				     .arch = mem_strdup("amd64"),
				     .keyring = mem_format("%s/key.gpg", dir)};
	strv_addf(&j->apt.mirrors, "file:%s/mirror", dir);
	j->r.apt = &j->apt;
	j->r.file = mem_strdup("r.yaml");
	strv_add(&j->r.install, install);
	if (fs_mkdirs(AT_FDCWD, solve, 0700, &j->e) != 0 ||
	    fs_mkdirs(AT_FDCWD, j->root, 0700, &j->e) != 0 ||
	    fs_mkdirs(AT_FDCWD, j->scratch, 0700, &j->e) != 0 ||
	    fs_open_dir(AT_FDCWD, j->root, &j->fd, &j->e) != 0 ||
	    package_resolve_ask(&j->r, &newest, solve, &j->l, &j->e) != 0)
		fail_msg("%s", j->e.msg);
}

static int run(struct job *j)
{
	struct package_install in = {.recipe = &j->r,
				     .lock = &j->l,
				     .root = j->root,
				     .scratch = j->scratch,
				     .file_path = file_path,
				     .out = &j->sink};

	return apt_install(&in, &j->e);
}

static void job_release(struct job *j)
{
	free(j->apt.suite);
	free(j->apt.arch);
	free(j->apt.keyring);
	strv_release(&j->apt.mirrors);
	free(j->r.file);
	strv_release(&j->r.install);
	strv_release(&j->r.remove);
	strv_release(&j->r.langs);
	lock_release(&j->l);
	buf_release(&j->out);
	free(j->root);
	free(j->scratch);
	fd_closep(&j->fd);
}

static bool has(const struct job *j, const char *path)
{
	struct stat st;

	return fstatat(j->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static mode_t mode_of(const struct job *j, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(j->fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

static void expect_file(struct job *j, const char *path, const char *want)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

	if (fs_get(j->fd, path, &b, &j->e) != 0)
		fail_msg("%s", j->e.msg);
	assert_string_equal(b.data, want);
}

static void makes_the_tree(void **state)
{
	struct job j SCOPED(job_release);
	struct strv names SCOPED(strv_release) = {0};
	struct map owned = {0};
	char link[16] = "";

	(void)state;
	job_init(&j, "tiny-app");
	j.r.docs = true;
	(void)umask(077);
	if (run(&j) != 0)
		fail_msg("%s", j.e.msg);
	assert_int_equal(umask(022), 077);
	assert_int_equal(mode_of(&j, "var/lib/dpkg/available"), 0644);
	assert_int_equal(mode_of(&j, "usr/lib"), 0755);
	expect_file(&j, "usr/bin/tiny-app", "ok");
	expect_file(&j, "etc/tiny.conf", "conf\n");
	assert_true(has(&j, "var/lib/tiny-lib.configured"));
	assert_true(has(&j, "usr/share/doc/tiny-app/README"));
	assert_true(has(&j, "usr/share/locale/de/LC_MESSAGES/tiny-app.mo"));
	assert_int_equal(readlinkat(j.fd, "bin", link, sizeof(link) - 1), 7);
	assert_string_equal(link, "usr/bin");
	assert_non_null(strstr(j.out.data, "Setting up tiny-app (1.0-1)"));
	/* nothing of ours stays */
	assert_false(has(&j, "usr/sbin/policy-rc.d"));
	assert_false(has(&j, "run/posmedia"));
	assert_int_equal(package_owned(j.root, &owned, &names, &j.e), 0);
	assert_string_equal(map_get(&owned, "usr/bin/tiny-app"), "tiny-app");
	assert_string_equal(map_get(&owned, "usr/bin/dpkg"), "tiny-base");
	map_release(&owned, NULL);
}

static void leaves_out_docs_and_languages(void **state)
{
	struct job j SCOPED(job_release);

	(void)state;
	job_init(&j, "tiny-app");
	strv_add(&j.r.langs, "en_US.UTF-8");
	if (run(&j) != 0)
		fail_msg("%s", j.e.msg);
	expect_file(&j, "usr/share/doc/tiny-app/copyright", "ours\n");
	expect_file(&j, "usr/share/locale/en_US/LC_MESSAGES/tiny-app.mo", "en\n");
	assert_false(has(&j, "usr/share/doc/tiny-app/README"));
	assert_false(has(&j, "usr/share/man/man1"));
	assert_false(has(&j, "usr/share/locale/de"));
}

static void removes_what_the_recipe_does_not_want(void **state)
{
	struct job j SCOPED(job_release);

	(void)state;
	job_init(&j, "tiny-app");
	strv_add(&j.r.remove, "tiny-lib");
	if (run(&j) != 0)
		fail_msg("%s", j.e.msg);
	assert_true(has(&j, "usr/bin/tiny-app"));
	assert_false(has(&j, "usr/lib/tiny/lib"));
	assert_false(has(&j, "var/lib/dpkg/info/tiny-lib.list"));
}

static void a_failing_script_is_named_and_quoted(void **state)
{
	struct job j SCOPED(job_release);

	(void)state;
	job_init(&j, "tiny-fails");
	assert_int_equal(run(&j), -1);
	assert_int_equal(j.e.kind, ERR_STEP);
	assert_non_null(strstr(j.e.msg, "package tiny-fails cannot be installed"));
	assert_non_null(strstr(j.e.msg, "the disk is made of cheese"));
}

static void a_damaged_package_is_refused(void **state)
{
	struct job j SCOPED(job_release);
	char *path SCOPED(mem_freep) = mem_format("%s/mirror/pool/tiny-extra_1.0-1_amd64.deb", dir);

	(void)state;
	job_init(&j, "tiny-extra");
	assert_int_equal(truncate(path, 200), 0);
	assert_int_equal(run(&j), -1);
	assert_int_equal(j.e.kind, ERR_STEP);
	assert_non_null(strstr(j.e.msg, "package tiny-extra cannot be installed"));
}

static void another_version_than_the_locked_one_is_refused(void **state)
{
	struct job j SCOPED(job_release);

	(void)state;
	job_init(&j, "tiny-app");
	for (size_t i = 0; i < j.l.packages_n; i++)
		if (strcmp(j.l.packages[i].name, "tiny-lib") == 0)
			j.l.packages[i].version[0] = '7';
	assert_int_equal(run(&j), -1);
	assert_int_equal(j.e.kind, ERR_STEP);
	assert_non_null(strstr(j.e.msg, "tiny-lib: installed 1.0-1 amd64, locked 7.0-1 amd64"));
}

static void a_package_too_few_is_refused(void **state)
{
	struct job j SCOPED(job_release);

	(void)state;
	job_init(&j, "tiny-app");
	assert_string_equal(j.l.batches[2].names.v[0], "tiny-app");
	strv_release(&j.l.batches[2].names);
	strv_release(&j.l.batches[3].names);
	strv_add(&j.l.batches[2].names, "tiny-lib");
	strv_add(&j.l.batches[3].names, "tiny-lib");
	assert_int_equal(run(&j), -1);
	assert_non_null(strstr(j.e.msg, "tiny-app is in the lock but not in the tree"));
}

static void a_root_with_something_in_it_is_refused(void **state)
{
	struct job j SCOPED(job_release);

	(void)state;
	job_init(&j, "tiny-app");
	assert_int_equal(fs_mkdirs(j.fd, "precious", 0755, &j.e), 0);
	assert_int_equal(run(&j), -1);
	assert_int_equal(j.e.kind, ERR_BUSY);
	assert_true(has(&j, "precious"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(makes_the_tree),
	    cmocka_unit_test(leaves_out_docs_and_languages),
	    cmocka_unit_test(removes_what_the_recipe_does_not_want),
	    cmocka_unit_test(a_failing_script_is_named_and_quoted),
	    cmocka_unit_test(another_version_than_the_locked_one_is_refused),
	    cmocka_unit_test(a_package_too_few_is_refused),
	    cmocka_unit_test(a_root_with_something_in_it_is_refused),
	    cmocka_unit_test(a_damaged_package_is_refused),
	};

	return cmocka_run_group_tests_name("package-install", tests, make_archive, drop_archive);
}

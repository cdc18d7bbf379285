/* package/resolve: a small signed archive, resolved by the machine's own apt. */
#include "package/apt.h"

#include "sys/fs.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/posmedia-resolve.XXXXXX";
static unsigned runs; /* each resolve wants an empty directory */

static int make_archive(void **state)
{
	const char *argv[] = {"tests/lib/apt-repo", dir, "tiny", NULL};
	struct proc_spec spec = {.argv = argv};
	struct err e = ERR_INIT;

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	if (proc_ok(&spec, ERR_FAIL, &e) != 0) {
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
};

static void job_init(struct job *j, const char *install)
{
	*j = (struct job){.e = ERR_INIT};
	j->apt = (struct recipe_apt){.suite = mem_strdup("tiny"),
				     .arch = mem_strdup("amd64"),
				     .keyring = mem_format("%s/key.gpg", dir),
				     .pos = {"r.yaml", 4, 9}};
	strv_addf(&j->apt.mirrors, "file:%s/mirror", dir);
	strv_add(&j->apt.components, "main");
	j->r.apt = &j->apt;
	j->r.file = mem_strdup("r.yaml");
	strv_add(&j->r.install, install);
}

static int run(struct job *j)
{
	static const struct package_ask newest;
	char *scratch SCOPED(mem_freep) = mem_format("%s/run %u", dir, runs++);

	if (fs_mkdirs(AT_FDCWD, scratch, 0700, &j->e) != 0)
		fail_msg("%s", j->e.msg);
	return package_resolve_ask(&j->r, &newest, scratch, &j->l, &j->e);
}

static void job_release(struct job *j)
{
	free(j->apt.suite);
	free(j->apt.arch);
	free(j->apt.keyring);
	strv_release(&j->apt.pockets);
	strv_release(&j->apt.mirrors);
	strv_release(&j->apt.components);
	free(j->r.file);
	strv_release(&j->r.install);
	strv_release(&j->r.exclude);
	lock_release(&j->l);
}

static void expect_refusal(struct job *j, enum err_kind kind, const char *words)
{
	assert_int_equal(run(j), -1);
	if (strstr(j->e.msg, words) == NULL)
		fail_msg("\"%s\" has no \"%s\"", j->e.msg, words);
	if (j->e.kind != kind)
		fail_msg("%s", j->e.msg);
	assert_int_equal(j->l.packages_n, 0);
}

static void fills_the_lock(void **state)
{
	struct job j SCOPED(job_release);
	const struct lock_package *lib;
	struct digest d;
	char *deb SCOPED(mem_freep) = NULL;
	int fd SCOPED(fd_closep) = -1;
	uint64_t size;

	(void)state;
	job_init(&j, "tiny-app");
	if (run(&j) != 0)
		fail_msg("%s", j.e.msg);
	assert_int_equal(strncmp(j.l.solver, "apt ", 4), 0);
	assert_int_equal(j.l.repositories_n, 1);
	assert_string_equal(j.l.repositories[0].id, "tiny");
	assert_string_equal(j.l.repositories[0].mirror, j.apt.mirrors.v[0]);
	assert_int_equal(strlen(j.l.repositories[0].release), 64);
	assert_int_equal(j.l.epoch, 1700000000);
	assert_int_equal(j.l.packages_n, 3);
	assert_true(lock_find(&j.l, "tiny-base")->essential);
	lib = lock_find(&j.l, "tiny-lib");
	assert_false(lib->essential);
	assert_string_equal(lib->version, "1.0-1");
	assert_string_equal(lib->source, "tiny-source 2:3.0");
	assert_string_equal(lib->repository, "tiny");
	deb = mem_format("%s/mirror/%s", dir, lib->path);
	fd = open(deb, O_RDONLY | O_CLOEXEC);
	assert_int_equal(digest_fd(fd, &d, &size, &j.e), 0);
	assert_true(digest_equal(&d, &lib->digest));
	assert_int_equal(size, lib->size);
	assert_int_equal(j.l.batches_n, 4);
	assert_string_equal(j.l.batches[0].names.v[0], "tiny-lib");
	assert_true(j.l.batches[1].configure);
	assert_string_equal(j.l.batches[2].names.v[0], "tiny-app");
}

static void recommends_only_when_asked(void **state)
{
	struct job j SCOPED(job_release);

	(void)state;
	job_init(&j, "tiny-app");
	j.r.recommends = true;
	assert_int_equal(run(&j), 0);
	assert_non_null(lock_find(&j.l, "tiny-extra"));
}

static void refuses_what_the_key_did_not_sign(void **state)
{
	struct job j SCOPED(job_release);

	(void)state;
	job_init(&j, "tiny-app");
	free(j.apt.keyring);
	j.apt.keyring = mem_format("%s/other.gpg", dir);
	expect_refusal(&j, ERR_RECIPE, "NO_PUBKEY");
	assert_int_equal(strncmp(j.e.msg, "r.yaml:4:9: ", 12), 0);
	assert_non_null(strstr(j.e.hint, "other.gpg"));
}

static void refuses_to_go_without_a_key(void **state)
{
	struct job j SCOPED(job_release);

	(void)state;
	job_init(&j, "tiny-app");
	free(j.apt.keyring);
	j.apt.keyring = mem_format("%s/absent.gpg", dir);
	expect_refusal(&j, ERR_RECIPE, "r.yaml:4:9: no keyring");
}

static void refuses_what_cannot_be_installed(void **state)
{
	static const struct {
		const char *install, *words;
	} v[] = {
	    {"tiny-none", "r.yaml:4:9: apt cannot install this set: Unable to locate package"},
	    {"tiny-wrong", "tiny-wrong : Depends: tiny-absent"},
	    {"tiny-app=9", "Version '9' for 'tiny-app' was not found"},
	    {"tiny-app-", "no package name"},
	    {"?essential", "no package name"},
	    {"-o=Dir=/", "no package name"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct job j SCOPED(job_release);

		job_init(&j, v[i].install);
		expect_refusal(&j, ERR_RECIPE, v[i].words);
	}
}

static void excluded_packages_stay_out(void **state)
{
	struct job j SCOPED(job_release);

	(void)state;
	job_init(&j, "tiny-app");
	strv_add(&j.r.exclude, "*-lib");
	expect_refusal(&j, ERR_RECIPE, "tiny-lib");
}

static void refuses_an_odd_exclusion(void **state)
{
	struct job j SCOPED(job_release);

	(void)state;
	job_init(&j, "tiny-app");
	strv_add(&j.r.exclude, "x\nPin: release *\nPin-Priority: 1001\n");
	expect_refusal(&j, ERR_RECIPE, "no pattern of package names");
}

static void says_which_suite_is_missing(void **state)
{
	struct job j SCOPED(job_release);

	(void)state;
	job_init(&j, "tiny-app");
	strv_add(&j.apt.pockets, "security");
	expect_refusal(&j, ERR_RECIPE, "tiny-security");
}

static void an_absent_mirror_is_a_remote_matter(void **state)
{
	struct job j SCOPED(job_release);

	(void)state;
	job_init(&j, "tiny-app");
	strv_release(&j.apt.mirrors);
	strv_add(&j.apt.mirrors, "http://127.0.0.1:1/debian");
	expect_refusal(&j, ERR_REMOTE, "127.0.0.1:1");
}

static void an_expired_mirror_is_refused(void **state)
{
	struct job j SCOPED(job_release);
	char *old SCOPED(mem_freep) = mem_format("%s/old", dir);
	const char *argv[] = {"tests/lib/apt-repo", old, "tiny",
			      "Valid-Until: Sat, 01 Jan 2022 00:00:00 UTC", NULL};
	struct proc_spec spec = {.argv = argv};

	(void)state;
	job_init(&j, "tiny-app");
	if (proc_ok(&spec, ERR_FAIL, &j.e) != 0)
		fail_msg("%s", j.e.msg);
	strv_release(&j.apt.mirrors);
	strv_addf(&j.apt.mirrors, "file:%s/mirror", old);
	free(j.apt.keyring);
	j.apt.keyring = mem_format("%s/key.gpg", old);
	expect_refusal(&j, ERR_REMOTE, "is expired");
	assert_non_null(strstr(j.e.hint, "clock"));
}

static void the_second_mirror_steps_in(void **state)
{
	struct job j SCOPED(job_release);

	(void)state;
	job_init(&j, "tiny-app");
	strv_release(&j.apt.mirrors);
	strv_add(&j.apt.mirrors, "http://127.0.0.1:1/debian");
	strv_addf(&j.apt.mirrors, "file:%s/mirror", dir);
	if (run(&j) != 0)
		fail_msg("%s", j.e.msg);
	assert_string_equal(j.l.repositories[0].mirror, j.apt.mirrors.v[1]);
}

/* Last: it spoils the archive. */
static void refuses_an_index_that_was_not_signed(void **state)
{
	struct job j SCOPED(job_release);
	char *path SCOPED(mem_freep) =
	    mem_format("%s/mirror/dists/tiny/main/binary-amd64/Packages", dir);
	FILE *f = fopen(path, "r+e");

	(void)state;
	job_init(&j, "tiny-app");
	assert_non_null(f);
	assert_int_equal(fputc('p', f), 'p');
	assert_int_equal(fclose(f), 0);
	expect_refusal(&j, ERR_VERIFY, "Hash Sum mismatch");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fills_the_lock),
	    cmocka_unit_test(recommends_only_when_asked),
	    cmocka_unit_test(refuses_what_the_key_did_not_sign),
	    cmocka_unit_test(refuses_to_go_without_a_key),
	    cmocka_unit_test(refuses_what_cannot_be_installed),
	    cmocka_unit_test(excluded_packages_stay_out),
	    cmocka_unit_test(refuses_an_odd_exclusion),
	    cmocka_unit_test(says_which_suite_is_missing),
	    cmocka_unit_test(an_absent_mirror_is_a_remote_matter),
	    cmocka_unit_test(an_expired_mirror_is_refused),
	    cmocka_unit_test(the_second_mirror_steps_in),
	    cmocka_unit_test(refuses_an_index_that_was_not_signed),
	};

	return cmocka_run_group_tests_name("package-resolve", tests, make_archive, drop_archive);
}

/* package/clean and package/owned: what leaves a finished tree, and whose the rest is. */
#include "package/apt.h"

#include "base/map.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *root;
static int root_fd;

static int set_up(void **state)
{
	char name[] = "/tmp/posmedia-tree.XXXXXX";
	struct err e = ERR_INIT;

	(void)state;
	if (mkdtemp(name) == NULL)
		return -1;
	root = mem_strdup(name);
	return fs_open_dir(AT_FDCWD, root, &root_fd, &e);
}

static int tear_down(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)close(root_fd);
	if (fs_rmtree(AT_FDCWD, root, &e) != 0)
		return -1;
	free(root);
	return 0;
}

static void put(const char *name, const char *text)
{
	char *path SCOPED(mem_freep) = fs_join(root, name);
	char *parent SCOPED(mem_freep) = fs_dirname(path);
	struct err e = ERR_INIT;

	if (fs_mkdirs(AT_FDCWD, parent, 0755, &e) != 0 ||
	    fs_put_path(path, text, strlen(text), 0644, &e) != 0)
		fail_msg("%s", e.msg);
}

static void put_link(const char *name, const char *target)
{
	assert_int_equal(symlinkat(target, root_fd, name), 0);
}

/* The size of a file, or -1. */
static long size_of(const char *name)
{
	struct stat st;

	return fstatat(root_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (long)st.st_size : -1;
}

static const char *const noise[] = {
    "etc/passwd-",
    "etc/gshadow-",
    "etc/.pwd.lock",
    "etc/ssh/ssh_host_rsa_key",
    "etc/ssh/ssh_host_rsa_key.pub",
    "etc/ssl/certs/ssl-cert-snakeoil.pem",
    "etc/ssl/private/ssl-cert-snakeoil.key",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/lock-frontend",
    "var/lib/apt/lists/x_InRelease",
    "var/cache/apt/archives/x.deb",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig/aux-cache",
    "var/log/dpkg.log",
    "var/log/apt/term.log",
    "var/log/alternatives.log",
    "var/log/journal/0123456789abcdef/system.journal",
    "var/lib/urandom/random-seed",
    "var/lib/NetworkManager/secret_key",
    "etc/nvme/hostid",
    "etc/nvme/hostnqn",
    "root/.rnd",
    "var/cache/debconf/config.dat-old",
    "etc/shadow-",
    "etc/group-",
    "etc/subuid-",
    "etc/subgid-",
    "tmp/.hidden",
    "var/tmp/d/x",
    "run/x/y",
};
static const char *const kept[] = {
    "etc/passwd",          "etc/ssh/sshd_config",       "etc/ssl/certs/ca.pem",
    "var/lib/dpkg/status", "var/lib/dpkg/info/lock",    "var/cache/debconf/templates.dat",
    "home/tmp/x",          "var/lib/systemd/catalog/x",
};

static void clean_removes_noise_and_secrets(void **state)
{
	struct strv removed SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++)
		put(noise[i], "x");
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		put(kept[i], "x");
	put("etc/machine-id", "0123\n");
	put("var/log/wtmp", "x");
	put("var/log/audit/audit.log", "x");
	put_link("var/log/README", "../gone");
	put_link("etc/ssl/certs/62742064.0", "ssl-cert-snakeoil.pem");
	put_link("etc/ssl/certs/11111111.0", "ca.pem");
	assert_int_equal(package_clean(root, &removed, &e), 0);
	for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++)
		assert_int_equal(size_of(noise[i]), -1);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		assert_int_equal(size_of(kept[i]), 1);
	assert_int_equal(size_of("var/log/wtmp"), 0);
	assert_int_equal(size_of("var/log/audit/audit.log"), 0);
	assert_int_equal(size_of("var/log/README"), 7);
	assert_int_equal(size_of("etc/ssl/certs/62742064.0"), -1);
	assert_int_equal(size_of("etc/ssl/certs/11111111.0"), 6);
	assert_int_equal(fstatat(root_fd, "etc/machine-id", &st, 0), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(st.st_mode & 07777, 0444);
	assert_true(strv_has(&removed, "etc/ssh/ssh_host_rsa_key"));
	assert_true(strv_has(&removed, "var/log/apt/term.log"));
	assert_true(strv_has(&removed, "etc/ssl/certs/62742064.0"));
	assert_false(strv_has(&removed, "etc/passwd"));
}

static void clean_can_be_repeated(void **state)
{
	struct strv removed SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	put("etc/hosts", "x");
	assert_int_equal(package_clean(root, NULL, &e), 0);
	(void)umask(0377);
	assert_int_equal(package_clean(root, &removed, &e), 0);
	(void)umask(022);
	assert_int_equal(fstatat(root_fd, "etc/machine-id", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0444);
	assert_int_equal(removed.n, 1); /* the empty machine-id, made anew */
	assert_int_equal(size_of("etc/machine-id"), 0);
}

static void clean_leaves_the_world_outside_alone(void **state)
{
	char *outside SCOPED(mem_freep) = fs_join(root, "outside");
	char *tree SCOPED(mem_freep) = fs_join(root, "tree");
	struct err e = ERR_INIT;

	(void)state;
	put("outside/precious", "x");
	put("outside/lib/dpkg/status-old", "x");
	put("tree/etc/x", "x");
	put_link("tree/tmp", outside);
	put_link("tree/var", outside);
	assert_int_equal(package_clean(tree, NULL, &e), 0);
	assert_int_equal(size_of("outside/precious"), 1);
	assert_int_equal(size_of("outside/lib/dpkg/status-old"), 1);
}

static void expect_owner(const struct map *m, const char *path, const char *want)
{
	const char *got = map_get(m, path);

	if (want == NULL) {
		assert_null(got);
		return;
	}
	assert_non_null(got);
	assert_string_equal(got, want);
}

static void owned_follows_merged_usr_and_diversions(void **state)
{
	struct strv names SCOPED(strv_release) = {0};
	struct map m = {0};
	struct err e = ERR_INIT;

	(void)state;
	put("var/lib/dpkg/info/bash.list", "/.\n/bin\n/bin/bash\n/etc\n/etc/x y\n");
	put("var/lib/dpkg/info/libc6:amd64.list", "/.\n/etc\n/lib64/ld.so\n/libexec/x\n");
	put("var/lib/dpkg/info/other.list", "/bin/sh\n");
	put("var/lib/dpkg/info/dash.list", "/bin/sh\n");
	put("var/lib/dpkg/info/bash.md5sums", "/no\n");
	put("var/lib/dpkg/diversions", "/bin/sh\n/bin/sh.distrib\ndash\n");
	put_link("bin", "usr/bin");
	put("lib64/ld.so", "x");
	assert_int_equal(package_owned(root, &m, &names, &e), 0);
	expect_owner(&m, "usr/bin/bash", "bash");
	expect_owner(&m, "bin/bash", NULL);
	expect_owner(&m, "bin", "bash");
	expect_owner(&m, "etc", "bash");
	expect_owner(&m, "etc/x y", "bash");
	expect_owner(&m, "lib64/ld.so", "libc6");
	expect_owner(&m, "libexec/x", "libc6");
	expect_owner(&m, "usr/bin/sh", "dash");
	expect_owner(&m, "usr/bin/sh.distrib", "other");
	expect_owner(&m, "no", NULL);
	expect_owner(&m, ".", NULL);
	expect_owner(&m, "", NULL);
	map_release(&m, NULL);
}

static void a_tree_without_dpkg_has_no_owners(void **state)
{
	struct strv names SCOPED(strv_release) = {0};
	struct map m = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(package_owned(root, &m, &names, &e), 0);
	assert_int_equal(m.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(clean_removes_noise_and_secrets, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(clean_can_be_repeated, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(clean_leaves_the_world_outside_alone, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(owned_follows_merged_usr_and_diversions, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(a_tree_without_dpkg_has_no_owners, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("package-tree", tests, NULL, NULL);
}

/* harden/dpkgdb: what dpkg says is installed, and nothing that it only remembers. */
#include "harden-lib.h"

#include "harden/dpkgdb.h"

static struct rootfs t;

static int set_up(void **state)
{
	(void)state;
	t = rootfs_make();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rootfs_drop(&t);
	return 0;
}

static void none_without_dpkg(void **state)
{
	struct dpkgdb db SCOPED(dpkgdb_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(dpkgdb_read(t.fd, &db, &e), 0);
	assert_int_equal(db.n, 0);
}

/* A removed package's configuration and one that dpkg died in are not installed; status.d has no
 * Status field and may lack others. */
static void only_what_is_installed(void **state)
{
	static const char status[] =
	    "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-2\n\n"
	    "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
	    "Package: half\nStatus: install ok half-installed\nVersion: 1\n\n"
	    "Status: install ok installed\nVersion: 1\n\n"
	    "Package: zsh\nVersion: 5.9-4\nArchitecture: i386\nStatus: hold ok installed\n";
	struct dpkgdb db SCOPED(dpkgdb_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	put(&t, "var/lib/dpkg/status", status, 0644);
	put(&t, "var/lib/dpkg/status.d/tzdata", "Package: tzdata\n", 0644);
	assert_int_equal(dpkgdb_read(t.fd, &db, &e), 0);
	assert_int_equal(db.n, 3);
	assert_string_equal(db.v[0].name, "bash");
	assert_string_equal(db.v[0].version, "5.2-2");
	assert_string_equal(db.v[0].arch, "amd64");
	assert_string_equal(db.v[1].name, "zsh");
	assert_string_equal(db.v[2].name, "tzdata");
	assert_null(db.v[2].version);
	assert_null(db.v[2].arch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(none_without_dpkg, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(only_what_is_installed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

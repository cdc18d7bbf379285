/* package/rpmdb: the database of rpm, as rpm writes it and as nobody should. */
#include "package/rpmdb.h"

#include "base/buf.h"
#include "base/map.h"
#include "package/package.h"
#include "package/rpm_header.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PLACE "var/lib/rpm"

static char *root;
static int root_fd;

static int set_up(void **state)
{
	char name[] = "/tmp/posmedia-rpmdb.XXXXXX";
	struct err e = ERR_INIT;

	(void)state;
	if (mkdtemp(name) == NULL)
		return -1;
	root = mem_strdup(name);
	return fs_open_dir(AT_FDCWD, root, &root_fd, &e) == 0 ? fs_mkdirs(root_fd, PLACE, 0755, &e)
							      : -1;
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
	struct err e = ERR_INIT;

	if (fs_put_path(path, text, strlen(text), 0644, &e) != 0)
		fail_msg("%s", e.msg);
}

static bool is_there(const char *name)
{
	return faccessat(root_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void put32(struct buf *b, uint32_t n)
{
	const unsigned char v[] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16),
				   (unsigned char)(n >> 8), (unsigned char)n};

	buf_add(b, v, 4);
}

struct header {
	struct buf index, data;
	uint32_t n;
};

static void add(struct header *h, uint32_t tag, uint32_t type, uint32_t count)
{
	put32(&h->index, tag);
	put32(&h->index, type);
	put32(&h->index, (uint32_t)h->data.len);
	put32(&h->index, count);
	h->n++;
}

static void add_text(struct header *h, uint32_t tag, const char *s)
{
	add(h, tag, 6, 1);
	buf_add(&h->data, s, strlen(s) + 1);
}

static void add_texts(struct header *h, uint32_t tag, const char *const *v, uint32_t n)
{
	add(h, tag, 8, n);
	for (uint32_t i = 0; i < n; i++)
		buf_add(&h->data, v[i], strlen(v[i]) + 1);
}

static void add_numbers(struct header *h, uint32_t tag, const uint32_t *v, uint32_t n)
{
	add(h, tag, 4, n);
	for (uint32_t i = 0; i < n; i++)
		put32(&h->data, v[i]);
}

/* A package with three files, the second of which is a ghost. */
static void make_header(const char *name, bool epoch, struct buf *ret)
{
	static const char *const names[] = {"till", "ghost", "conf"};
	static const char *const dirs[] = {"/usr/bin/", "/etc/"};
	static const uint32_t indexes[] = {0, 1, 1}, flags[] = {0, 1 << 6, 1}, seven = 7;
	struct header h = {.index = BUF_INIT(4096), .data = BUF_INIT(4096)};

	add_text(&h, RPM_TAG_NAME, name);
	add_text(&h, RPM_TAG_VERSION, "1.0");
	add_text(&h, RPM_TAG_RELEASE, "2.el9");
	add_text(&h, RPM_TAG_ARCH, "x86_64");
	add_texts(&h, RPM_TAG_BASE_NAMES, names, 3);
	add_texts(&h, RPM_TAG_DIR_NAMES, dirs, 2);
	while (h.data.len % 4 != 0)
		buf_add(&h.data, "", 1);
	if (epoch)
		add_numbers(&h, RPM_TAG_EPOCH, &seven, 1);
	add_numbers(&h, RPM_TAG_DIR_INDEXES, indexes, 3);
	add_numbers(&h, RPM_TAG_FILE_FLAGS, flags, 3);
	put32(ret, h.n);
	put32(ret, (uint32_t)h.data.len);
	buf_add(ret, h.index.data, h.index.len);
	buf_add(ret, h.data.data, h.data.len);
	buf_release(&h.index);
	buf_release(&h.data);
}

/* Makes the database, in the journal mode that rpm uses, of these headers. */
static void make_db(const char *place, const struct buf *headers, size_t n)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%s/rpmdb.sqlite", root, place);
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;

	(void)unlink(path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db,
			 "PRAGMA journal_mode = WAL; CREATE TABLE Packages "
			 "(hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)",
			 NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(
	    sqlite3_prepare_v2(db, "INSERT INTO Packages(blob) VALUES (?)", -1, &st, NULL),
	    SQLITE_OK);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(
		    sqlite3_bind_blob(st, 1, headers[i].data, (int)headers[i].len, SQLITE_STATIC),
		    SQLITE_OK);
		assert_int_equal(sqlite3_step(st), SQLITE_DONE);
		assert_int_equal(sqlite3_reset(st), SQLITE_OK);
	}
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void make_one(const char *place, const char *name)
{
	struct buf b = BUF_INIT(8192);

	make_header(name, false, &b);
	make_db(place, &b, 1);
	buf_release(&b);
}

static void expect_refused(const char *what)
{
	struct rpmdb db = {0};
	struct err e = ERR_INIT;

	assert_int_equal(rpmdb_read(root_fd, RPMDB_FILES, &db, &e), -1);
	if (strstr(e.msg, what) == NULL)
		fail_msg("wanted \"%s\", got \"%s\"", what, e.msg);
	assert_int_equal(db.n, 0);
}

static void a_tree_without_has_no_packages(void **state)
{
	struct rpmdb db = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(rpmdb_read(root_fd, RPMDB_FILES, &db, &e), 0);
	assert_int_equal(db.n, 0);
}

static void packages_have_versions_and_files(void **state)
{
	struct buf b[2] = {BUF_INIT(8192), BUF_INIT(8192)};
	struct rpmdb db = {0};
	struct err e = ERR_INIT;

	(void)state;
	make_header("till", true, &b[0]);
	make_header("bell", false, &b[1]);
	make_db(PLACE, b, 2);
	if (rpmdb_read(root_fd, RPMDB_FILES, &db, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(db.n, 2);
	assert_string_equal(db.v[0].name, "till");
	assert_string_equal(db.v[0].version, "7:1.0-2.el9");
	assert_string_equal(db.v[0].arch, "x86_64");
	assert_string_equal(db.v[1].version, "1.0-2.el9");
	assert_int_equal(db.v[0].files.n, 2);
	assert_string_equal(db.v[0].files.v[0], "/usr/bin/till");
	assert_string_equal(db.v[0].files.v[1], "/etc/conf");
	rpmdb_release(&db);
	assert_int_equal(rpmdb_read(root_fd, RPMDB_NAMES, &db, &e), 0);
	assert_int_equal(db.v[0].files.n, 0);
	rpmdb_release(&db);
	buf_release(&b[0]);
	buf_release(&b[1]);
}

static void owned_follows_rpm_and_merged_usr(void **state)
{
	struct strv names SCOPED(strv_release) = {0};
	struct map m = {0};
	struct err e = ERR_INIT;

	(void)state;
	make_one(PLACE, "till");
	assert_int_equal(package_owned(root, &m, &names, &e), 0);
	assert_string_equal(map_get(&m, "usr/bin/till"), "till");
	assert_string_equal(map_get(&m, "etc/conf"), "till");
	assert_null(map_get(&m, "etc/ghost"));
	map_release(&m, NULL);
}

static void the_newer_place_and_a_link_to_it(void **state)
{
	struct rpmdb db = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(fs_mkdirs(root_fd, "usr/lib/sysimage/rpm", 0755, &e), 0);
	make_one("usr/lib/sysimage/rpm", "till");
	assert_int_equal(rpmdb_read(root_fd, RPMDB_NAMES, &db, &e), 0);
	assert_int_equal(db.n, 1);
	rpmdb_release(&db);
	assert_int_equal(unlinkat(root_fd, PLACE, AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("../../usr/lib/sysimage/rpm", root_fd, PLACE), 0);
	assert_int_equal(rpmdb_read(root_fd, RPMDB_NAMES, &db, &e), 0);
	assert_int_equal(db.n, 1);
	rpmdb_release(&db);
}

static void what_is_no_database_is_refused(void **state)
{
	char *path SCOPED(mem_freep) = fs_join(root, PLACE "/rpmdb.sqlite");
	struct buf b = BUF_INIT(8192);

	(void)state;
	put(PLACE "/rpmdb.sqlite", "no");
	expect_refused("not a database of SQLite");
	make_one(PLACE, "till");
	assert_int_equal(truncate(path, 4096), 0);
	expect_refused(PLACE "/rpmdb.sqlite: ");
	buf_addf(&b, "%s", "longer than its bytes");
	make_db(PLACE, &b, 1);
	expect_refused("longer than its bytes");
	buf_cut(&b, 4);
	make_db(PLACE, &b, 1);
	expect_refused("an rpm header of 4 bytes");
	make_one(PLACE, "a\tb");
	expect_refused("without name");
	make_one(PLACE, "../x");
	expect_refused("an odd package");
	buf_release(&b);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifoat(root_fd, PLACE "/rpmdb.sqlite", 0644), 0);
	expect_refused("not a regular file");
}

static void older_databases_and_open_journals_are_not_read(void **state)
{
	struct rpmdb db = {0};
	struct err e = ERR_INIT;

	(void)state;
	put(PLACE "/Packages", "db");
	assert_int_equal(rpmdb_read(root_fd, RPMDB_NAMES, &db, &e), 0);
	assert_true(db.older);
	assert_int_equal(db.n, 0);
	make_one(PLACE, "till");
	put(PLACE "/rpmdb.sqlite-wal", "pending");
	expect_refused("rpm has not finished there");
}

static void settling_leaves_one_file(void **state)
{
	char *path SCOPED(mem_freep) = fs_join(root, PLACE "/rpmdb.sqlite");
	struct strv removed SCOPED(strv_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct rpmdb db = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(rpmdb_settle(root_fd, NULL, &e), 0);
	make_one(PLACE, "till");
	put(PLACE "/rpmdb.sqlite-wal", "pending");
	assert_int_equal(rpmdb_settle(root_fd, &removed, &e), 0);
	assert_int_equal(removed.n, 0); /* what is pending is not thrown away */
	assert_true(is_there(PLACE "/rpmdb.sqlite-wal"));
	put(PLACE "/rpmdb.sqlite-wal", "");
	put(PLACE "/rpmdb.sqlite-shm", "x");
	put(PLACE "/.rpm.lock", "");
	assert_int_equal(rpmdb_settle(root_fd, &removed, &e), 0);
	assert_int_equal(removed.n, 3);
	assert_false(is_there(PLACE "/rpmdb.sqlite-wal"));
	assert_int_equal(fs_get(AT_FDCWD, path, &b, &e), 0);
	assert_memory_equal(b.data + 18, "\1\1", 2);
	assert_int_equal(rpmdb_read(root_fd, RPMDB_NAMES, &db, &e), 0);
	assert_int_equal(db.n, 1);
	rpmdb_release(&db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_tree_without_has_no_packages, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(packages_have_versions_and_files, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(owned_follows_rpm_and_merged_usr, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(the_newer_place_and_a_link_to_it, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(what_is_no_database_is_refused, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(older_databases_and_open_journals_are_not_read, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(settling_leaves_one_file, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

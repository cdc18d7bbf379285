#include "package/rpmdb.h"

#include "base/mem.h"
#include "package/rpm_header.h"
#include "recipe/grammar.h"
#include "sandbox/sandbox.h"
#include "sql/sql.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DB_MAX     (1ULL << 30)
#define TEXT_MAX   (512U << 20)
#define TIMEOUT_MS (5ULL * 60 * 1000)

enum { CONFIG = 1 << 0, GHOST = 1 << 6, WRITE_VERSION = 18, READ_VERSION = 19, HEAD = 100 };

static const char *const places[] = {"var/lib/rpm", "usr/lib/sysimage/rpm"};
static const char magic[16] = "SQLite format 3";

struct reading {
	int in, out; /* the database; a file in memory for what it says */
	size_t n;
	enum rpmdb_what what;
};

/* One line for the package, "P" and its fields by tabs, and one for each file, "F" and its path,
 * which "D" and its digest may follow.
 * Names with control characters are nobody's: they would be lines of their own. */
static bool plain(const char *s)
{
	if (s == NULL || *s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

static void say_files(const struct rpm_header *h, struct buf *out)
{
	uint32_t n = rpm_header_texts(h, RPM_TAG_BASE_NAMES);
	uint32_t dirs_n = rpm_header_texts(h, RPM_TAG_DIR_NAMES);
	const char **names SCOPED(mem_freep) = rpm_header_list(h, RPM_TAG_BASE_NAMES);
	const char **dirs SCOPED(mem_freep) = rpm_header_list(h, RPM_TAG_DIR_NAMES);
	const char **digests SCOPED(mem_freep) = rpm_header_list(h, RPM_TAG_FILE_DIGESTS);
	uint32_t digests_n = rpm_header_texts(h, RPM_TAG_FILE_DIGESTS);

	if (rpm_header_numbers(h, RPM_TAG_DIR_INDEXES) < n ||
	    rpm_header_numbers(h, RPM_TAG_FILE_FLAGS) < n)
		return;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t dir = rpm_header_number(h, RPM_TAG_DIR_INDEXES, i);

		if ((rpm_header_number(h, RPM_TAG_FILE_FLAGS, i) & GHOST) != 0 || dir >= dirs_n ||
		    !plain(dirs[dir]) || (names[i][0] != '\0' && !plain(names[i])))
			continue;
		buf_addf(out, "F%s%s\n", dirs[dir], names[i]);
		if (i < digests_n && plain(digests[i]) &&
		    (rpm_header_number(h, RPM_TAG_FILE_FLAGS, i) & CONFIG) == 0)
			buf_addf(out, "D%s\n", digests[i]);
	}
}

static int say(const struct reading *r, const void *blob, size_t n, struct buf *out, struct err *e)
{
	struct rpm_header h;
	const char *name, *version, *release, *arch;

	if (rpm_header_parse(blob, n, &h, e) != 0)
		return -1;
	name = rpm_header_text(&h, RPM_TAG_NAME);
	version = rpm_header_text(&h, RPM_TAG_VERSION);
	release = rpm_header_text(&h, RPM_TAG_RELEASE);
	arch = rpm_header_text(&h, RPM_TAG_ARCH);
	if (!plain(name) || !plain(version) || !plain(release))
		return err_set(e, ERR_FAIL, "an rpm header without name or version");
	buf_addf(out, "P%s\t", name);
	if (rpm_header_numbers(&h, RPM_TAG_EPOCH) > 0)
		buf_addf(out, "%u:", rpm_header_number(&h, RPM_TAG_EPOCH, 0));
	buf_addf(out, "%s-%s\t%s\n", version, release, plain(arch) ? arch : "noarch");
	if (r->what == RPMDB_FILES)
		say_files(&h, out);
	return 0;
}

static int say_all(const struct reading *r, unsigned char *bytes, struct buf *out, struct err *e)
{
	static const char query[] = "SELECT blob FROM Packages ORDER BY hnum";
	struct sql *db SCOPED(sql_closep) = NULL;
	struct sql_query *q SCOPED(sql_query_freep) = NULL;
	bool more = true;

	if (sql_open_bytes(bytes, r->n, &db, e) != 0 || sql_prepare(db, query, &q, e) != 0) {
		e->kind = ERR_FAIL;
		return err_in(e, "rpm database");
	}
	while (more) {
		size_t n = 0;
		const void *blob;

		if (sql_next(q, &more, e) != 0)
			return err_in(e, "rpm database");
		if (!more)
			break;
		blob = sql_column_bytes(q, 0, &n);
		if (blob == NULL)
			return err_set(e, ERR_FAIL, "an empty rpm header");
		if (say(r, blob, n, out, e) != 0)
			return -1;
	}
	return 0;
}

/* In the child. A database with a journal beside it cannot be read without: the file itself is
 * complete, since a journal that was not empty was refused. */
static int read_apart(void *arg, struct err *e)
{
	const struct reading *r = arg;
	struct buf out SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	unsigned char *bytes SCOPED(mem_freep) = mem_zalloc(r->n);

	if (fs_read_all(r->in, bytes, r->n, e) != 0)
		return -1;
	if (r->n < HEAD || memcmp(bytes, magic, sizeof(magic)) != 0)
		return err_set(e, ERR_FAIL, "not a database of SQLite");
	bytes[WRITE_VERSION] = bytes[READ_VERSION] = 1;
	if (say_all(r, bytes, &out, e) != 0)
		return -1;
	if (buf_over(&out))
		return err_set(e, ERR_FAIL, "more than %u MB of names", TEXT_MAX >> 20);
	return fs_write_all(r->out, out.data, out.len, e);
}

void rpmdb_release(struct rpmdb *db)
{
	for (size_t i = 0; i < db->n; i++) {
		free(db->v[i].name);
		free(db->v[i].version);
		free(db->v[i].arch);
		strv_release(&db->v[i].files);
		strv_release(&db->v[i].digests);
	}
	free(db->v);
	*db = (struct rpmdb){0};
}

/* "NAME\tVERSION\tARCH" */
static int take_package(char *line, struct rpmdb *db, struct err *e)
{
	char *version = strchr(line, '\t');
	char *arch = version != NULL ? strchr(version + 1, '\t') : NULL;
	struct rpmdb_package *p;

	if (arch != NULL)
		*version++ = *arch++ = '\0';
	if (arch == NULL || !grammar_ok(&grammar_locked_package, line) ||
	    !grammar_ok(&grammar_locked_version, version) ||
	    !grammar_ok(&grammar_locked_arch, arch))
		return err_set(e, ERR_FAIL, "an odd package in the rpm database");
	if ((db->n & (db->n - 1)) == 0) /* full at powers of two */
		db->v = mem_resize(db->v, db->n == 0 ? 1 : db->n * 2, sizeof(*db->v));
	p = &db->v[db->n++];
	*p = (struct rpmdb_package){
	    .name = mem_strdup(line), .version = mem_strdup(version), .arch = mem_strdup(arch)};
	return 0;
}

static void take_path(struct rpmdb_package *p, const char *path)
{
	strv_add(&p->files, path);
	strv_add(&p->digests, "");
}

static void take_digest(struct rpmdb_package *p, const char *hex)
{
	if (p->digests.n == 0)
		return;
	free(p->digests.v[p->digests.n - 1]);
	p->digests.v[p->digests.n - 1] = mem_strdup(hex);
}

static int take_lines(char *text, struct rpmdb *db, struct err *e)
{
	char *end;

	for (char *line = text; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		if (line[0] == 'P' && take_package(line + 1, db, e) != 0)
			return -1;
		if (line[0] == 'F' && db->n > 0)
			take_path(&db->v[db->n - 1], line + 1);
		if (line[0] == 'D' && db->n > 0)
			take_digest(&db->v[db->n - 1], line + 1);
	}
	return 0;
}

static int read_file(int in, size_t n, enum rpmdb_what what, struct rpmdb *db, struct err *e)
{
	int out SCOPED(fd_closep) = memfd_create("rpmdb", MFD_CLOEXEC);
	struct reading r = {in, out, n, what};
	struct sandbox_worker_spec spec = {
	    .fn = read_apart, .arg = &r, .memory_max = 4 * DB_MAX, .timeout_ms = TIMEOUT_MS};
	struct stat st;
	char *text SCOPED(mem_freep) = NULL;

	if (out < 0)
		return err_sys(e, "a file in memory");
	if (sandbox_worker(&spec, e) != 0)
		return -1;
	if (fstat(out, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size > TEXT_MAX ||
	    lseek(out, 0, SEEK_SET) != 0)
		return err_set(e, ERR_FAIL, "no answer about the rpm database");
	text = mem_zalloc((size_t)st.st_size + 1);
	if (fs_read_all(out, text, (size_t)st.st_size, e) != 0)
		return -1;
	return take_lines(text, db, e);
}

/* Opens DIR/rpmdb.sqlite, or a file beside it: *ret stays -1 when there is none. */
static int open_db(int rootfd, const char *dir, const char *name, int flags, int *ret,
		   struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%s", dir, name);
	int fd SCOPED(fd_closep) = -1;
	struct err why = ERR_INIT;
	struct stat st;

	if (fs_open_in_root(rootfd, path, flags | O_NONBLOCK | O_NOCTTY, &fd, &why) != 0) {
		if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
			return 0;
		*e = why;
		return -1;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_FAIL, "%s: not a regular file", path);
	*ret = STEAL_FD(fd);
	return 0;
}

static int size_of(int rootfd, const char *dir, const char *name, uint64_t *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	struct stat st = {0};

	if (open_db(rootfd, dir, name, O_RDONLY, &fd, e) != 0)
		return -1;
	if (fd >= 0 && fstat(fd, &st) != 0)
		return err_sys(e, "%s/%s", dir, name);
	*ret = (uint64_t)st.st_size;
	return 0;
}

static int read_place(int rootfd, const char *dir, enum rpmdb_what what, struct rpmdb *db,
		      struct err *e)
{
	int fd SCOPED(fd_closep) = -1, old SCOPED(fd_closep) = -1;
	uint64_t journal = 0;
	struct stat st;

	if (open_db(rootfd, dir, "rpmdb.sqlite", O_RDONLY, &fd, e) != 0 ||
	    (fd < 0 && open_db(rootfd, dir, "Packages", O_RDONLY, &old, e) != 0))
		return -1;
	db->older = old >= 0;
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) != 0 || (uint64_t)st.st_size > DB_MAX)
		return err_set(e, ERR_FAIL, "%s/rpmdb.sqlite: larger than 1 GiB", dir);
	if (size_of(rootfd, dir, "rpmdb.sqlite-wal", &journal, e) != 0)
		return -1;
	if (journal > 0)
		return err_set(e, ERR_FAIL, "%s/rpmdb.sqlite-wal: rpm has not finished there", dir);
	return read_file(fd, (size_t)st.st_size, what, db, e) == 0
		   ? 0
		   : err_in(e, "%s/rpmdb.sqlite", dir);
}

int rpmdb_read(int rootfd, enum rpmdb_what what, struct rpmdb *ret, struct err *e)
{
	struct rpmdb db SCOPED(rpmdb_release) = {0};

	/* one may be a symlink to the other: the first that has packages is it */
	for (size_t i = 0; db.n == 0 && !db.older && i < sizeof(places) / sizeof(places[0]); i++)
		if (read_place(rootfd, places[i], what, &db, e) != 0)
			return -1;
	*ret = db;
	db = (struct rpmdb){0};
	return 0;
}

static int remove_beside(int dir, const char *place, const char *name, struct strv *removed,
			 struct err *e)
{
	if (unlinkat(dir, name, 0) == 0) {
		if (removed != NULL)
			strv_addf(removed, "%s/%s", place, name);
		return 0;
	}
	return errno == ENOENT ? 0 : err_sys(e, "remove %s/%s", place, name);
}

/* File format of SQLite, 1.3.3: 1 = a rollback journal that comes and goes, 2 = a write-ahead log
 * beside the file. With that empty, the header is all that differs. */
static int settle(int rootfd, const char *place, struct strv *removed, struct err *e)
{
	static const unsigned char plain_journal[2] = {1, 1};
	int fd SCOPED(fd_closep) = -1, dir SCOPED(fd_closep) = -1;
	unsigned char head[HEAD];
	uint64_t journal = 0;

	if (open_db(rootfd, place, "rpmdb.sqlite", O_RDWR, &fd, e) != 0 ||
	    size_of(rootfd, place, "rpmdb.sqlite-wal", &journal, e) != 0)
		return -1;
	if (fd < 0 || journal > 0 || pread(fd, head, HEAD, 0) != HEAD ||
	    memcmp(head, magic, sizeof(magic)) != 0)
		return 0;
	if ((head[WRITE_VERSION] != 1 || head[READ_VERSION] != 1) &&
	    pwrite(fd, plain_journal, 2, WRITE_VERSION) != 2)
		return err_sys(e, "%s/rpmdb.sqlite", place);
	if (fs_open_in_root(rootfd, place, O_RDONLY | O_DIRECTORY, &dir, e) != 0 ||
	    remove_beside(dir, place, "rpmdb.sqlite-wal", removed, e) != 0 ||
	    remove_beside(dir, place, "rpmdb.sqlite-shm", removed, e) != 0)
		return -1;
	return remove_beside(dir, place, ".rpm.lock", removed, e);
}

int rpmdb_settle(int rootfd, struct strv *removed, struct err *e)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (settle(rootfd, places[i], removed, e) != 0)
			return -1;
	return 0;
}

#include "sql/sql.h"

#include "sys/intr.h"
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_KB = 65536, TEXT_MAX = 16 << 20, LOOK_EVERY = 20000 };

struct sql {
	sqlite3 *db;
	bool only_read;
};

struct sql_query {
	sqlite3 *db;
	sqlite3_stmt *st;
};

void sql_close(struct sql *db)
{
	if (db == NULL)
		return;
	(void)sqlite3_close(db->db);
	free(db);
}

void sql_closep(struct sql **db)
{
	sql_close(*db);
	*db = NULL;
}

static int fault(sqlite3 *db, enum err_kind kind, struct err *e)
{
	return err_set(e, kind, "SQLite: %s", db != NULL ? sqlite3_errmsg(db) : "no memory");
}

/* Stops a statement when the process is to end. */
static int is_ending(void *unused)
{
	(void)unused;
	return intr_pending();
}

static int open_named(const char *name, struct sql **ret, struct err *e)
{
	struct sql *db SCOPED(sql_closep) = mem_zalloc(sizeof(*db));

	if (sqlite3_open(name, &db->db) != SQLITE_OK)
		return fault(db->db, ERR_FAIL, e);
	(void)sqlite3_limit(db->db, SQLITE_LIMIT_LENGTH, TEXT_MAX);
	(void)sqlite3_limit(db->db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_progress_handler(db->db, LOOK_EVERY, is_ending, NULL);
	*ret = STEAL(db);
	return 0;
}

int sql_open_own(struct sql **ret, struct err *e)
{
	char *start SCOPED(mem_freep) =
	    mem_format("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; "
		       "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-%d;",
		       CACHE_KB);
	struct sql *db SCOPED(sql_closep) = NULL;

	if (open_named("", &db, e) != 0 || sql_run(db, start, e) != 0)
		return -1;
	*ret = STEAL(db);
	return 0;
}

int sql_open_bytes(unsigned char *p, size_t n, struct sql **ret, struct err *e)
{
	struct sql *db SCOPED(sql_closep) = NULL;

	if (open_named(":memory:", &db, e) != 0)
		return -1;
	if (sqlite3_deserialize(db->db, "main", p, (sqlite3_int64)n, (sqlite3_int64)n,
				SQLITE_DESERIALIZE_READONLY) != SQLITE_OK)
		return fault(db->db, ERR_FAIL, e);
	*ret = STEAL(db);
	return 0;
}

int sql_run(struct sql *db, const char *text, struct err *e)
{
	return sqlite3_exec(db->db, text, NULL, NULL, NULL) == SQLITE_OK
		   ? 0
		   : fault(db->db, ERR_FAIL, e);
}

void sql_only_read(struct sql *db)
{
	db->only_read = true;
}

/* Whether it is a query: ATTACH and PRAGMA, which SQLite also says only read, are none. */
static bool is_query(sqlite3_stmt *st, const char *text)
{
	static const char *const words[] = {"SELECT", "WITH", "VALUES"};

	text += strspn(text, " \t\r\n");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (sqlite3_strnicmp(text, words[i], (int)strlen(words[i])) == 0)
			return sqlite3_stmt_readonly(st) != 0;
	return false;
}

int sql_prepare(struct sql *db, const char *text, struct sql_query **ret, struct err *e)
{
	struct sql_query *q SCOPED(sql_query_freep) = mem_zalloc(sizeof(*q));
	const char *rest = "";

	q->db = db->db;
	if (sqlite3_prepare_v2(db->db, text, -1, &q->st, &rest) != SQLITE_OK)
		return fault(db->db, ERR_USAGE, e);
	if (q->st == NULL || rest[strspn(rest, " \t\n;")] != '\0')
		return err_set(e, ERR_USAGE, "SQLite: one statement is wanted");
	if (db->only_read && !is_query(q->st, text))
		return err_set(e, ERR_USAGE, "SQLite: only a query is allowed: SELECT …");
	*ret = STEAL(q);
	return 0;
}

void sql_query_free(struct sql_query *q)
{
	if (q == NULL)
		return;
	(void)sqlite3_finalize(q->st);
	free(q);
}

void sql_query_freep(struct sql_query **q)
{
	sql_query_free(*q);
	*q = NULL;
}

void sql_text(struct sql_query *q, int at, const char *p, size_t n)
{
	(void)sqlite3_bind_text64(q->st, at, p, n, SQLITE_STATIC, SQLITE_UTF8);
}

void sql_int(struct sql_query *q, int at, int64_t v)
{
	(void)sqlite3_bind_int64(q->st, at, v);
}

void sql_null(struct sql_query *q, int at)
{
	(void)sqlite3_bind_null(q->st, at);
}

void sql_named(struct sql_query *q, const char *name, int64_t v)
{
	int at = sqlite3_bind_parameter_index(q->st, name);

	if (at > 0)
		sql_int(q, at, v);
}

int sql_next(struct sql_query *q, bool *ret, struct err *e)
{
	int rc = sqlite3_step(q->st);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		(void)(rc == SQLITE_INTERRUPT ? intr_err(e) : fault(q->db, ERR_FAIL, e));
		(void)sqlite3_reset(q->st);
		return -1;
	}
	if (rc == SQLITE_DONE)
		(void)sqlite3_reset(q->st);
	*ret = rc == SQLITE_ROW;
	return 0;
}

int sql_columns(const struct sql_query *q)
{
	return sqlite3_column_count(q->st);
}

const char *sql_column_name(const struct sql_query *q, int at)
{
	return sqlite3_column_name(q->st, at);
}

const char *sql_column_text(struct sql_query *q, int at)
{
	return (const char *)sqlite3_column_text(q->st, at);
}

const void *sql_column_bytes(struct sql_query *q, int at, size_t *ret_n)
{
	const void *p = sqlite3_column_blob(q->st, at);
	int n = sqlite3_column_bytes(q->st, at);

	*ret_n = n > 0 ? (size_t)n : 0;
	return p;
}

int64_t sql_column_int(struct sql_query *q, int at)
{
	return sqlite3_column_int64(q->st, at);
}

bool sql_column_is_integer(struct sql_query *q, int at)
{
	return sqlite3_column_type(q->st, at) == SQLITE_INTEGER;
}

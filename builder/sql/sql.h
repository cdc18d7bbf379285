/* sql.h - the door to SQLite: databases that are thrown away, and those of others, read only. */
#ifndef SQL_SQL_H
#define SQL_SQL_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct sql;
struct sql_query;

/* A database of one's own, in memory as far as that reaches and else in a file without a name.
 * The caller closes it. */
int sql_open_own(struct sql **ret, struct err *e) MUST_CHECK;

/* The n bytes of a database, which stay the caller's and must outlast it. It is not written. */
int sql_open_bytes(unsigned char *p, size_t n, struct sql **ret, struct err *e) MUST_CHECK;
void sql_close(struct sql *db);
void sql_closep(struct sql **db);

/* Runs statements that give no rows. */
int sql_run(struct sql *db, const char *text, struct err *e) MUST_CHECK;

/* From now on statements only read, from this database alone: any other is ERR_USAGE when it is
 * prepared. */
void sql_only_read(struct sql *db);

/* Prepares one statement; a second one behind it is ERR_USAGE, and so is a fault of its text. */
int sql_prepare(struct sql *db, const char *text, struct sql_query **ret, struct err *e) MUST_CHECK;
void sql_query_free(struct sql_query *q);
void sql_query_freep(struct sql_query **q);

/* Values of its parameters, from 1. Text is borrowed until the statement was reset. */
void sql_text(struct sql_query *q, int at, const char *p, size_t n);
void sql_int(struct sql_query *q, int at, int64_t v);
void sql_null(struct sql_query *q, int at);

/* The same of a parameter by its name (":now"), where the statement has it. */
void sql_named(struct sql_query *q, const char *name, int64_t v);

/* The next row: *ret says whether there is one. Without another it is as before the first. A
 * signal that is pending (sys/intr.h) ends a statement that takes long. */
int sql_next(struct sql_query *q, bool *ret, struct err *e) MUST_CHECK;

/* Its columns, from 0: borrowed until the next row. NULL is no text and the number 0. */
int sql_columns(const struct sql_query *q);
const char *sql_column_name(const struct sql_query *q, int at);
const char *sql_column_text(struct sql_query *q, int at);
const void *sql_column_bytes(struct sql_query *q, int at, size_t *ret_n);
int64_t sql_column_int(struct sql_query *q, int at);
bool sql_column_is_integer(struct sql_query *q, int at);

#endif

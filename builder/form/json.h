/* json.h - the door to jansson. Values are reference counted; `jval_put` and `jval_push` take over
 * the value they are given, `jval_get` and `jval_at` lend it.
 *
 * Reading refuses duplicate keys, trailing bytes, nesting past 64 and texts past a limit. Writing
 * is byte-stable: sorted keys, integers only (RFC 8785 for the values that we use). */
#ifndef FORM_JSON_H
#define FORM_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct jval; /* opaque; one JSON value */

/* Parses n bytes. `what` names the text in errors ("index.json"); they are of kind ERR_RECIPE and
 * carry line and column. The caller owns *ret and releases it with jval_free. */
int jval_parse(const char *p, size_t n, const char *what, struct jval **ret,
	       struct err *e) MUST_CHECK;

/* Appends the value as one line without blanks, keys sorted. */
void jval_write(const struct jval *v, struct buf *out);

/* Same for people and diffs: indented by one blank a level, ends in a newline. */
void jval_write_pretty(const struct jval *v, struct buf *out);

void jval_free(struct jval *v);
void jval_freep(struct jval **v);

/* Returns v with one more reference. */
struct jval *jval_ref(struct jval *v);

/* Constructors; the caller owns the result. Text must be UTF-8: other bytes are replaced. */
struct jval *jval_object(void);
struct jval *jval_array(void);
struct jval *jval_text(const char *s);
struct jval *jval_textn(const char *p, size_t n);
struct jval *jval_int(int64_t v);
struct jval *jval_bool(bool v);
struct jval *jval_null(void);

/* Sets key in an object (replacing) or appends to an array; takes val over. */
void jval_put(struct jval *object, const char *key, struct jval *val);
void jval_push(struct jval *array, struct jval *val);
void jval_put_text(struct jval *object, const char *key, const char *s);
void jval_put_int(struct jval *object, const char *key, int64_t v);
void jval_del(struct jval *object, const char *key);

/* Lenders: NULL when v is NULL, of another type, or has no such member. */
struct jval *jval_get(const struct jval *object, const char *key);
struct jval *jval_at(const struct jval *array, size_t i);
const char *jval_str(const struct jval *v);                           /* v is a string */
const char *jval_get_str(const struct jval *object, const char *key); /* the member is a string */

/* Returns 0 and the integer, or -1 when absent or not an integer. */
int jval_get_int(const struct jval *object, const char *key, int64_t *ret) MUST_CHECK;
/* The same; 0 when there is none. */
int64_t jval_num(const struct jval *object, const char *key);
bool jval_get_bool(const struct jval *object, const char *key); /* false unless true */

/* What a value is, how many it holds, and whether two are the same; NULL is nothing. */
bool jval_is_object(const struct jval *v);
bool jval_is_array(const struct jval *v);
size_t jval_len(const struct jval *v); /* members or items; 0 for anything else */
bool jval_equal(const struct jval *a, const struct jval *b);

/* Calls fn for every member in byte order of the keys until it returns non-zero; returns that. */
int jval_each(const struct jval *object, int (*fn)(void *ctx, const char *key, struct jval *val),
	      void *ctx);

#endif

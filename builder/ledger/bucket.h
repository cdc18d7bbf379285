/* bucket.h - the mirror of ledgers: objects PREFIX/CHAIN/NUMBER.jsonl, each the lines of one
 * segment from that number on, written once. For the files of ledger/ only. */
#ifndef LEDGER_BUCKET_H
#define LEDGER_BUCKET_H

#include "ledger/parts.h"
#include "remote/s3.h"

struct bucket {
	struct s3 *s3;
	struct http *http;
	char *prefix; /* "" or ends in a slash */
};

/* Opens s3://BUCKET[/PREFIX]; connect_ms 0: to read, and patiently. */
int bucket_open(const char *where, uint64_t connect_ms, struct bucket *ret,
		struct err *e) MUST_CHECK;
void bucket_release(struct bucket *b);

/* Whether a place is one. */
bool bucket_ok(const char *where) MUST_CHECK;

/* "PREFIX/CHAIN/0000000000000001.jsonl"; the caller owns it. */
char *bucket_key(const struct bucket *b, const char *chain, uint64_t seq) MUST_CHECK;

/* Puts an object that nobody has put before. 1: there is one. */
int bucket_put(struct bucket *b, const char *key, const struct buf *text, struct err *e) MUST_CHECK;

/* Appends an object. 1: there is none. */
int bucket_get(struct bucket *b, const char *key, struct buf *ret, struct err *e) MUST_CHECK;

/* The keys below the prefix, in order. */
int bucket_list(struct bucket *b, struct strv *ret, struct err *e) MUST_CHECK;

#endif

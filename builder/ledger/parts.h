/* parts.h - how a ledger lies in its directory; for the files of ledger/ only. */
#ifndef LEDGER_PARTS_H
#define LEDGER_PARTS_H

#include "base/buf.h"
#include "ledger/ledger.h"

/* Of the fields of a segment's first line: its writer found lines, and no head record. */
#define SEGMENT_HEADLESS "headless"

enum { SEGMENT_NAME = 16, SEGMENTS_MAX = 99999999, LEDGER_MACHINE = 12 };

/* Where the next line goes, and what comes before it. */
struct tail {
	uint64_t seq;       /* of the last line */
	struct digest last; /* of it */
	uint64_t segment;   /* that the line is in, from 1; 0 = there is none */
	uint64_t end;       /* bytes of that segment up to its end */
	char chain[32];
	uint64_t headless; /* the first segment seen that says it was begun without a head record */
};

/* "00000001.jsonl". */
struct segment_name {
	char s[SEGMENT_NAME];
};
struct segment_name segment_name(uint64_t number);

/* The numbers of the last segment, 0 without one; in *ret_n how many there are. */
int segment_last(int dirfd, uint64_t *ret, uint64_t *ret_n, struct err *e) MUST_CHECK;

/* Goes on from *t, which stands before p, over the whole lines of a segment in p; of the first that
 * does not go on from the one before ERR_VERIFY, with *t at the last that does. */
int segment_walk(struct tail *t, const char *p, size_t n, ledger_fn *fn, void *ctx,
		 struct err *e) MUST_CHECK;

/* The head record: the last line that is known to be on the disk. Absent or damaged is -1, and
 * no error. */
int head_read(int dirfd, struct tail *ret) MUST_CHECK;

/* Whether there is none, or something else by its name. One that cannot be read now is no reason to
 * say so. */
bool head_is_gone(int dirfd);

/* Writes it over the one before; not waited for: an old one is as good, only later. */
int head_write(int dirfd, const struct tail *t, struct err *e) MUST_CHECK;

/* Writes the head record of a ledger that has no line yet, and waits for the disk: where lines are,
 * there is one. */
int head_begin(int dirfd, const struct tail *t, struct err *e) MUST_CHECK;

/* Where the next line goes, in a ledger that nobody else appends to now. What a writer that died
 * left of a line is taken away; whole lines that do not follow go to a file "aside-…". */
int tail_find(int dirfd, struct tail *ret, struct err *e) MUST_CHECK;

/* The name of the chain, "" of an empty ledger. */
int chain_of(int dirfd, struct tail *ret, struct err *e) MUST_CHECK;

/* Who acts, and where: words without quotes. */
struct who {
	char actor[96], host[72], machine[LEDGER_MACHINE + 1];
};
void who_now(struct who *ret);

/* A new name for a chain of this machine: its own digits, and random ones. */
int chain_new(const struct who *w, char ret[static 32], struct err *e) MUST_CHECK;

/* Appends a line with its end. */
int line_write(struct buf *out, const struct tail *t, const struct who *w,
	       const struct ledger_event *v, const char *time, struct err *e) MUST_CHECK;

#endif

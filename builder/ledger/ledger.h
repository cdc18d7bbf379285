/* ledger.h - what was done, by whom and when: one JSON object a line, each with the SHA-256 of the
 * line before it, in the segments of a directory. See posmedia-ledger(5).
 *
 * Any number of processes may append to one directory at once. What ledger_append returned 0 for is
 * on the disk; a writer that died, or a power cut, leaves at most the beginning of a line that
 * nobody was told of, and the next append takes that away. */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include "base/strv.h"
#include "form/digest.h"
#include "form/json.h"

enum { LEDGER_SCHEMA = 1, LEDGER_LINE_MAX = 64 << 10, LEDGER_SEGMENT_BYTES = 8 << 20 };

/* One event to append. Fields that the reports know are in posmedia-ledger(5). */
struct ledger_event {
	const char *kind;             /* "build": a small word, with dashes */
	const struct digest *subject; /* what it was done to; NULL = nothing that has a digest */
	const struct jval *fields;    /* an object, lent; NULL = none */
};

/* Appends n events, one after the other, to the ledger in a directory (made if absent) and waits
 * for the disk: once for all of them. They get the time, the host and the actor of now. What cannot
 * be written is an error; of several segments full of events the first may be there then. Waits
 * half a minute for other writers, then it is ERR_BUSY. */
int ledger_append(const char *dir, const struct ledger_event *v, size_t n,
		  struct err *e) MUST_CHECK;

/* A part of a line. */
struct ledger_text {
	const char *p;
	size_t n;
};

/* A line as it stands in the file, without its end. */
struct ledger_line {
	uint64_t seq;
	struct digest prev;
	struct ledger_text actor, fields, host, kind, machine, subject,
	    time; /* fields: an object */
	struct ledger_text all;
};

/* Reads one line of n bytes, without its end: exactly the form that ledger_append writes.
 * Anything else is ERR_VERIFY. The parts point into p. */
int ledger_line_parse(const char *p, size_t n, struct ledger_line *ret, struct err *e) MUST_CHECK;

/* Whether that has the form of a line's time. */
bool ledger_is_time(const struct ledger_text *t) MUST_CHECK;

/* How a ledger stands. */
struct ledger_state {
	char chain[32];    /* its name, "" before the first line */
	uint64_t lines;    /* the number of the last line */
	uint64_t segments; /* files */
	uint64_t bytes;
	uint64_t unfinished; /* bytes behind the last line, of a writer that died or is at work */
	struct digest last;  /* of the last line, its end too */
	bool has_head;       /* the head record was there, and the chain passes through it */
};

/* Calls fn (which may be NULL) for each line in order, lent, and checks the chain: the first line
 * that is changed, lost or out of its place is ERR_VERIFY with FILE:LINE, and so is a ledger that
 * ends before its head record. A directory that is absent is an empty ledger. fn returns -1 with
 * *e set to stop. */
typedef int ledger_fn(void *ctx, const struct ledger_line *line, struct err *e);
int ledger_read(const char *dir, ledger_fn *fn, void *ctx, struct ledger_state *ret,
		struct err *e) MUST_CHECK;

/* What of a ledger is not as it was written: "FILE:LINE: why", the first hundred, and how many. */
struct ledger_damage {
	struct strv places;
	size_t n;
};
void ledger_damage_release(struct ledger_damage *d);

/* Reads a ledger that ledger_read finds broken: calls fn for the lines that nothing speaks against.
 * A line is left out when it is none, or when the one behind it or the head record says that it was
 * another. *damage is added to; its last line counts as st.lines. Only what cannot be read at all
 * is an error. */
struct ledger_reader {
	ledger_fn *fn; /* or NULL */
	void *ctx;
};
int ledger_salvage(const char *dir, const struct ledger_reader *r, struct ledger_damage *damage,
		   struct ledger_state *ret, struct err *e) MUST_CHECK;

/* Where a ledger is mirrored: s3://BUCKET[/PREFIX], and for how many days what is there can be
 * neither changed nor removed (the bucket's object lock); 0 = not at all. */
struct ledger_mirror {
	const char *to;
	uint64_t lock_days;
};

/* From now on the ledger in a directory has this mirror; NULL in to: none. ERR_USAGE for what is no
 * such place. */
int ledger_mirror_set(const char *dir, const struct ledger_mirror *m, struct err *e) MUST_CHECK;

/* Sends the lines that the mirror has not got yet, where the ledger has one. What cannot be reached
 * is ERR_REMOTE; with soon it is asked at most once a minute, and meanwhile that is no error: a
 * warning says so. Lines there that are others than ours, or more, are ERR_VERIFY. *ret: how many
 * lines were sent. */
int ledger_mirror_send(const char *dir, bool soon, uint64_t *ret, struct err *e) MUST_CHECK;

/* ledger_read of all chains of a bucket, s3://BUCKET[/PREFIX], one after the other. The caller
 * frees *ret. */
int ledger_mirror_read(const char *from, ledger_fn *fn, void *ctx, struct ledger_state **ret,
		       size_t *ret_n, struct err *e) MUST_CHECK;

#endif

/* feed.h - the bytes of one file through the matcher, in pieces of a bounded buffer. */
#ifndef SCAN_FEED_H
#define SCAN_FEED_H

#include "base/err.h"
#include "scan/match.h"
#include <stdbool.h>

enum { FEED_PIECE = 128 << 10 };

/* Where bytes come from: reads up to `room` into p; *ret_n is 0 at the end. */
struct input {
	int (*read)(void *ctx, void *p, size_t room, size_t *ret_n, struct err *e);
	void *ctx;
};

struct feed {
	uint8_t *buf; /* MATCH_CONTEXT before a piece and the piece; owned */
	size_t len;   /* bytes in it */
	size_t next;  /* where the matcher goes on */
	uint64_t at;  /* offset of buf[0] in the file */
	bool end;     /* there is no more */
};

/* Reads until the buffer is full or the input ends. */
int feed_fill(struct feed *f, const struct input *in, struct err *e) MUST_CHECK;

/* Looks at what the buffer has and makes room for the next piece. */
void feed_match(struct feed *f, struct matcher *m);

/* Makes it new for another file; the buffer is kept. Makes the buffer at first. */
void feed_reset(struct feed *f);

/* Takes from the buffer's beginning, as an input: for a feed that has looked at nothing yet. */
size_t feed_take(struct feed *f, void *p, size_t room);

void feed_release(struct feed *f);

#endif

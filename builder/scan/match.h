/* match.h - card numbers, tracks and what goes with them, in a stretch of bytes.
 *
 * A number is a run of digits, whole (no longer number, decimal fraction, hash or serial around
 * it), or groups as they are embossed, with one kind of separator; its length and first digits are
 * those of an issuer and its check digit fits. In UTF-16 too, of either byte order. Numbers of 13
 * and of 17 to 19 digits must have a word of the trade near them, since too much else looks so. */
#ifndef SCAN_MATCH_H
#define SCAN_MATCH_H

#include "scan/issuer.h"
#include <stdint.h>

enum scan_class {
	SCAN_PAN,
	SCAN_TRACK1,
	SCAN_TRACK2,
	SCAN_CVV,
	SCAN_PIN_BLOCK,
	SCAN_TEST_PAN, /* or track of one */
	SCAN_PRIVATE_KEY,
	SCAN_CREDENTIAL,
	SCAN_HASH,
	SCAN_TRUST,
	SCAN_IDENTITY,
	SCAN_CLASSES,
};

struct match {
	enum scan_class cls;
	uint64_t at;             /* offset */
	const char *what;        /* the issuer; static */
	char seen[CARD_MAX + 1]; /* masked: the first six and the last four digits; "" for CVV */
};

/* What the matcher keeps of one file. Zeroed is new, but for fn and ctx. */
struct columns;
enum { MATCH_PLAIN_MAX = 8 };
struct matcher {
	void (*fn)(void *ctx, const struct match *m);
	void *ctx;
	struct columns *columns; /* NULL until a long run of digits has come */
	/* Numbers of few different digits wait for the end: a table of codes has many of them and
	 * nothing else. */
	struct match plain[MATCH_PLAIN_MAX];
	uint64_t plain_n, other_n;
};

/* A window on a file: bytes at p, the first of them at offset `at`. */
struct text {
	const uint8_t *p;
	size_t n;
	uint64_t at;
	unsigned step; /* bytes a character; 2 where UTF-16 was narrowed */
};

/* How many bytes before and after a place decide about it. */
enum { MATCH_CONTEXT = 512 };

/* Looks at what begins between *next and `end` (indexes in the window), with the whole window as
 * context, and moves *next to where the next window has to go on; it may lie past the end. */
void match_range(struct matcher *m, const struct text *t, size_t *next, size_t end);

/* Looks at a text that is whole by itself. */
void match_whole(struct matcher *m, const void *p, size_t n, uint64_t at);

/* Says what only the whole file shows (columns.h), and forgets it. */
void match_end(struct matcher *m);

/* The digits from s on with the middle ones masked, as in struct match. */
void match_mask(const char *digits, size_t n, char *ret);

#endif

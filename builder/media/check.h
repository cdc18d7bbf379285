/* check.h - whether a file or a device is the medium that it should be, and where it is not. */
#ifndef MEDIA_CHECK_H
#define MEDIA_CHECK_H

#include "media/medium.h"

enum check_kind {
	CHECK_OTHER,      /* other bytes */
	CHECK_UNREADABLE, /* the device reports an error */
	CHECK_MISSING,    /* the device ends before it */
};

/* A place that is not as it should be: it does not reach over the end of its part. */
struct check_place {
	const struct medium_part *part; /* borrowed from the medium */
	uint64_t at, size;              /* bytes, from the start of the medium */
	enum check_kind kind;
};

enum { CHECK_PLACES = 1000 };

struct check_report {
	struct check_place *v; /* by place, at most CHECK_PLACES */
	size_t n;
	uint64_t bytes;   /* looked at */
	uint64_t wrong;   /* of these, in blocks */
	uint64_t behind;  /* what the device has behind the medium, not looked at */
	uint64_t skipped; /* in parts with data, not looked at */
};

/* Reads all of it, on all processors. With `used`, parts with data are left out: the machine has
 * written to them. Differences are no error but in the report, which the caller releases. */
int check_medium(const struct medium *m, int fd, bool used, struct check_report *ret,
		 struct err *e) MUST_CHECK;

/* The same without the first block, which is not there yet. */
int check_behind_first(const struct medium *m, int fd, struct check_report *ret,
		       struct err *e) MUST_CHECK;
void check_release(struct check_report *r);

#endif

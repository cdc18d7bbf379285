/* program.h - a program of the machine that reads a medium for us which libarchive does not, in a
 * sandbox of its own. */
#ifndef ARCHIVE_PROGRAM_H
#define ARCHIVE_PROGRAM_H

#include "archive/unpack.h"
#include "base/buf.h"
#include "sandbox/sandbox.h"

enum { PROGRAM_SAID_MAX = 2000 };

struct program {
	const char *path, *package; /* of Debian's, which has it */
	const char *medium;         /* "a disc of UDF", for the error when it is not there */
	const char *const *argv;    /* NULL-terminated; sees the medium as /medium */
	int fd;                     /* of the medium: a file */
	const char *dest;           /* a directory that it may write to, as /to */
	uint64_t file_max;          /* bytes of one file, or 0 */
	uint64_t timeout_ms;
	const struct sandbox_watch *watch; /* or NULL */
};

/* Runs it; it sees /usr of the machine, the medium and `dest`, and nothing else. *said gets the
 * beginning of what it said, at most PROGRAM_SAID_MAX bytes, on one line without control
 * characters. Not installed: ERR_FAIL with a hint; no end within the time: ERR_RECIPE.
 * sandbox_enter was called. */
int program_run(const struct program *p, struct buf *said, int *ret_status,
		struct err *e) MUST_CHECK;

#endif

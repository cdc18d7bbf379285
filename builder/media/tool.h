/* tool.h - a program of the machine that writes a file system or a disk for us, in a sandbox of its
 * own: without root, without loop devices. */
#ifndef MEDIA_TOOL_H
#define MEDIA_TOOL_H

#include "base/err.h"
#include <stdint.h>

struct tool {
	const char *package;     /* of Debian's, which has it */
	const char *const *argv; /* NULL-terminated */
	const char *tree;        /* absolute: what it sees as /tree; or NULL */
	const char *dest;        /* absolute: what it sees as /to, and may write to */
	int64_t epoch;           /* seconds: what it takes for now */
	const char *input;       /* text for its standard input; or NULL */
	const char *root;        /* absolute: it is a program of this tree, which it sees as "/",
				    and `dest` is /run/to; NULL = one of the machine */
};

/* Runs it to its end; it sees /usr of the machine (or `root`), the tree and `dest`, and
 * nothing else. Not
 * installed: ERR_FAIL with a hint; any end but exit status 0: ERR_FAIL with the end of what it
 * said. sandbox_enter was called. */
int tool_run(const struct tool *t, struct err *e) MUST_CHECK;

#endif

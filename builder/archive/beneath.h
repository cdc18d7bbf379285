/* beneath.h - directories below a root, one component at a time and never through a symlink. The
 * last one is kept open, because entries that follow each other mostly share it. */
#ifndef ARCHIVE_BENEATH_H
#define ARCHIVE_BENEATH_H

#include "base/err.h"
#include "base/strv.h"
#include <stdbool.h>

struct beneath {
	int root;  /* borrowed */
	bool make; /* make missing directories, mode 0755 */
	char *dir; /* the directory that fd is, or NULL */
	int fd;
	struct strv made; /* the paths of those made, for who cares; he may empty it */
};

#define BENEATH_INIT(rootfd, make_missing)                                                         \
	{                                                                                          \
		.root = (rootfd), .make = (make_missing), .fd = -1                                 \
	}

/* Opens the directory that holds `path` (relative, plain components). *ret_fd is borrowed until the
 * next call, *ret_name points into path. A component that is a symlink or a file: ERR_RECIPE. */
int beneath_parent(struct beneath *b, const char *path, int *ret_fd, const char **ret_name,
		   struct err *e) MUST_CHECK;

/* Forgets the directory kept open; to be called when directories are removed. */
void beneath_forget(struct beneath *b);

/* Same as beneath_forget, as a cleanup handler. */
void beneath_release(struct beneath *b);

#endif

/* final.h - the archive of all that a site has on the host. */
#ifndef STAGE_FINAL_H
#define STAGE_FINAL_H

#include "stage/life.h"
#include <sys/stat.h>

/* What is kept, and as what. */
struct final {
	int from;         /* the directory, open */
	int to;           /* where the file goes, open */
	const char *name; /* of the file, which must not be there */
	const char *what; /* its path, for messages */
};

/* Writes the archive, durably: same files, same bytes (archive/pack.h), as tar in one frame of
 * zstd. Reads it back from the disk and decompresses it, and compares what is there now with what
 * was there when it was begun. Fills the numbers and digests of *ret. On failure there may be a
 * file, which then is not to be believed. */
int final_write(const struct final *f, struct stage_ended *ret, struct err *e) MUST_CHECK;

/* Looks through an open directory that will be removed, called `what`: ERR_BUSY when it, or
 * anything in it, is mounted there, also from the same file system, with `above` as what is not;
 * ERR_USAGE when the archive, or the directory that it goes to, is in it. archive: NULL = none yet.
 */
int final_look(int above, int dirfd, const char *what, const struct stat *archive,
	       struct err *e) MUST_CHECK;

#endif

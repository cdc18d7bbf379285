/* listed.h - the names of what is not here yet, as rsync(1) and tar(1) list them, and which of them
 * are those of one file. */
#ifndef RESTORE_LISTED_H
#define RESTORE_LISTED_H

#include "restore/parts.h"

struct listed_one {
	char *raw;  /* as the archive has it */
	char *path; /* relative */
	char *full; /* with a slash before it */
	char *same_as;
};

struct listed {
	struct listed_one *v;
	size_t n, cap;
};

/* Accepts a zeroed struct. */
void listed_release(struct listed *l);

/* What rsync -n says to an empty directory with this format: 'h' and " => PATH" is a hard link. The
 * text is changed. ERR_REMOTE for a line that is none of its. */
#define LISTED_RSYNC "--out-format=%i\001%n\001%L"
int listed_rsync(char *text, struct listed *ret, struct err *e) MUST_CHECK;

/* What tar --list --verbose --quoting-style=c says. ERR_VERIFY for a line that is none of its. */
int listed_tar(char *text, struct listed *ret, struct err *e) MUST_CHECK;

/* Finds the other names of what no test may have in the list. */
void listed_find_links(const struct listed *l, struct restore_filter *f);

#endif

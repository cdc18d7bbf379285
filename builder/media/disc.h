/* disc.h - a disc, or a stick that it was written to, that a machine starts from. */
#ifndef MEDIA_DISC_H
#define MEDIA_DISC_H

#include "media/boot.h"
#include "media/parts.h"

struct disc {
	const struct making *m;
	const char *const *files; /* what is on it beside its loaders: "/NAME=/to/NAME"; to NULL */
	/* the kernel's argument for where these are, by the disc that is open; the caller owns it
	 */
	int (*where)(const struct disc *d, int fd, char **ret, struct err *e);
	struct boot b;
	char label[32];
};

/* Sets its label, PREFIX_ and digits of the image's digest, and what starts it. */
int disc_read(struct disc *d, const char *prefix, struct err *e) MUST_CHECK;

/* Writes m->finished, with an archive beside the image's initial file system. */
int disc_make(const struct disc *d, const struct buf *more, struct err *e) MUST_CHECK;

/* Where a file lies on it, by its name of ISO 9660: LABEL@FIRST+COUNT, in sectors of 512 bytes. The
 * caller owns it. */
int disc_place(const struct disc *d, int fd, const char *name, char **ret,
	       struct err *e) MUST_CHECK;

/* Accepts one that was not read. */
void disc_release(struct disc *d);

#endif

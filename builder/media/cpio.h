/* cpio.h - an archive that the kernel unpacks as a part of its initial file system (the format
 * "newc": Documentation/driver-api/early-userspace/buffer-format.rst of Linux). */
#ifndef MEDIA_CPIO_H
#define MEDIA_CPIO_H

#include "base/buf.h"
#include <stdint.h>
#include <sys/types.h>

struct cpio {
	struct buf out; /* initialised by the caller, who asks buf_over in the end */
	uint32_t inode; /* of the last entry */
};

/* Appends a directory (p NULL) or file of root, at time 0; directories before what is in them. */
void cpio_add(struct cpio *c, const char *path, mode_t mode, const void *p, size_t n);

/* Ends it; its length is a multiple of 4. */
void cpio_end(struct cpio *c);

#endif

/* uki.h - a kernel with all that it starts with as one program for UEFI (UAPI group, Unified Kernel
 * Image): systemd-stub, and behind its own sections these. */
#ifndef MEDIA_UKI_H
#define MEDIA_UKI_H

#include "base/buf.h"
#include "base/err.h"

/* p has n bytes; or it is NULL, and they come from the file, from its start. */
struct uki_section {
	const char *name; /* ".linux" */
	const void *p;
	size_t n;
	int fd;
};

/* Writes it into an empty file. A stub that is none, or has no room, is ERR_RECIPE. */
int uki_write(const struct buf *stub, const struct uki_section *v, size_t n, int to,
	      struct err *e) MUST_CHECK;

#endif

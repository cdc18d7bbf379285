/* iso9660.h - where a file lies in a disc that was just made (ECMA-119). */
#ifndef MEDIA_ISO9660_H
#define MEDIA_ISO9660_H

#include "base/err.h"
#include <stdint.h>

enum { ISO_SECTOR = 2048 };

/* The first sector and the bytes of a file of the topmost directory, by its name of ISO 9660
 * ("ROOT.;1"). One that is not there, or lies in pieces, is ERR_FAIL. */
struct iso_extent {
	uint32_t sector, size;
};
int iso_find(int fd, const char *name, struct iso_extent *ret, struct err *e) MUST_CHECK;

#endif

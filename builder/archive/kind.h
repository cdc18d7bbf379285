/* kind.h - what a medium is, by its bytes: its name says nothing. ECMA-119 for discs, POSIX ustar
 * for tar, APPNOTE.TXT for zip, the four-part file of rpm. */
#ifndef ARCHIVE_KIND_H
#define ARCHIVE_KIND_H

#include "archive/reader.h"

enum kind_of {
	KIND_PLAIN, /* no archive: a file */
	KIND_ISO,
	KIND_TAR,
	KIND_ZIP, /* jar as well */
	KIND_CPIO,
};

struct kind {
	enum kind_of of;
	uint64_t at; /* where the archive, or its compressed form, begins: after an rpm's headers */
	bool packed; /* compressed */
	bool bare;   /* a disc with neither Rock Ridge, as far as its reader says, nor Joliet */
};

/* Looks at the first bytes of a file, decompressed when they are compressed; fd must be a file, its
 * position is left anywhere. A damaged rpm or compressed file, a disc of UDF alone, and nothing but
 * zeros: ERR_RECIPE. */
int kind_find(int fd, struct kind *ret, struct err *e) MUST_CHECK;

/* What the reader has to know of it. Not for KIND_PLAIN. */
enum reader_formats kind_formats(const struct kind *k);

/* "an ISO 9660 disc" */
const char *kind_name(const struct kind *k);

#endif

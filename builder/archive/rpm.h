/* rpm.h - an rpm with a file of 4 GiB and more: its payload is rpm's own form of cpio, which
 * libarchive does not read. Debian's rpm2archive does, in a sandbox of its own. */
#ifndef ARCHIVE_RPM_H
#define ARCHIVE_RPM_H

#include "archive/unpack.h"

/* Where the payload of an rpm begins; 0 when the file is none. *ret_large, if not NULL, says
 * whether it has such a file. */
int rpm_payload(int fd, uint64_t *ret, bool *ret_large, struct err *e) MUST_CHECK;

/* Makes a tar of what is in such an rpm, which it opens: a file without a name, beside the
 * directory `beside`. More bytes than o allows, and damage, are ERR_RECIPE. sandbox_enter was
 * called. The caller closes *ret. */
int rpm_to_tar(int fd, const char *beside, const struct unpack_opts *o, int *ret,
	       struct err *e) MUST_CHECK;

#endif

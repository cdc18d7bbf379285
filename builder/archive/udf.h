/* udf.h - discs of UDF without ISO 9660 (ECMA-167), which libarchive does not read: Debian's 7zz
 * does, in a sandbox of its own. */
#ifndef ARCHIVE_UDF_H
#define ARCHIVE_UDF_H

#include "archive/unpack.h"

/* Whether the file is such a disc, by its volume recognition sequence. */
bool udf_is(int fd);

/* What is on it below `dest`, an empty directory: directories and files that nobody may write, with
 * their times; anything else, odd names and more than is allowed are ERR_RECIPE. Nothing of the
 * machine but /usr is seen by the program that reads it. sandbox_enter was called. */
int udf_unpack(int fd, const char *dest, const struct unpack_opts *o, struct err *e) MUST_CHECK;

#endif

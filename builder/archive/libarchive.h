/* libarchive.h - libarchive, loaded when an archive is read: it comes with ICU and the C++ library.
 * What it is called by stays its own names; the functions that we use are in libarchive.c. */
#ifndef ARCHIVE_LIBARCHIVE_H
#define ARCHIVE_LIBARCHIVE_H

#include "base/err.h"

/* To be called before a worker that reads archives gets a root of its own, where the library is
 * not to be found. */
int libarchive_need(struct err *e) MUST_CHECK;

#endif

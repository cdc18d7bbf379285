/* tarcmp.h - where two layers differ whose trees are the same: in the tar itself. */
#ifndef ARCHIVE_TARCMP_H
#define ARCHIVE_TARCMP_H

#include "base/err.h"

/* Decompresses both (gzip, zstd or plain) in a worker and finds the first block that differs. *ret
 * says it in words, or is NULL when the tars are the same; the caller owns it. Bytes that are no
 * tar are compared as well, and named by their place. */
int tar_compare(int was, int is, char **ret, struct err *e) MUST_CHECK;

#endif

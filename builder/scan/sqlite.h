/* sqlite.h - the values in the pages of an SQLite 3 database, each by itself: in the file they
 * stand without anything between them. Every page counts, also those that are free. */
#ifndef SCAN_SQLITE_H
#define SCAN_SQLITE_H

#include "scan/feed.h"

enum { SQLITE_HEAD = 100 };

/* Whether a file begins so, and the size of its pages, else 0. */
size_t sqlite_page_size(const uint8_t *p, size_t n);

/* Looks at a page of that size, the first byte of which is at offset `at`. It is changed. */
void sqlite_page(struct matcher *m, uint8_t *p, size_t n, uint64_t at);

#endif

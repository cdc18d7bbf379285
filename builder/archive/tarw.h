/* tarw.h - writes a tar archive whose bytes depend on the entries and on nothing else (POSIX.1-2001
 * pax interchange format; ustar headers, pax records only where ustar has no room). Our own, so
 * that layers do not change with a library's version. */
#ifndef ARCHIVE_TARW_H
#define ARCHIVE_TARW_H

#include "archive/tree.h"
#include "base/sink.h"

/* Writes the headers of one entry. With `hardlink`, the entry is another name of that path and no
 * data follows; else a regular file's en->size bytes must follow, then tarw_pad. */
int tarw_header(const struct sink *out, const struct tree_entry *en, const char *hardlink,
		int64_t mtime, struct err *e) MUST_CHECK;

/* Fills up the last block of size bytes of data. */
int tarw_pad(const struct sink *out, uint64_t size, struct err *e) MUST_CHECK;

/* Writes the two zero blocks that end an archive. */
int tarw_end(const struct sink *out, struct err *e) MUST_CHECK;

#endif

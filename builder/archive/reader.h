/* reader.h - libarchive over a source: only the formats that are asked for, and no filters, which
 * might be helper programs. */
#ifndef ARCHIVE_READER_H
#define ARCHIVE_READER_H

#include "archive/source.h"
#include "base/err.h"
#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>

struct reader;

enum reader_formats {
	READER_TAR, /* layers and parts of packages */
	READER_ISO,
	READER_ZIP,
	READER_CPIO,
	READER_ANY,   /* any of them */
	READER_BYTES, /* also ar, for who looks at what is in files and does not make any: names
			 may be in any character set */
};

/* Takes the source over. The caller frees the reader. */
int reader_open(struct source *src, enum reader_formats formats, struct reader **ret,
		struct err *e) MUST_CHECK;
void reader_freep(struct reader **r);

/* The next entry, borrowed; NULL at the end, after all bytes of the source were read and found
 * whole. Damage: ERR_RECIPE. */
int reader_next(struct reader *r, struct archive_entry **ret, struct err *e) MUST_CHECK;

/* The next piece of the entry's data and where in the file it belongs. */
struct reader_piece {
	const void *p;
	size_t n;
	uint64_t at;
	bool end; /* there was no more */
};
/* Damage: ERR_RECIPE. */
int reader_data(struct reader *r, struct reader_piece *ret, struct err *e) MUST_CHECK;

/* The format of the entry read last: ARCHIVE_FORMAT_ISO9660 and such, without its variant. */
int reader_format(const struct reader *r);

/* Whether it is a disc on which Rock Ridge names, owners and modes were seen. */
bool reader_rock_ridge(const struct reader *r);

#endif

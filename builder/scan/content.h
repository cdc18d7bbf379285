/* content.h - one file: its bytes as they are, or what is packed in it (gzip, zstd, xz, bzip2, tar,
 * zip with office files, cpio, ISO 9660, SQLite), to a depth and to a size. */
#ifndef SCAN_CONTENT_H
#define SCAN_CONTENT_H

#include "archive/reader.h"
#include "scan/feed.h"
#include "scan/found.h"

enum { CONTENT_DEPTH = 6 };

/* What a thread needs to look at files, one after the other. Zeroed is new. */
struct content {
	struct feed feeds[CONTENT_DEPTH + 1];
	struct matcher m;
	struct found *out; /* of the file at hand */
	const char *path;  /* of the file, or of the member of an archive */
	const char *inside;
	unsigned depth;
	uint64_t bytes;  /* looked at, of all files */
	uint64_t budget; /* that the file may still unpack to */
};

/* Looks at a file; `size` is what it is said to have. What is damaged, too deep or too large is
 * noted in *ret. The only errors are an interrupt and ERR_FAIL. */
int content_scan(struct content *c, const char *path, uint64_t size, const struct input *in,
		 struct found *ret, struct err *e) MUST_CHECK;

void content_release(struct content *c);

/* The data of an entry of an archive as an input. */
struct entry_input {
	struct reader *r;
	struct reader_piece piece;
	size_t used;
};
struct input content_entry(struct entry_input *x);

#endif

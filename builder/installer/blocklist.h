/* blocklist.h - the list of what an installer writes: the SHA-256 of each mebibyte of a disk. It is
 * made with the installer's medium, and lies in its initial file system; the mebibytes that are not
 * zeros follow one another on the medium. */
#ifndef INSTALLER_BLOCKLIST_H
#define INSTALLER_BLOCKLIST_H

#include "base/buf.h"
#include "base/err.h"
#include "installer/sha256.h"
#include <stdbool.h>

enum {
	BLOCKLIST_BLOCK = 1 << 20,
	BLOCKLIST_BLOCKS = 1 << 22, /* 4 TiB */
	BLOCKLIST_TEXT_MAX = 64 << 20,
};

struct blocklist {
	struct sha256 id; /* of the list */
	size_t site;      /* the block that says who the machine is; zeros in the list */
	size_t n;         /* blocks */
	struct sha256 *block;
	bool *zero; /* of each block */
};

/* Reads a list: what cannot be is ERR_VERIFY. The caller releases *ret. */
int blocklist_parse(const char *text, size_t n, struct blocklist *ret, struct err *e) MUST_CHECK;

/* Appends the text of one; `id` is not asked. */
void blocklist_write(const struct blocklist *c, struct buf *ret);

/* Accepts a zeroed struct. */
void blocklist_release(struct blocklist *c);

#endif

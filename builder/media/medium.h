/* medium.h - what a medium is, block by block, as an in-toto statement beside it: FILE.medium.json.
 * Signed like any file, it lets a device be checked that the medium was written to, and says where
 * it is another. */
#ifndef MEDIA_MEDIUM_H
#define MEDIA_MEDIUM_H

#include "base/buf.h"
#include "base/err.h"
#include "form/digest.h"
#include <stdbool.h>
#include <stdint.h>

#define MEDIUM_SUFFIX    ".medium.json"
#define MEDIUM_DISK      ".disk" MEDIUM_SUFFIX /* of what an installer writes */
#define MEDIUM_PREDICATE "urn:posmedia:medium:v1"
#define MEDIUM_MAX       ((uint64_t)1 << 42) /* bytes */

enum {
	MEDIUM_BLOCK = 1 << 20, /* bytes that have a hash of their own */
	MEDIUM_PARTS = 32,
	MEDIUM_TEXT_MAX = 16 << 20, /* 250 GB that are not zeros */
	VERITY_BLOCK = 4096,
};

/* A partition, or what lies between them; at whole blocks. They follow one another from the
 * first byte to the last. */
struct medium_part {
	char *name;
	uint64_t at, size; /* bytes */
	bool data;         /* what a machine writes to: it is as made only until the first start */
};

/* The hashes of the root's own blocks (dm-verity, version 1). */
struct medium_verity {
	bool there;
	struct digest top, salt;
	uint64_t blocks; /* VERITY_BLOCK each, from the start of the part "root", if there is one */
};

struct medium {
	char *format;
	char *identity;      /* HOST/REPO:TAG, what that image is called; or NULL */
	struct digest image; /* the manifest of the image that it was made of */
	struct digest whole; /* of all bytes */
	uint64_t size;       /* bytes */
	struct medium_part parts[MEDIUM_PARTS];
	size_t parts_n;
	struct medium_verity verity;
	struct digest *blocks; /* of MEDIUM_BLOCK bytes each, the last of what is left */
	size_t blocks_n;
};

/* Appends a part behind those that are there. */
void medium_add(struct medium *m, const char *name, uint64_t size, bool data);

/* Reads an open file: size, whole and blocks. One that has no parts becomes one. */
int medium_hash(struct medium *m, int fd, struct err *e) MUST_CHECK;

/* The hash of a block as it is there. Returns 0 or an errno: ENODATA past the end. */
int medium_block(const struct medium *m, int fd, size_t block, struct digest *ret);

/* Writes the statement, and reads one: what cannot be is ERR_VERIFY. The caller releases *ret. */
void medium_write(const struct medium *m, struct buf *ret);
int medium_parse(const char *text, size_t n, struct medium *ret, struct err *e) MUST_CHECK;

/* Reads the file of one, and gives its text into an initialised buffer for who signs it or holds it
 * against what was signed; or ret_text is NULL. The caller releases *ret. */
int medium_load(const char *path, struct buf *ret_text, struct medium *ret,
		struct err *e) MUST_CHECK;

/* The text alone, for who asks first whose it is. */
int medium_load_text(const char *path, struct buf *ret, struct err *e) MUST_CHECK;

/* Accepts a zeroed struct. */
void medium_release(struct medium *m);

/* Which part the byte is in. */
const struct medium_part *medium_part_at(const struct medium *m, uint64_t at);

/* A part by its name; NULL for none. */
const struct medium_part *medium_part_named(const struct medium *m, const char *name);

/* The parts with the root and with its hashes, of two slots the first; NULL for none. */
const struct medium_part *medium_root(const struct medium *m);
const struct medium_part *medium_hashes(const struct medium *m);

/* How many bytes a block has. */
size_t medium_block_size(const struct medium *m, size_t block);

#endif

/* store.h - bytes by their SHA-256, in a directory: blobs/sha256/HEX, tmp/ for what is not done,
 * partial/ for downloads, damaged/ for what was found wrong, cache/ for what builds keep.
 *
 * A blob is there whole and right or not at all: it is hashed while it is written, synced, then
 * linked under its name. Several processes may use one store at once. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buf.h"
#include "base/sink.h"
#include "base/strv.h"
#include "form/digest.h"
#include <stdbool.h>
#include <stdint.h>

struct store;

/* Opens (making it if need be) the store in directory path. The caller frees it with store_free. */
int store_open(const char *path, struct store **ret, struct err *e) MUST_CHECK;
void store_free(struct store *s);
void store_freep(struct store **s);

/* Whoever reads or adds blobs and cached stages shares the store with others of the kind; whoever
 * removes some has it alone. The hold ends when *ret_fd is closed. store_share waits half a minute
 * for one who removes; both then say ERR_BUSY, store_alone at once. */
int store_share(struct store *s, int *ret_fd, struct err *e) MUST_CHECK;
int store_alone(struct store *s, int *ret_fd, struct err *e) MUST_CHECK;

/* Removes what dead processes left in tmp/; adds the names of what they left to *ret. */
int store_sweep(struct store *s, struct err *e) MUST_CHECK;
int store_leftovers(struct store *s, struct strv *ret, struct err *e) MUST_CHECK;

/* Removes the file or tree at path, relative to the store: gone by one rename to tmp/, so that a
 * kill leaves no half of it in its place. Absent is success. */
int store_drop(struct store *s, const char *path, struct err *e) MUST_CHECK;

/* The store's directory: its descriptor and its absolute path, borrowed. */
int store_fd(const struct store *s);
const char *store_path(const struct store *s);

/* Whether the blob is there; its size when ret_size is not NULL. */
bool store_has(const struct store *s, const struct digest *d, uint64_t *ret_size);

/* Opens a blob for reading. Absent: kind ERR_FAIL. */
int store_get(const struct store *s, const struct digest *d, int *ret_fd, struct err *e) MUST_CHECK;

/* Appends a whole small blob to *ret, verifying its digest. */
int store_read(const struct store *s, const struct digest *d, struct buf *ret,
	       struct err *e) MUST_CHECK;

/* Hashes a blob. One that is damaged is moved to damaged/, so that it counts as absent from then
 * on: *ret_moved. Absent is success. */
int store_recheck(struct store *s, const struct digest *d, bool *ret_moved,
		  struct err *e) MUST_CHECK;

/* The absolute path of a blob (for bind mounts and tools); the caller owns it. */
char *store_blob_path(const struct store *s, const struct digest *d) MUST_CHECK;

/* Writing: begin, write through the sink, commit or abort. `want` may be NULL; if given, any other
 * digest is ERR_VERIFY and nothing is kept. Free after commit as well. */
struct store_put;
int store_put_begin(struct store *s, struct store_put **ret, struct err *e) MUST_CHECK;
struct sink store_put_sink(struct store_put *p);
int store_put_commit(struct store_put *p, const struct digest *want, struct digest *ret,
		     uint64_t *ret_size, struct err *e) MUST_CHECK;
/* Begins to write out what was put, so that a commit that is yet to come waits less. Until that it
 * is nobody else's to read. */
void store_put_start(struct store_put *p);
void store_put_free(struct store_put *p);
void store_put_freep(struct store_put **p);

/* One call for bytes in memory. */
int store_put_bytes(struct store *s, const void *p, size_t n, struct digest *ret,
		    struct err *e) MUST_CHECK;

/* Adopts a finished file that lies in the store's own file system: verifies digest and size, syncs
 * and renames it in. Wrong bytes: ERR_VERIFY and the file is removed. */
int store_adopt(struct store *s, const char *path, const struct digest *want, uint64_t size,
		struct err *e) MUST_CHECK;

/* The same for many at once, which costs a few syncs and not a few for each. Every file has its own
 * verdict; -1 is for trouble of the store itself. */
struct store_file {
	const char *path;
	struct digest want;
	uint64_t size; /* 0 = unknown */
	int rc;        /* out, with `err` */
	struct err err;
};
int store_adopt_all(struct store *s, struct store_file *v, size_t n, struct err *e) MUST_CHECK;

/* A private scratch directory in tmp/, mode 0700; its absolute path, owned by the caller. It is
 * removed by store_scratch_drop, or by a later store_sweep once we are dead. */
int store_scratch(struct store *s, const char *label, char **ret_path, struct err *e) MUST_CHECK;
int store_scratch_drop(struct store *s, const char *path, struct err *e) MUST_CHECK;

/* partial/HEX: where a resumable download of this digest lives; the caller owns the path. */
char *store_partial_path(const struct store *s, const struct digest *d) MUST_CHECK;

#endif

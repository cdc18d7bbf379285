/* apply.h - makes a directory what a manifest says: entry by entry, in place, writing only the
 * blocks that differ. The directory is nobody's yet: it lies beside live data, under a mark.
 *
 * Where the content comes from is the caller's: another tree, a snapshot. Every byte that is taken
 * over is hashed on its way, and one that is not what the manifest says ends it with ERR_VERIFY. */
#ifndef APPLY_APPLY_H
#define APPLY_APPLY_H

#include "manifest/manifest.h"
#include <stdbool.h>

enum { APPLY_BLOCK = 4096 }; /* what is compared and written as one */

/* Content of the files of a manifest; all calls may come from several threads, each for a file of
 * its own. */
struct apply_content {
	/* Opens the content of want->v[i]; *ret is the handle of the calls below. */
	int (*open)(void *ctx, size_t i, void **ret, struct err *e);
	/* Reads up to n bytes of an open one at an offset; *ret_n < n only at the end. Quickest
	 * where room, n and offset are multiples of APPLY_BLOCK. */
	int (*read)(void *handle, uint64_t at, void *p, size_t n, size_t *ret_n, struct err *e);
	void (*close)(void *ctx, void *handle);
	/* Told the digest of an open one that was read to its end, where want->v[i] is unread.
	 * NULL = there is none such. */
	void (*learnt)(void *ctx, void *handle, size_t i, const struct digest *d);
	void *ctx;
	bool living; /* what it is made from may change meanwhile: then what is not as the manifest
		      * says is ERR_BUSY, else ERR_VERIFY */
};

struct apply_opts {
	const struct manifest_names
	    *names;                  /* numbers of the target's owners; NULL = the machine's */
	unsigned threads;            /* 0 = as many as par_disk() */
	struct apply_memory *memory; /* what is known of the target: see below; or NULL */
	bool dry_run;                /* count, and change nothing */
	void (*progress)(void *ctx, uint64_t files, uint64_t bytes, uint64_t written);
	/* Called when all is written, while it is brought to the disk, to look at it: -1 is a
	 * failure, after which nothing of the target is remembered. NULL = nothing looks. */
	int (*meanwhile)(void *ctx, struct err *e);
	void *ctx;
};

struct apply_result {
	uint64_t made, changed, removed, same; /* entries */
	uint64_t bytes_compared, bytes_written;
};

/* Makes the directory what the manifest says, root included: types, content, modes, owners by name,
 * times, links, ACLs, attributes, holes; what the manifest does not have is removed. Does not cross
 * into another mounted file system and follows no symbolic link. Killed at any instant, run again
 * it ends as if it had not been. All is on disk when it returns (syncfs). An immutable entry
 * (chattr(1), i or a) is made mutable first. */
int apply_tree(const struct manifest *want, const struct apply_content *c, int dirfd,
	       const struct apply_opts *o, struct apply_result *ret, struct err *e) MUST_CHECK;

/* The content of another tree, whose manifest `want` is, opened by path below dirfd; a file that is
 * not any more what it was is ERR_BUSY. The caller frees it with apply_content_free. */
int apply_content_of_dir(int dirfd, const struct manifest *want, struct apply_content *ret,
			 struct err *e) MUST_CHECK;
/* What is unread in `want` is filled in as it is read, and noted in `seen` (or NULL). */
void apply_content_learns(struct apply_content *c, struct manifest *want,
			  struct manifest_seen *seen);
void apply_content_free(struct apply_content *c);

/* What the target's blocks are, as this program wrote them: the hashes of the blocks of its files,
 * believed only where device, inode, size, mtime and ctime are the same. So a file of the target
 * need not be read to learn which of its blocks differ. A damaged file is an empty one. */
struct apply_memory;
int apply_memory_load(int dirfd, const char *name, struct apply_memory **ret,
		      struct err *e) MUST_CHECK;
int apply_memory_save(const struct apply_memory *m, int dirfd, const char *name,
		      struct err *e) MUST_CHECK;
/* Reads all of an open file that has this state, and says whether it is what this program wrote, by
 * the keyed hashes of its blocks: *ret is the digest of that. Where they are not known, as of small
 * files, it is false. From any thread. */
bool apply_memory_holds(const struct apply_memory *m, int fd, const struct stat *st,
			struct digest *ret);
void apply_memory_free(struct apply_memory *m);

#endif

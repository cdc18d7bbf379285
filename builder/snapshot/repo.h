/* repo.h - a repository that is open: its key, its packs, and where each block is. For the files of
 * snapshot/ only. */
#ifndef SNAPSHOT_REPO_H
#define SNAPSHOT_REPO_H

#include "archive/block.h"
#include "snapshot/snapshot.h"
#include "snapshot/table.h"

struct repo_pack {
	struct digest name;
	uint8_t salt[SEAL_SALT];
	uint64_t size;   /* as it should have */
	uint64_t there;  /* as it has; 0 = it is not there */
	size_t first, n; /* its segments */
};

/* A segment of any pack. */
struct repo_segment {
	uint32_t pack, number;
	uint32_t offset, sealed, plain;
	bool bad; /* it was read, or is cut off: nothing is to be had from it */
};

struct snapshot_repo {
	struct objects *objects;
	struct seal_key key;
	struct digest format; /* of the bytes that the key was in */
	struct repo_pack *packs;
	size_t packs_n, packs_cap;
	struct repo_segment *segments;
	size_t segments_n, segments_cap;
	struct table table;
	struct strv indexes; /* names of those that were read */
	struct strv put;     /* names of packs that were put since */
	struct strv faults;  /* of indexes and packs, a line each: what they have may be missing */
	struct strv gone;    /* the same, of packs that are named and not there */
	bool made;           /* by this opening */
	bool writing;        /* packs that are marked to go are not made use of */
	bool loaded;
	int64_t loaded_at; /* when that began, seconds */
	bool whole;        /* all packs that the indexes name are there */
	struct cache *cache;
};

/* Reads the indexes, and the directories of packs that are in none. What is damaged is left out,
 * and told in r->faults. */
int repo_load(struct snapshot_repo *r, struct err *e) MUST_CHECK;

/* Forgets all that was read. */
void repo_unload(struct snapshot_repo *r);

/* Forgets the blocks that were read, and keeps only one segment of them from now on, for their
 * memory's sake; repo_unload ends it. */
void repo_read_little(struct snapshot_repo *r);

/* Adds what an index says of a pack, of which so many bytes are there. */
int repo_add_pack(struct snapshot_repo *r, const struct pack_entry *en, uint64_t there,
		  struct err *e) MUST_CHECK;

/* Whether the repository is still the one that was opened, and not one that another has made in its
 * place where the first writer does not win: ERR_BUSY. */
int repo_same(struct snapshot_repo *r, struct err *e) MUST_CHECK;

/* The same, and whether all packs are still there that were or were put, of a bucket that may be
 * pruned meanwhile, and none of them is about to go: ERR_BUSY. */
int repo_still(struct snapshot_repo *r, struct err *e) MUST_CHECK;

/* Puts an index of these entries; *ret is its name. */
int repo_put_index(struct snapshot_repo *r, const struct buf *entries, struct digest *ret,
		   struct err *e) MUST_CHECK;

/* Copies a block to p, which has room for SNAPSHOT_GRID bytes. May be called by several threads.
 * ERR_VERIFY names the pack when it cannot be read. */
int repo_block(struct snapshot_repo *r, const struct block_id *id, void *p, uint32_t *ret_n,
	       struct err *e) MUST_CHECK;

/* Reads a segment into p, which has room for PACK_SEGMENT_MAX bytes; b is the caller's. */
int repo_segment(struct snapshot_repo *r, const struct repo_segment *s, struct block *b, void *p,
		 struct err *e) MUST_CHECK;

#endif

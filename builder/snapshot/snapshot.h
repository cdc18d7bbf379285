/* snapshot.h - copies of a tree that are kept: in a directory or a bucket, deduplicated on a fixed
 * grid of blocks, compressed, encrypted and authenticated. posmedia-snapshot(5) has the format.
 *
 * Nothing that is there is ever overwritten, and who makes snapshots need not be able to remove
 * anything. What is read is believed only as far as the repository's key vouches for it: a byte
 * that was changed is found, named, and the rest can be restored all the same. */
#ifndef SNAPSHOT_SNAPSHOT_H
#define SNAPSHOT_SNAPSHOT_H

#include "apply/apply.h"
#include "base/strv.h"
#include "manifest/manifest.h"
#include "sign/image.h"

enum {
	SNAPSHOT_GRID = 8192, /* bytes of a block; all blocks of a file but the last have as many */
	SNAPSHOT_SECRET_MIN = 8,
};

/* A repository that is open: "dir:PATH", an absolute path, or "s3://BUCKET[/PREFIX]". */
struct snapshot_repo;

/* Where it is, and what opens it: the secret, borrowed. */
struct snapshot_at {
	const char *where;
	const void *secret;
	size_t secret_n;
	/* Whose turn it is: others may make snapshots at the same time, but not while something is
	 * removed. ERR_BUSY when that is so. */
	enum snapshot_use { SNAPSHOT_READ, SNAPSHOT_WRITE, SNAPSHOT_PRUNE } use;
};

/* Opens it; for writing it is made when nothing is there. A wrong secret is ERR_VERIFY, and so is a
 * repository that is damaged where nothing can be read without it. */
int snapshot_repo_open(const struct snapshot_at *at, struct snapshot_repo **ret,
		       struct err *e) MUST_CHECK;
/* Whether there was none before it was opened, and it was made. */
bool snapshot_repo_made(const struct snapshot_repo *r);
void snapshot_repo_close(struct snapshot_repo *r);
void snapshot_repo_closep(struct snapshot_repo **r);

/* "REPO[@ID]" in its two halves, which the caller owns; *ret_id is NULL without an ID. A directory
 * that has an @ in its name and a repository in it is meant by all of the text. ERR_USAGE for what
 * is no repository. */
int snapshot_split(const char *text, char **ret_repo, char **ret_id, struct err *e) MUST_CHECK;

/* What a snapshot says of itself. */
struct snapshot_info {
	char *id;            /* "20261126T101500Z-SHOP-ENV-0a1b2c3d" */
	int64_t time;        /* when it was begun, seconds */
	char *shop, *env;    /* of a site; "" of a tree without one */
	char *host, *source; /* where it was made, and of what: a tree without a site is its own by
			      * both of them */
	struct digest root;  /* of its manifest */
	uint64_t entries, files, bytes;
	uint64_t added; /* bytes that the repository has for it alone */
	char *previous; /* id of the one before it of the same site or tree, or NULL */
	char *fault;    /* why it cannot be believed, or NULL: then only the id is known */
	bool is_signed; /* by whom, snapshot_check_signed asks */
};
struct snapshot_infos {
	struct snapshot_info *v; /* oldest first */
	size_t n;
	struct strv
	    missing; /* ids that others name as the one before them, and nobody has pruned */
};
void snapshot_infos_release(struct snapshot_infos *l);

/* All snapshots of a repository; a damaged one is listed with its fault. */
int snapshot_list(struct snapshot_repo *r, struct snapshot_infos *ret, struct err *e) MUST_CHECK;

struct snapshot_opts {
	const struct manifest_opts *manifest; /* how the tree is read: names, threads, filter */
	const char *shop, *env;               /* "" = of no site */
	const char *source;                   /* what the tree is called */
	bool dry_run;                         /* count what would be added, and add nothing */
	bool warm; /* blocks only: what the next one needs is there, and no snapshot is made */
	const struct sign_key *key; /* signs it; NULL = it is sealed only */
	/* From any thread: bytes looked at of those that are to be, and bytes added. */
	void (*progress)(void *ctx, uint64_t done, uint64_t total, uint64_t added);
	void *ctx;
};

struct snapshot_result {
	struct snapshot_info info; /* released by snapshot_result_release */
	uint64_t read;             /* bytes of files that were not remembered, or not known */
	uint64_t chunks;           /* blocks that were new */
	uint64_t again;            /* files that changed meanwhile: it has what was read last */
	struct manifest m;         /* what is in it */
};
void snapshot_result_release(struct snapshot_result *r);

/* Makes a snapshot of what is below an open directory. A file that changes meanwhile is in it as
 * it was read last, up to the size that it had then, and is told; it is no error.
 * Killed at any instant it leaves the repository as it was, but for blocks that the next run finds
 * there, or a pruning removes. */
int snapshot_make(struct snapshot_repo *r, int dirfd, const struct snapshot_opts *o,
		  struct snapshot_result *ret, struct err *e) MUST_CHECK;

/* One snapshot, for restoring: its manifest, and the content of the manifest's files. */
struct snapshot;

/* Opens the snapshot of that id, which may be cut short; "SHOP-ENV" or NULL is the newest of these,
 * or of all, when those are of one site or tree. Of the newest the ones before it must be there or
 * pruned: else ERR_VERIFY, since who removes the last ones gives out an old one as new. */
int snapshot_open(struct snapshot_repo *r, const char *id, struct snapshot **ret,
		  struct err *e) MUST_CHECK;
void snapshot_close(struct snapshot *s);
void snapshot_closep(struct snapshot **s);

/* Lent: what it says, its manifest, and the content for apply_tree of that manifest. The latter may
 * be used by several threads at once. */
const struct snapshot_info *snapshot_info(const struct snapshot *s);
const struct manifest *snapshot_manifest(const struct snapshot *s);
const struct apply_content *snapshot_content(const struct snapshot *s);

/* Whether one of the keys has signed all that the snapshot says, its id and its manifest included:
 * ERR_VERIFY otherwise. */
int snapshot_check_signed(const struct snapshot *s, const struct sign_wanted *by,
			  struct err *e) MUST_CHECK;

/* Reads all that the snapshot needs, and takes the entries out of its manifest whose content is
 * damaged, with their other names: their paths are appended to *ret. What stays can be restored.
 * Returns 0 also when some are lost. */
int snapshot_drop_lost(struct snapshot *s, struct strv *ret, struct err *e) MUST_CHECK;

/* What a verification found. */
struct snapshot_verified {
	uint64_t snapshots, packs, chunks, bytes; /* looked at; bytes as stored */
	struct strv faults; /* a line each: the object, and what is wrong with it */
	struct strv lost;   /* "ID PATH": files that cannot be restored */
};
void snapshot_verified_release(struct snapshot_verified *v);

/* Checks that all that the snapshots need is there; `read`: and that every byte of it is right; and
 * by whom they are signed (NULL = nobody asks). Faults are no error of the call. */
struct snapshot_check {
	bool read;
	const struct sign_wanted *signers;
};
int snapshot_verify(struct snapshot_repo *r, const struct snapshot_check *how,
		    struct snapshot_verified *ret, struct err *e) MUST_CHECK;

/* Which snapshots of each site, or tree without one, stay: the newest ones, and the newest of each
 * of so many days, weeks and months that have one. All 0 is ERR_USAGE. */
struct snapshot_keep {
	unsigned newest, daily, weekly, monthly;
	bool dry_run;
};
struct snapshot_pruned {
	struct strv gone;      /* ids */
	struct strv missing;   /* a line each: packs that somebody else has removed */
	struct strv damaged;   /* ids that stay and need some of these: no pack was removed */
	uint64_t packs, bytes; /* removed */
	uint64_t waiting;      /* of a bucket: packs that go when they have been marked for a day */
};
void snapshot_pruned_release(struct snapshot_pruned *p);

/* Removes the other snapshots, and then the packs that none needs. The repository must be open for
 * pruning, and undamaged but for packs that are gone: ERR_VERIFY, and so of a bucket that keeps its
 * objects. For a dry run it may be open for reading. */
int snapshot_prune(struct snapshot_repo *r, const struct snapshot_keep *k,
		   struct snapshot_pruned *ret, struct err *e) MUST_CHECK;

#endif

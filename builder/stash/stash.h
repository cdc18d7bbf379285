/* stash.h - what stages made, kept where other machines find it: in a registry or in a bucket. See
 * posmedia-cache(1).
 *
 * An entry is a small record, signed, and a blob. Nothing of it is used before the record was
 * opened with a key that the caller trusts, and the blob has the digest and the size that stand in
 * it; what is wrong is a warning, and as if there were nothing. A place that cannot be reached is a
 * warning, once, and from then on as if it were empty. */
#ifndef STASH_CACHE_H
#define STASH_CACHE_H

#include "form/json.h"
#include "form/ref.h"
#include "sign/sign.h"

enum {
	STASH_RECORD_MAX = 4 << 20, /* bytes of an envelope */
	STASH_CLAIM_MAX = 4096,
	STASH_LEASE_S = 60,
	STASH_LEASE_MAX_S = 3600,
	STASH_WAIT_S = 7200,
};
#define STASH_BLOB_MAX (UINT64_C(64) << 30)

/* What a record says. */
struct stash_record {
	struct digest key;    /* what the stage was made from */
	struct digest output; /* and what came out, as the build counts it */
	struct digest blob;   /* the stage's tree, a tar with zstd, */
	uint64_t size;        /* its bytes, */
	uint64_t raw;         /* and those of the tar in it */
	struct jval *marks; /* what the stage takes away: {"gone": [path, …], "opaque": […]} */
};
void stash_record_release(struct stash_record *r);

/* The statement of a record (in-toto, Statement v1), and back: of any bytes. ERR_VERIFY says what
 * is wrong with them. */
void stash_record_write(const struct stash_record *r, struct buf *out);
int stash_record_parse(const char *p, size_t n, struct stash_record *ret, struct err *e) MUST_CHECK;

/* The same in a signed envelope. stash_record_open refuses (ERR_VERIFY) what the key has not
 * signed, and a record of anything but `want`. */
int stash_record_seal(const struct stash_record *r, const struct sign_key *k, struct buf *out,
		      struct err *e) MUST_CHECK;
int stash_record_open(const struct buf *envelope, const struct sign_public *k,
		      const struct digest *want, struct stash_record *ret,
		      struct err *e) MUST_CHECK;

/* Who is at work on a stage: an object that only one can have made. */
struct stash_claim {
	char owner[128]; /* printable */
	uint64_t lease_s;
	uint64_t renewed; /* how often */
};
void stash_claim_write(const struct stash_claim *c, struct buf *out);
int stash_claim_parse(const char *p, size_t n, struct stash_claim *ret, struct err *e) MUST_CHECK;

struct stash_opts {
	const struct ref *at;            /* docker:// or s3:// */
	struct sign_public *const *keys; /* by whom entries are used; none: none are */
	size_t keys_n;
	/* Reads the key that signs what is made here, which is wiped after each use; NULL = nothing
	 * is written. */
	int (*key)(void *ctx, struct sign_key **ret, struct err *e);
	void *ctx;
	uint64_t lease_s; /* of a claim that is not renewed; 0 = STASH_LEASE_S */
	uint64_t wait_s;  /* for another's claim, at most; 0 = STASH_WAIT_S */
};

/* Opens it: what is on its way lies in the new directory `scratch`. Only a key that cannot be read
 * is an error. */
struct stash;
int stash_open(const struct stash_opts *o, const char *scratch, struct stash **ret,
	       struct err *e) MUST_CHECK;
void stash_free(struct stash *c);
void stash_freep(struct stash **c);

/* Whether entries of others are used, and whether ours are put. */
bool stash_reads(const struct stash *c);
bool stash_writes(const struct stash *c);

/* Finds the entry of a key: its blob is open in *ret_fd until the caller closes it. 1: there is
 * none that may be used. what: names it in warnings. -1 is for an interrupt. */
int stash_get(struct stash *c, const struct digest *key, const char *what, struct stash_record *ret,
	      int *ret_fd, struct err *e) MUST_CHECK;

/* What came out, as the entry says that stash_get would try first; false: there is none. */
bool stash_output(struct stash *c, const struct digest *key, struct digest *ret);

/* Says that what stash_get gave last was no good after all: the next put replaces it. */
void stash_reject(struct stash *c);

/* Says that an entry of ours, good as it may be, is to be replaced by the next put. */
void stash_supersede(struct stash *c, const struct digest *key);

/* Whether an entry of ours is missing, or none that our key has signed. */
bool stash_wants(struct stash *c, const struct digest *key);

/* Where the blob of an entry that is to be put is made: a file of any name in this directory. */
const char *stash_dir(const struct stash *c);

/* Puts an entry, whose blob is the file `name` in stash_dir, open as fd and as the record says.
 * What goes wrong is a warning. -1 is for an interrupt. */
struct stash_file {
	const char *name;
	int fd;
};
int stash_put(struct stash *c, const struct stash_record *r, const struct stash_file *f,
	      const char *what, struct err *e) MUST_CHECK;

/* Asks for the right to work on a key, which is kept up until stash_unclaim, or until this process
 * is gone. True: another has it, who is named in *ret, and it is to be asked for again in a second.
 * Where there are no claims, in trouble, and when it took too long (warnings) it is given. */
bool stash_claimed(struct stash *c, const struct digest *key, struct stash_claim *ret) MUST_CHECK;
void stash_unclaim(struct stash *c);

#endif

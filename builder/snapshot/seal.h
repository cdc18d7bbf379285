/* seal.h - a repository's key, and what is sealed with keys made from it. For the files of
 * snapshot/ only. */
#ifndef SNAPSHOT_SEAL_H
#define SNAPSHOT_SEAL_H

#include "base/buf.h"
#include "form/aead.h"
#include "snapshot/objects.h"

enum { SEAL_MAGIC = 16, SEAL_SALT = 32, SEAL_HEAD = SEAL_MAGIC + SEAL_SALT };

/* What kind of object it is, as its first bytes say: exactly SEAL_MAGIC. */
#define SEAL_PACK     "posmedia-pack-1\n"
#define SEAL_INDEX    "posmedia-indx-1\n"
#define SEAL_SNAPSHOT "posmedia-snap-1\n"
#define SEAL_PRUNED   "posmedia-prun-1\n"
#define SEAL_MARKS    "posmedia-mark-1\n"

struct seal_key {
	uint8_t master[AEAD_KEY];
};

/* Reads format.json and opens the key in it by a secret. 1: there is none. A wrong secret is
 * ERR_VERIFY. */
int seal_key_read(struct objects *o, const void *secret, size_t n, struct seal_key *ret,
		  struct err *e) MUST_CHECK;

/* The same of the text itself. */
int seal_key_parse(const char *text, size_t text_n, const struct key_from *secret,
		   struct seal_key *ret, struct err *e) MUST_CHECK;

/* Makes a key, and the format.json that it is in; what a guess at the secret costs. */
int seal_key_new(const struct key_from *secret, const struct key_cost *cost, struct buf *ret_text,
		 struct err *e) MUST_CHECK;

/* The HMAC that names blocks. */
struct mac *seal_mac(const struct seal_key *k) MUST_CHECK;

/* A new head: magic and salt; and the key of what follows a head. */
void seal_head(const char *magic, uint8_t ret[SEAL_HEAD]);
struct aead *seal_aead(const struct seal_key *k, const uint8_t head[SEAL_HEAD]) MUST_CHECK;

/* A whole object: a head, and n bytes sealed. `name` is vouched for too: an object under another
 * name is refused. Appends to *ret. */
void seal_whole(const struct seal_key *k, const char *magic, const char *name,
		const struct buf *plain, struct buf *ret);
/* The way back, into an initialised buffer. ERR_VERIFY. */
int seal_unwhole(const struct seal_key *k, const char *magic, const char *name,
		 const struct buf *sealed, struct buf *ret, struct err *e) MUST_CHECK;

#endif

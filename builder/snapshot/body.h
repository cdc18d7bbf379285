/* body.h - the object that a snapshot is: what it says of itself, and of which blocks its manifest
 * and its list of contents are. For the files of snapshot/ only.
 *
 * "snapshots/ID.json": {"posmedia-snapshot": 1, "sealed": BASE64}; what is sealed is JSON again. */
#ifndef SNAPSHOT_BODY_H
#define SNAPSHOT_BODY_H

#include "snapshot/ids.h"

struct body {
	struct snapshot_info info;
	/* The text of the manifest; and for each of its files with content, in its order, 32 bytes
	 * of digest and a record of ids. */
	struct buf manifest, contents; /* records */
	struct buf signature;          /* DER; empty = there is none */
};
/* Empty, with room for the records. */
void body_init(struct body *b);
void body_release(struct body *b);
void info_release(struct snapshot_info *i);

/* Signs all of it; and whether one of the keys has: ERR_VERIFY otherwise. */
int body_sign(struct body *b, const struct sign_key *k, struct err *e) MUST_CHECK;
int body_check_signed(const struct body *b, const struct sign_wanted *by, struct err *e) MUST_CHECK;

/* The text of the object. */
void body_write(const struct seal_key *k, const struct body *b, struct buf *ret);

/* Reads it; *ret is initialised. ERR_VERIFY. */
int body_read(const struct seal_key *k, const char *id, const struct buf *text, struct body *ret,
	      struct err *e) MUST_CHECK;

/* Puts and gets it. */
int body_put(struct snapshot_repo *r, const struct body *b, struct err *e) MUST_CHECK;
int body_get(struct snapshot_repo *r, const char *id, struct body *ret, struct err *e) MUST_CHECK;

/* The id of a snapshot that is made now. The caller owns it. */
char *body_id(const struct snapshot_info *i) MUST_CHECK;

/* The ids that were pruned, sorted; and a note that these are. */
int pruned_list(struct snapshot_repo *r, struct strv *ret, struct err *e) MUST_CHECK;
int pruned_put(struct snapshot_repo *r, const struct strv *ids, struct err *e) MUST_CHECK;

/* Whether two are of the same site; or, of trees without one, of the same tree of the same host.
 * Neither has a fault. */
bool info_same_tree(const struct snapshot_info *a, const struct snapshot_info *b);

/* The newest of a list that is of the same tree, or NULL; one with a fault is none. */
const struct snapshot_info *infos_newest(const struct snapshot_infos *l,
					 const struct snapshot_info *of);

#endif

/* kept.h - the root tree of an image, unpacked in the store and left there for the next audit of
 * the same image (cache/audits/MANIFEST), with what was found in its files.
 *
 * The blobs are hashed every time. A tree is used again by the same program in the same start of
 * the machine, when its directory is ours and closed to others, and every entry still has the
 * inode, size, owner, mode and time of change that it was left with: what was touched since, by
 * whomever, is unpacked anew. */
#ifndef AUDIT_KEPT_H
#define AUDIT_KEPT_H

#include "harden/facts.h"
#include "oci/oci.h"
#include "store/store.h"

struct kept;

/* Verifies the image and has its tree, of an earlier audit or unpacked now. Shares the store until
 * kept_free. The caller frees it. */
int kept_open(struct store *s, const struct oci_layout *l, const struct oci_desc *manifest,
	      struct kept **ret, struct err *e) MUST_CHECK;

/* Leaves the tree to later audits, and drops the longest unused beyond four, unless something else
 * is at work in the store. Not called, kept_free drops a tree that was unpacked now. */
void kept_leave(struct kept *k);
void kept_free(struct kept *k);
void kept_freep(struct kept **k);

/* Of the image; borrowed. */
const struct oci_manifest *kept_manifest(const struct kept *k);

/* The absolute path of the tree, and who lists its entries without another walk; borrowed. */
const char *kept_tree(const struct kept *k);
const struct facts_source *kept_source(const struct kept *k);

/* Whether a layer takes away or replaces what one below it has. */
bool kept_hidden(const struct kept *k);

/* What scan said of the tree, or of the layers when there is something hidden: NULL = nobody has
 * looked yet. The caller owns *ret. And notes what it says, before exceptions are applied. */
struct jval *kept_found(const struct kept *k) MUST_CHECK;
void kept_note(struct kept *k, const struct jval *found);

#endif

/* blobs.h - the blobs of one manifest, several at once, between a layout and a registry. */
#ifndef REMOTE_BLOBS_H
#define REMOTE_BLOBS_H

#include "remote/registry.h"

/* The config and the layers, each digest once; borrowed from the manifest. */
struct blob_list {
	const struct oci_desc **v;
	size_t n;
	uint64_t bytes;
};
void blob_list_of(const struct oci_manifest *m, struct blob_list *ret);
void blob_list_release(struct blob_list *l);

/* From where, into what, and the count of it. */
struct carry {
	struct registry *r;
	struct oci_layout *l;
	struct remote_stats *stats;
	/* push only: another repository to bring into the layout what neither end of the push has,
	 * and whether it is one of the same registry, which may then mount. NULL = none. */
	struct registry *source;
	bool mount;
	const char *platform; /* pull only: see artifact_pull_image, */
	const char *arch;     /* as in remote_opts, */
	bool only_manifest;   /* so is this */
};

/* Uploads what the registry lacks: HEAD or a mount, POST, one PUT of it all. A PUT that ends in
 * doubt is settled by HEAD; a session that is lost is begun anew. */
int blobs_push(const struct carry *c, const struct blob_list *list, struct err *e) MUST_CHECK;

/* Downloads what the layout lacks (or has damaged), verified; a broken connection is gone on with
 * by Range, and so is what a run before this one got before it was killed: bytes on their way are
 * in the layout's file ".partial-HEX". */
int blobs_pull(const struct carry *c, const struct blob_list *list, struct err *e) MUST_CHECK;

#endif

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

/* Uploads what the registry lacks: HEAD, POST, one PUT of it all. A PUT that ends in doubt is
 * settled by HEAD; a session that is lost is begun anew. */
int blobs_push(struct registry *r, const struct oci_layout *l, const struct blob_list *list,
	       struct remote_stats *stats, struct err *e) MUST_CHECK;

/* From where, into what, and the count of it. */
struct carry {
	struct registry *r;
	struct oci_layout *l;
	struct remote_stats *stats;
	const char *arch;   /* as in remote_opts, */
	bool only_manifest; /* so is this */
};

/* Downloads what the layout lacks (or has damaged), verified; a broken connection is gone on with
 * by Range. */
int blobs_pull(const struct carry *c, const struct blob_list *list, struct err *e) MUST_CHECK;

#endif

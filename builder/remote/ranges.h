/* ranges.h - an artifact whose blobs are read in parts, wherever it is: in a layout, a registry or
 * a bucket. Nothing is kept here. */
#ifndef REMOTE_RANGES_H
#define REMOTE_RANGES_H

#include "remote/remote.h"

struct ranges;

/* What is read at once at most, bytes. */
enum { RANGES_AT_ONCE = 1 << 20 };

/* Reads the manifest that the name, with a tag or a digest, stands for. */
int ranges_open(const struct ref *at, const struct remote_opts *o, struct ranges **ret,
		struct err *e) MUST_CHECK;
void ranges_free(struct ranges *r);
void ranges_freep(struct ranges **r);

/* That manifest; borrowed. */
const struct oci_manifest *ranges_manifest(const struct ranges *r);

/* So many bytes have come from there. */
uint64_t ranges_bytes(const struct ranges *r);

/* n bytes of a blob of the manifest from byte `at` on, at most RANGES_AT_ONCE. They are not checked
 * by its digest: whoever asks knows more of them. A registry that sends no parts is ERR_REMOTE. */
struct range {
	const struct oci_desc *blob;
	uint64_t at;
	size_t n;
};
int ranges_read(struct ranges *r, const struct range *what, void *p, struct err *e) MUST_CHECK;

/* Appends all of a blob, checked by its digest, to an initialised buffer. */
int ranges_blob(struct ranges *r, const struct oci_desc *blob, struct buf *ret,
		struct err *e) MUST_CHECK;

#endif

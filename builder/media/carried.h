/* carried.h - a medium with two slots as an artifact of a layout, a registry or a bucket: what a
 * machine takes of it, each part a blob of its own, with the medium's manifest and what signs that.
 */
#ifndef MEDIA_CARRIED_H
#define MEDIA_CARRIED_H

#include "media/medium.h"
#include "remote/ranges.h"

/* Of the artifact; of its layers, which have names by org.opencontainers.image.title. */
#define CARRIED_TYPE      "application/vnd.posmedia.medium.v1"
#define CARRIED_MANIFEST  "application/vnd.in-toto+json"
#define CARRIED_SIGNATURE "application/vnd.posmedia.medium.signature.v1"
#define CARRIED_PART      "application/vnd.posmedia.medium.part.v1"

/* The medium m, which is in `file` and has its manifest beside it, into a layout. A part ends where
 * only zeros follow. A file that is not as its manifest says is ERR_VERIFY, a medium with one root
 * ERR_USAGE. The caller releases *ret. */
int carried_make(const char *file, const struct medium *m, struct oci_layout *l,
		 struct oci_desc *ret, struct err *e) MUST_CHECK;

struct carried;

/* Opens one where it is. What is something else is ERR_USAGE. */
int carried_open(const struct ref *at, const struct remote_opts *o, struct carried **ret,
		 struct err *e) MUST_CHECK;
void carried_freep(struct carried **c);

/* Writes the manifest as `path`, and beside it what signs it, for who checks that. */
int carried_papers(struct carried *c, const char *path, struct err *e) MUST_CHECK;

/* The manifest was checked, and says this medium, which has to stay: from now on it is read. */
int carried_bind(struct carried *c, const struct medium *m, struct err *e) MUST_CHECK;

/* Bytes of the medium, as struct update_source wants them: ctx is a struct carried. */
int carried_read(void *ctx, uint64_t at, void *p, size_t n, struct err *e) MUST_CHECK;

/* So many bytes have come from there, with the papers. */
uint64_t carried_bytes(const struct carried *c);

#endif

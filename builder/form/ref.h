/* ref.h - names of objects, as skopeo writes them:
 *   oci:DIR[:TAG|@sha256:HEX]   docker://HOST[:PORT]/REPO[:TAG|@sha256:HEX]
 *   s3://BUCKET/PREFIX[:TAG|@sha256:HEX]   dir:PATH
 * Grammar of repository and tag: OCI distribution-spec 1.1, "Pulling manifests". */
#ifndef FORM_REF_H
#define FORM_REF_H

#include "base/err.h"
#include "form/digest.h"

enum ref_kind {
	REF_OCI,
	REF_DOCKER,
	REF_S3,
	REF_DIR,
};

struct ref {
	enum ref_kind kind;
	char *host; /* REF_DOCKER: host[:port], of IPv6 in brackets; REF_S3: bucket; else "" */
	char *path; /* directory, repository or prefix; never "" */
	char *tag;  /* "" when absent */
	bool has_digest;
	struct digest digest; /* only when has_digest */
};

/* Parses text. Errors are of kind ERR_USAGE and say which part is wrong. The caller releases *ret.
 */
int ref_parse(const char *text, struct ref *ret, struct err *e) MUST_CHECK;

/* Parses HOST[:PORT]/REPO[:TAG] without a transport, as docker-reference fields write it. */
int ref_parse_docker(const char *text, struct ref *ret, struct err *e) MUST_CHECK;

/* The text form again; the caller owns it. */
char *ref_text(const struct ref *r) MUST_CHECK;

void ref_release(struct ref *r);

/* Whether s is a valid tag: [A-Za-z0-9_][A-Za-z0-9._-]{0,127}. */
bool ref_tag_ok(const char *s);

/* Whether s is a valid repository path: lower-case components joined by '/', at most 255. */
bool ref_repo_ok(const char *s);

#endif

/* scan.h - cardholder data and secrets in an image, a tree or a file: where, of which class, never
 * in full. */
#ifndef SCAN_SCAN_H
#define SCAN_SCAN_H

#include "form/digest.h"
#include "form/json.h"
#include "oci/oci.h"

/* A finding that somebody answers for. */
struct scan_allow {
	struct digest sha256; /* of the file */
	const char *cls;      /* a class as the report names it */
	const char *reason;
	const char *until; /* YYYY-MM-DD, or NULL */
};

struct scan_opts {
	const char *allow;                /* file of exceptions (posmedia-scan.7); NULL = none */
	const struct scan_allow *allowed; /* and these */
	size_t allowed_n;
	int64_t today;    /* seconds: later than the end of an exception's last day, it is over */
	unsigned threads; /* 0 = all processors */
};

/* Looks into every file below a directory, or into one file; `object` is what the report calls it.
 * Links are not followed and lead nowhere. The caller owns *ret: "object", "files" (each with
 * "file", "layer", "sha256", "counts", "places", "incomplete", "allowed"), "counts",
 * "files-scanned", "bytes-scanned", "files-incomplete" when there are any. */
int scan_path(const char *path, const char *object, const struct scan_opts *o, struct jval **ret,
	      struct err *e) MUST_CHECK;

/* The same for some files of an open tree, by their paths in it. */
int scan_files(int dirfd, const char *const *paths, size_t n, const struct scan_opts *o,
	       struct jval **ret, struct err *e) MUST_CHECK;

/* Verifies the image and looks into its config and every file of every layer, hidden or not. */
int scan_image(const struct oci_layout *l, const struct oci_desc *manifest, const char *object,
	       const struct scan_opts *o, struct jval **ret, struct err *e) MUST_CHECK;

/* The report for people. */
void scan_text(const struct jval *report, struct buf *out);

/* ERR_VERIFY when something that counts was found: of "high" severity (card data; private keys,
 * credentials, password hashes), "medium" also trust and identities, "low" also test numbers,
 * "never". Allowed findings do not count. Also when a file was not looked at whole, but for
 * "never". */
int scan_gate(const struct jval *report, const char *fail_on, struct err *e) MUST_CHECK;

#endif

/* sbom.h - what an image is made of, as SPDX 2.3, CycloneDX 1.6 and SLSA provenance v1 say it: see
 * posmedia-signatures(7). Read from the image alone: the package databases in it, the recipe and
 * the lock that it carries, and every file. The same image is the same bytes. */
#ifndef SBOM_SBOM_H
#define SBOM_SBOM_H

#include "form/sums.h"
#include "oci/oci.h"
#include "recipe/lock.h"
#include "store/store.h"

struct sbom_package {
	char *name, *version, *arch;
	char *purl;           /* pkg:deb/debian/NAME@VERSION?arch=ARCH */
	struct digest digest; /* of the package's file, where the lock has it */
	bool has_digest;
};

/* A file that no package owns: of an overlay, a step, a maintainer script, or of the build. */
struct sbom_file {
	char *path; /* without leading slash */
	char *link; /* of a symbolic link its target, whose text is summed; or NULL */
	struct sums sums;
};

struct sbom {
	struct digest image;
	char *name, *version; /* as the recipe calls it; "" when the image carries none */
	char *created;        /* RFC 3339 */
	char *os;             /* "debian", as os-release says */
	struct sbom_package *packages;
	struct sbom_file *files;
	size_t packages_n, files_n;
	size_t owned;         /* files that packages own */
	struct lock *lock;    /* or NULL */
	struct digest recipe; /* of the carried recipe; only with a lock */
};

/* Unpacks the image in a scratch of the store and reads it all; the caller releases *ret. */
int sbom_read(const struct oci_layout *l, const struct oci_desc *manifest, struct store *s,
	      struct sbom *ret, struct err *e) MUST_CHECK;
void sbom_release(struct sbom *b);

/* The documents; the caller owns them. builder: the URI of who built it. */
struct jval *sbom_spdx(const struct sbom *b) MUST_CHECK;
struct jval *sbom_cyclonedx(const struct sbom *b) MUST_CHECK;
struct jval *sbom_provenance(const struct sbom *b, const char *builder) MUST_CHECK;

/* An in-toto statement v1 about the image; takes the predicate over. */
struct jval *sbom_statement(const struct digest *image, const char *name, const char *type,
			    struct jval *predicate) MUST_CHECK;

#endif

/* statement.h - what a build says of its image: SPDX 2.3, CycloneDX 1.6, SLSA provenance v1, the
 * hardening evidence and the result of a scan, as documents and as in-toto statements that carry
 * them (posmedia-signatures(7)). Read from the image as it lies in the layout, not from the build;
 * the same image on the same day says the same bytes. */
#ifndef STATEMENT_STATEMENT_H
#define STATEMENT_STATEMENT_H

#include "recipe/recipe.h"
#include "sbom/sbom.h"
#include "sign/sign.h"

struct statement_opts {
	struct store *store;         /* the image is unpacked in a scratch of it */
	const struct recipe *recipe; /* its first profile is audited, its ports, waivers and
					exceptions count; NULL = no evidence */
	const char *builder;         /* URI of who built it; NULL = urn:posmedia:builder:local */
	const char *allow;           /* a file of exceptions of the scan; or NULL */
	bool no_scan;
	const struct digest *medium; /* of a file that was made of it, which the statements are
					about too; or NULL */
	int64_t today;               /* seconds */
};

struct statement_file {
	char *name; /* "spdx.statement.json" */
	struct buf text;
	bool is_statement;
};

struct statements {
	struct statement_file *v;
	size_t n;
	size_t packages, files_owned, files_unowned;
};

/* Makes all. Wants sandbox_enter before. Of an index the first image is looked at, and the
 * statements are about it and every image in it. The caller releases *ret. */
int statements_make(const struct oci_layout *l, const struct oci_desc *manifest,
		    const struct statement_opts *o, struct statements *ret,
		    struct err *e) MUST_CHECK;
void statements_release(struct statements *s);

/* Writes each as a file of the directory, which is made. */
int statements_put(const struct statements *s, const char *dir, struct err *e) MUST_CHECK;

/* What decides what statements_make says, as far as can be known without looking into the image. */
int statements_key(const struct digest *image, const struct statement_opts *o, struct digest *ret,
		   struct err *e) MUST_CHECK;

/* Signs the image as each of the identities ("HOST/REPO:TAG") and attaches the statements to it, of
 * an index to each of its images too. All are looked at before any is signed: bad news is
 * ERR_VERIFY, and nothing is signed then. */
struct statements_by {
	const struct sign_key *key;
	const struct strv *identities;
	int64_t time; /* seconds */
};
int statements_attach(struct oci_layout *l, const struct oci_desc *manifest,
		      const struct statements *s, const struct statements_by *by,
		      struct err *e) MUST_CHECK;

/* What an earlier build of the recipe made and where it put it. */
struct statements_place {
	const struct store *store;
	const char *recipe;         /* its name */
	const struct oci_layout *l; /* signatures and statements attached there count, */
	const char *dir;            /* and the files in there, unless it is NULL */
};

/* Whether that was done under this key and all is as it was left. */
bool statements_known(const struct statements_place *p, const struct digest *key);

/* Says so to later builds. What goes wrong with it only costs time later. s: what was put into
 * p->dir. */
void statements_remember(const struct statements_place *p, const struct digest *key,
			 const struct statements *s);

#endif

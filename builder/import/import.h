/* import.h - an existing kickstart or Dockerfile becomes a recipe, files beside it, and findings.
 *
 * Nothing of the input is dropped in silence: each line is carried over, replaced, kept in a
 * script, or named by a finding; import_account_ok says whether the books balance. */
#ifndef IMPORT_IMPORT_H
#define IMPORT_IMPORT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/strv.h"
#include "form/json.h"
#include <stdbool.h>

enum import_severity {
	IMPORT_INFO,
	IMPORT_WARNING,
	IMPORT_ERROR,
	IMPORT_NEVER, /* more than any */
};

struct import_opts {
	const char *name;    /* of the image; NULL = from the name of the file */
	const char *base;    /* what the recipe extends instead of having a base; NULL = its own */
	const char *dir;     /* where the recipe will lie: what `base` is relative to */
	const char *release; /* of the EL family; NULL = 9 */
	const char *names;   /* a file of the names that the repositories have; NULL = none */
	const char *context; /* the directory that COPY and ADD read; NULL = the file's own */
	const struct strv *args; /* NAME=VALUE for ARG; may be NULL */
	const char *below; /* where the recipe will lie, from the project's root: "recipes/", "" */
};

struct import;

/* Reads a file, and what it includes. Files that cannot be read and texts past the limits are
 * refused (ERR_RECIPE, FILE:LINE:COL); all else is a finding. The caller owns *ret. */
int import_kickstart(const char *path, const struct import_opts *o, struct import **ret,
		     struct err *e) MUST_CHECK;
int import_dockerfile(const char *path, const struct import_opts *o, struct import **ret,
		      struct err *e) MUST_CHECK;
void import_freep(struct import **im);

/* What the image is called; whether a finding is as severe as that or more; whether every line,
 * package, command and byte is accounted for. */
const char *import_name(const struct import *im);
bool import_has(const struct import *im, enum import_severity least) MUST_CHECK;
bool import_account_ok(const struct import *im) MUST_CHECK;

/* The names of severities; -1 for a word that is none. */
const char *import_severity_name(enum import_severity s);
int import_severity_parse(const char *word, enum import_severity *ret) MUST_CHECK;

/* Appends the recipe as YAML; the caller has a buffer of at least 8 MiB. */
void import_recipe(const struct import *im, struct buf *out);

/* The findings and the account, for people and for programs; the caller owns the JSON. */
void import_report(const struct import *im, struct buf *out);
struct jval *import_json(const struct import *im) MUST_CHECK;

/* Writes DIR/NAME.d with scripts and overlays, and DIR/NAME.yaml last. Each is put in place whole.
 * What exists is only replaced with `force`; else it is ERR_BUSY. */
int import_write(const struct import *im, const char *dir, bool force, struct err *e) MUST_CHECK;

#endif

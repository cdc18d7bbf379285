/* evidence.h - what an audit found, as files that others read: see posmedia-evidence(7).
 *
 * Values to bytes: no clock, no file, no network. The same values are the same bytes. What came
 * from an image is text that may lie: it is cleaned and cut before it is a member of struct
 * evidence, and each format escapes it once more in its own way. */
#ifndef EVIDENCE_EVIDENCE_H
#define EVIDENCE_EVIDENCE_H

#include "harden/harden.h"

enum evidence_format {
	EVIDENCE_JSON,
	EVIDENCE_OSCAL,
	EVIDENCE_XCCDF,
	EVIDENCE_SARIF,
	EVIDENCE_JUNIT,
	EVIDENCE_HTML,
	EVIDENCE_INTOTO, /* the last: it names the others by their digests */
	EVIDENCE_FORMATS,
};

/* What was audited; the texts are borrowed. */
struct evidence_subject {
	const char *name, *version;  /* what the image calls itself; "" when it does not */
	const char *object;          /* a root tree: as it was named; of an image not said, since
					a digest means the same everywhere and a path does not */
	bool is_image;               /* then image and config are set */
	struct digest image, config; /* of the manifest and of its configuration */
	int64_t time;                /* seconds: when it was made */
	bool signatures_checked;     /* a key was given */
	struct strv signatures;      /* good ones, one line each */
};

/* A requirement of a standard that a control answers. */
struct evidence_source {
	char *standard, *number;
};

struct evidence_result {
	char *id, *title;
	enum harden_severity severity;
	enum harden_status status;
	const char *place;            /* who sees to it: "image", "instance", "host" */
	char *reason;                 /* why it does not apply; or NULL */
	struct strv wants;            /* what is wanted, an operation a line */
	struct strv seen;             /* what was found instead, of which file */
	struct strv held;             /* of one that passes: values and where they are */
	struct harden_waiver *waiver; /* or NULL */
	struct evidence_source *sources;
	size_t sources_n;
};

struct evidence {
	char *name, *version, *object;
	bool is_image;
	struct digest image, config;
	int64_t time;
	bool signatures_checked;
	struct strv signatures;
	char *system; /* what it was judged as: "container, debian 12" */
	char *profile_id, *profile_version, *profile_title;
	struct digest profile;
	struct evidence_result *results; /* by id */
	size_t n;
	size_t count[HARDEN_STATUSES]; /* by enum harden_status */
	const char *until; /* the last day on which all waivers hold; NULL = no waiver */
	const struct harden_profile *from; /* for the titles of requirements; borrowed */
};

/* Cleans and sorts. Of all that is wrong 12 KiB are kept, of all that is right 8 KiB; where more
 * was found it says so. The profile must outlive what is returned, which the caller owns. */
struct evidence *evidence_new(const struct evidence_subject *s, const struct harden_report *r,
			      const struct harden_profile *p) MUST_CHECK;
void evidence_free(struct evidence *v);
void evidence_freep(struct evidence **v);

/* The name of a format's file: "oscal-ar.json". */
const char *evidence_file_name(enum evidence_format f);

/* "json,oscal": a set of bits 1 << format. Unknown, repeated and empty names are ERR_USAGE. */
int evidence_formats(const char *list, unsigned *ret, struct err *e) MUST_CHECK;

/* The bytes of each format of the set. files[] of the others is left alone. */
struct evidence_files {
	struct buf files[EVIDENCE_FORMATS];
};
void evidence_make(const struct evidence *v, unsigned formats, struct evidence_files *ret);
void evidence_files_init(struct evidence_files *f);
void evidence_files_release(struct evidence_files *f);

#endif

/* parts.h - what the formats share; for the files of evidence/ only. */
#ifndef EVIDENCE_PARTS_H
#define EVIDENCE_PARTS_H

#include "evidence/evidence.h"
#include "form/uuid.h"

/* Text of at most max bytes that is UTF-8 without control, direction and line characters: what is
 * not becomes \xHH, and what is cut says so. The caller owns it. */
char *text_clean(const char *s, size_t max) MUST_CHECK;

/* Appends text for XML and HTML, in content or in a quoted attribute. */
void markup_text(const char *s, struct buf *out);

/* Appends <name>text</name>. */
void markup_element(const char *name, const char *text, struct buf *out);

/* The UUID of something in this evidence: it depends on the audited bytes and the profile. */
struct uuid_text evidence_uuid(const struct evidence *v, const char *kind, const char *id);

/* When the object was made (RFC 3339); the caller owns it. */
char *evidence_time(const struct evidence *v) MUST_CHECK;

/* "demo 0.1.0", or the tree; the caller owns it. */
char *evidence_title(const struct evidence *v) MUST_CHECK;

/* All findings of a result in one line; the caller owns it. */
char *evidence_seen(const struct evidence_result *r) MUST_CHECK;

/* The path and the line (0 = none) that a finding begins with ("/etc/x:3: …"), without the slash;
 * NULL when it begins otherwise. The caller owns it. */
char *evidence_place(const char *seen, unsigned *ret_line) MUST_CHECK;

/* A list of texts as JSON. */
struct jval *evidence_list(const struct strv *l) MUST_CHECK;

/* One requirement of a standard and which results answer it. */
struct requirement {
	const char *number; /* borrowed */
	size_t *results;    /* indices, ascending */
	size_t n;
};
struct requirements {
	const char *standard;  /* NULL: no result names any */
	struct requirement *v; /* by number: 3.1.9 before 3.1.10 */
	size_t n;
};

/* By the standard that the profile is about, or the first of PA-DSS, PCI DSS and CIS that any
 * control names. */
void requirements_of(const struct evidence *v, struct requirements *ret);
void requirements_release(struct requirements *r);

/* "PA-DSS" of "pa-dss". */
const char *standard_title(const char *standard);

/* The formats. */
void format_json(const struct evidence *v, struct buf *out);
void format_oscal(const struct evidence *v, struct buf *out);
void format_xccdf(const struct evidence *v, struct buf *out);
void format_sarif(const struct evidence *v, struct buf *out);
void format_junit(const struct evidence *v, struct buf *out);
void format_html(const struct evidence *v, struct buf *out);

/* The statement about the other files of the set. */
void format_intoto(const struct evidence *v, unsigned formats, const struct evidence_files *files,
		   struct buf *out);

#endif

/* xml.h - what S3 answers with: elements and text, no more of XML than that. Declarations of types,
 * and entities but the five of XML itself and characters by number, are refused; comments and
 * processing instructions are passed over, attributes too. */
#ifndef FORM_XML_H
#define FORM_XML_H

#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>

enum { XML_DEPTH_MAX = 32 };

/* Calls leaf for each element without elements in it: its path ("ListPartsResult/Part/ETag",
 * without prefixes of namespaces) and its text; and end for each that has some, when it is over. -1
 * of a callback stops. Errors are of kind ERR_REMOTE. */
struct xml_reader {
	int (*leaf)(void *ctx, const char *path, const char *text, struct err *e);
	int (*end)(void *ctx, const char *path, struct err *e); /* may be NULL */
	void *ctx;
};
int xml_read(const char *p, size_t n, const struct xml_reader *r, struct err *e) MUST_CHECK;

/* The text of the first leaf of that path; the caller owns it. NULL when there is none, or no XML.
 */
char *xml_get(const char *p, size_t n, const char *path) MUST_CHECK;

#endif

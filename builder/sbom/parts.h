/* parts.h - for the files of sbom/ only. */
#ifndef SBOM_PARTS_H
#define SBOM_PARTS_H

#include "sbom/sbom.h"

/* Reads what the databases of dpkg and rpm in the tree say is installed, sorted by name. */
int sbom_packages(int root, struct sbom *b, struct err *e) MUST_CHECK;

/* A name where a URL has one (RFC 3986): what is not unreserved is escaped. The caller owns it. */
char *sbom_escape(const char *s) MUST_CHECK;

#endif

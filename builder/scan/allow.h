/* allow.h - findings that somebody answers for, by the digest of the file and the class. */
#ifndef SCAN_ALLOW_H
#define SCAN_ALLOW_H

#include "form/json.h"
#include "form/yaml.h"
#include "scan/scan.h"

/* Reads a file of exceptions: "allow: [{sha256, class, reason, until}]". Errors are of kind
 * ERR_RECIPE with line and column. The caller owns *ret. */
int allow_load(const char *path, struct yaml **ret, struct err *e) MUST_CHECK;

/* Adds "allowed": {CLASS: REASON} to the files of a report that an exception fits on that day, and
 * "expired": {CLASS: DAY} where it is over. Of a file as allow_load reads it, or one by one. */
void allow_apply(const struct yaml *allow, struct jval *report, int64_t today);
void allow_apply_one(const struct scan_allow *a, struct jval *report, int64_t today);

#endif

/* profile.h - which calls of the kernel an instance may make: a file of data, and the form in which
 * container engines take it. See posmedia-stage(1). */
#ifndef SANDBOX_PROFILE_H
#define SANDBOX_PROFILE_H

#include "base/err.h"
#include "form/json.h"

/* Reads the file (strict YAML) and gives it as Docker's seccomp.json. Names of calls and of
 * architectures that libseccomp does not know are ERR_RECIPE with FILE:LINE:COL, and so are
 * contradictions; all of it has been through libseccomp's own rules, so that an engine will take
 * it. The caller owns *ret. */
int seccomp_profile_load(const char *path, struct jval **ret, struct err *e) MUST_CHECK;

#endif

/* parts_kind.h - the beginning of a stage's parts, for the files that make them. */
#ifndef PLAN_PARTS_KIND_H
#define PLAN_PARTS_KIND_H

#include "plan/parts.h"

/* {"kind", "engine", "sandbox"}. */
struct jval *parts_fresh(const char *kind) MUST_CHECK;

/* Copies a member of the resolved recipe, if it is there. */
void parts_take(struct jval *to, const struct recipe *r, const char *key);

#endif

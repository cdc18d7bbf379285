/* sections.h - the tables that say which key of a recipe fills which member. */
#ifndef RECIPE_SECTIONS_H
#define RECIPE_SECTIONS_H

#include "recipe/schema.h"

/* The rows of a whole recipe, into struct recipe. */
extern const struct field recipe_fields[];

/* The parts of recipe_fields that live in files of their own. */
extern const struct array array_users, array_groups, array_steps, array_tests;
FIELD_READER(read_media);
FIELD_READER(read_ports);
FIELD_READER(read_env);

/* What the values say together: unknown media, contradicting services and packages, ids taken
 * twice. y: the merged tree the recipe was read from. */
int recipe_check(const struct recipe *r, const struct yaml *y, struct err *e) MUST_CHECK;

/* The recipe as canonical JSON with every default filled in; the caller owns it. */
struct jval *recipe_resolved(const struct recipe *r) MUST_CHECK;

#endif

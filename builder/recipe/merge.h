/* merge.h - a recipe and what it extends as one tree of YAML. */
#ifndef RECIPE_MERGE_H
#define RECIPE_MERGE_H

#include "form/yaml.h"

/* Reads the file and, before it, what its `extends` names, in order; a file that comes up twice
 * counts once. Maps merge, lists append, scalars override; every value keeps its own position. The
 * keys `extends` and `posmedia` are checked and gone. Cycles, more than 16 levels and more than 64
 * files are refused. The caller owns *ret, a map. */
int merge_load(const char *path, struct yaml **ret, struct err *e) MUST_CHECK;

/* Merges the map `from` into `to` and leaves it empty. A list over a scalar and the like is
 * refused. */
int merge_into(struct yaml *to, struct yaml *from, struct err *e) MUST_CHECK;

#endif

/* glob.h - shell patterns on paths: '?' and '*' within a component, "**" across components,
 * [abc] [a-z] [!a] classes, '\' quotes. No locale. */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

#include "base/mem.h"
#include <stdbool.h>

/* Whether the whole of path matches. "/usr2" + "/" + "**" also matches /usr2 itself. */
bool glob_match(const char *pattern, const char *path) MUST_CHECK;

#endif

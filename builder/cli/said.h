/* said.h - what posmedia build says of its image: statements, made and signed; for verb_build.c. */
#ifndef CLI_SAID_H
#define CLI_SAID_H

#include "build/build.h"
#include "cli/input.h"

/* Whether the options can be meant so, and the key can be opened, before hours of work. */
int said_check(const struct args *a, struct err *e) MUST_CHECK;

/* Signs the image and the statements about it, and writes them, as the options want: in a process
 * of its own, which alone has the key and reads everything from the layout. What is there already
 * is left alone. */
int said_make(const struct args *a, const struct recipe *r, struct store *s, const struct ref *at,
	      const struct build_result *res, struct err *e) MUST_CHECK;

#endif

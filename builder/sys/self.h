/* self.h - which program this is. */
#ifndef SYS_SELF_H
#define SYS_SELF_H

#include "form/digest.h"

/* A digest of what the linker wrote into the program to tell it from others, or of all of its
 * bytes: what one program has found another need not believe. */
int self_digest(struct digest *ret, struct err *e) MUST_CHECK;

#endif

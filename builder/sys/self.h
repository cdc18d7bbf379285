/* self.h - which program and which start of the machine this is: what is only kept for as long as
 * both stay the same. */
#ifndef SYS_SELF_H
#define SYS_SELF_H

#include "base/err.h"
#include "form/digest.h"

/* Of this program: of what its linker wrote into it, or else of all its bytes. */
int self_digest(struct digest *ret, struct err *e) MUST_CHECK;

/* The kernel's name for the time since it was started, "unknown" when it does not say; the caller
 * owns it. What was not synced is only good within that. */
char *self_boot_id(void) MUST_CHECK;

#endif

/* intr.h - SIGINT, SIGTERM and SIGHUP as a flag that long work looks at. */
#ifndef SYS_INTR_H
#define SYS_INTR_H

#include "base/err.h"
#include <stdbool.h>

/* Installs the handlers (no SA_RESTART) and ignores SIGPIPE and SIGXFSZ: a write past the limit of
 * file sizes is an error like that of a full disk. Children can be waited for, whatever the caller
 * of this program ignored. A second signal of the kind ends the process at once. */
void intr_install(void);

/* Whether a signal has come. */
bool intr_pending(void);

/* As if none had come: for what has to be undone because one came. */
void intr_forget(void);

/* None counts from now on, and none that came. */
void intr_ignore(void);

/* Sets *e to "interrupted". Returns -1. */
int intr_err(struct err *e);

#endif

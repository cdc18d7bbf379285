/* par.h - the same work on many things, by several threads. What comes out must not depend on which
 * thread does what. */
#ifndef SYS_PAR_H
#define SYS_PAR_H

#include <stddef.h>

/* Processors online, at least 1. */
unsigned par_cpus(void);

/* Threads for work that waits for a disk more than for a processor: 8 to 32. */
unsigned par_disk(void);

/* Calls fn(ctx, i) once for every i below n, by at most `threads` threads (0 = par_cpus()) of which
 * the caller is one, in no particular order; returns when all are done. Threads that cannot be
 * started only make it slower. Signals stay the caller's. */
void par_each(size_t n, unsigned threads, void (*fn)(void *ctx, size_t i), void *ctx);

#endif

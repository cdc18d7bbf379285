/* ahead.h - work on a row of things that a thread does ahead of its caller, in order. */
#ifndef SYS_AHEAD_H
#define SYS_AHEAD_H

#include <stdbool.h>
#include <stddef.h>

struct ahead;

/* Starts fn(ctx, i) for i from 0 to n - 1, not more than `most` past the last that was waited for.
 * After each one the thread calls told(ctx), which must not call any of these; NULL = nobody is
 * told. Without a thread to be had, ahead_wait does the work. */
struct ahead *ahead_new(size_t n, size_t most, void (*fn)(void *ctx, size_t i),
			void (*told)(void *ctx), void *ctx);

/* Whether ahead_wait would return at once, or do the work itself; i never goes down. */
bool ahead_done(struct ahead *a, size_t i);

/* Returns when fn(ctx, i) is done; i never goes down. */
void ahead_wait(struct ahead *a, size_t i);

/* Ends it, though not all is done. NULL is fine. */
void ahead_free(struct ahead *a);

#endif

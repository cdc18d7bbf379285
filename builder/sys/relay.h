/* relay.h - work that a thread does on what its caller has filled a room with, while the caller
 * fills another one. */
#ifndef SYS_RELAY_H
#define SYS_RELAY_H

#include "base/err.h"

struct relay;

/* Starts with two rooms, which are the caller's to free: fn(ctx, room) is called for each that is
 * handed over, in order, and for none after one that failed. Without a thread to be had,
 * relay_hand does the work. */
typedef int relay_fn(void *ctx, void *room, struct err *e);
struct relay *relay_new(void *const rooms[2], relay_fn *fn, void *ctx) MUST_CHECK;

/* The room that is the caller's to fill. */
void *relay_room(const struct relay *r);

/* Hands that room over, when the thread is done with the other one, which is the caller's then.
 * What went wrong with earlier ones is told here. */
int relay_hand(struct relay *r, struct err *e) MUST_CHECK;

/* Waits until all that was handed over is done. */
int relay_wait(struct relay *r, struct err *e) MUST_CHECK;

/* Waits and ends the thread; errors are lost. NULL is fine. */
void relay_free(struct relay *r);

#endif

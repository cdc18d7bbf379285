/* clock.h - the one clock. Everything that ends up in an artifact uses clock_epoch(). */
#ifndef SYS_CLOCK_H
#define SYS_CLOCK_H

#include "base/mem.h"
#include <stdint.h>

/* SOURCE_DATE_EPOCH (seconds; reproducible-builds.org) when set and a number, else now. */
int64_t clock_epoch_s(void);

/* Whether SOURCE_DATE_EPOCH rules. */
int clock_epoch_is_fixed(void);

/* Seconds since the epoch as this machine has it, whatever SOURCE_DATE_EPOCH says: only for what a
 * server holds against its own clock, such as signed requests and logins that run out, and for
 * whether a key is past its time. */
int64_t clock_wall_s(void);

/* The same in milliseconds: for how far another machine's clock is off. */
int64_t clock_wall_ms(void);

/* Milliseconds of a clock that only goes forward; for durations and timeouts. */
uint64_t clock_mono_ms(void);

/* RFC 3339 in UTC: "2026-11-23T07:16:00Z"; the caller owns it. */
char *clock_rfc3339(int64_t s) MUST_CHECK;

/* Reads such a time, with a fraction of a second (dropped) or another zone too: what a stranger's
 * image says of itself. Returns 0, or -1 for anything else and leaves *ret. */
int clock_parse(const char *text, int64_t *ret) MUST_CHECK;

#endif

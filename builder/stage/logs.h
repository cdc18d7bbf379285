/* logs.h - what the instance of a site has said. */
#ifndef STAGE_LOGS_H
#define STAGE_LOGS_H

#include "stage/stage.h"

/* Appends the last so many lines of the generation that the record names, each with its time, to
 * out, up to its max; whether it runs does not matter. Nothing staged is ERR_BUSY. Nobody at work
 * on the site is waited for. */
int stage_logs(const struct site *s, const struct stage_opts *o, unsigned lines, struct buf *out,
	       struct err *e) MUST_CHECK;

#endif

/* worker.h - how unpacking is confined; what unpack.c and medium.c share. */
#ifndef ARCHIVE_WORKER_H
#define ARCHIVE_WORKER_H

#include "archive/unpack.h"
#include "sandbox/sandbox.h"

/* Runs fn(arg) in a worker whose "/" is the absolute path dest, within the limits of o (without
 * zeros); a full disk gets a hint. */
int worker_run(int (*fn)(void *arg, struct err *e), void *arg, const char *dest,
	       const struct unpack_opts *o, struct err *e) MUST_CHECK;

/* In the worker: opens its "/", and makes local times those of UTC. */
int worker_root(int *ret, struct err *e) MUST_CHECK;

/* The options with every zero as what it stands for. */
struct unpack_opts worker_defaults(const struct unpack_opts *o);

#endif

/* late.h - a shared library that is loaded when it is first needed. A large one, with those that it
 * wants itself, takes longer to load than many a command takes for all the rest. */
#ifndef SYS_LATE_H
#define SYS_LATE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

struct late_call {
	const char *name; /* of a function of the library */
	void *at;         /* the pointer to a function that is to hold it */
};

struct late {
	const char *file; /* "libarchive.so.13" */
	const struct late_call *calls;
	size_t n;
	int state; /* own; zero */
};

/* Loads it and fills in all pointers, once; any thread may call it. false: there is no such
 * library, or it lacks one of the functions. */
bool late_load(struct late *l);

/* The same for who needs it at once, and where files are still in their places: before a worker
 * gets another root. */
int late_need(struct late *l, struct err *e) MUST_CHECK;

#endif

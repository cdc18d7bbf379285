/* history.h - how often the packages of a lock have changed, by the git repository that it lies in.
 */
#ifndef PLAN_HISTORY_H
#define PLAN_HISTORY_H

#include "base/err.h"
#include "base/map.h"
#include "recipe/lock.h"

enum { HISTORY_COMMITS_MAX = 500 };

struct history {
	struct map changes;  /* source -> how often it changed, as (void *)(uintptr_t)times */
	size_t locks;        /* states of the lock that could be read */
	int64_t first, last; /* the epochs of the oldest and the newest */
};

/* Reads the states of the lock at `path` from git, as a process that runs nothing of the
 * repository's choosing and fetches nothing: at most HISTORY_COMMITS_MAX of the newest commits
 * that touched it and 256 MiB. No git, no repository, a repository of somebody else's, a shallow
 * or partial one: no history, which is no error. */
int history_read(const char *path, struct history *ret, struct err *e) MUST_CHECK;
void history_release(struct history *h);

/* Adds the change from one lock to the next; history_read does so for each two. */
void history_step(struct history *h, const struct lock *from, const struct lock *to);

/* How many updates in three years the history of a source lets expect; h may be NULL. */
unsigned history_updates(const struct history *h, const char *source);

#endif

/* making.h - a manifest while it is made: the walk, and then the reading of what it found. */
#ifndef MANIFEST_MAKING_H
#define MANIFEST_MAKING_H

#include "manifest/parts.h"
#include <pthread.h>

/* What a manifest does not say of an entry, but its making has to know. */
struct item {
	char *path; /* the entry's */
	struct seen_file file;
	uid_t uid;
	gid_t gid;
	bool many; /* names, it may be elsewhere */
	bool done; /* what was read is its content, and stays so */
	bool unsteady, gone;
};

struct making {
	int dirfd;
	int64_t begun_s;
	bool settled; /* what is read may be remembered */
	const struct manifest_opts *o;
	const struct manifest_names *names;
	struct manifest m;
	struct item *items; /* one for each of m.v, in the same order */
	size_t cap, items_cap;
	size_t *order; /* of items, as they are to be read */
	size_t order_n;
	size_t next;          /* of the order, by __atomic_* only */
	bool stop;            /* by __atomic_* only: something failed */
	pthread_mutex_t lock; /* of all below, and of counts in m, while it is read */
	struct manifest_progress p, told;
	struct err err;
};

/* Takes over what stat(2) says of an entry, but not its type. From any thread. */
void making_stat(struct making *k, struct manifest_entry *en, struct item *it,
		 const struct stat *st);

/* Reads the order from `next` on: one of the threads that do. What fails is in k->err, and k->stop
 * then. */
void making_read(void *making, size_t thread);

#endif

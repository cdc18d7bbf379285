/* gather.h - what the worker that reads foreign bytes says: all that was found, as JSON. */
#ifndef SCAN_GATHER_H
#define SCAN_GATHER_H

#include "scan/content.h"

/* A list that is longer than this is counted, not kept. */
enum { GATHER_PLACES = 20000, GATHER_FILES = 50000 };

struct gather {
	struct jval *files; /* owned */
	size_t places;      /* listed */
	uint64_t more;      /* files with findings that are not listed */
	uint64_t files_n, bytes;
	uint64_t incomplete; /* files not all of which was looked at */
	uint64_t counts[SCAN_CLASSES];
};

/* Adds what was found in a file, when there is something; releases *f. */
void gather_add(struct gather *g, struct found *f, const struct found_of *of);

struct gather_layer {
	int fd;     /* the blob, at its beginning */
	char *name; /* its digest */
};
/* What to look into, all of it: a tree, a file, layers. */
struct gather_job {
	int dirfd;                /* of a tree, or -1 */
	int fd;                   /* of a file, or -1 */
	const char *const *paths; /* of the tree, these only; NULL = all */
	size_t paths_n;
	const char *name; /* of the file */
	struct gather_layer *layers;
	size_t layers_n;
	unsigned threads;
	int out; /* where the report goes */
};

/* Look into the names and the bytes; for the worker. */
int gather_tree(struct gather *g, const struct gather_job *j, struct err *e) MUST_CHECK;
int gather_file(struct gather *g, const struct gather_job *j, struct err *e) MUST_CHECK;
int gather_layers(struct gather *g, const struct gather_job *j, struct err *e) MUST_CHECK;

/* Runs the job in a worker without a way to anything else and gives back its report. */
int gather_run(struct gather_job *j, struct jval **ret, struct err *e) MUST_CHECK;

/* A file as an input; both are borrowed. */
struct gather_file {
	int fd;
	uint64_t size; /* of a regular one: after so many bytes a read that gives fewer than it may
			  is the last; 0 = not known */
	uint64_t had;
	bool end;
};
struct input gather_input(struct gather_file *f);

/* Contents of files for threads that come and go. */
struct bench;

/* An empty one; the caller frees it. */
struct bench *bench_new(void);

/* Lends one to a thread, and takes it back. */
struct content *bench_take(struct bench *b);
void bench_give(struct bench *b, struct content *c);

/* Frees all; returns how many bytes they looked at. */
uint64_t bench_freep(struct bench **b);

#endif

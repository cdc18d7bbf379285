/* shim.h - what stands for a service manager and for mount while a step runs. */
#ifndef BUILD_SHIM_H
#define BUILD_SHIM_H

#include "base/err.h"
#include "base/strv.h"
#include "build/disk.h"
#include "recipe/recipe.h"
#include "sandbox/sandbox.h"

struct job;

/* Images that are mounted in a step at the same time. */
enum { SHIM_MOUNTS_MAX = 64 };

struct shim {
	struct job *j;
	const struct recipe_step *st;
	char *dir;            /* in the scratch: the program and what it reads */
	char *ask;            /* and where it asks for mounts */
	char *own;            /* and what we unpack of its own images */
	struct disk *disk;    /* that all of these count for; borrowed, set by the caller */
	struct strv from, to; /* of the binds; keeps their paths alive */
	struct strv argv;     /* the step's program, run by ours */
	struct shim_mounted {
		char *at;    /* the directory of the step */
		char *image; /* by the name that it was asked for */
		char *own;   /* where in s->own it was unpacked for this alone, or NULL */
		uint64_t id;
	} mounted[SHIM_MOUNTS_MAX]; /* images */
	size_t mounted_n;
	size_t owns; /* how many have been unpacked so */
};

/* Makes it when the step expects services or loop devices; else it stays empty. root: the tree of
 * the step. To be released whatever it returns. */
int shim_prepare(struct job *j, const struct recipe_step *st, const char *root, struct shim *ret,
		 struct err *e) MUST_CHECK;

/* Whether there is one. */
bool shim_on(const struct shim *s);

/* How many binds it wants, and fills in so many. */
size_t shim_binds(const struct shim *s, struct sandbox_bind *to);

/* Answers what has been asked: init as in sandbox_watch. Trouble of our own is an error, a request
 * that cannot be granted is none. */
int shim_answer(struct shim *s, pid_t init, struct err *e) MUST_CHECK;

void shim_release(struct shim *s);

#endif

/* blame.h - who brought a file into the image: an overlay, a step, a package. */
#ifndef BUILD_BLAME_H
#define BUILD_BLAME_H

#include "base/map.h"
#include "build/job.h"

struct blame {
	const struct job *j;
	size_t stages;           /* so many of the finished ones are asked: the lowest */
	const struct map *owned; /* path -> package: job_owned's */
};

/* Reads the packages' lists of the tree at root, which the lowest `stages` lie below. */
int blame_init(struct blame *b, struct job *j, size_t stages, const char *root,
	       struct err *e) MUST_CHECK;

/* The package that owns a path (no leading slash), or NULL. */
const char *blame_package(const struct blame *b, const char *path);

/* The recipe's overlay that has the path, or NULL. */
const struct recipe_overlay *blame_overlay(const struct blame *b, const char *path);

/* The topmost finished stage that has the path: an index into the plan; 0 when none has. */
size_t blame_stage(const struct blame *b, const char *path);

/* In words: "package openssl", "overlay overlays/pos", "step install-app, package openssl". The
 * caller owns it. */
char *blame_words(const struct blame *b, const char *path) MUST_CHECK;

#endif

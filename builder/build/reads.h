/* reads.h - digests of what a program that judges the finished tree may read of it: what passed on
 * the same is not run again. */
#ifndef BUILD_READS_H
#define BUILD_READS_H

#include "build/job.h"

/* Whether the relative path is of programs or what they load, with /usr merged or not: any of it
 * may decide what any program says. */
bool reads_is_program(const char *path);

/* Of all programs in the tree, the index that j->origins belongs to: paths, modes, owners and
 * bytes. */
struct digest reads_programs(const struct job *j, const struct tree *t);

/* Same of the files and directories in `paths`, relative, and what is below them; of everything
 * when there are none. */
struct digest reads_of(const struct job *j, const struct tree *t, const struct strv *paths);

#endif

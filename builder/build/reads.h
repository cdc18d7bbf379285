/* reads.h - digests of what a program that judges the finished tree may read of it: what passed on
 * the same is not run again. */
#ifndef BUILD_READS_H
#define BUILD_READS_H

#include "build/job.h"

/* Whether the relative path is where programs and what they load lie, with /usr merged or not: any
 * of it may decide what any program says. */
bool reads_is_program(const char *path);

/* Of all that lies there, and of what may be executed elsewhere, in the index that j->origins
 * belongs to: paths, modes, owners, attributes and bytes. */
struct digest reads_programs(const struct job *j, const struct tree *t);

/* Same of the files and directories in `paths`, relative ("" = the root), what is below them and
 * what their links lead to; of everything when there are none. */
struct digest reads_of(const struct job *j, const struct tree *t, const struct strv *paths);

#endif

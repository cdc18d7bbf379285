/* conf_dirs.h - drop-in files that are read from several directories, by their names. */
#ifndef HARDEN_CONF_DIRS_H
#define HARDEN_CONF_DIRS_H

#include "harden/root.h"

/* Appends the files that end in `suffix` below NAME in /etc, /run, /usr/local/lib and /usr/lib, in
 * the order of their names; one in an earlier directory hides those of its name in later ones.
 * name: "modprobe.d". */
int conf_dirs_list(int rootfd, const char *name, const char *suffix, struct strv *ret,
		   struct err *e) MUST_CHECK;

/* Comments one line of a file out, "line" from 1, with those that continue it. */
int conf_comment_out(int rootfd, const char *path, size_t line, struct err *e) MUST_CHECK;

#endif

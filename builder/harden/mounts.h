/* mounts.h - what is mounted at boot: fstab(5) and systemd's .mount units. */
#ifndef HARDEN_MOUNTS_H
#define HARDEN_MOUNTS_H

#include "harden/root.h"

struct mount_entry {
	char *what, *at, *type, *options; /* at: absolute, without a trailing slash */
	char *file;                       /* relative to the root */
	size_t line;                      /* from 1; 0 = all of a unit */
};

struct mounts {
	struct mount_entry *v;
	size_t n;
};

/* Reads fstab; lines that mount nothing are left out, more than 10000 are an error. */
int mounts_parse_fstab(const struct strv *lines, struct mounts *ret, struct err *e) MUST_CHECK;

/* What mounts something at `at`: a unit in /etc before the lines of fstab, and those before a unit
 * of a package that is wanted. A masked unit mounts nothing. */
int mounts_at(int rootfd, const char *at, struct mounts *ret, struct err *e) MUST_CHECK;
void mounts_release(struct mounts *m);

/* What this machine is to mount at an absolute path or above it, and has not: the uppermost in
 * *ret_at, which the caller owns, or NULL. The path need not be there; of its links, those and what
 * they lead to count. */
int mounts_missing(const char *path, char **ret_at, struct err *e) MUST_CHECK;

/* Whether the options, read from left to right, leave this one ("noexec") in force. */
bool mount_has_option(const char *options, const char *wanted);

#endif

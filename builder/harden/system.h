/* system.h - what kind of system a tree is, and whether a control is for that kind. */
#ifndef HARDEN_SYSTEM_H
#define HARDEN_SYSTEM_H

#include "harden/profile.h"

/* Reads os-release, and whether it is a machine: as the context says, else as the recipe does, else
 * what has a kernel is one. */
int system_read(int rootfd, const struct harden_context *c, struct harden_system *ret,
		struct err *e) MUST_CHECK;
void system_release(struct harden_system *s);

/* "debian", "debian 12" (that major release), "el 9+" (that one and later). Returns 0 or -1. */
int system_word_check(const char *word) MUST_CHECK;

/* Whether the system is of the distribution that a word which was checked means. */
bool system_is(const struct harden_system *s, const char *word);

/* Why a control is not for this system: "host: the kernel is the host's"; NULL when it is. The
 * caller owns it. */
char *system_excludes(const struct harden_system *s, const struct control *c);

#endif

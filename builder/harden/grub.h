/* grub.h - the arguments of the kernel: /etc/default/grub with what it sources, and the entries of
 * a grub.cfg that is there already. */
#ifndef HARDEN_GRUB_H
#define HARDEN_GRUB_H

#include "harden/root.h"

#define GRUB_CFG "boot/grub*/grub.cfg"

/* What every entry has, the one for recovery too: GRUB_CMDLINE_LINUX as the shell would leave it,
 * of /etc/default/grub and unless `alone` of /etc/default/grub.d. The caller owns *ret; "" when it
 * is not set. */
int grub_cmdline(int rootfd, bool alone, char **ret, struct err *e) MUST_CHECK;

/* The same of the lines of one file, on top of *value, which is replaced. */
int grub_sourced(const struct strv *lines, char **value, struct err *e) MUST_CHECK;

/* The arguments of a "linux" line of grub.cfg, borrowed from it; NULL when it is none. */
const char *grub_entry_args(const char *line);

/* The value of an argument where it stands last, "" for one without; NULL when it is not there. The
 * caller owns it. */
char *grub_arg(const char *args, const char *name) MUST_CHECK;

#endif

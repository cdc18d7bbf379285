/* grub.h - the arguments of the kernel: /etc/default/grub with what it sources, and the entries of
 * a grub.cfg that is there already. */
#ifndef HARDEN_GRUB_H
#define HARDEN_GRUB_H

#include "harden/root.h"

#define GRUB_CFG "boot/grub*/grub.cfg"

/* What a shell would leave of the variables: what every entry has, the one for recovery too, and
 * what all others have behind that. */
struct grub_vars {
	char *every; /* GRUB_CMDLINE_LINUX */
	char *usual; /* GRUB_CMDLINE_LINUX_DEFAULT */
};

void grub_vars_release(struct grub_vars *v);

/* Of /etc/default/grub and unless `alone` of /etc/default/grub.d; "" for one that is not set. What
 * only a shell could expand is an error. */
int grub_cmdline(int rootfd, bool alone, struct grub_vars *ret, struct err *e) MUST_CHECK;

/* The same of the lines of one file, on top of *v, whose variables are replaced. */
int grub_sourced(const struct strv *lines, struct grub_vars *v, struct err *e) MUST_CHECK;

/* The arguments of a "linux" line of grub.cfg, borrowed from it; NULL when it is none. */
const char *grub_entry_args(const char *line);

/* The value of an argument where it stands last before a "--", "" for one without; '-' and '_' are
 * the same in a name. NULL when it is not there. The caller owns it. */
char *grub_arg(const char *args, const char *name) MUST_CHECK;

/* The arguments with one more, the last that the kernel takes. The caller owns it. */
char *grub_with(const char *args, const char *more) MUST_CHECK;

#endif

/* bls.h - the boot entries that Enterprise Linux has beside grub.cfg (Boot Loader Specification),
 * with the variables of grubenv that they refer to. */
#ifndef HARDEN_BLS_H
#define HARDEN_BLS_H

#include "harden/root.h"

/* The entries, and where the arguments of those to come are kept. */
#define BLS_ENTRIES     "boot/loader/entries/*.conf"
#define BLS_ENTRIES_EFI "boot/efi/loader/entries/*.conf"
#define BLS_CMDLINE     "etc/kernel/cmdline"

/* The lines of grubenv, "NAME=VALUE"; none when it is not there. */
int bls_env(int rootfd, struct strv *ret, struct err *e) MUST_CHECK;

/* What a line of an entry gives the kernel, borrowed from it; NULL when it is no "options". */
const char *bls_options(const char *line);

/* All options of an entry's lines with "$NAME" as env has it, nothing when it has not; the last
 * line of a name counts. More than a kernel takes is an error. The caller owns *ret. */
int bls_args(const struct strv *lines, const struct strv *env, char **ret,
	     struct err *e) MUST_CHECK;

#endif

/* program.h - the static program of initial file systems: it installs, and on a machine that was
 * installed it brings a pair of disks together and says who the machine is. */
#ifndef INSTALLER_PROGRAM_H
#define INSTALLER_PROGRAM_H

#include "installer/sheet.h"
#include <stdint.h>

/* Each returns an exit status. args are NULL-terminated.
 *
 * install PAYLOAD OWN WAIT [DEVICE...]: as the first process; OWN is the device that the payload is
 * on, WAIT how many seconds what came of it stays on the screen ("-" as usual), and the devices are
 * those with the label of the second medium. It does not return: the machine is switched off. */
int program_install(char *const *args);

/* assemble PARTUUID: waits for the disks of this machine; when they are a pair, or one of one,
 * makes /dev/md0 of them. Without a pair it returns when the partition is there. */
int program_assemble(char *const *args);

/* identity DEVICE ROOT: puts into the tree who the machine is, by its own disk. */
int program_identity(char *const *args);

/* Writes into the tree, open as rootfd, who the machine is. */
int identity_put(int rootfd, const struct sheet *s, struct err *e) MUST_CHECK;

/* Says a line on every console of the kernel, and in its log. */
void console_say(const char *fmt, ...) PRINTF(1, 2);

/* The same, for whoever watches the log of the system that is started. */
void console_alarm(const char *fmt, ...) PRINTF(1, 2);

/* The same of an error, with its hint. Returns 1. */
int console_error(const struct err *e);

/* Waits. */
void console_wait(uint64_t ms);

#endif

/* shim.h - the programs that a step finds in place of systemctl, service, the scripts in
 * /etc/init.d, mount, umount, losetup, mknod and modprobe: one static program that goes by its
 * name. It is shown to the step by a mount and is no part of the image. */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H

#include "shim/keeper.h"

/* Each returns an exit status. args are NULL-terminated, without the program's name. */
int shim_systemctl(char *const *args);
int shim_service(char *const *args);
int shim_script(const char *name, char *const *args);
int shim_mount(char *const *args);
int shim_umount(char *const *args);
int shim_losetup(char *const *args);
int shim_mknod(char *const *args);
int shim_modprobe(char *const *args);

/* Asks who is outside for something about an image, and waits: 0, or 32 when it is refused, which
 * is said. */
int shim_ask(const char *what, const char *first, const char *second);

/* Whether a file lies on one of the step's media, or on anything else that it cannot write to. */
bool shim_on_medium(const char *path);

/* Starts a service that does not run, and the services of the tree that it needs and wants. */
int shim_start(const struct unit *u, struct err *e) MUST_CHECK;

/* run PROGRAM ARGUMENT...: the step itself, with the services that are there already running. */
int shim_run(char *const *args);

/* One verb for one service: start, stop, restart, ...; an exit status as systemctl's. */
int shim_act(const char *verb, const char *name);

/* Becomes the image's own program of that name, which SHIM_DIR/real has; without one, says so and
 * returns 127. zero: its argv[0]. */
int shim_real(const char *name, char *const *args);

/* "posmedia: ..." on standard error. Returns status. */
int shim_say(int status, const char *fmt, ...) PRINTF(2, 3);

#endif

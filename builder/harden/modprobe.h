/* modprobe.h - modprobe.d(5): what happens when a module is asked for. */
#ifndef HARDEN_MODPROBE_H
#define HARDEN_MODPROBE_H

#include "harden/root.h"

struct modprobe_line {
	bool is_install; /* else blacklist */
	char *module;    /* '_' for '-'; of install a pattern */
	char *command;   /* of install */
	char *file;      /* relative to the root */
	size_t line;     /* from 1 */
};

struct modprobe {
	struct modprobe_line *v; /* in the order that modprobe reads them */
	size_t n;
};

/* Reads the install and blacklist lines of a text; file: for the lines. More than 100000 are an
 * error. */
int modprobe_parse(const struct strv *lines, const char *file, struct modprobe *ret,
		   struct err *e) MUST_CHECK;

/* The same of every file below modprobe.d. */
int modprobe_read(int rootfd, struct modprobe *ret, struct err *e) MUST_CHECK;
void modprobe_release(struct modprobe *m);

/* The first install line for the module, which is the one that counts, or NULL. */
const struct modprobe_line *modprobe_install(const struct modprobe *m, const char *module);

/* A blacklist line for it, or NULL. */
const struct modprobe_line *modprobe_blacklist(const struct modprobe *m, const char *module);

/* Whether an install line runs a program that loads nothing. */
bool modprobe_loads_nothing(const struct modprobe_line *l);

#endif

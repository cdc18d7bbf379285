/* chrony.h - chrony.conf(5) with what it includes. */
#ifndef HARDEN_CHRONY_H
#define HARDEN_CHRONY_H

#include "harden/root.h"

struct chrony_line {
	char *word;  /* the directive, in lower case */
	char *value; /* its first argument, "" when there is none */
	char *file;  /* relative to the root */
	size_t line; /* from 1 */
};

struct chrony {
	struct chrony_line *v; /* in the order that chronyd reads them */
	size_t n;
};

/* Takes one line apart; file and line are left alone. Returns false for blanks and comments. */
bool chrony_parse(const char *text, struct chrony_line *ret);
void chrony_line_release(struct chrony_line *l);

/* Reads main with every file that it includes, confdir (*.conf) and sourcedir (*.sources). Loops
 * and more than 100000 lines are errors. */
int chrony_read(int rootfd, const char *main, struct chrony *ret, struct err *e) MUST_CHECK;
void chrony_release(struct chrony *c);

/* Whether the directive names a source of time: server, pool or peer. */
bool chrony_is_source(const struct chrony_line *l);

#endif

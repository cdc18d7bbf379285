/* menu.h - the verbs of posmedia at a terminal. See posmedia-menu(1).
 *
 * It does nothing itself: each action is a run of our own program, whose output is shown. Such a
 * run goes on to its end whatever becomes of the terminal. */
#ifndef MENU_MENU_H
#define MENU_MENU_H

#include "base/err.h"
#include "base/strv.h"
#include <stdio.h>

struct menu_opts {
	FILE *in, *out;      /* the terminal */
	const char *program; /* our own, an absolute path */
	struct strv sites;   /* site files */
	struct strv engine;  /* options for verbs that speak with the engine: "--engine=…" */
};

/* Shows the menu until the user leaves it, the terminal is gone or a signal comes. ERR_USAGE when
 * the terminal cannot show it. */
int menu_run(const struct menu_opts *o, struct err *e) MUST_CHECK;

#endif

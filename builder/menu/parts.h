/* parts.h - what the screens of the menu share. */
#ifndef MENU_PARTS_H
#define MENU_PARTS_H

#include "menu/act.h"
#include "menu/line.h"
#include "menu/term.h"
#include "sys/detached.h"

enum { MENU_TICK_MS = 200 };

/* The output of an action while it runs and afterwards, until the user goes back. Returns whether
 * it has ended; false when it was left to go on, or when nobody is there any more (*ret_gone). */
bool view_run(struct detached *d, const char *title, bool *ret_gone);

/* How it ended: "done", "failed, status 3", "ended by signal 9". The caller owns it. */
char *view_end(const struct proc_result *r) MUST_CHECK;

/* Asks for one line of text at the bottom; what was typed before the question is no answer. Returns
 * false when the user thought better of it. */
bool ask_line(const char *question, char *ret, size_t size, bool *ret_gone);

#endif

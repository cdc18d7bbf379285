/* act.h - what can be done with an instance. */
#ifndef MENU_ACT_H
#define MENU_ACT_H

#include "menu/menu.h"
#include "menu/rows.h"

enum act_danger {
	ACT_SAFE,
	ACT_PROD,  /* asks for the code of the shop in production */
	ACT_ASK,   /* asks for it everywhere */
	ACT_TWICE, /* and in production for a word more */
};

struct act {
	char key;
	const char *verb; /* what it is called here */
	const char *help; /* in a few words */
	enum act_danger danger;
};

/* All of them, ended by one with the key 0. */
extern const struct act acts[];

/* The action of that key, or NULL. */
const struct act *act_find(int key);

/* Whether it has to be confirmed for this instance: 0 not at all, 1 by the code, 2 by the code and
 * the word ACT_WORD. */
int act_confirms(const struct act *a, const struct menu_row *r);
#define ACT_WORD "really"

/* The program and its arguments into an empty list; 0, or -1 when the instance cannot have it, with
 * why. */
int act_argv(const struct act *a, const struct menu_row *r, const struct menu_opts *o,
	     struct strv *ret, struct err *e) MUST_CHECK;

#endif

/* want.h - what a profile wants of one value. */
#ifndef HARDEN_WANT_H
#define HARDEN_WANT_H

#include "harden/spec.h"

struct want {
	char *key;
	char *is;             /* exactly this */
	struct strv one_of;   /* one of these */
	struct strv subset;   /* a list separated by commas or blanks, all from here */
	struct strv includes; /* a list that has all of these */
	struct opt least, most;
	bool flag;     /* the key alone, without a value */
	bool any;      /* whatever it is, it must be set */
	bool named;    /* a list of names: no pattern, and not only what is excepted by "!" */
	bool absent;   /* it must not be set */
	bool unset_ok; /* the program's own default is fine */
	char *set;     /* what a fix writes when it can not be told from the above */
};

/* Reads "KEY: VALUE" or "KEY: {at-least: ...}". */
int want_read(const char *key, const struct yaml *y, struct want *ret, struct err *e) MUST_CHECK;
void want_release(struct want *w);

/* Whether the value is as wanted. */
bool want_holds(const struct want *w, const char *val, bool nocase);

/* What a fix writes, and what is wanted in words; the caller owns them. want_value is NULL when a
 * fix can not know. */
char *want_value(const struct want *w);
char *want_text(const struct want *w);

/* Whether some value can be as both want. */
bool want_agree(const struct want *a, const struct want *b, bool nocase);

/* Numbers may carry s, m, h, d or w as sshd_config(5) has them. Returns 0 or -1. */
int want_number(const char *val, int64_t *ret) MUST_CHECK;

#endif

/* keys.h - what posmedia key does besides making keys; for verb_key.c. */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include "cli/input.h"

/* The name of a key by that of its public half; the caller owns it. */
char *key_base(const char *path) MUST_CHECK;

/* Notes in the ledger what was done with the key at a path: "new", "import", "export", "rotate". */
int key_note(const struct args *a, const char *action, const char *path, struct err *e) MUST_CHECK;

/* Prints what is known of a public key. */
int key_show(const struct args *a, const char *path, struct err *e) MUST_CHECK;

/* Writes the key in another form. */
int key_export(const struct args *a, struct err *e) MUST_CHECK;

/* Makes the key that takes another's place, unless it is there, and signs with it what the other
 * has signed: every image named, as everything that it was called. */
int key_rotate(const struct args *a, struct err *e) MUST_CHECK;

/* Says how old keys are; one past --max-age is ERR_VERIFY. */
int key_age(const struct args *a, struct err *e) MUST_CHECK;

#endif

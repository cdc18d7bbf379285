/* accounts.h - passwd(5), group(5) and shadow(5) of a tree. */
#ifndef HARDEN_ACCOUNTS_H
#define HARDEN_ACCOUNTS_H

#include "harden/facts.h"

/* Reads the three files; absent ones are empty. Call accounts_release after an error too. */
int accounts_load(int rootfd, struct accounts *ret, struct err *e) MUST_CHECK;
void accounts_release(struct accounts *a);

/* Whether a shadow field lets a password in: neither empty, "*", nor begun by '!'. */
bool account_hash_usable(const char *hash);

/* Sets field `at` (from 0) of the row that begins "name:" in an account file. A row or field that
 * is not there is an error. */
int account_set(int rootfd, const char *path, const char *name, size_t at, const char *val,
		struct err *e) MUST_CHECK;

#endif

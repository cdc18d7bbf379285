/* memo.h - files that were looked into and have no secret in them, told by path, inode, size and
 * times: what did not change since need not be read again. ctime(2) of a file cannot be set back.
 */
#ifndef HARDEN_MEMO_H
#define HARDEN_MEMO_H

#include "base/err.h"
#include <stdbool.h>
#include <sys/stat.h>

struct memo;

/* An empty one; NULL may be freed. */
struct memo *memo_new(void) MUST_CHECK;
void memo_free(struct memo *m);

/* Whether the file was added, by this process or the one that saved it. */
bool memo_has(struct memo *m, const char *path, const struct stat *st) MUST_CHECK;
void memo_add(struct memo *m, const char *path, const struct stat *st);

/* Reads what memo_save wrote; a file that is not there, is damaged, or was written by another
 * build of this program, whose rules may be others, adds nothing. Saving keeps what this process
 * asked for or added. */
void memo_load(struct memo *m, const char *path);
int memo_save(const struct memo *m, const char *path, struct err *e) MUST_CHECK;

#endif

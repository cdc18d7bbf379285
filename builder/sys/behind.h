/* behind.h - bytes that are hashed and written to a file by a thread, behind what its caller does
 * meanwhile: a transfer goes on while the disk and the hash work. */
#ifndef SYS_BEHIND_H
#define SYS_BEHIND_H

#include "form/digest.h"

struct behind;

/* Starts on an open file, which is written at its position; hash: what is written is added to it.
 * Both are the thread's until behind_wait has returned. Without a thread to be had, behind_add
 * writes. */
struct behind *behind_new(int fd, struct hash *hash) MUST_CHECK;

/* Takes the bytes; waits while there are two buffers full of earlier ones. What went wrong with
 * those is told here or by the next call. */
int behind_add(struct behind *b, const void *p, size_t n, struct err *e) MUST_CHECK;

/* Waits until all is hashed and written. */
int behind_wait(struct behind *b, struct err *e) MUST_CHECK;

/* Waits and ends the thread; errors are lost. NULL is fine. */
void behind_free(struct behind *b);

#endif

/* entry.h - the entry that firmware starts itself, under Secure Boot by a key of one's own: kernel,
 * initial file systems and arguments, the root hash among them, in one signed program. */
#ifndef MEDIA_ENTRY_H
#define MEDIA_ENTRY_H

#include "media/loader.h"

/* Whether key and certificate can sign, before there is work. */
int entry_check(const struct media_opts *o, struct err *e) MUST_CHECK;

/* What it takes at most, bytes, when kernel and initial file systems take as much; 0 when none is
 * wanted. */
uint64_t entry_room(const struct making *m, uint64_t files);

/* Writes m->to/entry, of the kernel of the tree and l, and signs it. The stub is the image's, or
 * the machine's: ERR_FAIL with a hint when there is none. */
int entry_make(const struct making *m, const struct loader *l, struct err *e) MUST_CHECK;

#endif

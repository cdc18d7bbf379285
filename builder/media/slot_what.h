/* slot_what.h - what a system in a slot is, by which one is told from another. */
#ifndef MEDIA_SLOT_WHAT_H
#define MEDIA_SLOT_WHAT_H

#include "media/parts.h"
#include "media/slot.h"

/* The file system with the kernel, its arguments and what starts it, by the hashes of its blocks of
 * MEDIUM_BLOCK bytes; those of zeros behind them do not count. */
struct digest slot_kernel(const struct digest *blocks, size_t n);

/* The same of a file in m->to. */
int slot_kernel_of(const struct making *m, const char *file, struct digest *ret,
		   struct err *e) MUST_CHECK;

/* HOST/REPO of what an image is called, HOST/REPO:TAG or NULL, into SLOT_NAME bytes. */
void slot_name(const char *identity, char *ret);

/* What the medium's manifest says of the system in its first slot; boot, created and arch stay. */
void slot_of_medium(const struct medium *m, struct slot_record *ret);

#endif

/* part.h - the partitions of a disk that the machine writes to. */
#ifndef MEDIA_PART_H
#define MEDIA_PART_H

#include "media/boot.h"
#include "media/parts.h"

/* The file of one in m->to; the caller owns it. */
char *part_name(const struct boot_part *p) MUST_CHECK;

/* Makes them, with nothing in them: what belongs there comes at the first start. One that has no
 * room for it, in bytes or in files, is ERR_RECIPE with a hint. */
int part_make_all(const struct making *m, const struct boot *b, struct err *e) MUST_CHECK;

#endif

/* gpt.h - the partitions of a disk, as its GUID partition table has them. */
#ifndef SYS_GPT_H
#define SYS_GPT_H

#include "base/err.h"
#include "form/uuid.h"
#include <stddef.h>
#include <stdint.h>

enum { GPT_PARTS = 128, GPT_NAME = 36, GPT_SECTOR = 512 };

struct gpt_part {
	char name[GPT_NAME + 1]; /* what of it is no plain ASCII is "?" */
	struct uuid_text id;     /* its own, which the kernel has as PARTUUID */
	uint64_t at, size;       /* bytes, within the disk */
};

struct gpt {
	struct gpt_part v[GPT_PARTS];
	size_t n; /* those that are there, by their numbers */
};

/* Reads the first table; where that is damaged, the second, at the end. A disk with neither, in
 * sectors of GPT_SECTOR bytes, is ERR_VERIFY. */
int gpt_read(int fd, struct gpt *ret, struct err *e) MUST_CHECK;

/* A partition by its name, or by its own identifier; NULL for none, or when two have it. */
const struct gpt_part *gpt_named(const struct gpt *g, const char *name);
const struct gpt_part *gpt_with_id(const struct gpt *g, const char *id);

#endif

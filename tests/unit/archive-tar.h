/* archive-tar.h - tar archives made by hand, so that they may say what no honest program writes. */
#ifndef TESTS_UNIT_ARCHIVE_TAR_H
#define TESTS_UNIT_ARCHIVE_TAR_H

#include "base/buf.h"
#include <stdint.h>
#include <string.h>

struct tar_item {
	const char *name, *link;
	char type;
	unsigned mode; /* 0 = 0644 */
	uint64_t mtime;
	const char *data;
	size_t data_n;
	uint64_t size;  /* what the header says; 0 = data_n */
	const char *id; /* the 8 bytes of the uid and gid fields; NULL = 0 */
};

static inline void tar_octal(char *to, size_t digits, uint64_t v)
{
	while (digits-- > 0) {
		to[digits] = (char)('0' + v % 8);
		v /= 8;
	}
}

static inline void tar_entry(struct buf *b, const struct tar_item *i)
{
	static const char zeros[512];
	char h[512] = {0};
	unsigned sum = 0;

	memcpy(h, i->name, strnlen(i->name, 100));
	tar_octal(h + 100, 7, i->mode != 0 ? i->mode : 0644);
	memcpy(h + 108, i->id != NULL ? i->id : "0000000", 8);
	memcpy(h + 116, i->id != NULL ? i->id : "0000000", 8);
	tar_octal(h + 124, 11, i->size != 0 ? i->size : i->data_n);
	tar_octal(h + 136, 11, i->mtime);
	memset(h + 148, ' ', 8);
	h[156] = i->type;
	if (i->link != NULL)
		memcpy(h + 157, i->link, strnlen(i->link, 100));
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t k = 0; k < sizeof(h); k++)
		sum += (unsigned char)h[k];
	tar_octal(h + 148, 6, sum);
	h[154] = 0;
	buf_add(b, h, sizeof(h));
	if (i->data_n > 0)
		buf_add(b, i->data, i->data_n);
	buf_add(b, zeros, (512 - i->data_n % 512) % 512);
}

static inline void tar_file(struct buf *b, const char *name, const char *text)
{
	tar_entry(
	    b, &(struct tar_item){.name = name, .type = '0', .data = text, .data_n = strlen(text)});
}

static inline void tar_dir(struct buf *b, const char *name)
{
	tar_entry(b, &(struct tar_item){.name = name, .type = '5', .mode = 0755});
}

static inline void tar_end(struct buf *b)
{
	static const char zeros[1024];

	buf_add(b, zeros, sizeof(zeros));
}

#endif

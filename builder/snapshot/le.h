/* le.h - numbers in little-endian bytes. For the files of snapshot/ only. */
#ifndef SNAPSHOT_LE_H
#define SNAPSHOT_LE_H

#include "base/buf.h"
#include <stdint.h>

/* Reads n bytes, at most 8. */
static inline uint64_t le_get(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n > 0)
		v = v << 8 | p[--n];
	return v;
}

/* Writes them. */
static inline void le_set(uint8_t *p, size_t n, uint64_t v)
{
	for (size_t i = 0; i < n; i++, v >>= 8)
		p[i] = (uint8_t)v;
}

/* Appends them. */
static inline void le_add(struct buf *b, size_t n, uint64_t v)
{
	uint8_t p[8];

	le_set(p, n, v);
	buf_add(b, p, n);
}

#endif

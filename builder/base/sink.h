/* sink.h - where a stream of bytes goes: a file, a hash, a compressor, or several in a row. */
#ifndef BASE_SINK_H
#define BASE_SINK_H

#include "base/err.h"

struct sink {
	/* Takes all n bytes or fails. */
	int (*write)(void *ctx, const void *p, size_t n, struct err *e);
	void *ctx;
};

static inline MUST_CHECK int sink_write(const struct sink *s, const void *p, size_t n,
					struct err *e)
{
	return s->write(s->ctx, p, n, e);
}

#endif

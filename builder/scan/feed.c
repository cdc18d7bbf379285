#include "scan/feed.h"

#include <stdlib.h>
#include <string.h>

enum { SIZE = FEED_PIECE + 2 * MATCH_CONTEXT };

void feed_reset(struct feed *f)
{
	uint8_t *buf = f->buf != NULL ? f->buf : mem_resize(NULL, SIZE, 1);

	*f = (struct feed){.buf = buf, .at = 0};
}

void feed_release(struct feed *f)
{
	free(f->buf);
	*f = (struct feed){0};
}

int feed_fill(struct feed *f, const struct input *in, struct err *e)
{
	while (!f->end && f->len < SIZE) {
		size_t n = 0;

		if (in->read(in->ctx, f->buf + f->len, SIZE - f->len, &n, e) != 0)
			return -1;
		f->len += n;
		f->end = n == 0;
	}
	return 0;
}

/* What lies in the last bytes is looked at when what follows is known. */
void feed_match(struct feed *f, struct matcher *m)
{
	const struct text t = {.p = f->buf, .n = f->len, .at = f->at, .step = 1};
	size_t done = f->end || f->len < MATCH_CONTEXT ? f->len : f->len - MATCH_CONTEXT, keep;

	match_range(m, &t, &f->next, done);
	keep = f->next < f->len ? f->next : f->len;
	keep = keep > MATCH_CONTEXT ? keep - MATCH_CONTEXT : 0;
	memmove(f->buf, f->buf + keep, f->len - keep);
	f->at += keep;
	f->len -= keep;
	f->next -= keep;
}

size_t feed_take(struct feed *f, void *p, size_t room)
{
	size_t n = f->len < room ? f->len : room;

	memcpy(p, f->buf, n);
	f->len -= n;
	memmove(f->buf, f->buf + n, f->len);
	return n;
}

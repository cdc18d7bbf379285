#include "snapshot/stream.h"

#include <stdlib.h>
#include <string.h>

enum { ONE_IN = 8 };

void stream_init(struct stream *s, struct filler *f)
{
	*s = (struct stream){.f = f, .ids = mem_zalloc(sizeof(struct ids))};
}

void stream_release(struct stream *s)
{
	free(s->ids);
	s->ids = NULL;
}

static int cut(struct stream *s, struct err *e)
{
	struct block_id id;

	if (s->n == 0)
		return 0;
	if (filler_block(s->f, s->block, s->n, &id, e) != 0)
		return -1;
	s->n = 0;
	return ids_add(s->ids, s->f, &id, e);
}

int stream_add(struct stream *s, const void *p, size_t n, struct err *e)
{
	const uint8_t *at = p;

	while (n > 0) {
		size_t room = sizeof(s->block) - s->n, take = n < room ? n : room;

		memcpy(s->block + s->n, at, take);
		s->n += take;
		at += take;
		n -= take;
		if (s->n == sizeof(s->block) && cut(s, e) != 0)
			return -1;
	}
	return 0;
}

int stream_may_cut(struct stream *s, uint64_t name, struct err *e)
{
	return (name >> 16) % ONE_IN == 0 ? cut(s, e) : 0;
}

int stream_end(struct stream *s, struct buf *ret, struct err *e)
{
	if (cut(s, e) != 0)
		return -1;
	return ids_end(s->ids, s->f, ret, e);
}

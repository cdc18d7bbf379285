#include "sys/behind.h"

#include "sys/fs.h"
#include "sys/relay.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 256 << 10, PUSH_OUT = 8 << 20 };

struct room {
	size_t len;
	char bytes[ROOM];
};

struct behind {
	int fd;
	struct hash *hash;
	struct relay *relay;
	struct room *room[2];
	uint64_t since; /* bytes since the disk was last told to begin */
};

/* So that the fsync at the end finds little left. */
static void push_out(struct behind *b, size_t n)
{
	b->since += n;
	if (b->since < PUSH_OUT)
		return;
	(void)sync_file_range(b->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	b->since = 0;
}

static int write_one(void *ctx, void *room, struct err *e)
{
	struct behind *b = ctx;
	struct room *r = room;

	if (fs_write_all(b->fd, r->bytes, r->len, e) != 0)
		return -1;
	hash_add(b->hash, r->bytes, r->len);
	push_out(b, r->len);
	r->len = 0;
	return 0;
}

struct behind *behind_new(int fd, struct hash *hash)
{
	struct behind *b = mem_zalloc(sizeof(*b));
	void *rooms[2];

	b->fd = fd;
	b->hash = hash;
	for (int i = 0; i < 2; i++)
		rooms[i] = b->room[i] = mem_zalloc(sizeof(*b->room[i]));
	b->relay = relay_new(rooms, write_one, b);
	return b;
}

int behind_add(struct behind *b, const void *p, size_t n, struct err *e)
{
	const char *from = p;

	while (n > 0) {
		struct room *r = relay_room(b->relay);
		size_t take = ROOM - r->len < n ? ROOM - r->len : n;

		memcpy(r->bytes + r->len, from, take);
		r->len += take;
		from += take;
		n -= take;
		if (r->len == ROOM && relay_hand(b->relay, e) != 0)
			return -1;
	}
	return 0;
}

int behind_wait(struct behind *b, struct err *e)
{
	const struct room *r = relay_room(b->relay);

	if (r->len > 0 && relay_hand(b->relay, e) != 0)
		return -1;
	return relay_wait(b->relay, e);
}

void behind_free(struct behind *b)
{
	struct err quiet = ERR_INIT;

	if (b == NULL)
		return;
	(void)!behind_wait(b, &quiet);
	relay_free(b->relay);
	free(b->room[0]);
	free(b->room[1]);
	free(b);
}

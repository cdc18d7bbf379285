/* queue.c - lines that a thread puts into the database, behind the one that reads the ledger and
 * checks its chain: both take about as long. */
#include "report/parts.h"

#include "sys/relay.h"
#include <stdlib.h>
#include <string.h>

/* A line is shorter than LEDGER_LINE_MAX, and some of its texts are there twice. */
enum { LINES = 4096, TEXT_MAX = 2 << 20, LINE_TEXT_MAX = 2 * LEDGER_LINE_MAX };

struct room {
	struct base_line v[LINES];
	size_t n, used;
	char *text; /* TEXT_MAX bytes */
};

struct queue {
	queue_fn *fn;
	void *ctx;
	struct relay *relay;
	struct room *room[2];
};

static int put_all(void *ctx, void *room, struct err *e)
{
	struct queue *q = ctx;
	struct room *r = room;

	for (size_t i = 0; i < r->n; i++)
		if (q->fn(q->ctx, &r->v[i], e) != 0)
			return -1;
	r->n = r->used = 0;
	return 0;
}

struct queue *queue_new(queue_fn *fn, void *ctx)
{
	struct queue *q = mem_zalloc(sizeof(*q));
	void *rooms[2];

	q->fn = fn;
	q->ctx = ctx;
	for (int i = 0; i < 2; i++) {
		rooms[i] = q->room[i] = mem_zalloc(sizeof(*q->room[i]));
		q->room[i]->text = mem_zalloc(TEXT_MAX);
	}
	q->relay = relay_new(rooms, put_all, q);
	return q;
}

/* A text that its giver may change from now on. */
static void keep(struct room *r, struct ledger_text *t)
{
	if (t->p == NULL)
		return;
	memcpy(r->text + r->used, t->p, t->n);
	t->p = r->text + r->used;
	r->used += t->n;
}

int queue_put(struct queue *q, const struct base_line *v, struct err *e)
{
	struct room *r = relay_room(q->relay);
	struct base_line *to;

	if (r->n == LINES || r->used + LINE_TEXT_MAX > TEXT_MAX) {
		if (relay_hand(q->relay, e) != 0)
			return -1;
		r = relay_room(q->relay);
	}
	to = &r->v[r->n++];
	*to = *v;
	for (size_t i = 0; i < BASE_TEXTS; i++)
		keep(r, &to->text[i]);
	return 0;
}

int queue_wait(struct queue *q, struct err *e)
{
	return relay_hand(q->relay, e) != 0 ? -1 : relay_wait(q->relay, e);
}

void queue_freep(struct queue **p)
{
	struct queue *q = *p;

	*p = NULL;
	if (q == NULL)
		return;
	relay_free(q->relay);
	for (int i = 0; i < 2; i++) {
		free(q->room[i]->text);
		free(q->room[i]);
	}
	free(q);
}

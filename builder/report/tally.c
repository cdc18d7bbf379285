/* tally.c - how many events of each kind there are of whom, counted while they are read: to group a
 * million rows takes as long as to read them. */
#include "report/parts.h"

#include <stdlib.h>
#include <string.h>

struct tally_row {
	char *kind, *host, *actor;
	int64_t ledger, n, first, last;
};

static bool is_text(const char *s, const struct ledger_text *t)
{
	return strlen(s) == t->n && memcmp(s, t->p, t->n) == 0;
}

static bool is_row(const struct tally_row *r, const struct base_line *v)
{
	return r->ledger == v->ledger && is_text(r->kind, &v->text[BASE_KIND]) &&
	       is_text(r->host, &v->text[BASE_HOST]) && is_text(r->actor, &v->text[BASE_ACTOR]);
}

static char *copy(const struct ledger_text *t)
{
	return mem_strndup(t->p, t->n);
}

/* Few kinds, hosts and people: those that come often are found early. */
static struct tally_row *find(struct tally *t, const struct base_line *v)
{
	char *key SCOPED(mem_freep) = NULL;
	uintptr_t n;

	for (size_t i = 0; i < TALLY_FEW && i < t->n; i++)
		if (is_row(&t->v[i], v))
			return &t->v[i];
	key = mem_format("%lld\n%.*s\n%.*s\n%.*s", (long long)v->ledger, (int)v->text[BASE_KIND].n,
			 v->text[BASE_KIND].p, (int)v->text[BASE_HOST].n, v->text[BASE_HOST].p,
			 (int)v->text[BASE_ACTOR].n, v->text[BASE_ACTOR].p);
	n = (uintptr_t)map_get(&t->rows, key);
	if (n != 0)
		return &t->v[n - 1];
	if ((t->n & (t->n - 1)) == 0)
		t->v = mem_resize(t->v, t->n > 0 ? 2 * t->n : 1, sizeof(*t->v));
	t->v[t->n++] = (struct tally_row){.kind = copy(&v->text[BASE_KIND]),
					  .host = copy(&v->text[BASE_HOST]),
					  .actor = copy(&v->text[BASE_ACTOR]),
					  .ledger = v->ledger,
					  .first = v->t,
					  .last = v->t};
	(void)map_put(&t->rows, key, (void *)(uintptr_t)t->n);
	return &t->v[t->n - 1];
}

void tally_add(struct tally *t, const struct base_line *v)
{
	struct tally_row *r = find(t, v);

	r->n++;
	r->first = v->t < r->first ? v->t : r->first;
	r->last = v->t > r->last ? v->t : r->last;
}

int tally_put(const struct tally *t, struct sql *db, struct err *e)
{
	struct sql_query *q SCOPED(sql_query_freep) = NULL;

	if (sql_prepare(db, "INSERT INTO tally VALUES (?, ?, ?, ?, ?, ?, ?)", &q, e) != 0)
		return -1;
	for (size_t i = 0; i < t->n; i++) {
		const struct tally_row *r = &t->v[i];
		bool more;

		sql_int(q, 1, r->ledger);
		sql_text(q, 2, r->kind, strlen(r->kind));
		sql_text(q, 3, r->host, strlen(r->host));
		sql_text(q, 4, r->actor, strlen(r->actor));
		sql_int(q, 5, r->n);
		sql_int(q, 6, r->first);
		sql_int(q, 7, r->last);
		if (sql_next(q, &more, e) != 0)
			return -1;
	}
	return 0;
}

void tally_release(struct tally *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i].kind);
		free(t->v[i].host);
		free(t->v[i].actor);
	}
	free(t->v);
	map_release(&t->rows, NULL);
	*t = (struct tally){.n = 0};
}

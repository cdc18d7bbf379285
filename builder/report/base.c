/* base.c - the events of ledgers in a database. */
#include "report/parts.h"

#include "base/log.h"
#include "base/map.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char schema[] =
    "CREATE TABLE ledger(id INTEGER PRIMARY KEY, dir TEXT, chain TEXT, lines INTEGER,"
    " segments INTEGER, bytes INTEGER, unfinished INTEGER, head INTEGER, last TEXT,"
    " damaged INTEGER);"
    "CREATE TABLE place(id INTEGER PRIMARY KEY, shop TEXT, env TEXT);"
    "CREATE TABLE tally(ledger INTEGER, kind TEXT, host TEXT, actor TEXT, n INTEGER,"
    " first INTEGER, last INTEGER);"
    "CREATE TABLE raw(id INTEGER PRIMARY KEY, ledger INTEGER, seq INTEGER, t INTEGER, kind TEXT,"
    " place INTEGER, subject TEXT, actor TEXT, host TEXT, machine TEXT, fields TEXT,"
    " at INTEGER);"
    "CREATE VIEW event AS SELECT id, (SELECT chain FROM ledger l WHERE l.id = ledger) AS chain,"
    " seq, strftime('%Y-%m-%dT%H:%M:%SZ', t, 'unixepoch') AS time, t, kind, subject, actor, host,"
    " machine, (SELECT shop FROM place p WHERE p.id = place) AS shop,"
    " (SELECT env FROM place p WHERE p.id = place) AS env, fields FROM raw;"
    /* what was only found later says when it was; an engine knows that, or nobody does */
    "CREATE VIEW ran AS SELECT id, t, kind, place, at AS ended, CASE WHEN at > 0 AND kind IN"
    " ('stop', 'crash') THEN coalesce(fields ->> 'ended-by', '') <> 'engine' END AS unseen"
    " FROM raw WHERE kind IN ('start', 'stop', 'crash', 'destroy') AND place > 0;"
    "CREATE VIEW run AS SELECT r.id, r.t, r.kind, subject, host, shop, env, fields ->> 'container'"
    " AS container, fields ->> 'identity' AS identity, ended"
    " FROM ran r JOIN raw USING (id) JOIN place p ON p.id = r.place;"
    "CREATE VIEW build AS SELECT * FROM (SELECT t, subject, fields ->> 'recipe' AS recipe,"
    " fields ->> 'version' AS version, row_number() OVER (PARTITION BY subject ORDER BY"
    " coalesce(fields ->> 'up-to-date', 0), t) AS turn FROM raw WHERE kind = 'build')"
    " WHERE turn = 1;"
    /* the latest, and of one second the last: neither has more than nine digits of a number */
    "CREATE VIEW instance AS SELECT run.* FROM (SELECT max(t * 1000000000 + id) % 1000000000 AS"
    " id FROM ran GROUP BY place) JOIN run USING (id);";

enum { SET_BACK_S = 900, PLACE_SMALL = 128 };

struct loading {
	struct sql_query *insert, *place;
	const char *const *kinds;
	struct map *places; /* "SHOP\nENV" -> its number */
	struct once once;   /* what was told of them */
	struct tally tally;
	int64_t ledger;
	bool bucket;  /* where each first line is of another ledger */
	char day[11]; /* of the last time, and when it began */
	int64_t day_s;
	int64_t latest;      /* the last line's time in this ledger */
	struct queue *queue; /* to put_line */
};

static bool wanted(const struct loading *l, const struct ledger_text *kind)
{
	if (l->kinds == NULL)
		return true;
	for (const char *const *k = l->kinds; *k != NULL; k++)
		if (strlen(*k) == kind->n && memcmp(*k, kind->p, kind->n) == 0)
			return true;
	return false;
}

static int two(const char *p)
{
	return (p[0] - '0') * 10 + p[1] - '0';
}

/* Days since 1970-01-01 of the Gregorian calendar. */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
	int64_t era, of_era, of_year;

	y -= m <= 2;
	era = y / 400;
	of_era = y - era * 400;
	of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* "2026-11-26T17:04:23Z", whose form the line's reader has checked. */
static int64_t seconds_of(struct loading *l, const struct ledger_text *t)
{
	const char *p = t->p;

	if (memcmp(l->day, p, 10) != 0) {
		memcpy(l->day, p, 10);
		l->day_s = days_of(two(p) * 100 + two(p + 2), two(p + 5), two(p + 8)) * 86400;
	}
	return l->day_s + two(p + 11) * 3600 + two(p + 14) * 60 + two(p + 17);
}

/* From the quote before a text without escapes to the one behind it; NULL when there are some. */
static const char *text_end(const char *p)
{
	for (p++; *p != '"'; p++)
		if (*p == '\\')
			return NULL;
	return p;
}

/* What is read of an event's fields before anybody asks for it. */
struct seen {
	struct ledger_text shop, env, once, ended, began;
};

/* Where the value of a key goes, when it is one of those. */
static struct ledger_text *wanted_text(const char *key, size_t n, struct seen *s)
{
	if (n == 4 && memcmp(key, "shop", 4) == 0)
		return &s->shop;
	if (n == 3 && memcmp(key, "env", 3) == 0)
		return &s->env;
	if (n == 4 && memcmp(key, "once", 4) == 0)
		return &s->once;
	if (n == 5 && memcmp(key, "ended", 5) == 0)
		return &s->ended;
	return n == 5 && memcmp(key, "began", 5) == 0 ? &s->began : NULL;
}

/* The texts of those, as the fields have them on their own level; -1 when some text has escapes, or
 * one of them is none: then JSON's reader is asked. */
static int scan_fields(const struct ledger_text *f, struct seen *ret)
{
	const char *end = f->p + f->n, *from;
	size_t depth = 0;

	for (const char *p = f->p; p < end; p++) {
		struct ledger_text *to = NULL;

		depth += *p == '{' || *p == '[' ? 1 : 0;
		depth -= *p == '}' || *p == ']' ? 1 : 0;
		if (*p != '"')
			continue;
		from = p + 1;
		p = text_end(p);
		if (p == NULL)
			return -1;
		if (depth == 1 && p + 2 < end && p[1] == ':')
			to = wanted_text(from, (size_t)(p - from), ret);
		if (to == NULL)
			continue;
		from = p + 3;
		p = p[2] == '"' ? text_end(p + 2) : NULL;
		if (p == NULL)
			return -1;
		*to = (struct ledger_text){from, (size_t)(p - from)};
	}
	return 0;
}

static void take(const struct jval *v, const char *key, struct ledger_text *ret)
{
	const char *s = jval_get_str(v, key);

	*ret = (struct ledger_text){s, s != NULL ? strlen(s) : 0};
}

/* *ret_v: what the texts lie in, when they are not the line's own; for the caller to free. */
static int read_fields(const struct ledger_text *f, struct seen *ret, struct jval **ret_v,
		       struct err *e)
{
	*ret = (struct seen){{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
	if (scan_fields(f, ret) == 0)
		return 0;
	if (jval_parse(f->p, f->n, "fields", ret_v, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	take(*ret_v, "shop", &ret->shop);
	take(*ret_v, "env", &ret->env);
	take(*ret_v, "once", &ret->once);
	take(*ret_v, "ended", &ret->ended);
	take(*ret_v, "began", &ret->began);
	return 0;
}

static int number_place(struct loading *l, const struct ledger_text *shop,
			const struct ledger_text *env, int64_t *ret, struct err *e)
{
	char small[PLACE_SMALL];
	char *large SCOPED(mem_freep) = NULL, *key = small;
	uintptr_t n;
	bool more;

	if (shop->n + env->n + 2 > sizeof(small))
		key = large = mem_zalloc(shop->n + env->n + 2);
	memcpy(key, shop->p, shop->n);
	key[shop->n] = '\n';
	if (env->n > 0)
		memcpy(key + shop->n + 1, env->p, env->n);
	key[shop->n + 1 + env->n] = '\0';
	n = (uintptr_t)map_get(l->places, key);
	*ret = (int64_t)n;
	if (n != 0)
		return 0;
	*ret = (int64_t)l->places->n + 1;
	(void)map_put(l->places, key, (void *)(uintptr_t)*ret);
	sql_int(l->place, 1, *ret);
	sql_text(l->place, 2, key, shop->n);
	sql_text(l->place, 3, key + shop->n + 1, env->n);
	return sql_next(l->place, &more, e);
}

/* When it was that was told later: "2026-11-26T17:04:23Z", else 0. */
static int64_t time_of(struct loading *l, const struct seen *s)
{
	const struct ledger_text *t = s->ended.p != NULL ? &s->ended : &s->began;

	return t->p != NULL && ledger_is_time(t) ? seconds_of(l, t) : 0;
}

/* Lines of a chain are in their order, whatever a clock said that was set right between two of
 * them: one that was set back by minutes makes no run that ends before it began. */
static int64_t in_order(struct loading *l, const struct ledger_line *line)
{
	int64_t t = seconds_of(l, &line->time);

	if (line->seq > 1 && t < l->latest && l->latest - t <= SET_BACK_S)
		t = l->latest;
	l->latest = t;
	return t;
}

/* Puts a line into the database, unless that was told before. */
static int put_line(void *ctx, const struct base_line *v, struct err *e)
{
	struct loading *l = ctx;
	struct sql_query *q = l->insert;
	int64_t place = 0;
	bool more;

	/* the number of the shop and environment that an event is about; 0 = of none */
	if (v->text[BASE_SHOP].p != NULL &&
	    number_place(l, &v->text[BASE_SHOP], &v->text[BASE_ENV], &place, e) != 0)
		return -1;
	if (once_told_before(&l->once, place, &v->text[BASE_KIND], &v->text[BASE_ONCE]))
		return 0;
	tally_add(&l->tally, v);
	sql_int(q, 1, v->ledger);
	sql_int(q, 2, v->seq);
	sql_int(q, 3, v->t);
	sql_text(q, 4, v->text[BASE_KIND].p, v->text[BASE_KIND].n);
	sql_int(q, 5, place);
	sql_text(q, 6, v->text[BASE_SUBJECT].p, v->text[BASE_SUBJECT].n);
	sql_text(q, 7, v->text[BASE_ACTOR].p, v->text[BASE_ACTOR].n);
	sql_text(q, 8, v->text[BASE_HOST].p, v->text[BASE_HOST].n);
	sql_text(q, 9, v->text[BASE_MACHINE].p, v->text[BASE_MACHINE].n);
	sql_text(q, 10, v->text[BASE_FIELDS].p, v->text[BASE_FIELDS].n);
	if (v->at != 0)
		sql_int(q, 11, v->at);
	else
		sql_null(q, 11);
	return sql_next(q, &more, e);
}

static int one_line(void *ctx, const struct ledger_line *line, struct err *e)
{
	struct loading *l = ctx;
	int64_t t = in_order(l, line);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct seen seen;

	l->ledger += l->bucket && line->seq == 1;
	if (!wanted(l, &line->kind))
		return 0;
	if (read_fields(&line->fields, &seen, &v, e) != 0)
		return -1;

	const struct base_line b = {.ledger = l->ledger,
				    .seq = (int64_t)line->seq,
				    .t = t,
				    .at = time_of(l, &seen),
				    .text = {[BASE_KIND] = line->kind,
					     [BASE_SUBJECT] = line->subject,
					     [BASE_ACTOR] = line->actor,
					     [BASE_HOST] = line->host,
					     [BASE_MACHINE] = line->machine,
					     [BASE_FIELDS] = line->fields,
					     [BASE_SHOP] = seen.shop,
					     [BASE_ENV] = seen.env,
					     [BASE_ONCE] = seen.once}};

	return queue_put(l->queue, &b, e);
}

struct all {
	struct sql *db;
	struct loading *l;
	struct map *seen;
	struct ledgers *states; /* or NULL */
	int64_t n;
	bool salvage; /* some ledger is damaged */
};

static int put_state(struct all *x, const char *dir, const struct ledger_state *st, bool damaged,
		     struct err *e)
{
	struct sql_query *q SCOPED(sql_query_freep) = NULL;
	struct digest_text last = digest_text(&st->last);
	bool more;

	if (sql_prepare(x->db, "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", &q, e) !=
	    0)
		return -1;
	sql_int(q, 1, ++x->n);
	sql_text(q, 2, dir, strlen(dir));
	sql_text(q, 3, st->chain, strlen(st->chain));
	sql_int(q, 4, (int64_t)st->lines);
	sql_int(q, 5, (int64_t)st->segments);
	sql_int(q, 6, (int64_t)st->bytes);
	sql_int(q, 7, (int64_t)st->unfinished);
	sql_int(q, 8, st->has_head);
	sql_text(q, 9, last.s, strlen(last.s));
	sql_int(q, 10, damaged);
	return sql_next(q, &more, e);
}

/* The same chain in two places would count twice. */
static int check_twice(struct map *seen, const char *dir, const struct ledger_state *st,
		       struct err *e)
{
	if (st->lines == 0 || map_add(seen, st->chain, NULL))
		return 0;
	return err_set(e, ERR_USAGE, "%s: the chain %s is in another ledger too", dir, st->chain);
}

static void map_end(struct map *m)
{
	map_release(m, NULL);
}

/* After its lines: how the ledger stands. An empty one has no line that would have counted it. */
static int one_state(struct all *x, const char *dir, const struct ledger_state *st, bool damaged,
		     struct err *e)
{
	struct ledgers *s = x->states;

	/* the database is the thread's until then */
	if (queue_wait(x->l->queue, e) != 0)
		return -1;
	if (st->lines == 0)
		return 0;
	if (check_twice(x->seen, dir, st, e) != 0 || put_state(x, dir, st, damaged, e) != 0)
		return -1;
	s->v = mem_resize(s->v, s->n + 1, sizeof(*s->v));
	s->v[s->n++] = (struct ledger_of){dir, *st};
	return 0;
}

static int one_dir(struct all *x, const char *dir, struct err *e)
{
	const struct ledger_reader r = {one_line, x->l};
	struct ledger_damage d SCOPED(ledger_damage_release) = {.n = 0};
	struct ledger_state st = {.lines = 0};

	x->l->ledger = x->n + 1;
	x->l->bucket = false;
	if (!x->salvage || access(dir, F_OK) != 0)
		return ledger_read(dir, one_line, x->l, &st, e) != 0
			   ? -1
			   : one_state(x, dir, &st, false, e);
	if (ledger_salvage(dir, &r, &d, &st, e) != 0)
		return -1;
	for (size_t i = 0; i < d.places.n; i++)
		strv_addf(&x->states->damage.places, "%s/%s", dir, d.places.v[i]);
	x->states->damage.n += d.n;
	return one_state(x, dir, &st, d.n > 0, e);
}

static int one_ledger(struct all *x, const char *dir, struct err *e)
{
	struct ledger_state *v SCOPED(mem_freep) = NULL;
	size_t n = 0;

	if (strncmp(dir, "s3://", 5) != 0)
		return one_dir(x, dir, e);
	x->l->ledger = x->n;
	x->l->bucket = true;
	if (ledger_mirror_read(dir, one_line, x->l, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (one_state(x, dir, &v[i], false, e) != 0)
			return -1;
	return 0;
}

void ledgers_release(struct ledgers *l)
{
	free(l->v);
	ledger_damage_release(&l->damage);
	*l = (struct ledgers){.n = 0};
}

static int load(const struct report_opts *o, struct all *x, struct sql **ret, struct err *e)
{
	static const char insert[] = "INSERT INTO raw(ledger, seq, t, kind, place, subject, actor,"
				     " host, machine, fields, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?,"
				     " ?, ?, ?)";
	struct sql *db SCOPED(sql_closep) = NULL;
	struct sql_query *q SCOPED(sql_query_freep) = NULL, *p SCOPED(sql_query_freep) = NULL;
	struct queue *queue SCOPED(queue_freep) = NULL; /* ends before what it puts lines into */

	if (sql_open_own(&db, e) != 0 || sql_run(db, schema, e) != 0 ||
	    sql_prepare(db, insert, &q, e) != 0 ||
	    sql_prepare(db, "INSERT INTO place VALUES (?, ?, ?)", &p, e) != 0 ||
	    sql_run(db, "BEGIN", e) != 0)
		return -1;
	x->db = db;
	x->l->insert = q;
	x->l->place = p;
	x->l->queue = queue = queue_new(put_line, x->l);
	for (size_t i = 0; i < o->ledgers->n; i++)
		if (one_ledger(x, o->ledgers->v[i], e) != 0)
			return -1;
	if (queue_wait(queue, e) != 0 || tally_put(&x->l->tally, db, e) != 0 ||
	    sql_run(db, "COMMIT", e) != 0)
		return -1;
	*ret = STEAL(db);
	return 0;
}

static int load_once(const struct report_opts *o, const char *const *kinds, bool salvage,
		     struct sql **ret, struct ledgers *states, struct err *e)
{
	struct map seen SCOPED(map_end) = {0}, places SCOPED(map_end) = {0};
	struct loading l = {.kinds = kinds, .places = &places};
	struct all with = {.l = &l, .seen = &seen, .states = states, .salvage = salvage};
	int rc = load(o, &with, ret, e);

	once_release(&l.once);
	tally_release(&l.tally);
	return rc;
}

int base_load(const struct report_opts *o, const char *const *kinds, struct sql **ret,
	      struct ledgers *states, struct err *e)
{
	struct err why = ERR_INIT;

	if (load_once(o, kinds, false, ret, states, &why) == 0)
		return 0;
	ledgers_release(states);
	if (why.kind != ERR_VERIFY) {
		*e = why;
		return -1;
	}
	if (load_once(o, kinds, true, ret, states, e) != 0)
		return -1;
	for (size_t i = 0; i < states->damage.places.n; i++)
		log_warn("%s", states->damage.places.v[i]);
	return 0;
}

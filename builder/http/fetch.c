#include "http/fetch.h"

#include "base/log.h"
#include "base/map.h"
#include "http/http.h"
#include "http/partial.h"
#include <stdlib.h>
#include <string.h>

enum { LAND_FILES = 32, LAND_BYTES = 64 << 20 };
enum { PARALLEL = 6, RESUMES_MAX = 8, RESUME_WAIT_MS = 500, GONE_NAMED = 600 };

/* One file; several jobs may want it. */
struct item {
	struct fetch *f;
	struct fetch_job *job; /* the first that wants it */
	struct strv urls;      /* of all jobs */
	size_t url;            /* which one is being tried */
	struct http_call call;
	struct sink sink;
	struct partial part;
	bool open;        /* part is ours */
	bool begun;       /* the answer's first bytes, or its end, have been seen */
	bool resumed;     /* the last answer went on from what was there */
	bool renewed;     /* was begun anew from this URL after a resumed part was wrong */
	unsigned resumes; /* times this URL broke off after some bytes */
	size_t missing;   /* URLs that do not have it */
	bool gone, done;
	struct err why; /* the worst trouble so far */
};

struct fetch {
	struct store *s;
	const struct fetch_opts *o;
	struct item *items;
	size_t n;
	struct item **queue; /* n; [head, tail) wait for a free connection */
	size_t head, tail;
	struct item **held; /* n; other processes are on them */
	size_t held_n;
	/* Whole files that are not in the store yet: many at once are cheaper to sync. */
	struct item **landed; /* n */
	size_t landed_n;
	uint64_t landed_bytes;
	size_t active;
	uint64_t total; /* 0 = unknown */
	struct err failed;
	bool has_failed; /* of the files here, not of a server */
};

static void fetch_release(struct fetch *f)
{
	for (size_t i = 0; i < f->n; i++) {
		partial_close(&f->items[i].part);
		strv_release(&f->items[i].urls);
	}
	free(f->items);
	free(f->queue);
	free(f->held);
	free(f->landed);
}

/* The queue is a ring: every item is in it at most once. */
static void enqueue(struct fetch *f, struct item *it)
{
	f->queue[f->tail++ % f->n] = it;
}

static int begin_body(struct item *it, struct err *e)
{
	it->begun = true;
	if (it->part.have == 0 || http_goes_on(&it->call.r, it->part.have))
		return 0;
	if (it->call.r.status == 206)
		return err_set(e, ERR_VERIFY, "got another range than was asked for");
	log_debug("%s: the server begins anew", it->job->name);
	return partial_restart(&it->part, e);
}

static int take(void *ctx, const void *p, size_t n, struct err *e)
{
	struct item *it = ctx;

	if (!it->begun && begin_body(it, e) != 0)
		return -1;
	return partial_write(&it->part, p, n, e);
}

static void settle(struct item *it)
{
	it->done = !it->gone;
	it->open = false;
	partial_close(&it->part);
}

/* What lies there may be all of it, from a run that died before it could say so. */
static int use_what_is_there(struct item *it, struct err *e)
{
	struct err wrong = ERR_INIT;

	if (it->part.have == 0 || (it->part.size != 0 && it->part.have < it->part.size))
		return 0;
	if (it->part.have == it->part.size && partial_keep(&it->part, &wrong) == 0) {
		settle(it);
		return 0;
	}
	if (it->part.size == 0 && it->part.have > 0)
		return 0;
	return partial_restart(&it->part, e);
}

static int open_item(struct item *it, bool own, struct err *e)
{
	if (!it->open && partial_open(&it->part, own, e) != 0)
		return -1;
	it->open = true;
	if (store_has(it->f->s, &it->job->digest, NULL)) {
		settle(it);
		return 0;
	}
	return use_what_is_there(it, e);
}

static struct http_call *call_for(struct item *it, uint64_t wait_ms)
{
	it->begun = false;
	it->sink = (struct sink){take, it};
	/* while another mirror is left to ask, this one is not waited for */
	it->call = (struct http_call){.q = {.method = "GET",
					    .url = it->urls.v[it->url],
					    .body_fd = -1,
					    .to = &it->sink,
					    .offset = it->part.have,
					    .tries = it->url + 1 < it->urls.n ? 1 : 0,
					    .stall_ms = it->f->o->stall_ms},
				      .wait_ms = wait_ms};
	it->f->active++;
	return &it->call;
}

/* The next item that may begin: from the queue, and at last those that others were busy with. */
static struct item *pick(struct fetch *f, bool *ret_own)
{
	*ret_own = false;
	if (f->head != f->tail)
		return f->queue[f->head++ % f->n];
	if (f->held_n == 0 || f->active > 0)
		return NULL;
	*ret_own = true;
	return f->held[--f->held_n];
}

static int give_up(struct item *it, struct err *e)
{
	*e = it->why;
	(void)err_in(e, "%s", it->job->name);
	if (it->job->pointer != NULL)
		(void)err_in(e, "%s", it->job->pointer);
	return -1;
}

/* Remembers the trouble (wrong bytes outrank the rest) and goes on to the next URL. */
static int next_url(struct item *it, const struct err *why, struct err *e)
{
	if (why != NULL && it->why.kind != ERR_VERIFY)
		it->why = *why;
	it->resumes = 0;
	it->renewed = false;
	if (++it->url < it->urls.n) {
		enqueue(it->f, it);
		return 0;
	}
	if (it->missing < it->urls.n)
		return give_up(it, e);
	it->gone = true;
	settle(it);
	return 0;
}

/* Wrong bytes. When some of them were from an earlier run, this URL gets one more chance. */
static int wrong(struct item *it, struct err *why, struct err *e)
{
	char *shown SCOPED(mem_freep) = http_shown(it->urls.v[it->url]);

	if (partial_restart(&it->part, e) != 0)
		return -1;
	if (it->resumed && !it->renewed) {
		it->renewed = true;
		log_debug("%s: what lay there was wrong: %s", it->job->name, why->msg);
		enqueue(it->f, it);
		return 0;
	}
	(void)err_in(why, "%s", shown);
	(void)err_hint(why, "the mirror changed or is damaged; lock anew, or use another mirror");
	return next_url(it, why, e);
}

static int broke_off(struct item *it, struct err *e)
{
	struct err why = it->call.err;

	if (why.kind == ERR_VERIFY)
		return wrong(it, &why, e);
	if (why.kind != ERR_REMOTE) { /* our disk, not their server */
		it->why = why;
		return give_up(it, e);
	}
	if (it->part.have > it->call.q.offset && it->resumes++ < RESUMES_MAX) {
		enqueue(it->f, it);
		return 0;
	}
	return next_url(it, &why, e);
}

static int landed_one(struct item *it, struct store_file *f, struct err *e)
{
	if (f->rc == 0) {
		it->part.have = 0;
		settle(it);
		return 0;
	}
	if (f->err.kind == ERR_VERIFY)
		return wrong(it, &f->err, e);
	it->why = f->err;
	return give_up(it, e);
}

/* Brings what has landed into the store. */
static int land(struct fetch *f, struct err *e)
{
	size_t n = f->landed_n;
	struct store_file *v SCOPED(mem_freep) = mem_zalloc(n * sizeof(*v));

	for (size_t i = 0; i < n; i++) {
		const struct partial *p = &f->landed[i]->part;

		v[i] = (struct store_file){.path = p->path, .want = p->want, .size = p->size};
	}
	f->landed_n = 0;
	f->landed_bytes = 0;
	if (store_adopt_all(f->s, v, n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (landed_one(f->landed[i], &v[i], e) != 0)
			return -1;
	return 0;
}

static int complete(struct item *it, struct err *e)
{
	struct fetch *f = it->f;

	if (!it->begun && begin_body(it, e) != 0)
		return -1;
	f->landed[f->landed_n++] = it;
	f->landed_bytes += it->part.have;
	if (f->landed_n < LAND_FILES && f->landed_bytes < LAND_BYTES)
		return 0;
	return land(f, e);
}

static int answered(struct item *it, struct err *e)
{
	struct err why = ERR_INIT;

	switch (it->call.r.status) {
	case 200:
	case 206:
		return complete(it, e);
	case 404:
	case 410:
		it->missing++;
		return next_url(it, NULL, e);
	case 416: /* of a file without known size it may mean that all is there */
		it->begun = true;
		return complete(it, e);
	default:
		(void)http_refused(&it->call.q, &it->call.r, &why);
		return next_url(it, &why, e);
	}
}

static struct http_call *next(void *ctx)
{
	struct fetch *f = ctx;
	struct item *it;
	bool own;

	while (!f->has_failed) {
		struct err e = ERR_INIT;

		if (f->head == f->tail && f->active == 0 && f->landed_n > 0) {
			f->has_failed = land(f, &f->failed) != 0;
			continue;
		}
		it = pick(f, &own);
		if (it == NULL)
			break;
		if (open_item(it, own, &e) == 0) {
			if (it->done)
				continue;
			return call_for(it, it->resumes > 0 ? RESUME_WAIT_MS : 0);
		}
		if (e.kind == ERR_BUSY && !own) {
			f->held[f->held_n++] = it;
			continue;
		}
		(void)err_in(&e, "%s", it->job->name);
		f->failed = e;
		f->has_failed = true;
	}
	return NULL;
}

static int ended(void *ctx, struct http_call *c, struct err *e)
{
	struct fetch *f = ctx;
	struct item *it = f->items;
	int rc;

	while (&it->call != c)
		it++;
	f->active--;
	it->resumed = c->q.offset > 0 && (c->rc != 0 || c->r.status != 200);
	if (f->has_failed) {
		*e = f->failed;
		rc = -1;
	} else {
		rc = c->rc == 0 ? answered(it, e) : broke_off(it, e);
	}
	http_reply_release(&c->r);
	return rc;
}

static void tick(void *ctx)
{
	const struct fetch *f = ctx;
	uint64_t sum = 0;

	for (size_t i = 0; i < f->n; i++)
		sum += f->items[i].done ? f->items[i].job->size : f->items[i].part.have;
	if (f->total == 0 || sum < f->total)
		log_progress("fetch", sum, f->total);
}

/* One item for each digest that is not in the store. */
static void plan(struct fetch *f, struct fetch_job *jobs, size_t n, struct map *by_digest)
{
	bool known = true;

	f->items = mem_zalloc((n + 1) * sizeof(*f->items));
	for (size_t i = 0; i < n; i++) {
		struct fetch_job *j = &jobs[i];
		struct digest_hex key = digest_hex(&j->digest);
		struct item *it = map_get(by_digest, key.s);

		j->gone = false;
		j->done = store_has(f->s, &j->digest, NULL);
		if (j->done)
			continue;
		if (it == NULL) {
			it = &f->items[f->n++];
			*it =
			    (struct item){.f = f, .job = j, .part = PARTIAL_INIT, .why = ERR_INIT};
			it->part.s = f->s;
			it->part.want = j->digest;
			it->part.size = j->size;
			(void)map_put(by_digest, key.s, it);
			known = known && j->size != 0;
			f->total += j->size;
		}
		for (size_t k = 0; j->urls[k] != NULL; k++)
			if (!strv_has(&it->urls, j->urls[k]))
				strv_add(&it->urls, j->urls[k]);
	}
	f->total = known ? f->total : 0;
	f->queue = mem_zalloc((f->n + 1) * sizeof(struct item *));
	f->held = mem_zalloc((f->n + 1) * sizeof(struct item *));
	f->landed = mem_zalloc((f->n + 1) * sizeof(struct item *));
	for (size_t i = 0; i < f->n; i++)
		enqueue(f, &f->items[i]);
}

static void report(struct fetch_job *jobs, size_t n, const struct map *by_digest)
{
	for (size_t i = 0; i < n; i++) {
		struct digest_hex key = digest_hex(&jobs[i].digest);
		const struct item *it = map_get(by_digest, key.s);

		if (it == NULL)
			continue;
		jobs[i].done = it->done;
		jobs[i].gone = it->gone;
	}
}

static int name_gone(const struct fetch *f, struct err *e)
{
	struct buf names SCOPED(buf_release) = BUF_INIT(GONE_NAMED);
	size_t gone = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->items[i].gone) {
			buf_addf(&names, "%s%s", gone > 0 ? ", " : "", f->items[i].job->name);
			gone++;
		}
	if (gone == 0)
		return 0;
	(void)err_set(e, ERR_REMOTE, "%zu file%s that no mirror has any more: %s%s", gone,
		      gone == 1 ? "" : "s", names.data, buf_over(&names) ? " and others" : "");
	return err_hint(e, "resolve to what the mirrors have now: posmedia lock --update RECIPE");
}

static int run(struct fetch *f, struct err *e)
{
	struct http *h SCOPED(http_freep) = http_new();
	const struct http_work w = {next, ended, tick, f,
				    f->o->parallel != 0 ? f->o->parallel : PARALLEL};

	if (http_run(h, &w, e) != 0)
		return -1;
	if (f->has_failed) {
		*e = f->failed;
		return -1;
	}
	if (f->total > 0)
		log_progress("fetch", f->total, f->total);
	return name_gone(f, e);
}

int fetch_all(struct store *s, struct fetch_job *jobs, size_t n, const struct fetch_opts *o,
	      struct err *e)
{
	static const struct fetch_opts usual = {0};
	struct fetch f SCOPED(fetch_release) = {.s = s, .o = o != NULL ? o : &usual};
	struct map by_digest = {0};
	int rc = 0;

	plan(&f, jobs, n, &by_digest);
	for (size_t i = 0; i < f.n && rc == 0; i++)
		if (f.items[i].urls.n == 0)
			rc = err_set(e, ERR_REMOTE, "%s: no address to fetch it from",
				     f.items[i].job->name);
	if (rc == 0 && f.n > 0)
		rc = run(&f, e);
	report(jobs, n, &by_digest);
	map_release(&by_digest, NULL);
	return rc;
}

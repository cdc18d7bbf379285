#include "remote/blobs.h"
#include "remote/incoming.h"
#include "remote/s3.h"

#include "base/log.h"
#include <stdlib.h>
#include <string.h>

enum { RESUMES_MAX = 8, RESUME_WAIT_MS = 500, LOGINS_MAX = 3 };

struct blob {
	const struct oci_desc *d;
	struct pull *p;
	struct http_call call;
	struct sink sink;
	char *url;
	struct incoming in;
	bool begun;   /* the answer's first bytes have been seen */
	bool renewed; /* was begun anew after a resumed one was wrong */
	unsigned resumes, logins, round;
	bool done;
};

struct pull {
	const struct carry *c;
	struct blob *blobs;
	struct blob **ready; /* who may go on; the last comes first */
	size_t n, ready_n;
	uint64_t total;
	struct err failed;
	bool has_failed;
};

static void pull_release(struct pull *p)
{
	for (size_t i = 0; i < p->n; i++) {
		incoming_close(&p->blobs[i].in);
		strv_release(&p->blobs[i].call.q.headers);
		free(p->blobs[i].url);
	}
	free(p->blobs);
	free(p->ready);
}

static int again(struct pull *p, struct blob *b)
{
	p->ready[p->ready_n++] = b;
	return 0;
}

static int begin_body(struct blob *b, struct err *e)
{
	b->begun = true;
	if (b->in.have == 0 || http_goes_on(&b->call.r, b->in.have))
		return 0;
	if (b->call.r.status == 206)
		return err_set(e, ERR_VERIFY, "got another range than was asked for");
	return incoming_restart(&b->in, e);
}

static int take(void *ctx, const void *data, size_t n, struct err *e)
{
	struct blob *b = ctx;

	if (!b->begun && begin_body(b, e) != 0)
		return -1;
	return incoming_write(&b->in, data, n, e);
}

/* What an earlier run got may be all of it: then there is nothing to ask for. */
static int open_incoming(struct blob *b, struct err *e)
{
	struct err quiet = ERR_INIT;

	if (incoming_open(b->p->c->l, b->d, &b->in, e) != 0)
		return -1;
	b->p->c->stats->resumed += b->in.have;
	if (b->in.have < b->d->size)
		return 0;
	if (incoming_keep(&b->in, &quiet) != 0)
		return incoming_restart(&b->in, e);
	b->done = true;
	return 0;
}

static struct http_call *call_for(struct blob *b)
{
	struct registry *r = b->p->c->r;

	strv_release(&b->call.q.headers);
	b->begun = false;
	b->round = r->round;
	b->sink = (struct sink){take, b};
	b->call = (struct http_call){.q = {.method = "GET",
					   .url = b->url,
					   .body_fd = -1,
					   .to = &b->sink,
					   .offset = b->in.have,
					   .tries = r->tries},
				     .wait_ms = b->resumes > 0 ? RESUME_WAIT_MS : 0};
	if (registry_prepare(r, &b->call.q, NULL, &b->p->failed) == 0)
		return &b->call;
	b->p->has_failed = true;
	return NULL;
}

static struct http_call *next(void *ctx)
{
	struct pull *p = ctx;
	struct blob *b = NULL;

	while (!p->has_failed && b == NULL && p->ready_n > 0) {
		b = p->ready[--p->ready_n];
		if (b->in.fd < 0)
			p->has_failed = open_incoming(b, &p->failed) != 0;
		if (b->done)
			b = NULL;
	}
	return p->has_failed || b == NULL ? NULL : call_for(b);
}

/* Wrong bytes; when some of them came before a break, all get one more chance. */
static int wrong(struct blob *b, const struct err *why, struct err *e)
{
	bool again_ok = b->call.q.offset > 0 && !b->renewed;

	/* the next run must not go on from what is wrong */
	if (incoming_restart(&b->in, e) != 0)
		return -1;
	b->renewed = true;
	if (again_ok)
		return again(b->p, b);
	*e = *why;
	return -1;
}

static int keep(struct blob *b, struct err *e)
{
	struct err why = ERR_INIT;

	if (!b->begun && begin_body(b, e) != 0)
		return -1;
	if (incoming_keep(&b->in, &why) != 0) {
		if (why.kind == ERR_VERIFY)
			return wrong(b, &why, e);
		*e = why;
		return -1;
	}
	b->done = true;
	return 0;
}

static int broke_off(struct blob *b, struct err *e)
{
	const struct err *why = &b->call.err;

	if (why->kind == ERR_VERIFY)
		return wrong(b, why, e);
	if (why->kind == ERR_REMOTE && b->in.have > b->call.q.offset && b->resumes++ < RESUMES_MAX)
		return again(b->p, b);
	*e = *why;
	return -1;
}

static int judge(struct blob *b, struct err *e)
{
	const struct http_reply *r = &b->call.r;

	if (b->call.rc != 0)
		return broke_off(b, e);
	if (r->status == 200 || r->status == 206)
		return keep(b, e);
	if (r->status == 416 && b->in.have > 0)
		return incoming_restart(&b->in, e) != 0 ? -1 : again(b->p, b);
	if (r->status == 401 && b->logins++ < LOGINS_MAX)
		return registry_login(b->p->c->r, r, b->round, e) != 0 ? -1 : again(b->p, b);
	if (b->p->c->r->s3 != NULL && b->logins++ < LOGINS_MAX) {
		int rc = s3_mend(b->p->c->r->s3, r, e);

		return rc > 0 ? again(b->p, b) : rc < 0 ? -1 : s3_refused(&b->call.q, r, e);
	}
	return registry_refused(&b->call.q, r, e);
}

static int ended(void *ctx, struct http_call *c, struct err *e)
{
	struct pull *p = ctx;
	struct blob *b = p->blobs;
	int rc;

	while (&b->call != c)
		b++;
	rc = judge(b, e);
	if (rc != 0)
		(void)err_in(e, "blob %s", digest_text(&b->d->digest).s);
	http_reply_release(&c->r);
	return rc;
}

static void tick(void *ctx)
{
	const struct pull *p = ctx;
	uint64_t sum = 0;

	for (size_t i = 0; i < p->n; i++)
		sum += p->blobs[i].done ? p->blobs[i].d->size : p->blobs[i].in.have;
	if (sum < p->total)
		log_progress("pull", sum, p->total);
}

/* Whether the layout has it, whole and right. */
static bool have(const struct oci_layout *l, const struct oci_desc *d)
{
	int fd SCOPED(fd_closep) = -1;
	struct err quiet = ERR_INIT;
	struct digest got;
	uint64_t size;

	return oci_layout_blob(l, &d->digest, &fd, &size, &quiet) == 0 && size == d->size &&
	       digest_fd(fd, &got, NULL, &quiet) == 0 && digest_equal(&got, &d->digest);
}

static void plan(struct pull *p, const struct blob_list *list)
{
	const struct carry *c = p->c;

	p->blobs = mem_zalloc((list->n + 1) * sizeof(*p->blobs));
	p->ready = mem_zalloc((list->n + 1) * sizeof(struct blob *));
	for (size_t i = 0; i < list->n; i++) {
		const struct oci_desc *d = list->v[i];

		if (have(c->l, d)) {
			c->stats->blobs_skipped++;
			c->stats->bytes_skipped += d->size;
			continue;
		}
		c->stats->blobs++;
		c->stats->bytes += d->size;
		p->total += d->size;
		p->blobs[p->n++] =
		    (struct blob){.d = d,
				  .p = p,
				  .in = INCOMING_INIT,
				  .url = registry_url(c->r, "blobs", digest_text(&d->digest).s)};
	}
	for (size_t i = p->n; i-- > 0;)
		(void)again(p, &p->blobs[i]);
}

int blobs_pull(const struct carry *c, const struct blob_list *list, struct err *e)
{
	struct pull p SCOPED(pull_release) = {.c = c};
	const struct http_work w = {next, ended, tick, &p, c->r->parallel};

	plan(&p, list);
	if (http_run(c->r->http, &w, e) != 0)
		return -1;
	if (p.has_failed) {
		*e = p.failed;
		return -1;
	}
	return 0;
}

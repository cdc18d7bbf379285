#include "remote/s3.h"
#include "remote/session.h"

#include "base/log.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long a registry may think about what it was sent: it hashes and stores it. */
enum { STALL_MS = 300000, WAIT_MS = 500, LOGINS_MAX = 3, QUESTIONS = 16 };

enum step {
	STEP_HEAD,  /* is it there? */
	STEP_MOUNT, /* is it in the source's repository? */
	STEP_ASK,   /* how much of it has the session that was opened? */
	STEP_POST,  /* open a session */
	STEP_PUT,   /* send it all */
	STEP_CHECK, /* the PUT ended in doubt: is it there? */
};

struct blob {
	const struct oci_desc *d;
	enum step step;
	struct http_call call;
	char *url;
	char *session; /* an upload that was begun, or NULL */
	uint64_t from; /* its bytes that are there: the rest is sent */
	int fd;
	unsigned round;  /* of the login, when the call began */
	unsigned logins; /* how often it was refused */
	unsigned tries;  /* sessions begun */
	bool done, moved, mounted;
	enum step after; /* what to do when all have been asked for: STEP_HEAD = nothing */
	struct err why;  /* what ended the last PUT */
};

struct push {
	const struct carry *c;
	struct registry *r;
	const struct oci_layout *l;
	struct blob *blobs;
	/* Who may go on; the last comes first, so that a blob that was begun is ended before
	 * another opens a session. */
	struct blob **ready;
	size_t n, ready_n;
	uint64_t total;
	struct err failed;
	bool has_failed;
};

static void push_release(struct push *p)
{
	for (size_t i = 0; i < p->n; i++) {
		fd_closep(&p->blobs[i].fd);
		free(p->blobs[i].url);
		free(p->blobs[i].session);
		strv_release(&p->blobs[i].call.q.headers);
	}
	free(p->blobs);
	free(p->ready);
}

static int go(struct push *p, struct blob *b, enum step step)
{
	b->step = step;
	p->ready[p->ready_n++] = b;
	return 0;
}

static int open_blob(struct push *p, struct blob *b, struct err *e)
{
	uint64_t size;

	fd_closep(&b->fd);
	if (oci_layout_blob(p->l, &b->d->digest, &b->fd, &size, e) != 0)
		return -1;
	if (size != b->d->size)
		return err_set(e, ERR_VERIFY, "%s: blob %s has %llu bytes, not %llu",
			       oci_layout_path(p->l), digest_text(&b->d->digest).s,
			       (unsigned long long)size, (unsigned long long)b->d->size);
	if (lseek(b->fd, (off_t)b->from, SEEK_SET) < 0)
		return err_sys(e, "read what is to be sent");
	return 0;
}

static void head_call(struct push *p, struct blob *b)
{
	free(b->url);
	b->url = registry_url(p->r, "blobs", digest_text(&b->d->digest).s);
	b->call.q.method = "HEAD";
	b->call.q.tries = p->r->tries;
}

static void mount_call(struct push *p, struct blob *b)
{
	char *from SCOPED(mem_freep) = http_escape(p->c->source->repo);
	char *what SCOPED(mem_freep) =
	    mem_format("uploads/?mount=sha256%%3A%s&from=%s", digest_hex(&b->d->digest).s, from);

	free(b->url);
	b->url = registry_url(p->r, "blobs", what);
	b->call.q.method = "POST";
	b->call.q.tries = p->r->tries;
}

static int begin(struct push *p, struct blob *b, struct err *e)
{
	strv_release(&b->call.q.headers);
	b->call = (struct http_call){.q = {.body_fd = -1}};
	switch (b->step) {
	case STEP_HEAD:
	case STEP_CHECK:
		head_call(p, b);
		break;
	case STEP_MOUNT:
		mount_call(p, b);
		break;
	case STEP_ASK:
		free(b->url);
		b->url = mem_strdup(b->session);
		b->call.q.method = "GET";
		b->call.q.tries = p->r->tries;
		break;
	case STEP_POST:
		free(b->url);
		b->url = registry_url(p->r, "blobs", "uploads/");
		b->call.q.method = "POST";
		b->call.q.tries = p->r->tries;
		if (b->tries > 0)
			b->call.wait_ms = (uint64_t)WAIT_MS << (b->tries < 6 ? b->tries - 1 : 5);
		b->tries++;
		break;
	case STEP_PUT: /* url was set from the POST's Location; never repeated blindly */
		if (open_blob(p, b, e) != 0)
			return -1;
		b->call.q.method = "PUT";
		b->call.q.body_fd = b->fd;
		b->call.q.body_size = b->d->size - b->from;
		b->call.q.tries = 1;
		b->call.q.stall_ms = STALL_MS;
		strv_add(&b->call.q.headers, "Content-Type: application/octet-stream");
		if (b->from > 0 && b->from < b->d->size)
			strv_addf(&b->call.q.headers, "Content-Range: %llu-%llu",
				  (unsigned long long)b->from, (unsigned long long)b->d->size - 1);
		break;
	}
	b->call.q.url = b->url;
	b->call.q.authorization = registry_authorization(p->r, b->url);
	b->round = p->r->round;
	return 0;
}

static struct http_call *next(void *ctx)
{
	struct push *p = ctx;
	struct blob *b;

	if (p->has_failed || p->ready_n == 0)
		return NULL;
	b = p->ready[--p->ready_n];
	if (begin(p, b, &p->failed) == 0)
		return &b->call;
	p->has_failed = true;
	return NULL;
}

/* It has to be sent, once all have been asked for. */
static int upload(struct push *p, struct blob *b, enum step step)
{
	if (b->after != STEP_HEAD)
		return go(p, b, step);
	b->after = step;
	return 0;
}

/* The upload that was begun is of no more use. */
static void forget(struct push *p, struct blob *b)
{
	if (b->session != NULL)
		session_drop(p->r, &b->d->digest);
	free(STEAL(b->session));
	b->from = 0;
}

static int settle(struct push *p, struct blob *b, bool moved)
{
	fd_closep(&b->fd);
	if (moved)
		p->c->stats->resumed += b->from;
	forget(p, b);
	b->done = true;
	b->moved = moved;
	return 0;
}

/* Whether there is a point in sending it again after this. */
static bool passing(const struct http_call *c)
{
	int s = c->r.status;

	return c->rc != 0 || s == 404 || s == 408 || s == 416 || s == 429 || s == 499 || s >= 500;
}

static int renew(struct push *p, struct blob *b, struct err *e)
{
	if (b->tries < p->r->tries)
		return go(p, b, b->session != NULL ? STEP_ASK : STEP_POST);
	*e = b->why;
	return -1;
}

/* The registry says that the bytes are wrong: are they, here? */
static int blame(struct push *p, struct blob *b, struct err *e)
{
	struct digest got;
	int fd SCOPED(fd_closep) = -1;

	if (oci_layout_blob(p->l, &b->d->digest, &fd, NULL, e) != 0 ||
	    digest_fd(fd, &got, NULL, e) != 0)
		return -1;
	if (digest_equal(&got, &b->d->digest))
		*e = b->why;
	else
		(void)err_set(e, ERR_VERIFY, "%s: blob %s is damaged: its digest is %s",
			      oci_layout_path(p->l), digest_text(&b->d->digest).s,
			      digest_text(&got).s);
	return -1;
}

/* What an earlier run has begun may be gone on with. */
static enum step first_step(struct push *p, struct blob *b)
{
	if (b->session == NULL && b->d->size >= SESSION_BYTES_MIN)
		b->session = session_load(p->r, &b->d->digest);
	return b->session != NULL ? STEP_ASK : STEP_POST;
}

static int after_head(struct push *p, struct blob *b, struct err *e)
{
	const struct http_reply *r = &b->call.r;
	const char *length = http_header(r, "content-length");
	char *size SCOPED(mem_freep) = mem_format("%llu", (unsigned long long)b->d->size);

	if (r->status == 404)
		return b->step == STEP_HEAD ? upload(p, b, first_step(p, b)) : renew(p, b, e);
	if (r->status != 200)
		return registry_refused(&b->call.q, r, e);
	if (length != NULL && strcmp(length, size) != 0)
		return err_set(e, ERR_VERIFY, "blob %s: has %s bytes here and %s there",
			       digest_text(&b->d->digest).s, size, length);
	return settle(p, b, b->step == STEP_CHECK);
}

/* Where the registry says that the blob is to be sent. */
static int take_location(struct blob *b, const char *location, struct err *e)
{
	char *to SCOPED(mem_freep) = NULL;

	if (http_resolve(b->call.r.url, location, &to, e) != 0)
		return -1;
	free(b->url);
	b->url = mem_format("%s%sdigest=sha256%%3A%s", to, strchr(to, '?') != NULL ? "&" : "?",
			    digest_hex(&b->d->digest).s);
	return 0;
}

/* A session was opened: another run may go on with it, if this one does not end it. */
static int open_session(struct push *p, struct blob *b, struct err *e)
{
	const char *location = http_header(&b->call.r, "location");

	if (location == NULL)
		return err_set(e, ERR_REMOTE, "POST %s: no Location in the answer", b->url);
	free(STEAL(b->session));
	b->from = 0;
	if (http_resolve(b->call.r.url, location, &b->session, e) != 0)
		return -1;
	if (b->d->size < SESSION_BYTES_MIN)
		free(STEAL(b->session));
	else
		session_save(p->r, &b->d->digest, b->session);
	return take_location(b, location, e);
}

/* Whether it goes on there, and from where. A registry that does not know says no, one way or
 * another. */
static int after_ask(struct push *p, struct blob *b, struct err *e)
{
	const struct http_reply *r = &b->call.r;
	const char *location = http_header(r, "location");

	uint64_t before = b->from;

	b->from = session_offset(r, b->d->size);
	if (b->from == 0) {
		forget(p, b);
		return go(p, b, STEP_POST);
	}
	/* as long as there is more of it each time, it is worth another try */
	b->tries += b->from > before ? 0 : 1;
	return take_location(b, location != NULL ? location : b->session, e) != 0
		   ? -1
		   : go(p, b, STEP_PUT);
}

static int after_post(struct push *p, struct blob *b, struct err *e)
{
	const struct http_reply *r = &b->call.r;

	if (r->status != 202 && !passing(&b->call))
		return registry_refused(&b->call.q, r, e);
	if (r->status != 202) {
		(void)registry_refused(&b->call.q, r, &b->why);
		return renew(p, b, e);
	}
	return open_session(p, b, e) != 0 ? -1 : go(p, b, STEP_PUT);
}

/* A registry that does not mount opens a session for the whole instead, or knows no such thing. */
static int after_mount(struct push *p, struct blob *b, struct err *e)
{
	b->mounted = b->call.r.status == 201;
	if (b->mounted)
		return settle(p, b, false);
	if (b->call.r.status != 202)
		return go(p, b, STEP_HEAD);
	return open_session(p, b, e) != 0 ? -1 : upload(p, b, STEP_PUT);
}

static int after_put(struct push *p, struct blob *b, struct err *e)
{
	const struct http_reply *r = &b->call.r;

	if (r->status == 201)
		return settle(p, b, true);
	if (r->status / 100 == 2)
		(void)err_set(&b->why, ERR_REMOTE, "PUT: %d, but the blob is not there", r->status);
	else
		(void)registry_refused(&b->call.q, r, &b->why);
	if (r->status / 100 == 4 && b->from > 0 && b->tries < p->r->tries) {
		forget(p, b); /* what was there may be what is wrong */
		return go(p, b, STEP_POST);
	}
	if (r->status == 400)
		return blame(p, b, e);
	if (r->status / 100 == 2 || passing(&b->call))
		return go(p, b, STEP_CHECK);
	*e = b->why;
	return -1;
}

/* A 401: the token ran out. An upload is begun anew, its session may be gone. */
static int refused(struct push *p, struct blob *b, struct err *e)
{
	if (b->logins++ >= LOGINS_MAX)
		return registry_refused(&b->call.q, &b->call.r, e);
	if (registry_login(p->r, &b->call.r, b->round, e) != 0)
		return -1;
	if (b->step != STEP_PUT)
		return go(p, b, b->step);
	b->tries--;
	return go(p, b, STEP_POST);
}

static int no_answer(struct push *p, struct blob *b, struct err *e)
{
	b->why = b->call.err;
	if (b->why.kind != ERR_REMOTE || b->step == STEP_HEAD || b->step == STEP_CHECK) {
		*e = b->why;
		return -1;
	}
	if (b->step == STEP_MOUNT)
		return go(p, b, STEP_HEAD);
	if (b->step == STEP_ASK) {
		forget(p, b);
		return go(p, b, STEP_POST);
	}
	return b->step == STEP_PUT ? go(p, b, STEP_CHECK) : renew(p, b, e);
}

static int judge(struct push *p, struct blob *b, struct err *e)
{
	if (b->call.rc != 0)
		return no_answer(p, b, e);
	if (b->call.r.status == 401)
		return refused(p, b, e);
	switch (b->step) {
	case STEP_MOUNT:
		return after_mount(p, b, e);
	case STEP_POST:
		return after_post(p, b, e);
	case STEP_ASK:
		return after_ask(p, b, e);
	case STEP_PUT:
		return after_put(p, b, e);
	default:
		return after_head(p, b, e);
	}
}

static int ended(void *ctx, struct http_call *c, struct err *e)
{
	struct push *p = ctx;
	struct blob *b = p->blobs;
	int rc;

	while (&b->call != c)
		b++;
	rc = judge(p, b, e);
	if (rc != 0)
		(void)err_in(e, "blob %s", digest_text(&b->d->digest).s);
	http_reply_release(&c->r);
	strv_release(&c->q.headers);
	return rc;
}

static void tick(void *ctx)
{
	const struct push *p = ctx;
	uint64_t sum = 0;

	for (size_t i = 0; i < p->n; i++) {
		const struct blob *b = &p->blobs[i];

		sum += b->done ? b->d->size : b->step == STEP_PUT ? b->from + b->call.sent : 0;
	}
	if (sum < p->total)
		log_progress("push", sum, p->total);
}

static int run(struct push *p, unsigned parallel, struct err *e)
{
	const struct http_work w = {next, ended, tick, p, parallel};

	if (http_run(p->r->http, &w, e) != 0)
		return -1;
	if (p->has_failed) {
		*e = p->failed;
		return -1;
	}
	return 0;
}

/* Brings into the layout what has to be sent from there and is with the source. */
static int get_from_source(struct push *p, const struct blob_list *want, struct err *e)
{
	struct remote_stats aside = {0};
	const struct carry from = {.r = p->c->source, .l = p->c->l, .stats = &aside};

	if (p->c->source == NULL)
		return 0;
	if (blobs_pull(&from, want, e) != 0)
		return -1;
	p->c->stats->resumed += aside.resumed;
	return 0;
}

static int send_missing(struct push *p, struct err *e)
{
	struct blob_list want SCOPED(blob_list_release) = {
	    .v = mem_zalloc((p->n + 1) * sizeof(*want.v))};

	for (size_t i = p->n; i-- > 0;) {
		struct blob *b = &p->blobs[i];

		if (b->after == STEP_HEAD)
			continue;
		want.v[want.n++] = b->d;
		(void)go(p, b, b->after);
	}
	if (want.n == 0)
		return 0;
	return get_from_source(p, &want, e) != 0 ? -1 : run(p, p->r->parallel, e);
}

static void count(const struct push *p)
{
	struct remote_stats *s = p->c->stats;

	for (size_t i = 0; i < p->n; i++) {
		const struct blob *b = &p->blobs[i];

		s->blobs += b->moved;
		s->blobs_skipped += !b->moved;
		s->mounted += b->mounted;
		*(b->moved ? &s->bytes : &s->bytes_skipped) += b->d->size;
	}
}

int blobs_push(const struct carry *c, const struct blob_list *list, struct err *e)
{
	struct push p SCOPED(push_release) = {
	    .c = c, .r = c->r, .l = c->l, .total = list->bytes, .n = list->n};

	if (c->r->s3 != NULL) {
		p.n = 0;
		return s3_blobs_push(c, list, e);
	}
	p.blobs = mem_zalloc((p.n + 1) * sizeof(*p.blobs));
	p.ready = mem_zalloc((p.n + 1) * sizeof(struct blob *));
	for (size_t i = p.n; i-- > 0;) {
		p.blobs[i] = (struct blob){.d = list->v[i], .fd = -1, .why = ERR_INIT};
		(void)go(&p, &p.blobs[i], c->mount ? STEP_MOUNT : STEP_HEAD);
	}
	/* to ask costs a registry little: what one waits for is the way there and back */
	if (run(&p, p.r->parallel > QUESTIONS ? p.r->parallel : QUESTIONS, e) != 0 ||
	    send_missing(&p, e) != 0)
		return -1;
	count(&p);
	return 0;
}

#include "http/xfer.h"

#include "sys/clock.h"
#include "sys/intr.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/select.h>

enum { NAP_MS = 100 };

struct http {
	CURLM *multi;
	uint64_t until_ms; /* 0 = for ever */
};

struct http *http_new(void)
{
	struct http *h = mem_zalloc(sizeof(*h));

	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		h->multi = curl_multi_init();
	return h;
}

void http_free(struct http *h)
{
	if (h == NULL)
		return;
	(void)curl_multi_cleanup(h->multi);
	curl_global_cleanup();
	free(h);
}

void http_freep(struct http **h)
{
	http_free(*h);
	*h = NULL;
}

void http_until(struct http *h, uint64_t mono_ms)
{
	h->until_ms = mono_ms;
}

void http_wake(struct http *h)
{
	(void)curl_multi_wakeup(h->multi);
}

struct pool {
	CURLM *multi;
	uint64_t until_ms;
	const struct http_work *w;
	struct xfer *slots;
	unsigned n, busy;
};

static void detach(struct pool *p, struct xfer *x)
{
	if (x->in_multi)
		(void)curl_multi_remove_handle(p->multi, x->easy);
	x->in_multi = false;
}

static void pool_release(struct pool *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		struct xfer *x = &p->slots[i];

		if (x->c == NULL)
			continue;
		detach(p, x);
		http_reply_release(&x->c->r);
		xfer_release(x);
	}
	free(p->slots);
}

static int call_done(struct pool *p, struct xfer *x, struct err *e)
{
	struct http_call *c = x->c;

	xfer_release(x);
	p->busy--;
	return p->w->done(p->w->ctx, c, e);
}

/* Gives the slot a call that really begins; it stays free when there is none now. */
static int fill_slot(struct pool *p, struct xfer *x, struct err *e)
{
	while (x->c == NULL) {
		struct http_call *c = p->w->next(p->w->ctx);

		if (c == NULL)
			return 0;
		p->busy++;
		if (xfer_init(x, c) == XFER_DONE && call_done(p, x, e) != 0)
			return -1;
	}
	return 0;
}

static int fill(struct pool *p, struct err *e)
{
	for (unsigned i = 0; i < p->n; i++)
		if (fill_slot(p, &p->slots[i], e) != 0)
			return -1;
	return 0;
}

/* Hands over what has waited long enough. *ret_ms: for how long nothing more will be due. */
static int submit(struct pool *p, int *ret_ms, struct err *e)
{
	uint64_t now = clock_mono_ms(), nap = NAP_MS;

	for (unsigned i = 0; i < p->n; i++) {
		struct xfer *x = &p->slots[i];

		if (x->c == NULL || x->in_multi)
			continue;
		if (x->start_ms > now) {
			nap = x->start_ms - now < nap ? x->start_ms - now : nap;
			continue;
		}
		if (xfer_prepare(x) != 0) {
			*e = x->c->err;
			return -1;
		}
		(void)curl_multi_add_handle(p->multi, x->easy);
		x->in_multi = true;
	}
	*ret_ms = (int)nap;
	return 0;
}

static int end_attempt(struct pool *p, struct xfer *x, CURLcode code, struct err *e)
{
	detach(p, x);
	return xfer_finish(x, code) == XFER_DONE ? call_done(p, x, e) : 0;
}

static int collect(struct pool *p, struct err *e)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(p->multi, &left)) != NULL) {
		CURLcode code = m->data.result;
		char *x = NULL;

		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &x);
		if (end_attempt(p, (struct xfer *)(void *)x, code, e) != 0)
			return -1;
	}
	return 0;
}

/* A server that holds the end of a short answer back until it knows that the beginning came (RFC
 * 896) would wait for an acknowledgement that is itself held back, 40 ms: it is sent now. What is
 * no TCP socket says no. */
static void acknowledge(struct pool *p)
{
	static const int now = 1;
	fd_set in, out, other;
	int most = -1;
	bool few = false;

	for (unsigned i = 0; i < p->n; i++) {
		few = few || (p->slots[i].in_multi && p->slots[i].few);
		p->slots[i].few = false;
	}
	if (!few)
		return;
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&other);
	(void)curl_multi_fdset(p->multi, &in, &out, &other, &most);
	for (int fd = 0; fd <= most; fd++)
		if (FD_ISSET(fd, &in))
			(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &now, sizeof(now));
}

static int drop_stalled(struct pool *p, struct err *e)
{
	uint64_t now = clock_mono_ms();

	for (unsigned i = 0; i < p->n; i++) {
		struct xfer *x = &p->slots[i];

		if (x->in_multi && xfer_stalled(x, now) &&
		    end_attempt(p, x, CURLE_OPERATION_TIMEDOUT, e) != 0)
			return -1;
	}
	return 0;
}

static int turn(struct pool *p, struct err *e)
{
	int nap, running;
	CURLMcode rc = curl_multi_perform(p->multi, &running);

	if (rc == CURLM_OK && collect(p, e) != 0)
		return -1;
	if (intr_pending())
		return intr_err(e);
	if (p->until_ms != 0 && clock_mono_ms() >= p->until_ms)
		return err_set(e, ERR_REMOTE, "what was asked for did not come in time");
	if (drop_stalled(p, e) != 0 || fill(p, e) != 0 || submit(p, &nap, e) != 0)
		return -1;
	acknowledge(p);
	if (rc == CURLM_OK && p->busy > 0)
		rc = curl_multi_poll(p->multi, NULL, 0, nap, NULL);
	return rc == CURLM_OK ? 0 : err_set(e, ERR_FAIL, "libcurl: %s", curl_multi_strerror(rc));
}

int http_run(struct http *h, const struct http_work *w, struct err *e)
{
	struct pool p SCOPED(pool_release) = {h->multi, h->until_ms, w, NULL, w->parallel, 0};
	uint64_t ticked = 0;

	if (h->multi == NULL)
		return err_set(e, ERR_FAIL, "libcurl: cannot start");
	p.slots = mem_zalloc(p.n * sizeof(*p.slots));
	if (fill(&p, e) != 0)
		return -1;
	while (p.busy > 0) {
		uint64_t now = clock_mono_ms();

		if (turn(&p, e) != 0)
			return -1;
		if (w->tick != NULL && now - ticked >= NAP_MS) {
			w->tick(w->ctx);
			ticked = now;
		}
	}
	return 0;
}

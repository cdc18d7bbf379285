#include "remote/registry.h"

#include <stdlib.h>

struct probe {
	struct registry *r;
	const struct strv *urls;
	struct http_call *calls;
	size_t begun;
};

static struct http_call *next(void *ctx)
{
	struct probe *p = ctx;
	struct http_call *c;

	if (p->begun == p->urls->n)
		return NULL;
	c = &p->calls[p->begun];
	c->q = (struct http_request){
	    .method = "GET", .url = p->urls->v[p->begun++], .body_fd = -1, .tries = 1};
	/* 2.8 of docker's registry says 404 to who does not name the types of OCI */
	strv_add(&c->q.headers, "Accept: " OCI_MANIFEST ", " OCI_INDEX);
	c->q.authorization = registry_authorization(p->r, c->q.url);
	return c;
}

static int done(void *ctx, struct http_call *c, struct err *e)
{
	struct probe *p = ctx;

	(void)e;
	if (c->rc == 0 && c->r.status == 404)
		strv_add(&p->r->absent, c->q.url);
	http_reply_release(&c->r);
	strv_release(&c->q.headers);
	return 0;
}

void registry_probe(struct registry *r, const struct strv *urls)
{
	struct probe p = {.r = r, .urls = urls};
	const struct http_work w = {next, done, NULL, &p, 8};
	struct err quiet = ERR_INIT;

	if (r->s3 != NULL || urls->n == 0)
		return;
	p.calls = mem_zalloc(urls->n * sizeof(*p.calls));
	(void)!http_run(r->http, &w, &quiet);
	for (size_t i = 0; i < p.begun; i++)
		strv_release(&p.calls[i].q.headers);
	free(p.calls);
}

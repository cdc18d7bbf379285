#include "http/http.h"

#include <stdlib.h>
#include <string.h>

void http_reply_release(struct http_reply *r)
{
	strv_release(&r->headers);
	buf_release(&r->body);
	free(r->url);
	r->url = NULL;
	r->status = 0;
}

const char *http_header(const struct http_reply *r, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < r->headers.n; i++)
		if (strncmp(r->headers.v[i], name, n) == 0 && r->headers.v[i][n] == ':')
			return r->headers.v[i] + n + 2;
	return NULL;
}

bool http_goes_on(const struct http_reply *r, uint64_t offset)
{
	const char *range = http_header(r, "content-range");
	char *want SCOPED(mem_freep) = mem_format("bytes %llu-", (unsigned long long)offset);

	return r->status == 206 && (range == NULL || strncmp(range, want, strlen(want)) == 0);
}

/* The first line of a body, printable ASCII only, at most 200 bytes. */
static char *first_line(const struct buf *b)
{
	struct buf o = BUF_INIT(200);

	for (size_t i = 0; i < b->len && b->data[i] != '\n' && o.len < o.max; i++)
		if (b->data[i] >= ' ' && b->data[i] < 127)
			buf_add(&o, &b->data[i], 1);
	return buf_take(&o);
}

int http_refused(const struct http_request *q, const struct http_reply *r, struct err *e)
{
	char *shown SCOPED(mem_freep) = http_shown(r->url != NULL ? r->url : q->url);
	char *said SCOPED(mem_freep) = first_line(&r->body);

	return err_set(e, ERR_REMOTE, "%s %s: %d%s%s", q->method, shown, r->status,
		       said[0] != '\0' ? " " : "", said);
}

struct single {
	struct http_call call;
	bool begun;
};

static struct http_call *single_next(void *ctx)
{
	struct single *s = ctx;

	if (s->begun)
		return NULL;
	s->begun = true;
	return &s->call;
}

static int single_done(void *ctx, struct http_call *c, struct err *e)
{
	(void)ctx;
	if (c->rc != 0)
		*e = c->err;
	return c->rc;
}

int http_send(const struct http_request *q, struct http_reply *ret, struct err *e)
{
	struct http *own SCOPED(http_freep) = q->via == NULL ? http_new() : NULL;
	struct single s = {.call = {.q = *q}};
	const struct http_work w = {single_next, single_done, NULL, &s, 1};

	if (http_run(own != NULL ? own : q->via, &w, e) != 0)
		return -1;
	*ret = s.call.r;
	return 0;
}

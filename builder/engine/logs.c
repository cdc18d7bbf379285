/* logs.c - what a container has said on its own streams. */
#include "base/log.h"
#include "engine/parts.h"

/* An answer up to a size; one that is larger ends the request. */
struct answer {
	struct buf all;
	bool full;
};

static void answer_release(struct answer *a)
{
	buf_release(&a->all);
}

static int keep(void *ctx, const void *p, size_t n, struct err *e)
{
	struct answer *a = ctx;

	buf_add(&a->all, p, n);
	a->full = buf_over(&a->all);
	return a->full ? err_set(e, ERR_REMOTE,
				 "what a container said in its last line is more than %zu bytes",
				 a->all.max)
		       : 0;
}

static int ask_lines(struct engine *en, const char *name, unsigned lines, struct answer *ret,
		     struct err *e)
{
	const struct sink to = {.write = keep, .ctx = ret};
	struct ask a = {.method = "GET"};
	struct http_request q = {.to = &to};
	struct http_reply r = {0};
	char *query SCOPED(mem_freep) =
	    mem_format("/logs?stdout=true&stderr=true&timestamps=true&tail=%u", lines);
	int rc = 0;

	if (engine_path(name, query, &a.path, e) != 0 || engine_ask(en, &a, &q, &r, e) != 0)
		return -1;
	if (r.status != 200)
		rc = engine_refused(en, &r, "read what a container said", e);
	http_reply_release(&r);
	return rc;
}

int engine_logs(struct engine *en, const char *name, unsigned lines, struct buf *out, struct err *e)
{
	const size_t room = out->max - out->len;

	for (unsigned n = lines;; n /= 2) {
		struct answer all SCOPED(answer_release) = {.all = BUF_INIT(room)};
		struct err why = ERR_INIT;

		if (ask_lines(en, name, n, &all, &why) == 0) {
			if (n < lines)
				log_warn("more than %zu bytes: only the last %u lines are shown",
					 room, n);
			return engine_frames(all.all.data, all.all.len, out, e);
		}
		if (!all.full || n <= 1) {
			*e = why;
			return -1;
		}
	}
}

/* logs.c - what a container has said on its own streams. */
#include "engine/parts.h"

int engine_logs(struct engine *en, const char *name, unsigned lines, struct buf *out, struct err *e)
{
	struct ask a = {.method = "GET"};
	struct http_request q = {0};
	struct http_reply r = {0};
	char *query SCOPED(mem_freep) =
	    mem_format("/logs?stdout=true&stderr=true&timestamps=true&tail=%u", lines);
	int rc;

	if (engine_path(name, query, &a.path, e) != 0 || engine_ask(en, &a, &q, &r, e) != 0)
		return -1;
	rc = r.status == 200 ? engine_frames(r.body.data, r.body.len, out, e)
			     : engine_refused(en, &r, "read what a container said", e);
	http_reply_release(&r);
	return rc;
}

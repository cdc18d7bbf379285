#include "base/log.h"
#include "build/job.h"
#include <string.h>

enum { KEEP = 2048 };

static int take(void *ctx, const void *p, size_t n, struct err *e)
{
	struct job *j = ctx;
	const char *at = p;

	(void)e;
	log_debug("%.*s", (int)(n > 1800 ? 1800 : n), at);
	if (n > KEEP) {
		at += n - KEEP;
		n = KEEP;
	}
	if (j->said.len + n > KEEP) {
		size_t drop = j->said.len + n - KEEP;

		memmove(j->said.data, j->said.data + drop, j->said.len - drop + 1);
		j->said.len -= drop;
	}
	buf_add(&j->said, at, n);
	return 0;
}

void job_output_init(struct job *j)
{
	j->said = (struct buf)BUF_INIT(4 * KEEP);
	j->output = (struct sink){take, j};
}

int job_said(struct job *j, struct err *e)
{
	size_t from = j->said.len > 600 ? j->said.len - 600 : 0;
	char *tail SCOPED(mem_freep) = mem_strdup(j->said.data + from);

	for (char *c = tail; *c != '\0'; c++)
		if (*c == '\n')
			*c = c[1] == '\0' ? '\0' : '|';
	if (tail[0] != '\0') {
		char *before SCOPED(mem_freep) = mem_strdup(e->msg);

		e->msg[0] = '\0';
		(void)err_in(e, "%s: %s", before, tail);
		if (strlen(e->msg) > 2)
			e->msg[strlen(e->msg) - 2] = '\0'; /* err_in's ": " before nothing */
	}
	return -1;
}

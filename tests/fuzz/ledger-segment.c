/* Any bytes as a segment of a ledger: what is taken goes on from what came before, each line is an
 * object of JSON, and a beginning of it is taken too. */
#include "fuzz.h"

#include "ledger/parts.h"
#include <string.h>

struct seen {
	const char *at, *end;
	uint64_t lines;
};

static void within(const struct seen *s, const struct ledger_text *t)
{
	HOLDS(t->p >= s->at && t->p + t->n <= s->end);
}

static int see(void *ctx, const struct ledger_line *l, struct err *e)
{
	struct seen *s = ctx;
	const struct ledger_text *const parts[] = {&l->actor,   &l->fields,  &l->host, &l->kind,
						   &l->machine, &l->subject, &l->time};

	(void)e;
	HOLDS(l->seq == ++s->lines);
	within(s, &l->all);
	HOLDS(memchr(l->all.p, '\n', l->all.n) == NULL);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		within(s, parts[i]);
	HOLDS(l->fields.p[0] == '{' && l->fields.p[l->fields.n - 1] == '}');
	return 0;
}

/* What JSON's reader takes and writes again as it was is taken here when it has all members. */
static void agrees(const char *p, size_t n)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err e = ERR_INIT;
	struct ledger_line l;

	if (ledger_line_parse(p, n, &l, &e) != 0) {
		HOLDS(e.kind == ERR_VERIFY && e.msg[0] != '\0');
		return;
	}
	if (jval_parse(p, n, "line", &v, &e) != 0)
		return;
	HOLDS(jval_len(v) == 10);
	HOLDS(strlen(jval_get_str(v, "kind")) == l.kind.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const char *text = (const char *)p;
	struct tail t = {.last = digest_of("", 0), .segment = 1}, less = t;
	struct seen s = {text, text + n, 0}, fewer = s;
	struct err e = ERR_INIT;

	agrees(text, n);
	if (segment_walk(&t, text, n, see, &s, &e) != 0)
		HOLDS(e.msg[0] != '\0' && e.kind == ERR_VERIFY);
	HOLDS(t.seq == s.lines && t.end <= n);
	HOLDS(segment_walk(&less, text, (size_t)t.end, see, &fewer, &e) == 0);
	HOLDS(less.seq == t.seq && less.end == t.end);
	return 0;
}

#include "ledger/parts.h"

#include "base/num.h"
#include <string.h>

/* A line that is read: what is left of it. */
struct scan {
	const char *at, *end;
};

static bool word(struct scan *s, const char *w)
{
	size_t n = strlen(w);

	if ((size_t)(s->end - s->at) < n || memcmp(s->at, w, n) != 0)
		return false;
	s->at += n;
	return true;
}

/* A member whose text needs no escapes, with what comes before and behind its text. */
static bool plain(struct scan *s, const char *before, struct ledger_text *ret)
{
	if (!word(s, before))
		return false;
	ret->p = s->at;
	while (s->at < s->end && *s->at != '"' && *s->at != '\\' && (unsigned char)*s->at >= 0x20)
		s->at++;
	ret->n = (size_t)(s->at - ret->p);
	return word(s, "\"");
}

/* A number without sign, written the only way. */
static bool whole(struct scan *s, const char *before, uint64_t *ret)
{
	char text[20];
	size_t n = 0;

	if (!word(s, before))
		return false;
	while (s->at < s->end && n < sizeof(text) - 1 && *s->at >= '0' && *s->at <= '9')
		text[n++] = *s->at++;
	text[n] = '\0';
	return (text[0] != '0' || n == 1) && num_u64(text, INT64_MAX, ret) == 0;
}

/* To behind the quote that ends a text of JSON. */
static bool skip_text(struct scan *s)
{
	while (s->at < s->end) {
		const char c = *s->at++;

		if (c == '"')
			return true;
		if ((unsigned char)c < 0x20 || (c == '\\' && s->at++ == s->end))
			return false;
	}
	return false;
}

/* From a brace to the one that closes it: what is between is read by who wants it. */
static bool object(struct scan *s, const char *before, struct ledger_text *ret)
{
	size_t depth = 0;

	if (!word(s, before))
		return false;
	ret->p = s->at;
	if (s->at == s->end || *s->at != '{')
		return false;
	do {
		const char c = *s->at++;

		depth += c == '{' ? 1 : 0;
		depth -= c == '}' ? 1 : 0;
		if ((unsigned char)c < 0x20 || (c == '"' && !skip_text(s)))
			return false;
	} while (depth > 0 && s->at < s->end);
	ret->n = (size_t)(s->at - ret->p);
	return depth == 0;
}

bool ledger_is_time(const struct ledger_text *t)
{
	static const char form[] = "0000-00-00T00:00:00Z";

	if (t->n != sizeof(form) - 1)
		return false;
	for (size_t i = 0; i < t->n; i++) {
		const char c = t->p[i];

		if (form[i] == '0' ? c < '0' || c > '9' : c != form[i])
			return false;
	}
	return true;
}

static bool is_kind(const struct ledger_text *t)
{
	for (size_t i = 0; i < t->n; i++)
		if ((t->p[i] < 'a' || t->p[i] > 'z') && t->p[i] != '-')
			return false;
	return t->n > 0 && t->n <= 32;
}

static bool is_digest(const struct ledger_text *t, struct digest *ret)
{
	struct digest_text text = {""};

	if (t->n != DIGEST_TEXT)
		return false;
	memcpy(text.s, t->p, t->n);
	return digest_parse(text.s, ret) == 0;
}

/* Up to the number of the schema: keys come sorted. */
static bool first_half(struct scan *s, struct ledger_line *l, uint64_t *ret_schema)
{
	struct ledger_text prev;

	return plain(s, "{\"actor\":\"", &l->actor) && object(s, ",\"fields\":", &l->fields) &&
	       plain(s, ",\"host\":\"", &l->host) && plain(s, ",\"kind\":\"", &l->kind) &&
	       plain(s, ",\"machine\":\"", &l->machine) && plain(s, ",\"prev\":\"", &prev) &&
	       is_digest(&prev, &l->prev) && is_kind(&l->kind) &&
	       whole(s, ",\"schema\":", ret_schema);
}

static bool second_half(struct scan *s, struct ledger_line *l)
{
	struct digest subject;

	return whole(s, ",\"seq\":", &l->seq) && plain(s, ",\"subject\":\"", &l->subject) &&
	       plain(s, ",\"time\":\"", &l->time) && word(s, "}") && s->at == s->end &&
	       (l->subject.n == 0 || is_digest(&l->subject, &subject)) && ledger_is_time(&l->time);
}

int ledger_line_parse(const char *p, size_t n, struct ledger_line *ret, struct err *e)
{
	struct scan s = {p, p + n};
	struct ledger_line l = {.all = {p, n}};
	uint64_t schema = 0;

	if (!first_half(&s, &l, &schema))
		return err_set(e, ERR_VERIFY, "is no line of a ledger");
	if (schema != LEDGER_SCHEMA)
		return err_set(e, ERR_VERIFY, "is of schema %llu, which is not known here",
			       (unsigned long long)schema);
	if (!second_half(&s, &l))
		return err_set(e, ERR_VERIFY, "is no line of a ledger");
	*ret = l;
	return 0;
}

static int check_event(const struct ledger_event *v, struct err *e)
{
	const struct ledger_text kind = {v->kind, strlen(v->kind)};

	if (!is_kind(&kind))
		return err_set(e, ERR_USAGE, "\"%s\" is no kind of event", v->kind);
	if (v->fields != NULL && !jval_is_object(v->fields))
		return err_set(e, ERR_USAGE, "the fields of an event are no object");
	return 0;
}

int line_write(struct buf *out, const struct tail *t, const struct who *w,
	       const struct ledger_event *v, const char *time, struct err *e)
{
	struct buf fields SCOPED(buf_release) = BUF_INIT(LEDGER_LINE_MAX);

	if (check_event(v, e) != 0)
		return -1;
	if (v->fields != NULL)
		jval_write(v->fields, &fields);
	else
		buf_add(&fields, "{}", 2);
	if (buf_over(&fields) || fields.len > LEDGER_LINE_MAX - 1024)
		return err_set(e, ERR_FAIL, "an event \"%s\" is too long for the ledger", v->kind);
	buf_addf(out, "{\"actor\":\"%s\",\"fields\":", w->actor);
	buf_add(out, fields.data, fields.len);
	buf_addf(
	    out,
	    ",\"host\":\"%s\",\"kind\":\"%s\",\"machine\":\"%s\",\"prev\":\"%s\",\"schema\":%d,"
	    "\"seq\":%llu,\"subject\":\"%s\",\"time\":\"%s\"}\n",
	    w->host, v->kind, w->machine, digest_text(&t->last).s, LEDGER_SCHEMA,
	    (unsigned long long)t->seq + 1, v->subject != NULL ? digest_text(v->subject).s : "",
	    time);
	return 0;
}

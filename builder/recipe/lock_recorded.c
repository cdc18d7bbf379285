/* lock_recorded.c - what the recording proxy got, as JSON and back: in locks, in the store's
 * records, and in what a build says of itself. */
#include "recipe/grammar.h"
#include "recipe/lock_parts.h"
#include "recipe/schema.h"
#include <stdlib.h>
#include <string.h>

static void put_header(struct jval *o, const char *key, const char *value)
{
	if (value != NULL)
		jval_put_text(o, key, value);
}

static struct jval *entry_json(const struct lock_recorded *r)
{
	struct jval *o = jval_object(), *headers = jval_object();

	put_header(headers, "content-encoding", r->encoding);
	put_header(headers, "content-type", r->type);
	put_header(headers, "location", r->location);
	jval_put(o, "headers", headers);
	jval_put_text(o, "sha256", digest_hex(&r->digest).s);
	jval_put_int(o, "size", (int64_t)r->size);
	jval_put_int(o, "status", r->status);
	jval_put_text(o, "step", r->step);
	jval_put_text(o, "url", r->url);
	return o;
}

struct jval *lock_recorded_json(const struct lock_recorded *v, size_t n)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < n; i++)
		jval_push(a, entry_json(&v[i]));
	return a;
}

/* Where we are, for messages. */
struct place {
	const char *file;
	size_t i;
	struct err *e;
};

static int refuse(const struct place *p, const char *key)
{
	err_set(p->e, ERR_RECIPE, "%s: recorded[%zu]: %s", p->file, p->i, key);
	return err_hint(p->e, "It is not edited by hand: take it from version control.");
}

struct known {
	const struct place *p;
	const char *const *keys;
};

static int check_key(void *ctx, const char *key, struct jval *val)
{
	const struct known *k = ctx;
	char *what SCOPED(mem_freep) = NULL;

	(void)val;
	for (const char *const *known = k->keys; *known != NULL; known++)
		if (strcmp(*known, key) == 0)
			return 0;
	what = mem_format("unknown key \"%s\"", schema_show(key).s);
	return refuse(k->p, what);
}

static int only(const struct jval *o, const char *const *keys, const struct place *p)
{
	struct known k = {p, keys};

	return jval_is_object(o) ? jval_each(o, check_key, &k) : refuse(p, "not an object");
}

static int word(const struct jval *o, const char *key, const struct grammar *g,
		const struct place *p, char **ret)
{
	const char *s = jval_get_str(o, key);
	char *what SCOPED(mem_freep) = NULL;

	if (s != NULL && grammar_ok(g, s)) {
		*ret = mem_strdup(s);
		return 0;
	}
	what = mem_format("\"%s\" wants %s", key, g->what);
	return refuse(p, what);
}

static int headers(const struct jval *o, struct lock_recorded *r, const struct place *p)
{
	static const char *const keys[] = {"content-encoding", "content-type", "location", NULL};
	char **to[] = {&r->encoding, &r->type, &r->location};

	if (only(o, keys, p) != 0)
		return -1;
	for (size_t i = 0; keys[i] != NULL; i++)
		if (jval_get(o, keys[i]) != NULL &&
		    word(o, keys[i], &grammar_header, p, to[i]) != 0)
			return -1;
	return 0;
}

bool lock_recorded_redirects(int64_t status)
{
	return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

bool lock_recorded_status(int64_t status)
{
	return (status / 100 == 2 && status != 206) || lock_recorded_redirects(status) ||
	       status == 404 || status == 410;
}

static int numbers(const struct jval *o, struct lock_recorded *r, const struct place *p)
{
	const char *hex = jval_get_str(o, "sha256");
	int64_t size, status;

	if (hex == NULL || digest_parse_hex(hex, &r->digest) != 0)
		return refuse(p, "\"sha256\" wants 64 lower-case hex digits");
	if (jval_get_int(o, "size", &size) != 0 || size < 0 || size > LOCK_SIZE_MAX)
		return refuse(p, "\"size\" wants a number of bytes");
	if (jval_get_int(o, "status", &status) != 0 || !lock_recorded_status(status))
		return refuse(p, "\"status\" is none that is recorded");
	if (status / 100 != 2 && size > 0)
		return refuse(p, "a body without success");
	r->size = (uint64_t)size;
	r->status = (int)status;
	return 0;
}

static int entry(const struct jval *o, struct lock_recorded *r, const struct place *p)
{
	static const char *const keys[] = {"headers", "sha256", "size", "status",
					   "step",    "url",    NULL};

	if (only(o, keys, p) != 0 || word(o, "step", &grammar_name, p, &r->step) != 0 ||
	    word(o, "url", &grammar_recorded_url, p, &r->url) != 0 ||
	    headers(jval_get(o, "headers"), r, p) != 0)
		return -1;
	return numbers(o, r, p);
}

int lock_recorded_parse(const struct jval *list, const char *file, struct lock_recorded **ret,
			size_t *ret_n, struct err *e)
{
	struct place p = {file, 0, e};
	struct lock_recorded *v;
	int rc = 0;

	if (!jval_is_array(list) || jval_len(list) > LOCK_RECORDED_MAX)
		return refuse(&p, "no list, or one that is too long");
	v = mem_zalloc((jval_len(list) + 1) * sizeof(*v));
	for (; rc == 0 && p.i < jval_len(list); p.i++) {
		rc = entry(jval_at(list, p.i), &v[p.i], &p);
		if (rc == 0 && p.i > 0 && lock_recorded_compare(&v[p.i - 1], &v[p.i]) >= 0)
			rc = refuse(&p, "out of order or twice");
	}
	if (rc != 0) {
		lock_recorded_free(v, p.i);
		return -1;
	}
	*ret = v;
	*ret_n = p.i;
	return 0;
}

int lock_recorded_compare(const struct lock_recorded *a, const struct lock_recorded *b)
{
	int c = strcmp(a->step, b->step);

	return c != 0 ? c : strcmp(a->url, b->url);
}

static char *copy(const char *s)
{
	return s != NULL ? mem_strdup(s) : NULL;
}

struct lock_recorded lock_recorded_copy(const struct lock_recorded *r)
{
	struct lock_recorded c = *r;

	c.step = copy(r->step);
	c.url = copy(r->url);
	c.type = copy(r->type);
	c.encoding = copy(r->encoding);
	c.location = copy(r->location);
	return c;
}

void lock_recorded_release(struct lock_recorded *r)
{
	free(r->step);
	free(r->url);
	free(r->type);
	free(r->encoding);
	free(r->location);
	*r = (struct lock_recorded){0};
}

void lock_recorded_free(struct lock_recorded *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		lock_recorded_release(&v[i]);
	free(v);
}

const struct lock_recorded *lock_recorded_of(const struct lock *l, const char *step, size_t *ret_n)
{
	size_t from = 0, to;

	while (from < l->recorded_n && strcmp(l->recorded[from].step, step) != 0)
		from++;
	for (to = from; to < l->recorded_n && strcmp(l->recorded[to].step, step) == 0;)
		to++;
	*ret_n = to - from;
	return *ret_n > 0 ? &l->recorded[from] : NULL;
}

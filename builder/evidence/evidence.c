/* evidence.c - an audit's findings, cleaned and sorted, and the table of formats. */
#include "evidence/parts.h"

#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

/* How much of an image's text is kept: of one finding, of all, and of a finding beyond that. */
enum { LINE_BYTES = 400, ALL_BYTES = 12 << 10, HELD_BYTES = 8 << 10, SPARE_BYTES = 60 };
/* Of what is right a few lines a control, so that there is something of each. */
enum { HELD_LINES = 3, HELD_SPARE = 90 };
/* Of a title, and of a line of what is wanted, which come from the profile and the recipe. */
enum { TITLE_BYTES = 300, WANT_BYTES = 600 };

/* What of the lines of one control is kept: so many, of what is left for all, and `spare` of the
 * first one beyond that. */
struct share {
	size_t lines, spare, *left;
};

static void take_lines(const struct strv *found, const struct share *o, struct strv *ret)
{
	for (size_t i = 0; i < found->n; i++) {
		size_t most = *o->left > 0 ? LINE_BYTES : i == 0 ? o->spare : 0;
		char *one = NULL;

		if (most == 0 || i == o->lines) {
			strv_addf(ret, "%zu more left out", found->n - i);
			return;
		}
		one = text_clean(found->v[i], most);
		*o->left -= strlen(one) < *o->left ? strlen(one) : *o->left;
		strv_take(ret, one);
	}
}

static void take_wants(const char *wants, struct strv *ret)
{
	while (*wants != '\0') {
		size_t n = strcspn(wants, "\n");
		char *line SCOPED(mem_freep) = mem_strndup(wants, n);

		strv_take(ret, text_clean(line, WANT_BYTES));
		wants += n + (wants[n] != '\0');
	}
}

static void add_source(struct evidence_result *r, const char *standard, const char *number)
{
	r->sources = mem_resize(r->sources, r->sources_n + 1, sizeof(*r->sources));
	r->sources[r->sources_n++] = (struct evidence_source){
	    .standard = text_clean(standard, TITLE_BYTES),
	    .number = text_clean(number, TITLE_BYTES),
	};
}

static void take_sources(const struct yaml *y, struct evidence_result *ret)
{
	for (size_t i = 0; i < y->n; i++) {
		const struct yaml *list = y->pairs[i].val;

		if (list->kind == YAML_SCALAR)
			add_source(ret, y->pairs[i].key, list->text);
		for (size_t k = 0; list->kind == YAML_LIST && k < list->n; k++)
			add_source(ret, y->pairs[i].key, list->items[k]->text);
	}
}

static struct harden_waiver *take_waiver(const struct harden_waiver *w)
{
	struct harden_waiver *ret;

	if (w == NULL)
		return NULL;
	ret = mem_zalloc(sizeof(*ret));
	ret->by = text_clean(w->by, TITLE_BYTES);
	ret->reason = text_clean(w->reason, WANT_BYTES);
	ret->until = text_clean(w->until, TITLE_BYTES);
	ret->ended = w->ended;
	return ret;
}

/* What may still be kept of what is wrong, and of what is right. */
struct purse {
	size_t seen, held;
};

static void take_result(const struct harden_result *r, struct purse *left,
			struct evidence_result *ret)
{
	/* where something is wrong, that is what counts */
	size_t held = r->found.n == 0 ? HELD_SPARE : 0;

	ret->id = text_clean(r->id, TITLE_BYTES);
	ret->title = text_clean(r->title, TITLE_BYTES);
	ret->severity = r->severity;
	ret->status = r->status;
	ret->place = r->place;
	ret->waiver = take_waiver(r->waiver);
	take_lines(&r->found, &(struct share){SIZE_MAX, SPARE_BYTES, &left->seen}, &ret->seen);
	take_lines(&r->held, &(struct share){HELD_LINES, held, &left->held}, &ret->held);
	take_wants(r->wants, &ret->wants);
	take_sources(r->sources, ret);
	if (r->status == HARDEN_NOT_APPLICABLE || r->status == HARDEN_NOT_RUN) {
		const char *why = r->detail == NULL ? "" : r->detail;
		size_t n = strlen(r->place);

		/* "host: the kernel is the host's": who is a member of its own */
		if (strncmp(why, r->place, n) == 0 && strncmp(why + n, ": ", 2) == 0)
			why += n + 2;
		ret->reason = text_clean(why, WANT_BYTES);
	}
}

static int by_id(const void *a, const void *b)
{
	const struct evidence_result *x = a, *y = b;

	return strcmp(x->id, y->id);
}

static void find_until(struct evidence *v)
{
	for (size_t i = 0; i < v->n; i++) {
		const struct harden_waiver *w = v->results[i].waiver;

		if (w == NULL || w->ended)
			continue;
		if (v->until == NULL || strcmp(w->until, v->until) < 0)
			v->until = w->until;
	}
}

struct evidence *evidence_new(const struct evidence_subject *s, const struct harden_report *r,
			      const struct harden_profile *p)
{
	struct evidence *v = mem_zalloc(sizeof(*v));
	struct purse left = {.seen = ALL_BYTES, .held = HELD_BYTES};

	v->name = text_clean(s->name, TITLE_BYTES);
	v->version = text_clean(s->version, TITLE_BYTES);
	v->object = text_clean(s->is_image ? "" : s->object, WANT_BYTES);
	v->is_image = s->is_image;
	v->image = s->image;
	v->config = s->config;
	v->time = s->time;
	v->signatures_checked = s->signatures_checked;
	for (size_t i = 0; i < s->signatures.n; i++)
		strv_take(&v->signatures, text_clean(s->signatures.v[i], WANT_BYTES));
	v->system = harden_system_text(&r->system);
	v->profile_id = text_clean(harden_profile_id(p), TITLE_BYTES);
	v->profile_version = text_clean(harden_profile_version(p), TITLE_BYTES);
	v->profile_title = text_clean(harden_profile_title(p), TITLE_BYTES);
	v->profile = harden_profile_digest(p);
	v->from = p;
	v->results = mem_zalloc((r->n + 1) * sizeof(*v->results));
	for (; v->n < r->n; v->n++)
		take_result(&r->v[v->n], &left, &v->results[v->n]);
	qsort(v->results, v->n, sizeof(*v->results), by_id);
	memcpy(v->count, r->count, sizeof(v->count));
	find_until(v);
	return v;
}

static void result_release(struct evidence_result *r)
{
	free(r->id);
	free(r->title);
	free(r->reason);
	strv_release(&r->wants);
	strv_release(&r->seen);
	strv_release(&r->held);
	for (size_t i = 0; i < r->sources_n; i++) {
		free(r->sources[i].standard);
		free(r->sources[i].number);
	}
	free(r->sources);
	harden_waiver_free(r->waiver);
}

void evidence_free(struct evidence *v)
{
	if (v == NULL)
		return;
	for (size_t i = 0; i < v->n; i++)
		result_release(&v->results[i]);
	free(v->results);
	free(v->name);
	free(v->version);
	free(v->object);
	strv_release(&v->signatures);
	free(v->system);
	free(v->profile_id);
	free(v->profile_version);
	free(v->profile_title);
	free(v);
}

void evidence_freep(struct evidence **v)
{
	evidence_free(*v);
	*v = NULL;
}

struct uuid_text evidence_uuid(const struct evidence *v, const char *kind, const char *id)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(8192);

	buf_addf(&b, "%s\n%s\n%s\n%s\n%s", digest_text(&v->image).s, v->object,
		 digest_text(&v->profile).s, kind, id);
	return uuid_of(b.data, b.len);
}

char *evidence_time(const struct evidence *v)
{
	return clock_rfc3339(v->time);
}

char *evidence_title(const struct evidence *v)
{
	if (!v->is_image)
		return mem_strdup(v->object);
	if (*v->name == '\0')
		return mem_format("image %.12s", digest_hex(&v->image).s);
	return mem_format("%s%s%s", v->name, *v->version == '\0' ? "" : " ", v->version);
}

#include "harden/want.h"

#include "base/buf.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct field want_fields[] = {
    {"is", FIELD_TEXT, offsetof(struct want, is), false},
    {"one-of", FIELD_LIST, offsetof(struct want, one_of), false},
    {"subset-of", FIELD_LIST, offsetof(struct want, subset), false},
    {"includes", FIELD_LIST, offsetof(struct want, includes), false},
    {"at-least", FIELD_INT, offsetof(struct want, least), false},
    {"at-most", FIELD_INT, offsetof(struct want, most), false},
    {"is-flag", FIELD_BOOL, offsetof(struct want, flag), false},
    {"any", FIELD_BOOL, offsetof(struct want, any), false},
    {"named", FIELD_BOOL, offsetof(struct want, named), false},
    {"absent", FIELD_BOOL, offsetof(struct want, absent), false},
    {"unset-ok", FIELD_BOOL, offsetof(struct want, unset_ok), false},
    {"set", FIELD_TEXT, offsetof(struct want, set), false},
    {0},
};

int want_read(const char *key, const struct yaml *y, struct want *ret, struct err *e)
{
	ret->key = mem_strdup(key);
	if (y->kind == YAML_SCALAR) {
		ret->is = mem_strdup(y->text);
		return 0;
	}
	return spec_read(y, want_fields, ret, e);
}

void want_release(struct want *w)
{
	free(w->key);
	spec_free(want_fields, w);
	*w = (struct want){0};
}

int want_number(const char *val, int64_t *ret)
{
	static const char units[] = "smhdw";
	static const int64_t seconds[] = {1, 60, 3600, 86400, 604800};
	size_t n = strlen(val);
	const char *unit = n == 0 ? NULL : strchr(units, val[n - 1]);
	char *digits SCOPED(mem_freep) = mem_strndup(val, unit == NULL ? n : n - 1);
	int64_t v;

	if (spec_int(digits, &v) != 0 || v > INT64_MAX / 604800 || v < -604800)
		return -1;
	*ret = unit == NULL ? v : v * seconds[unit - units];
	return 0;
}

static bool same(const char *a, const char *b, bool nocase)
{
	return (nocase && *a != '/' ? strcasecmp(a, b) : strcmp(a, b)) == 0;
}

static void list_of(const char *val, struct strv *ret)
{
	while (*val != '\0') {
		size_t n = strcspn(val, ", \t");

		if (n > 0)
			strv_take(ret, mem_strndup(val, n));
		val += n + (val[n] == '\0' ? 0 : 1);
	}
}

static bool all_in(const struct strv *some, const struct strv *all)
{
	for (size_t i = 0; i < some->n; i++)
		if (!strv_has(all, some->v[i]))
			return false;
	return true;
}

static bool has_names(const struct strv *list)
{
	bool found = false;

	for (size_t i = 0; i < list->n; i++) {
		if (strpbrk(list->v[i], "*?") != NULL)
			return false;
		found = found || list->v[i][0] != '!';
	}
	return found;
}

static bool in_range(const struct want *w, const char *val)
{
	int64_t v;

	if (!w->least.set && !w->most.set)
		return true;
	return want_number(val, &v) == 0 && (!w->least.set || v >= w->least.v) &&
	       (!w->most.set || v <= w->most.v);
}

bool want_holds(const struct want *w, const char *val, bool nocase)
{
	struct strv list SCOPED(strv_release) = {0};
	bool known = w->one_of.n == 0;

	if (w->absent || (w->flag && *val != '\0') ||
	    (w->is != NULL && !same(w->is, val, nocase)) || !in_range(w, val))
		return false;
	for (size_t i = 0; i < w->one_of.n && !known; i++)
		known = same(w->one_of.v[i], val, nocase);
	list_of(val, &list);
	if (w->subset.n > 0 && (list.n == 0 || !all_in(&list, &w->subset)))
		return false;
	if (w->named && !has_names(&list))
		return false;
	return known && all_in(&w->includes, &list);
}

static char *joined(const struct strv *l)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

	for (size_t i = 0; i < l->n; i++)
		buf_addf(&b, "%s%s", i == 0 ? "" : ",", l->v[i]);
	return buf_take(&b);
}

char *want_value(const struct want *w)
{
	const struct opt *limit = w->most.set ? &w->most : &w->least;

	if (w->set != NULL)
		return mem_strdup(w->set);
	if (w->is != NULL || w->flag)
		return mem_strdup(w->flag ? "" : w->is);
	if (w->one_of.n > 0)
		return mem_strdup(w->one_of.v[0]);
	if (w->subset.n > 0)
		return joined(&w->subset);
	return limit->set ? mem_format("%lld", (long long)limit->v) : NULL;
}

/* "only a,b": the list a value is measured by, or NULL. The caller owns it. */
static char *list_text(const struct want *w)
{
	const struct strv *lists[] = {&w->one_of, &w->subset, &w->includes};
	static const char *const words[] = {"one of", "only", "all of"};

	for (int i = 0; i < 3; i++) {
		char *list SCOPED(mem_freep) = NULL;

		if (lists[i]->n == 0)
			continue;
		list = joined(lists[i]);
		return mem_format("%s %s", words[i], list);
	}
	return NULL;
}

char *want_text(const struct want *w)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	char *list SCOPED(mem_freep) = list_text(w);

	if (w->absent)
		return mem_strdup("nothing");
	if (w->is != NULL || w->flag)
		return mem_strdup(w->flag ? "the word alone" : w->is);
	if (list != NULL)
		buf_addf(&b, "%s", list);
	if (w->least.set)
		buf_addf(&b, "%sat least %lld", b.len > 0 ? ", " : "", (long long)w->least.v);
	if (w->most.set)
		buf_addf(&b, "%sat most %lld", b.len > 0 ? ", " : "", (long long)w->most.v);
	if (b.len == 0)
		buf_addf(&b, w->named ? "names and no pattern" : "some value");
	return buf_take(&b);
}

/* A value that the one asks for, or would have written, is as the other wants it. */
static bool want_accepts(const struct want *w, const struct want *other, bool nocase)
{
	char *val SCOPED(mem_freep) = want_value(other);

	if (val != NULL && want_holds(w, val, nocase))
		return true;
	for (size_t i = 0; i < other->one_of.n; i++)
		if (want_holds(w, other->one_of.v[i], nocase))
			return true;
	/* what a fix would not know: it is for people to see */
	return val == NULL && other->one_of.n == 0;
}

static bool numbers_meet(const struct want *a, const struct want *b)
{
	return (a->least.set || a->most.set) && (b->least.set || b->most.set) &&
	       (!a->least.set || !b->most.set || a->least.v <= b->most.v) &&
	       (!b->least.set || !a->most.set || b->least.v <= a->most.v);
}

bool want_agree(const struct want *a, const struct want *b, bool nocase)
{
	if (a->absent || b->absent)
		return a->absent == b->absent || (a->absent ? b : a)->unset_ok;
	if ((a->unset_ok && b->unset_ok) || a->any || b->any || numbers_meet(a, b))
		return true;
	return want_accepts(a, b, nocase) || want_accepts(b, a, nocase);
}

#include "recipe/lock_parts.h"

#include <string.h>

/* One side of the comparison: sorted packages and how far it has come. */
struct side {
	const struct lock_package **v;
	size_t n, at;
};

/* The name, with the architecture where the lock has several; the caller owns it. */
static char *label(const struct side *s, size_t i)
{
	const char *name = s->v[i]->name;
	bool several = (i > 0 && strcmp(s->v[i - 1]->name, name) == 0) ||
		       (i + 1 < s->n && strcmp(s->v[i + 1]->name, name) == 0);

	return several ? mem_format("%s:%s", name, s->v[i]->arch) : mem_strdup(name);
}

static void changed(const struct lock_package *a, const struct lock_package *b, const char *name,
		    struct strv *ret)
{
	if (strcmp(a->version, b->version) != 0)
		strv_addf(ret, "%s %s -> %s", name, a->version, b->version);
	else if (!digest_equal(&a->digest, &b->digest))
		strv_addf(ret, "%s %s: the same version with other bytes", name, a->version);
}

/* By name first: a label may sort elsewhere than its name. */
static int side_compare(const struct side *a, const struct side *b, const char *x, const char *y)
{
	int c;

	if (x == NULL || y == NULL)
		return x == NULL ? 1 : -1;
	c = strcmp(a->v[a->at]->name, b->v[b->at]->name);
	return c != 0 ? c : strcmp(x, y);
}

static void diff_next(struct side *a, struct side *b, struct strv *ret)
{
	char *x SCOPED(mem_freep) = a->at < a->n ? label(a, a->at) : NULL;
	char *y SCOPED(mem_freep) = b->at < b->n ? label(b, b->at) : NULL;
	int c = side_compare(a, b, x, y);

	if (c == 0)
		changed(a->v[a->at], b->v[b->at], x, ret);
	else if (c < 0)
		strv_addf(ret, "- %s %s", x, a->v[a->at]->version);
	else
		strv_addf(ret, "+ %s %s", y, b->v[b->at]->version);
	a->at += c <= 0;
	b->at += c >= 0;
}

static const struct lock_media *find_media(const struct lock *l, const char *name)
{
	for (size_t i = 0; i < l->media_n; i++)
		if (strcmp(l->media[i].name, name) == 0)
			return &l->media[i];
	return NULL;
}

static void diff_media(const struct lock *a, const struct lock *b, struct strv *ret)
{
	for (size_t i = 0; i < b->media_n; i++) {
		const struct lock_media *new = &b->media[i], *old = find_media(a, new->name);

		if (old == NULL)
			strv_addf(ret, "+ medium %s", new->name);
		else if (!digest_equal(&old->digest, &new->digest))
			strv_addf(ret, "medium %s %.12s -> %.12s", new->name,
				  digest_hex(&old->digest).s, digest_hex(&new->digest).s);
	}
	for (size_t i = 0; i < a->media_n; i++)
		if (find_media(b, a->media[i].name) == NULL)
			strv_addf(ret, "- medium %s", a->media[i].name);
}

static void diff_recorded(const struct lock *a, const struct lock *b, struct strv *ret)
{
	size_t i = 0, k = 0;

	while (i < a->recorded_n || k < b->recorded_n) {
		const struct lock_recorded *x = &a->recorded[i], *y = &b->recorded[k];
		int c = i == a->recorded_n   ? 1
			: k == b->recorded_n ? -1
					     : lock_recorded_compare(x, y);

		if (c < 0)
			strv_addf(ret, "- recorded %s %s", x->step, x->url);
		else if (c > 0)
			strv_addf(ret, "+ recorded %s %s", y->step, y->url);
		else if (x->status != y->status || !digest_equal(&x->digest, &y->digest))
			strv_addf(ret, "recorded %s %s: %d %.12s -> %d %.12s", y->step, y->url,
				  x->status, digest_hex(&x->digest).s, y->status,
				  digest_hex(&y->digest).s);
		i += c <= 0;
		k += c >= 0;
	}
}

void lock_diff(const struct lock *a, const struct lock *b, struct strv *ret)
{
	const struct lock_package **old SCOPED(mem_freep) = NULL;
	const struct lock_package **new SCOPED(mem_freep) = NULL;
	struct side x = {0}, y = {0};

	if (a == NULL)
		return;
	old = lock_sorted(a);
	new = lock_sorted(b);
	x = (struct side){old, a->packages_n, 0};
	y = (struct side){new, b->packages_n, 0};
	while (x.at < x.n || y.at < y.n)
		diff_next(&x, &y, ret);
	diff_media(a, b, ret);
	diff_recorded(a, b, ret);
}

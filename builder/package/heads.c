#include "package/heads.h"

#include "form/deb822.h"
#include "package/dnf.h"
#include "package/sources.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TRIES = 2, STALL_MS = 20000 };

static void add(struct package_heads *h, char *id, char *url)
{
	h->v = mem_resize(h->v, h->n + 1, sizeof(*h->v));
	h->v[h->n++] = (struct package_head){.id = id, .url = url};
}

static int add_suite(const struct recipe_apt *a, const char *suite, struct package_heads *h,
		     struct err *e)
{
	struct strv uris SCOPED(strv_release) = {0};

	if (sources_find(a, suite, &uris, e) != 0)
		return -1;
	add(h, mem_strdup(suite), mem_format("%sdists/%s/InRelease", uris.v[0], suite));
	return 0;
}

static int of_apt(const struct recipe_apt *a, struct package_heads *h, struct err *e)
{
	if (add_suite(a, a->suite, h, e) != 0)
		return -1;
	for (size_t i = 0; i < a->pockets.n; i++) {
		char *suite SCOPED(mem_freep) = mem_format("%s-%s", a->suite, a->pockets.v[i]);

		if (add_suite(a, suite, h, e) != 0)
			return -1;
	}
	return 0;
}

static int of_dnf(const struct recipe_dnf *d, struct package_heads *h, struct err *e)
{
	for (size_t i = 0; i < d->repos_n; i++) {
		struct strv bases SCOPED(strv_release) = {0};

		if (dnf_bases(d, &d->repos[i], NULL, &bases, e) != 0)
			return -1;
		add(h, mem_strdup(d->repos[i].name),
		    mem_format("%srepodata/repomd.xml", bases.v[0]));
	}
	return 0;
}

int package_heads(const struct recipe *r, struct package_heads *ret, struct err *e)
{
	struct package_heads h SCOPED(package_heads_release) = {0};

	if (r->apt != NULL && of_apt(r->apt, &h, e) != 0)
		return -1;
	if (r->dnf != NULL && of_dnf(r->dnf, &h, e) != 0)
		return -1;
	*ret = h;
	h = (struct package_heads){0};
	return 0;
}

/* Of a Release file; repomd.xml has no such field. */
static int64_t valid_until(const struct buf *b)
{
	struct deb822 rest = {b->data, b->len}, st;

	while (deb822_next(&rest, &st) == 1) {
		char *date SCOPED(mem_freep) = deb822_field(&st, "Valid-Until");
		struct tm tm = {0};

		if (date != NULL && strptime(date, "%a, %d %b %Y %H:%M:%S", &tm) != NULL)
			return timegm(&tm);
	}
	return 0;
}

void package_head_look(struct package_head *h, struct http *via)
{
	const struct http_request q = {.method = "GET",
				       .url = h->url,
				       .body_fd = -1,
				       .tries = TRIES,
				       .stall_ms = STALL_MS,
				       .via = via};
	struct http_reply r SCOPED(http_reply_release) = {0};
	struct err why = ERR_INIT;

	h->known = false;
	if (http_send(&q, &r, &why) != 0 || r.status != 200)
		return;
	h->known = true;
	h->digest = digest_of(r.body.data, r.body.len);
	h->until = valid_until(&r.body);
}

void package_heads_release(struct package_heads *h)
{
	for (size_t i = 0; i < h->n; i++) {
		free(h->v[i].id);
		free(h->v[i].url);
	}
	free(h->v);
	*h = (struct package_heads){0};
}

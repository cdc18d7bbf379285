#include "remote/delete.h"
#include "remote/tags.h"

#include "base/glob.h"
#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 4 /* of indexes in indexes */, NAMES_MAX = 4096 };

/* A tag, what it stands for, and when that was made. */
struct tagged {
	const char *tag; /* of the list */
	struct oci_desc d;
	struct oci_index members; /* of an index */
	struct strv names;        /* all that an index of whatever format names, and those in it */
	int64_t made_s;
	bool dated, matches, stays;
};

struct retain {
	struct registry *r;
	struct removal removal;
	struct strv tags;
	struct tagged *v;
	size_t n;
};

static void retain_release(struct retain *x)
{
	for (size_t i = 0; i < x->n; i++) {
		oci_desc_release(&x->v[i].d);
		oci_index_release(&x->v[i].members);
		strv_release(&x->v[i].names);
	}
	free(x->v);
	strv_release(&x->tags);
	removal_release(&x->removal);
}

/* "created" of the configuration. */
static int read_made(struct registry *r, const struct oci_desc *config, struct tagged *t,
		     struct err *e)
{
	char *url SCOPED(mem_freep) = registry_url(r, "blobs", digest_text(&config->digest).s);
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .tries = r->tries};
	struct http_reply reply = {0};
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const char *made = NULL;

	if (registry_send(r, &q, &reply, e) != 0)
		return -1;
	if (reply.status == 200) {
		struct digest d = digest_of(reply.body.data, reply.body.len);

		if (digest_equal(&d, &config->digest) &&
		    jval_parse(reply.body.data, reply.body.len, "config", &v, &quiet) == 0)
			made = jval_get_str(v, "created");
	}
	t->dated = made != NULL && clock_parse(made, &t->made_s) == 0;
	http_reply_release(&reply);
	return 0;
}

/* The date of a manifest, or of an index's first image. */
static int date(struct registry *r, const struct buf *b, struct tagged *t, struct err *e)
{
	struct buf one SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct err quiet = ERR_INIT;
	int rc = 0;

	if (strcmp(t->d.media_type, OCI_INDEX) != 0) {
		if (oci_manifest_parse(b->data, b->len, &m, &quiet) != 0)
			return 0;
		return read_made(r, &m.config, t, e);
	}
	if (oci_index_parse(b->data, b->len, &t->members, &quiet) != 0 || t->members.n == 0)
		return 0;
	rc = artifact_get(r, digest_text(&t->members.v[0].digest).s, &one, &d, e);
	if (rc != 0 || oci_manifest_parse(one.data, one.len, &m, &quiet) != 0)
		return rc < 0 ? -1 : 0;
	return read_made(r, &m.config, t, e);
}

/* What an index names, and what an index that it names does: docker's too, and what we do not pull.
 * That they are images is not asked. */
static int read_names(struct registry *r, const struct buf *b, unsigned depth, struct strv *ret,
		      struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const struct jval *list;

	if (jval_parse(b->data, b->len, "index", &v, &quiet) != 0)
		return 0;
	list = jval_get(v, "manifests");
	for (size_t i = 0; i < jval_len(list); i++) {
		struct buf more SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
		struct oci_desc d SCOPED(oci_desc_release) = {0};
		const char *name = jval_get_str(jval_at(list, i), "digest");
		const char *type = jval_get_str(jval_at(list, i), "mediaType");
		struct digest is;
		int rc = 0;

		if (name == NULL || digest_parse(name, &is) != 0 || strv_has(ret, name))
			continue;
		if (ret->n == NAMES_MAX)
			return err_set(e, ERR_REMOTE, "names more than %d images", NAMES_MAX);
		strv_add(ret, name);
		if (depth == 0 || (type != NULL && strstr(type, ".manifest.v") != NULL))
			continue;
		rc = artifact_get(r, name, &more, &d, e);
		if (rc < 0 || (rc == 0 && read_names(r, &more, depth - 1, ret, e) != 0))
			return -1;
	}
	return 0;
}

static int look(struct retain *x, const char *match, struct err *e)
{
	x->v = mem_zalloc((x->tags.n + 1) * sizeof(*x->v));
	for (size_t i = 0; i < x->tags.n; i++) {
		struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
		struct tagged *t = &x->v[x->n];
		int rc;

		if (!tags_is_image(x->tags.v[i]))
			continue;
		t->tag = x->tags.v[i];
		t->matches = match == NULL || glob_match(match, t->tag);
		rc = artifact_get(x->r, t->tag, &b, &t->d, e);
		if (rc > 0)
			continue; /* it went in the meantime */
		x->n += rc == 0;
		if (rc < 0 || date(x->r, &b, t, e) != 0 ||
		    read_names(x->r, &b, DEPTH, &t->names, e) != 0)
			return err_in(e, "tag %s", t->tag);
	}
	return 0;
}

/* Newest first; by name where the time is the same. */
static int later(const void *a, const void *b)
{
	const struct tagged *x = a, *y = b;

	if (x->made_s != y->made_s)
		return x->made_s < y->made_s ? 1 : -1;
	return strcmp(y->tag, x->tag);
}

/* Itself, or one that it names. */
static bool is_held(const struct remote_keep *keep, const struct tagged *t)
{
	bool is = keep->held != NULL && keep->held(keep->ctx, &t->d.digest);

	for (size_t i = 0; keep->held != NULL && i < t->names.n; i++) {
		struct digest d;

		if (digest_parse(t->names.v[i], &d) == 0 && keep->held(keep->ctx, &d))
			is = true;
	}
	return is;
}

static void choose(struct retain *x, const struct remote_keep *keep)
{
	uint64_t n = 0;

	qsort(x->v, x->n, sizeof(*x->v), later);
	for (size_t i = 0; i < x->n; i++) {
		struct tagged *t = &x->v[i];

		t->stays = !t->matches || !t->dated || n < keep->newest || is_held(keep, t);
		n += t->matches && t->dated;
	}
}

/* Whether what stays needs the manifest. */
static bool needed(const void *ctx, const struct digest *d)
{
	const struct retain *x = ctx;

	for (size_t i = 0; i < x->n; i++) {
		const struct tagged *t = &x->v[i];

		if (t->stays && digest_equal(&t->d.digest, d))
			return true;
		if (t->stays && strv_has(&t->names, digest_text(d).s))
			return true;
	}
	return false;
}

static int drop(struct retain *x, const struct tagged *t, struct err *e)
{
	struct strv gone SCOPED(strv_release) = {0};

	if (delete_image(&x->removal, &t->d.digest, &gone, e) != 0)
		return err_in(e, "tag %s", t->tag);
	for (size_t i = 0; i < t->members.n; i++)
		if (!needed(x, &t->members.v[i].digest) &&
		    delete_image(&x->removal, &t->members.v[i].digest, &gone, e) != 0)
			return err_in(e, "tag %s", t->tag);
	return 0;
}

int remote_retain(const struct ref *at, const struct remote_opts *o, const struct remote_keep *keep,
		  struct strv *ret_tags, struct err *e)
{
	const struct registry_want want = {.actions = "pull,push,delete"};
	struct registry r SCOPED(registry_close) = {0};
	struct retain x SCOPED(retain_release) = {.r = &r};
	struct strv gone SCOPED(strv_release) = {0};

	if (registry_open(at, o, &want, &r, e) != 0 || tags_list(&r, &x.tags, e) != 0 ||
	    look(&x, keep->match, e) != 0)
		return -1;
	choose(&x, keep);
	x.removal = (struct removal){.r = &r, .needed = needed, .ctx = &x};
	for (size_t i = 0; i < x.n; i++) {
		if (x.v[i].stays || needed(&x, &x.v[i].d.digest))
			continue;
		if (!keep->dry_run && drop(&x, &x.v[i], e) != 0)
			return -1;
		strv_add(&gone, x.v[i].tag);
	}
	strv_extend(ret_tags, &gone);
	return 0;
}

#include "remote/referrers.h"

#include "base/log.h"
#include "oci/referrers.h"
#include <stdlib.h>
#include <string.h>

enum { REFERRER_BYTES_MAX = 64 << 20 };

/* What a registry says about an image's referrers. */
struct listed {
	bool by_api;
	struct oci_index list;
};

static void listed_release(struct listed *l)
{
	oci_index_release(&l->list);
}

/* Asks the registry itself; a registry that does not know the question says 404. */
static int ask(struct registry *r, const struct digest *image, struct listed *ret, struct err *e)
{
	char *url SCOPED(mem_freep) = registry_url(r, "referrers", digest_text(image).s);
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .tries = r->tries};
	struct http_reply reply = {0};
	int rc;

	strv_add(&q.headers, "Accept: " OCI_INDEX);
	rc = registry_send(r, &q, &reply, e);
	strv_release(&q.headers);
	if (rc != 0)
		return -1;
	/* some answer with a page of theirs */
	if (reply.status == 200) {
		struct err quiet = ERR_INIT;

		ret->by_api =
		    oci_referrers_parse(reply.body.data, reply.body.len, &ret->list, &quiet) == 0;
	} else if (reply.status / 100 != 4) {
		rc = registry_refused(&q, &reply, e);
	}
	http_reply_release(&reply);
	return rc;
}

static int get_list(struct registry *r, const struct digest *image, struct listed *ret,
		    struct err *e)
{
	char *tag SCOPED(mem_freep) = oci_referrers_tag(image);
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	int rc = ask(r, image, ret, e);

	if (rc != 0 || ret->by_api)
		return rc;
	rc = artifact_get(r, tag, &b, &d, e);
	if (rc == 0)
		rc = oci_referrers_parse(b.data, b.len, &ret->list, e);
	return rc < 0 ? -1 : 0;
}

static bool has(const struct oci_index *list, const struct digest *d)
{
	for (size_t i = 0; i < list->n; i++)
		if (digest_equal(&list->v[i].digest, d))
			return true;
	return false;
}

/* Some writers list their artifacts by the type of the configuration. */
static bool is_ours(const char *type)
{
	static const char *const kinds[] = {"application/vnd.dev.sigstore.bundle.v0.3+json",
					    "application/vnd.cncf.notary.signature", OCI_EMPTY};

	for (size_t i = 0; type != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(type, kinds[i]) == 0)
			return true;
	return type == NULL;
}

/* Lists a manifest as itself says what it is. */
static int describe(const struct oci_layout *l, struct oci_desc *d, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	if (oci_layout_read(l, &d->digest, &b, e) != 0 ||
	    oci_manifest_parse(b.data, b.len, &m, e) != 0)
		return -1;
	free(d->artifact_type);
	d->artifact_type = mem_strdup(m.artifact_type);
	jval_free(d->annotations);
	d->annotations = jval_ref(m.annotations);
	return 0;
}

/* Brings one, or tells why not. */
static void bring(const struct carry *c, const struct oci_desc *d, struct oci_index *ours)
{
	struct digest_text name = digest_text(&d->digest);
	struct oci_desc got SCOPED(oci_desc_release) = {0};
	struct err why = ERR_INIT;
	int rc = artifact_pull(c, name.s, REFERRER_BYTES_MAX, &got, &why);

	if (rc == 0 && describe(c->l, &got, &why) != 0)
		rc = -1;
	if (rc != 0) {
		log_warn("referrer %s is passed over: %s", name.s,
			 rc > 0 ? "it is listed, but not there" : why.msg);
		return;
	}
	ours->v = mem_resize(ours->v, ours->n + 1, sizeof(*ours->v));
	ours->v[ours->n++] = got;
	got = (struct oci_desc){0};
}

static int add_theirs(const struct carry *c, const struct digest *image,
		      const struct oci_index *theirs, struct err *e)
{
	struct oci_index ours SCOPED(oci_index_release) = {0};
	size_t before;

	if (oci_referrers(c->l, image, &ours, e) != 0)
		return -1;
	before = ours.n;
	for (size_t i = 0; i < theirs->n && ours.n < OCI_INDEX_MAX; i++)
		if (is_ours(theirs->v[i].artifact_type) && !has(&ours, &theirs->v[i].digest))
			bring(c, &theirs->v[i], &ours);
	return ours.n > before ? oci_referrers_save(c->l, image, &ours, e) : 0;
}

int referrers_pull(const struct carry *c, const struct digest *image, struct err *e)
{
	struct listed there SCOPED(listed_release) = {0};

	if (get_list(c->r, image, &there, e) != 0 || add_theirs(c, image, &there.list, e) != 0)
		return err_in(e, "referrers of %s", digest_text(image).s);
	return 0;
}

static void append(struct oci_index *x, const struct oci_desc *d)
{
	x->v = mem_resize(x->v, x->n + 1, sizeof(*x->v));
	oci_desc_copy(d, &x->v[x->n++]);
}

/* Theirs first, in their order, whatever they are; then what they lack of ours. */
static int push_list(const struct carry *c, const struct digest *image, struct listed *there,
		     const struct oci_index *ours, struct err *e)
{
	char *tag SCOPED(mem_freep) = oci_referrers_tag(image);
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	size_t before = there->list.n;

	for (size_t i = 0; i < ours->n; i++)
		if (!has(&there->list, &ours->v[i].digest))
			append(&there->list, &ours->v[i]);
	if (there->list.n == before)
		return 0;
	oci_index_write(&there->list, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "the list is too large");
	return artifact_put(c->r, tag, OCI_INDEX, &b, e);
}

/* Another writer may have put his list in the place of ours since we read it: looks again. */
static int list_them(const struct carry *c, const struct digest *image,
		     const struct oci_index *ours, struct err *e)
{
	enum { TRIES = 5 };

	for (int i = 0; i < TRIES; i++) {
		struct listed there SCOPED(listed_release) = {0};
		size_t have = 0;

		if (get_list(c->r, image, &there, e) != 0)
			return -1;
		for (size_t k = 0; k < ours->n; k++)
			have += has(&there.list, &ours->v[k].digest);
		if (there.by_api || have == ours->n)
			return 0;
		if (push_list(c, image, &there, ours, e) != 0)
			return -1;
	}
	return err_set(e, ERR_REMOTE, "others are changing the list all the time");
}

int referrers_push(const struct carry *c, const struct digest *image, struct err *e)
{
	struct oci_index ours SCOPED(oci_index_release) = {0};

	if (oci_referrers(c->l, image, &ours, e) != 0)
		return -1;
	for (size_t i = 0; i < ours.n; i++)
		if (artifact_push(c->r, c->l, &ours.v[i], "", c->stats, e) != 0)
			return err_in(e, "referrer %s", digest_text(&ours.v[i].digest).s);
	if (ours.n > 0 && list_them(c, image, &ours, e) != 0)
		return err_in(e, "referrers of %s", digest_text(image).s);
	return 0;
}

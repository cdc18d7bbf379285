#include "sign/attest.h"

#include "base/log.h"
#include "sign/bundles.h"
#include "sign/image.h"
#include "sign/siglayer.h"
#include <stdlib.h>
#include <string.h>

enum { DER_MAX = 72, ENVELOPE_MAX = 2 * ATTEST_MAX };

static bool names(const struct jval *statement, const struct digest *manifest)
{
	const struct jval *list = jval_get(statement, "subject");
	struct digest_hex want = digest_hex(manifest);

	for (size_t i = 0; i < jval_len(list); i++) {
		const struct jval *d = jval_get(jval_at(list, i), "digest");
		const char *hex = jval_get_str(d, "sha256");

		if (hex != NULL && strcmp(hex, want.s) == 0)
			return true;
	}
	return false;
}

int attest_check(const struct buf *statement, const char *what, const struct digest *manifest,
		 struct err *e)
{
	struct jval *j SCOPED(jval_freep) = NULL;
	const char *type, *result;

	if (jval_parse(statement->data, statement->len, what, &j, e) != 0)
		return -1;
	type = jval_get_str(j, "_type");
	result = jval_get_str(jval_get(j, "predicate"), "result");
	if (type == NULL || strcmp(type, ATTEST_STATEMENT) != 0 ||
	    jval_get_str(j, "predicateType") == NULL)
		return err_set(e, ERR_VERIFY, "%s: is no in-toto statement v1", what);
	if (!names(j, manifest)) {
		(void)err_set(e, ERR_VERIFY, "%s: is not about %s", what, digest_text(manifest).s);
		return err_hint(e, "posmedia audit --evidence makes one that is");
	}
	if (result == NULL || strcmp(result, "FAILED") != 0)
		return 0;
	(void)err_set(e, ERR_VERIFY, "%s: says that the image failed", what);
	return err_hint(e, "Mend what fails; a release key does not sign bad news.");
}

static int seal(const struct buf *statement, const struct sign_key *k, struct buf *ret,
		struct err *e)
{
	struct buf der SCOPED(buf_release) = BUF_INIT(DER_MAX);
	struct jval *j SCOPED(jval_freep) = NULL;

	if (dsse_seal(statement, k, &j, &der, e) != 0)
		return -1;
	jval_write(j, ret);
	return 0;
}

int attest_seal(const struct buf *statement, const struct sign_key *k, struct buf *ret,
		struct err *e)
{
	struct buf der SCOPED(buf_release) = BUF_INIT(DER_MAX);
	struct jval *j SCOPED(jval_freep) = NULL;

	if (dsse_seal(statement, k, &j, &der, e) != 0)
		return -1;
	jval_write(j, ret);
	return buf_over(ret) ? err_set(e, ERR_FAIL, "the statement is too large") : 0;
}

int attest_open(const struct buf *envelope, const struct sign_public *key, struct buf *ret,
		struct err *e)
{
	struct jval *j SCOPED(jval_freep) = NULL;

	if (jval_parse(envelope->data, envelope->len, "attestation", &j, e) != 0)
		return -1;
	return dsse_open(j, key, ret, NULL, e);
}

static char *tag_of(const struct digest *manifest)
{
	return mem_format("sha256-%s.att", digest_hex(manifest).s);
}

/* Whether the layer is an attestation by the key; *ret is its statement. */
static bool is_by(const struct oci_layout *l, const struct oci_desc *layer,
		  const struct sign_public *key, struct buf *ret)
{
	struct buf envelope SCOPED(buf_release) = BUF_INIT(ENVELOPE_MAX);
	struct err quiet = ERR_INIT;

	return strcmp(layer->media_type, SIGN_DSSE_TYPE) == 0 &&
	       oci_layout_read(l, &layer->digest, &envelope, &quiet) == 0 &&
	       attest_open(&envelope, key, ret, &quiet) == 0;
}

static bool same_bytes(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

char *attest_predicate(const struct buf *statement)
{
	struct jval *j SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const char *type = NULL;

	if (jval_parse(statement->data, statement->len, "statement", &j, &quiet) == 0)
		type = jval_get_str(j, "predicateType");
	return mem_strdup(type == NULL ? "" : type);
}

/* Drops what the key has attested of this type before. Returns whether it was this very thing. */
static bool drop_earlier(const struct oci_layout *l, struct oci_manifest *m,
			 const struct buf *statement, const struct sign_public *key)
{
	char *type SCOPED(mem_freep) = attest_predicate(statement);

	for (size_t i = m->layers_n; i-- > 0;) {
		struct buf old SCOPED(buf_release) = BUF_INIT(ATTEST_MAX);
		char *its SCOPED(mem_freep) = NULL;

		if (!is_by(l, &m->layers[i], key, &old))
			continue;
		if (same_bytes(&old, statement))
			return true;
		its = attest_predicate(&old);
		if (strcmp(its, type) == 0)
			sig_drop_layer(m, i);
	}
	return false;
}

static int add_layer(struct oci_layout *l, struct oci_manifest *m, const struct buf *statement,
		     const struct sign_key *k, struct err *e)
{
	struct buf envelope SCOPED(buf_release) = BUF_INIT(ENVELOPE_MAX);
	char *type SCOPED(mem_freep) = attest_predicate(statement);
	struct oci_desc *d;

	if (m->layers_n >= OCI_LAYERS_MAX)
		return err_set(e, ERR_FAIL, "the image has %d attestations already",
			       OCI_LAYERS_MAX);
	if (seal(statement, k, &envelope, e) != 0)
		return -1;
	m->layers = mem_resize(m->layers, m->layers_n + 1, sizeof(*m->layers));
	d = &m->layers[m->layers_n];
	*d = (struct oci_desc){.size = envelope.len};
	if (oci_layout_add(l, envelope.data, envelope.len, &d->digest, e) != 0)
		return -1;
	d->media_type = mem_strdup(SIGN_DSSE_TYPE);
	d->annotations = jval_object();
	/* cosign wants the note to be there, and empty: the signature is in the envelope */
	jval_put_text(d->annotations, SIGN_COSIGN_NOTE, "");
	jval_put_text(d->annotations, "predicateType", type);
	m->layers_n++;
	return 0;
}

static int to_layer(struct oci_layout *l, const struct oci_desc *manifest,
		    const struct buf *statement, const struct sign_key *k, struct err *e)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	char *tag SCOPED(mem_freep) = tag_of(&manifest->digest);

	if (sig_manifest_at(l, tag, &m, e) != 0)
		return -1;
	if (drop_earlier(l, &m, statement, sign_key_public(k)))
		return 0;
	if (add_layer(l, &m, statement, k, e) != 0)
		return err_in(e, "attestation");
	return sig_save(l, tag, SIGN_COSIGN, &m, e);
}

/* drop_earlier among the bundles. */
static bool drop_bundle(const struct oci_layout *l, const struct digest *manifest,
			struct oci_index *list, const struct buf *statement,
			const struct sign_public *key)
{
	char *type SCOPED(mem_freep) = attest_predicate(statement);

	for (size_t i = list->n; i-- > 0;) {
		struct bundle_said old SCOPED(bundle_said_release);
		char *its SCOPED(mem_freep) = NULL;

		bundle_said_init(&old);
		if (!bundle_by(l, manifest, &list->v[i], key, &old))
			continue;
		if (same_bytes(&old.statement, statement))
			return true;
		its = attest_predicate(&old.statement);
		if (strcmp(its, type) == 0)
			oci_referrer_drop(list, i);
	}
	return false;
}

static int to_bundle(struct oci_layout *l, const struct oci_desc *manifest,
		     const struct buf *statement, const struct sign_key *k, struct err *e)
{
	struct oci_index list SCOPED(oci_index_release) = {0};

	if (oci_referrers(l, &manifest->digest, &list, e) != 0)
		return -1;
	if (drop_bundle(l, &manifest->digest, &list, statement, sign_key_public(k)))
		return 0;
	if (bundle_add(l, manifest, statement, k, &list, e) != 0)
		return -1;
	return oci_referrers_save(l, &manifest->digest, &list, e);
}

int attest_image(struct oci_layout *l, const struct oci_desc *manifest, const struct buf *statement,
		 const struct sign_key *k, struct err *e)
{
	char *type SCOPED(mem_freep) = attest_predicate(statement);
	int rc;

	if (attest_check(statement, "statement", &manifest->digest, e) != 0)
		return -1;
	/* whoever may have statements signed does not thereby have images signed */
	if (strcmp(type, BUNDLE_SIGNATURE) == 0)
		return err_set(e, ERR_VERIFY, "statement: passes for a signature of the image");
	if (oci_layout_lock(l, e) != 0)
		return -1;
	rc = to_layer(l, manifest, statement, k, e);
	if (rc == 0)
		rc = to_bundle(l, manifest, statement, k, e);
	oci_layout_unlock(l);
	return rc;
}

void attest_list_release(struct attest_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		buf_release(&l->v[i].statement);
		jval_free(l->v[i].json);
	}
	free(l->v);
	*l = (struct attest_list){0};
}

/* Whether a statement is one about the manifest: an envelope or a bundle may hang on any image,
 * since who hangs it there signs nothing. */
static bool is_about(const struct jval *statement, const struct digest *manifest)
{
	const char *type = jval_get_str(statement, "_type");

	return type != NULL && strcmp(type, ATTEST_STATEMENT) == 0 && names(statement, manifest);
}

/* Takes the statement, unless it is known already or is none about the manifest. */
static void found(struct attest_list *r, const struct digest *manifest, struct buf *statement,
		  const struct sign_public *key)
{
	struct digest id = sign_public_id(key);
	struct jval *j SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;

	for (size_t i = 0; i < r->n; i++)
		if (digest_equal(&r->v[i].key, &id) && same_bytes(&r->v[i].statement, statement))
			return;
	if (jval_parse(statement->data, statement->len, "statement", &j, &quiet) != 0 ||
	    !is_about(j, manifest)) {
		log_warn("an attestation by key %s does not count: it is not about %s",
			 digest_text(&id).s, digest_text(manifest).s);
		r->others++;
		return;
	}
	r->v = mem_resize(r->v, r->n + 1, sizeof(*r->v));
	r->v[r->n++] = (struct attest_one){*statement, id, STEAL(j)};
	*statement = (struct buf)BUF_INIT(ATTEST_MAX);
}

static void collect_layer(const struct oci_layout *l, const struct digest *manifest,
			  const struct oci_desc *layer, const struct attest_keys *keys,
			  struct attest_list *r)
{
	for (size_t k = 0; k < keys->n; k++) {
		struct buf got SCOPED(buf_release) = BUF_INIT(ATTEST_MAX);

		if (!is_by(l, layer, keys->v[k], &got))
			continue;
		found(r, manifest, &got, keys->v[k]);
		return;
	}
	r->others++;
}

/* A signature of the image is no statement about it. */
static void collect_bundle(const struct oci_layout *l, const struct digest *manifest,
			   const struct oci_desc *d, const struct attest_keys *keys,
			   struct attest_list *r)
{
	for (size_t k = 0; k < keys->n; k++) {
		struct bundle_said got SCOPED(bundle_said_release);
		char *type SCOPED(mem_freep) = NULL;

		bundle_said_init(&got);
		if (!bundle_by(l, manifest, d, keys->v[k], &got))
			continue;
		type = attest_predicate(&got.statement);
		if (strcmp(type, BUNDLE_SIGNATURE) != 0)
			found(r, manifest, &got.statement, keys->v[k]);
		return;
	}
	r->others++;
}

int attest_collect(const struct oci_layout *l, const struct digest *manifest,
		   const struct attest_keys *keys, struct attest_list *ret, struct err *e)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct oci_index list SCOPED(oci_index_release) = {0};
	char *tag SCOPED(mem_freep) = tag_of(manifest);
	size_t in_layers;

	if (sig_manifest_at(l, tag, &m, e) != 0 || oci_referrers(l, manifest, &list, e) != 0)
		return -1;
	*ret = (struct attest_list){0};
	for (size_t i = 0; i < m.layers_n; i++)
		collect_layer(l, manifest, &m.layers[i], keys, ret);
	in_layers = ret->others;
	ret->others = 0;
	for (size_t i = 0; i < list.n; i++)
		if (bundle_is(&list.v[i]))
			collect_bundle(l, manifest, &list.v[i], keys, ret);
	/* most are in both */
	ret->others = in_layers > ret->others ? in_layers : ret->others;
	return 0;
}

int attest_verify(const struct oci_layout *l, const struct digest *manifest,
		  const struct buf *statement, const struct attest_keys *keys, struct err *e)
{
	struct attest_list all SCOPED(attest_list_release) = {0};

	if (attest_collect(l, manifest, keys, &all, e) != 0)
		return -1;
	for (size_t i = 0; i < all.n; i++)
		if (same_bytes(&all.v[i].statement, statement))
			return attest_check(statement, "statement", manifest, e);
	return err_set(e, ERR_VERIFY,
		       "%s: no attestation of this content by the given keys; they have %zu "
		       "others, and there are %zu in all",
		       digest_text(manifest).s, all.n, all.n + all.others);
}

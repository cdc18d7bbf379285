#include "sign/bundles.h"

#include "form/hex.h"
#include "sign/attest.h"
#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

bool bundle_is(const struct oci_desc *d)
{
	return d->artifact_type != NULL && strcmp(d->artifact_type, BUNDLE_TYPE) == 0;
}

static int read_manifest(const struct oci_layout *l, const struct oci_desc *d,
			 struct oci_manifest *ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	if (oci_layout_read(l, &d->digest, &b, e) == 0 &&
	    oci_manifest_parse(b.data, b.len, ret, e) == 0)
		return 0;
	e->kind = ERR_VERIFY;
	return -1;
}

int bundle_load(const struct oci_layout *l, const struct digest *subject, const struct oci_desc *d,
		struct buf *ret, struct err *e)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	if (read_manifest(l, d, &m, e) != 0)
		return -1;
	if (strcmp(m.artifact_type, BUNDLE_TYPE) != 0 || m.layers_n != 1 ||
	    strcmp(m.layers[0].media_type, BUNDLE_TYPE) != 0)
		return err_set(e, ERR_VERIFY, "referrer %s: is no bundle",
			       digest_text(&d->digest).s);
	if (m.subject == NULL || !digest_equal(&m.subject->digest, subject))
		return err_set(e, ERR_VERIFY, "referrer %s: is of another image",
			       digest_text(&d->digest).s);
	if (oci_layout_read(l, &m.layers[0].digest, ret, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	return 0;
}

bool bundle_by(const struct oci_layout *l, const struct digest *subject, const struct oci_desc *d,
	       const struct sign_public *key, struct bundle_said *ret)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(BUNDLE_MAX);
	struct err quiet = ERR_INIT;

	return bundle_is(d) && bundle_load(l, subject, d, &b, &quiet) == 0 &&
	       bundle_open(&b, key, NULL, ret, &quiet) == 0;
}

static struct jval *notes(const char *predicate, int64_t time)
{
	struct jval *v = jval_object();
	char *created SCOPED(mem_freep) = clock_rfc3339(time);

	jval_put_text(v, "dev.sigstore.bundle.content", "dsse-envelope");
	jval_put_text(v, "dev.sigstore.bundle.predicateType", predicate);
	jval_put_text(v, "org.opencontainers.image.created", created);
	return v;
}

int bundle_add(struct oci_layout *l, const struct oci_desc *subject, const struct buf *statement,
	       const struct sign_key *k, struct oci_index *list, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(BUNDLE_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	char *type SCOPED(mem_freep) = attest_predicate(statement);
	struct digest d;

	if (bundle_seal(statement, k, &b, e) != 0 || oci_layout_add(l, b.data, b.len, &d, e) != 0)
		return err_in(e, "bundle");
	m.artifact_type = mem_strdup(BUNDLE_TYPE);
	m.annotations = notes(type, clock_epoch_s());
	m.layers = mem_zalloc(sizeof(*m.layers));
	m.layers_n = 1;
	m.layers[0] =
	    (struct oci_desc){.media_type = mem_strdup(BUNDLE_TYPE), .digest = d, .size = b.len};
	return oci_referrer_add(l, subject, &m, list, e);
}

/* The time is in a member that cosign passes over; its own predicate is the empty object. */
void bundle_payload(const char *identity, const struct digest *manifest, int64_t time,
		    struct buf *ret)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *list = jval_array(), *subject = jval_object(), *digest = jval_object();
	struct jval *predicate = jval_object();

	jval_put_text(digest, "sha256", digest_hex(manifest).s);
	jval_put_text(subject, "name", identity);
	jval_put(subject, "digest", digest);
	jval_push(list, subject);
	jval_put_text(predicate, "creator", "posmedia " POSMEDIA_VERSION);
	jval_put_int(predicate, "timestamp", time);
	jval_put_text(v, "_type", ATTEST_STATEMENT);
	jval_put(v, "subject", list);
	jval_put_text(v, "predicateType", BUNDLE_SIGNATURE);
	jval_put(v, "predicate", predicate);
	jval_write(v, ret);
}

int bundle_payload_open(const struct buf *statement, const struct digest *manifest,
			struct payload_said *ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	const struct jval *subject;
	const char *type, *predicate, *name, *hex;
	int64_t time = 0;

	if (jval_parse(statement->data, statement->len, "statement", &v, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	type = jval_get_str(v, "_type");
	predicate = jval_get_str(v, "predicateType");
	if (type == NULL || strcmp(type, ATTEST_STATEMENT) != 0 || predicate == NULL ||
	    strcmp(predicate, BUNDLE_SIGNATURE) != 0)
		return err_set(e, ERR_VERIFY, "it says %s, which is no signature of an image",
			       predicate != NULL ? predicate : "nothing");
	subject = jval_at(jval_get(v, "subject"), 0);
	name = jval_get_str(subject, "name");
	hex = jval_get_str(jval_get(subject, "digest"), "sha256");
	if (jval_len(jval_get(v, "subject")) != 1 || name == NULL || hex == NULL)
		return err_set(e, ERR_VERIFY, "signed statement: wants one subject with a name");
	if (strcmp(hex, digest_hex(manifest).s) != 0)
		return err_set(e, ERR_VERIFY, "signed statement: is for the manifest sha256:%s",
			       hex);
	if (jval_get_int(jval_get(v, "predicate"), "timestamp", &time) != 0)
		time = 0;
	*ret = (struct payload_said){mem_strdup(name), time, 0};
	return 0;
}

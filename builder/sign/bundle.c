/* bundle.c - sigstore bundles v0.3 by a key that is known beforehand: no certificate, no log. */
#include "sign/dsse.h"

#include "form/hex.h"
#include "sign/attest.h"
#include "sign/pkey.h"
#include "sign/stamp.h"
#include <string.h>

enum { DER_MAX = 72, STAMP_MAX = 64 << 10 };

/* The time stamp of a signature, where the bundle has it. */
static int put_stamp(struct jval *material, const struct sign_key *k, const struct buf *der,
		     struct err *e)
{
	struct buf token SCOPED(buf_release) = BUF_INIT(STAMP_MAX);
	struct jval *data, *list, *one;
	char *text SCOPED(mem_freep) = NULL;

	if (k->stamper == NULL)
		return 0;
	if (stamp_make(k->stamper, der, &token, e) != 0)
		return -1;
	text = base64_encode(token.data, token.len);
	one = jval_object();
	jval_put_text(one, "signedTimestamp", text);
	list = jval_array();
	jval_push(list, one);
	data = jval_object();
	jval_put(data, "rfc3161Timestamps", list);
	jval_put(material, "timestampVerificationData", data);
	return 0;
}

/* A bundle without what is signed. The hint is how verifiers tell keys apart. */
static int make(const struct sign_key *k, const struct buf *der, struct jval **ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *material = jval_object(), *key = jval_object();
	struct digest id = sign_public_id(sign_key_public(k));
	char *hint SCOPED(mem_freep) = base64_encode(id.b, sizeof(id.b));

	jval_put_text(key, "hint", hint);
	jval_put(material, "publicKey", key);
	jval_put(v, "verificationMaterial", material);
	jval_put_text(v, "mediaType", BUNDLE_TYPE);
	if (put_stamp(material, k, der, e) != 0)
		return -1;
	*ret = STEAL(v);
	return 0;
}

int bundle_seal(const struct buf *statement, const struct sign_key *k, struct buf *ret,
		struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL, *envelope SCOPED(jval_freep) = NULL;
	struct buf der SCOPED(buf_release) = BUF_INIT(DER_MAX);

	if (dsse_seal(statement, k, &envelope, &der, e) != 0 || make(k, &der, &v, e) != 0)
		return -1;
	jval_put(v, "dsseEnvelope", jval_ref(envelope));
	jval_write(v, ret);
	return buf_over(ret) ? err_set(e, ERR_FAIL, "the statement is too large") : 0;
}

static int parse(const struct buf *bundle, struct jval **ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	const char *type;

	if (bundle->len > BUNDLE_MAX)
		return err_set(e, ERR_VERIFY, "bundle: larger than 16 MiB");
	if (jval_parse(bundle->data, bundle->len, "bundle", &v, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	type = jval_get_str(v, "mediaType");
	if (type == NULL || strcmp(type, BUNDLE_TYPE) != 0)
		return err_set(e, ERR_VERIFY, "bundle: is no sigstore bundle v0.3");
	*ret = STEAL(v);
	return 0;
}

void bundle_said_init(struct bundle_said *s)
{
	*s = (struct bundle_said){.statement = BUF_INIT(ATTEST_MAX)};
}

void bundle_said_release(struct bundle_said *s)
{
	buf_release(&s->statement);
}

/* A stamp by somebody else is none; one by the authority that does not fit is a fault. */
static int read_stamp(const struct jval *bundle, const struct sign_authority *tsa,
		      const struct buf *der, int64_t *ret, struct err *e)
{
	const struct jval *data =
	    jval_get(jval_get(bundle, "verificationMaterial"), "timestampVerificationData");
	const char *text =
	    jval_get_str(jval_at(jval_get(data, "rfc3161Timestamps"), 0), "signedTimestamp");
	struct buf token SCOPED(buf_release) = BUF_INIT(STAMP_MAX);

	if (tsa == NULL || text == NULL)
		return 0;
	if (base64_decode(text, &token) != 0 || buf_over(&token))
		return err_set(e, ERR_VERIFY, "bundle: damaged time stamp");
	return stamp_check(tsa, &token, der, ret, e);
}

int bundle_open(const struct buf *bundle, const struct sign_public *key,
		const struct sign_authority *tsa, struct bundle_said *ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct buf der SCOPED(buf_release) = BUF_INIT(DER_MAX);

	if (parse(bundle, &v, e) != 0 ||
	    dsse_open(jval_get(v, "dsseEnvelope"), key, &ret->statement, &der, e) != 0)
		return -1;
	return read_stamp(v, tsa, &der, &ret->stamped, e);
}

int bundle_of_file(const struct digest *d, const struct sign_key *k, struct buf *ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct jval *said, *hash;
	struct buf der SCOPED(buf_release) = BUF_INIT(DER_MAX);
	char *digest SCOPED(mem_freep) = base64_encode(d->b, sizeof(d->b));
	char *sig SCOPED(mem_freep) = NULL;

	if (sign_digest(k, d, &der, e) != 0 || make(k, &der, &v, e) != 0)
		return -1;
	sig = base64_encode(der.data, der.len);
	hash = jval_object();
	jval_put_text(hash, "algorithm", "SHA2_256");
	jval_put_text(hash, "digest", digest);
	said = jval_object();
	jval_put(said, "messageDigest", hash);
	jval_put_text(said, "signature", sig);
	jval_put(v, "messageSignature", said);
	jval_write(v, ret);
	return 0;
}

/* The digest in the bundle is for people: what counts is the signature of the file's own. */
int bundle_check_file(const struct buf *bundle, const struct sign_public *key,
		      const struct sign_authority *tsa, const struct digest *d,
		      int64_t *ret_stamped, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct buf der SCOPED(buf_release) = BUF_INIT(DER_MAX);
	const char *sig;
	int64_t stamped = 0;

	if (parse(bundle, &v, e) != 0)
		return -1;
	sig = jval_get_str(jval_get(v, "messageSignature"), "signature");
	if (sig == NULL || base64_decode(sig, &der) != 0 || buf_over(&der))
		return err_set(e, ERR_VERIFY, "bundle: is no signature of a file");
	if (sign_verify_digest(key, d, der.data, der.len, e) != 0)
		return -1;
	if (read_stamp(v, tsa, &der, &stamped, e) != 0)
		return -1;
	*ret_stamped = stamped;
	return 0;
}

#include "sign/dsse.h"

#include "form/hex.h"
#include "sign/attest.h"
#include <string.h>

enum { DER_MAX = 72, TEXT_MAX = 2 * ATTEST_MAX };

/* What is signed of a payload (DSSE, protocol.md). */
static void encode(const struct buf *payload, struct buf *out)
{
	buf_addf(out, "DSSEv1 %zu %s %zu ", strlen(DSSE_STATEMENT), DSSE_STATEMENT, payload->len);
	buf_add(out, payload->data, payload->len);
}

/* One signature and no key id: more, or one, and cosign 3.1 finds none. */
int dsse_seal(const struct buf *statement, const struct sign_key *k, struct jval **ret,
	      struct buf *ret_der, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	char *payload SCOPED(mem_freep) = base64_encode(statement->data, statement->len);
	char *sig SCOPED(mem_freep) = NULL;
	struct jval *list, *one;

	encode(statement, &text);
	if (buf_over(&text))
		return err_set(e, ERR_FAIL, "the statement is too large");
	if (sign_bytes(k, text.data, text.len, ret_der, e) != 0)
		return -1;
	sig = base64_encode(ret_der->data, ret_der->len);
	list = jval_array();
	one = jval_object();
	jval_put_text(one, "sig", sig);
	jval_push(list, one);
	*ret = jval_object();
	jval_put(*ret, "signatures", list);
	jval_put_text(*ret, "payload", payload);
	jval_put_text(*ret, "payloadType", DSSE_STATEMENT);
	return 0;
}

int dsse_open(const struct jval *envelope, const struct sign_public *key, struct buf *ret,
	      struct buf *ret_der, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	struct buf der SCOPED(buf_release) = BUF_INIT(DER_MAX);
	const struct jval *list = jval_get(envelope, "signatures");
	const char *type = jval_get_str(envelope, "payloadType");
	const char *payload = jval_get_str(envelope, "payload");
	const char *sig = jval_get_str(jval_at(list, 0), "sig");

	if (type == NULL || strcmp(type, DSSE_STATEMENT) != 0 || payload == NULL || sig == NULL ||
	    jval_len(list) != 1 || base64_decode(payload, ret) != 0 || buf_over(ret) ||
	    base64_decode(sig, &der) != 0 || buf_over(&der))
		return err_set(e, ERR_VERIFY, "attestation: not an envelope of one signature");
	encode(ret, &text);
	if (sign_verify(key, text.data, text.len, der.data, der.len, e) != 0)
		return -1;
	if (ret_der != NULL)
		buf_add(ret_der, der.data, der.len);
	return 0;
}

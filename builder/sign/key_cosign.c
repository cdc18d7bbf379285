/* key_cosign.c - cosign's key files: PKCS#8 in a secretbox whose key is scrypt's, as JSON in PEM.
 */
#include "sign/pkey.h"

#include "form/hex.h"
#include "form/json.h"
#include "sign/secretbox.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#define COSIGN_PEM     "ENCRYPTED SIGSTORE PRIVATE KEY"
#define COSIGN_PEM_OLD "ENCRYPTED COSIGN PRIVATE KEY"

enum { SCRYPT_N = 1 << 16, SCRYPT_R = 8, SCRYPT_P = 1, SALT_BYTES = 32, SALT_MAX = 256 };
enum { FILE_MAX = 64 << 10, DER_BYTES_MAX = 16 << 10 };

/* What a file may ask of us: no more than eight times what cosign writes. */
#define SCRYPT_BYTES_MAX (UINT64_C(512) << 20)

struct scrypt {
	int64_t n, r, p;
	struct buf salt;
};

/* A buffer of secrets, which are wiped. */
static void secret_release(struct buf *b)
{
	OPENSSL_cleanse(b->data, b->len);
	buf_release(b);
}

static int check_cost(const struct scrypt *s, struct err *e)
{
	if (s->n < 2 || s->n > 1 << 20 || (s->n & (s->n - 1)) != 0 || s->r < 1 || s->r > 32 ||
	    s->p < 1 || s->p > 16 || 128 * (uint64_t)s->n * (uint64_t)s->r > SCRYPT_BYTES_MAX ||
	    s->salt.len == 0)
		return err_set(e, ERR_VERIFY, "wants more of scrypt than is reasonable");
	return 0;
}

static int derive(const struct scrypt *s, const char *pass, uint8_t key[BOX_KEY_BYTES],
		  struct err *e)
{
	if (check_cost(s, e) != 0)
		return -1;
	if (EVP_PBE_scrypt(pass, strlen(pass), (const unsigned char *)s->salt.data, s->salt.len,
			   (uint64_t)s->n, (uint64_t)s->r, (uint64_t)s->p, 2 * SCRYPT_BYTES_MAX,
			   key, BOX_KEY_BYTES) != 1)
		return ssl_err(e, ERR_FAIL, "scrypt");
	return 0;
}

static struct jval *describe_kdf(const struct scrypt *s)
{
	struct jval *kdf = jval_object(), *params = jval_object();
	char *salt SCOPED(mem_freep) = base64_encode(s->salt.data, s->salt.len);

	jval_put_int(params, "N", s->n);
	jval_put_int(params, "r", s->r);
	jval_put_int(params, "p", s->p);
	jval_put_text(kdf, "name", "scrypt");
	jval_put(kdf, "params", params);
	jval_put_text(kdf, "salt", salt);
	return kdf;
}

static void describe(const struct scrypt *s, const uint8_t nonce[BOX_NONCE_BYTES],
		     const struct buf *box, struct buf *ret)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *cipher = jval_object();
	char *n SCOPED(mem_freep) = base64_encode(nonce, BOX_NONCE_BYTES);
	char *text SCOPED(mem_freep) = base64_encode(box->data, box->len);

	jval_put_text(cipher, "name", "nacl/secretbox");
	jval_put_text(cipher, "nonce", n);
	jval_put(v, "kdf", describe_kdf(s));
	jval_put(v, "cipher", cipher);
	jval_put_text(v, "ciphertext", text);
	jval_write(v, ret);
}

static int to_pkcs8(const struct sign_key *k, struct buf *ret, struct err *e)
{
	PKCS8_PRIV_KEY_INFO *info = k->pkey == NULL ? NULL : EVP_PKEY2PKCS8(k->pkey);
	unsigned char *der = NULL;
	int n = info == NULL ? -1 : i2d_PKCS8_PRIV_KEY_INFO(info, &der);

	PKCS8_PRIV_KEY_INFO_free(info);
	if (n <= 0)
		return ssl_err(e, ERR_FAIL, "the key cannot be taken out");
	buf_add(ret, der, (size_t)n);
	OPENSSL_clear_free(der, (size_t)n);
	return 0;
}

static int put_pem(const struct buf *json, struct buf *ret, struct err *e)
{
	BIO *out = BIO_new(BIO_s_mem());
	char *data;
	long n;
	int good =
	    out != NULL && PEM_write_bio(out, COSIGN_PEM, "", (const unsigned char *)json->data,
					 (long)json->len) > 0;

	if (good) {
		n = BIO_get_mem_data(out, &data);
		buf_add(ret, data, (size_t)n);
	}
	BIO_free(out);
	return good ? 0 : ssl_err(e, ERR_FAIL, "write the key");
}

int sign_key_to_cosign(const struct sign_key *k, const char *passphrase, struct buf *ret,
		       struct err *e)
{
	struct scrypt s = {SCRYPT_N, SCRYPT_R, SCRYPT_P, BUF_INIT(SALT_MAX)};
	struct buf plain SCOPED(secret_release) = BUF_INIT(DER_BYTES_MAX);
	struct buf box SCOPED(buf_release) = BUF_INIT(DER_BYTES_MAX);
	struct buf json SCOPED(buf_release) = BUF_INIT(FILE_MAX);
	uint8_t key[BOX_KEY_BYTES], fresh[SALT_BYTES + BOX_NONCE_BYTES];
	int rc;

	if (RAND_bytes(fresh, sizeof(fresh)) != 1)
		return ssl_err(e, ERR_FAIL, "random bytes");
	buf_add(&s.salt, fresh, SALT_BYTES);
	rc = to_pkcs8(k, &plain, e) == 0 ? derive(&s, passphrase, key, e) : -1;
	if (rc == 0)
		rc = secretbox_seal(key, fresh + SALT_BYTES, &plain, &box, e);
	OPENSSL_cleanse(key, sizeof(key));
	if (rc == 0) {
		describe(&s, fresh + SALT_BYTES, &box, &json);
		rc = put_pem(&json, ret, e);
	}
	buf_release(&s.salt);
	return rc;
}

static int text_of(const struct jval *v, const char *outer, const char *name, struct buf *ret)
{
	const char *text = jval_get_str(outer == NULL ? v : jval_get(v, outer), name);

	return text == NULL || base64_decode(text, ret) != 0 || buf_over(ret) ? -1 : 0;
}

static bool is_named(const struct jval *v, const char *outer, const char *want)
{
	const char *name = jval_get_str(jval_get(v, outer), "name");

	return name != NULL && strcmp(name, want) == 0;
}

static int unseal(const struct jval *v, const char *pass, struct buf *ret, struct err *e)
{
	const struct jval *params = jval_get(jval_get(v, "kdf"), "params");
	struct scrypt s = {.salt = BUF_INIT(SALT_MAX)};
	struct buf nonce SCOPED(buf_release) = BUF_INIT(BOX_NONCE_BYTES);
	struct buf box SCOPED(buf_release) = BUF_INIT(DER_BYTES_MAX);
	uint8_t key[BOX_KEY_BYTES];
	int rc = -1;

	if (!is_named(v, "kdf", "scrypt") || !is_named(v, "cipher", "nacl/secretbox") ||
	    jval_get_int(params, "N", &s.n) != 0 || jval_get_int(params, "r", &s.r) != 0 ||
	    jval_get_int(params, "p", &s.p) != 0 || text_of(v, "kdf", "salt", &s.salt) != 0 ||
	    text_of(v, "cipher", "nonce", &nonce) != 0 || nonce.len != BOX_NONCE_BYTES ||
	    text_of(v, NULL, "ciphertext", &box) != 0)
		(void)err_set(e, ERR_VERIFY, "is no key file of cosign's");
	else if (derive(&s, pass, key, e) == 0)
		rc = secretbox_open(key, (const uint8_t *)nonce.data, &box, ret, e);
	OPENSSL_cleanse(key, sizeof(key));
	buf_release(&s.salt);
	return rc;
}

static int from_pkcs8(const struct buf *plain, EVP_PKEY **ret, struct err *e)
{
	const unsigned char *at = (const unsigned char *)plain->data;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)plain->len);

	*ret = info == NULL ? NULL : EVP_PKCS82PKEY(info);
	PKCS8_PRIV_KEY_INFO_free(info);
	return *ret != NULL ? 0 : ssl_err(e, ERR_VERIFY, "holds no PKCS#8 key");
}

int key_from_cosign(const void *p, size_t n, const char *pass, EVP_PKEY **ret, struct err *e)
{
	BIO *in = n > FILE_MAX ? NULL : BIO_new_mem_buf(p, (int)n);
	char *name = NULL, *header = NULL;
	unsigned char *data = NULL;
	long len = 0;
	struct jval *v SCOPED(jval_freep) = NULL;
	struct buf plain SCOPED(secret_release) = BUF_INIT(DER_BYTES_MAX);
	int rc = -1;

	if (in == NULL || PEM_read_bio(in, &name, &header, &data, &len) != 1 ||
	    (strcmp(name, COSIGN_PEM) != 0 && strcmp(name, COSIGN_PEM_OLD) != 0))
		(void)err_set(e, ERR_VERIFY, "is no key file of cosign's");
	else
		rc = jval_parse((const char *)data, (size_t)len, "key file", &v, e);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(data);
	BIO_free(in);
	ERR_clear_error();
	if (rc != 0 || unseal(v, pass, &plain, e) != 0)
		return -1;
	return from_pkcs8(&plain, ret, e);
}

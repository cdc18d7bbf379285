#include "sign/authenticode.h"

#include "form/pe.h"
#include "sign/pkey.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CERTS_BYTES_MAX = 64 << 10,
	CERTS_MAX = 8,
	BITS_LEAST = 2048,
	SIGNATURE_MAX = 256 << 10,
	CHUNK = 1 << 18,
	/* WIN_CERTIFICATE */
	CERT_HEAD = 8,
	CERT_REVISION = 0x0200,
	CERT_PKCS7 = 2,
	CERT_ALIGN = 8,
};

#define SPC_INDIRECT_DATA "1.3.6.1.4.1.311.2.1.4"

/* SpcIndirectDataContent up to the digest: SpcPeImageData with no flags and the file's name
 * "<<<Obsolete>>>" in UTF-16, and SHA-256. */
static const uint8_t content_head[] = {
    0x30, 0x68, 0x30, 0x33, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01,
    0x0f, 0x30, 0x25, 0x03, 0x01, 0x00, 0xa0, 0x20, 0xa2, 0x1e, 0x80, 0x1c, 0x00, '<',  0x00,
    '<',  0x00, '<',  0x00, 'O',  0x00, 'b',  0x00, 's',  0x00, 'o',  0x00, 'l',  0x00, 'e',
    0x00, 't',  0x00, 'e',  0x00, '>',  0x00, '>',  0x00, '>',  0x30, 0x31, 0x30, 0x0d, 0x06,
    0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

/* Of the content its first two bytes, tag and length, are not what is hashed (PKCS#7, 9.3). */
enum { CONTENT_BYTES = sizeof(content_head) + DIGEST_BYTES, CONTENT_TAG = 2 };

struct authenticode {
	EVP_PKEY *pkey;
	X509 *certs[CERTS_MAX]; /* the key's own first */
	size_t n;
};

void authenticode_free(struct authenticode *a)
{
	if (a == NULL)
		return;
	EVP_PKEY_free(a->pkey); /* wipes the private number */
	for (size_t i = 0; i < a->n; i++)
		X509_free(a->certs[i]);
	free(a);
}

void authenticode_freep(struct authenticode **a)
{
	authenticode_free(*a);
	*a = NULL;
}

static int read_certs(const char *path, struct authenticode *a, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(CERTS_BYTES_MAX);
	X509 *cert = NULL;
	BIO *in;

	if (fs_get_file(AT_FDCWD, path, &b, e) != 0)
		return err_in(e, "certificate");
	in = BIO_new_mem_buf(b.data, (int)b.len);
	while (in != NULL && a->n < CERTS_MAX &&
	       (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL)
		a->certs[a->n++] = cert;
	BIO_free(in);
	ERR_clear_error();
	if (a->n > 0)
		return 0;
	(void)err_set(e, ERR_VERIFY, "%s: no certificate", path);
	return err_hint(e, "It wants PEM: openssl x509 -inform DER makes it of the other form.");
}

static int check(const struct authenticode_files *f, const struct authenticode *a, struct err *e)
{
	if (EVP_PKEY_is_a(a->pkey, "RSA") != 1 || EVP_PKEY_get_bits(a->pkey) < BITS_LEAST) {
		(void)err_set(e, ERR_VERIFY, "key %s: firmware would not take it", f->key);
		return err_hint(e, "It wants RSA, of %d bits or more.", BITS_LEAST);
	}
	if (X509_check_private_key(a->certs[0], a->pkey) == 1)
		return 0;
	ERR_clear_error();
	return err_set(e, ERR_VERIFY, "%s: is not the certificate of %s", f->cert, f->key);
}

int authenticode_open(const struct authenticode_files *f, struct authenticode **ret, struct err *e)
{
	struct authenticode *a SCOPED(authenticode_freep) = mem_zalloc(sizeof(*a));

	if (key_read(f->key, f->passphrase, &a->pkey, e) != 0 || read_certs(f->cert, a, e) != 0 ||
	    check(f, a, e) != 0)
		return -1;
	*ret = STEAL(a);
	return 0;
}

/* Reads up to n bytes from byte `at` on; fewer when the file ends. */
static int read_at(int fd, void *p, size_t n, uint64_t at, size_t *ret, struct err *e)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, (char *)p + done, n - done, (off_t)(at + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "read the program");
		if (got == 0)
			break;
		done += (size_t)got;
	}
	*ret = done;
	return 0;
}

static int write_at(int fd, const void *p, size_t n, uint64_t at, struct err *e)
{
	return pwrite(fd, p, n, (off_t)at) == (ssize_t)n ? 0 : err_sys(e, "sign the program");
}

/* All of it but its checksum and where its certificates are. */
static int hash_program(int fd, const struct pe *pe, const uint8_t *head, struct digest *ret,
			struct err *e)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	char *chunk SCOPED(mem_freep) = mem_zalloc(CHUNK);
	const size_t first = pe->checksum + 4, second = pe->security + 8;
	uint64_t at = pe->head;
	size_t n = 1;

	hash_add(h, head, pe->checksum);
	hash_add(h, head + first, pe->security - first);
	hash_add(h, head + second, pe->head - second);
	while (n > 0) {
		if (read_at(fd, chunk, CHUNK, at, &n, e) != 0)
			return -1;
		hash_add(h, chunk, n);
		at += n;
	}
	if (at != pe->end || at % CERT_ALIGN != 0)
		return err_set(e, ERR_RECIPE, "there is something behind the program's sections");
	*ret = hash_final(h);
	return 0;
}

static void p7_freep(PKCS7 **p)
{
	PKCS7_free(*p);
}

static bool set_content(PKCS7 *p7, const uint8_t *content)
{
	PKCS7 *c = PKCS7_new();
	ASN1_STRING *s = ASN1_STRING_new();

	if (c != NULL && s != NULL && ASN1_STRING_set(s, content, CONTENT_BYTES) == 1 &&
	    (c->d.other = ASN1_TYPE_new()) != NULL) {
		c->type = OBJ_txt2obj(SPC_INDIRECT_DATA, 1);
		ASN1_TYPE_set(c->d.other, V_ASN1_SEQUENCE, s);
		if (c->type != NULL && PKCS7_set_content(p7, c) == 1)
			return true;
		s = NULL;
	}
	ASN1_STRING_free(s);
	PKCS7_free(c);
	return false;
}

/* What is signed beside the content's digest; its time is given, for the clock would make other
 * bytes of it each time. */
static bool set_attributes(PKCS7_SIGNER_INFO *si, const uint8_t *content, int64_t time)
{
	const struct digest d = digest_of(content + CONTENT_TAG, CONTENT_BYTES - CONTENT_TAG);
	ASN1_OBJECT *type = OBJ_txt2obj(SPC_INDIRECT_DATA, 1);
	ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)time);

	if (type == NULL || PKCS7_add_attrib_content_type(si, type) != 1) {
		ASN1_OBJECT_free(type);
		ASN1_TIME_free(when);
		return false;
	}
	if (when == NULL || PKCS7_add0_attrib_signing_time(si, when) != 1) {
		ASN1_TIME_free(when);
		return false;
	}
	return PKCS7_add1_attrib_digest(si, d.b, sizeof(d.b)) == 1;
}

static int make_p7(const struct authenticode *a, const uint8_t *content, int64_t time, PKCS7 **ret,
		   struct err *e)
{
	PKCS7 *p7 SCOPED(p7_freep) = PKCS7_new();
	PKCS7_SIGNER_INFO *si = NULL;

	if (p7 != NULL && PKCS7_set_type(p7, NID_pkcs7_signed) == 1)
		si = PKCS7_add_signature(p7, a->certs[0], a->pkey, EVP_sha256());
	for (size_t i = 0; i < a->n && si != NULL; i++)
		si = PKCS7_add_certificate(p7, a->certs[i]) == 1 ? si : NULL;
	if (si == NULL || !set_attributes(si, content, time) || PKCS7_SIGNER_INFO_sign(si) != 1 ||
	    !set_content(p7, content))
		return ssl_err(e, ERR_FAIL, "sign the program");
	*ret = STEAL(p7);
	return 0;
}

static int make(const struct authenticode *a, const struct digest *program, int64_t time,
		struct buf *ret, struct err *e)
{
	PKCS7 *p7 SCOPED(p7_freep) = NULL;
	uint8_t content[CONTENT_BYTES];
	unsigned char *der = NULL;
	int n;

	memcpy(content, content_head, sizeof(content_head));
	memcpy(content + sizeof(content_head), program->b, DIGEST_BYTES);
	if (make_p7(a, content, time, &p7, e) != 0)
		return -1;
	n = i2d_PKCS7(p7, &der);
	if (n <= 0)
		return ssl_err(e, ERR_FAIL, "sign the program");
	buf_add(ret, der, (size_t)n);
	OPENSSL_free(der);
	return 0;
}

/* Behind the program, in a list of one, and where the program says that it is. */
static int attach(int fd, const struct pe *pe, const struct buf *der, struct err *e)
{
	static const char zeros[CERT_ALIGN] = "";
	struct buf b SCOPED(buf_release) = BUF_INIT(SIGNATURE_MAX);
	const size_t n = (CERT_HEAD + der->len + CERT_ALIGN - 1) / CERT_ALIGN * CERT_ALIGN;
	uint8_t head[CERT_HEAD], where[8];

	pe_put32(head, (uint32_t)n);
	pe_put16(head + 4, CERT_REVISION);
	pe_put16(head + 6, CERT_PKCS7);
	buf_add(&b, head, sizeof(head));
	buf_add(&b, der->data, der->len);
	buf_add(&b, zeros, n - CERT_HEAD - der->len);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "the program's certificates are too large");
	pe_put32(where, pe->end);
	pe_put32(where + 4, (uint32_t)n);
	return write_at(fd, b.data, b.len, pe->end, e) != 0
		   ? -1
		   : write_at(fd, where, sizeof(where), pe->security, e);
}

int authenticode_sign(const struct authenticode *a, int fd, int64_t time, struct err *e)
{
	uint8_t *head SCOPED(mem_freep) = mem_zalloc(PE_HEAD_MAX);
	struct buf der SCOPED(buf_release) = BUF_INIT(SIGNATURE_MAX);
	struct digest program;
	struct pe pe;
	size_t n;

	if (read_at(fd, head, PE_HEAD_MAX, 0, &n, e) != 0 || pe_parse(head, n, &pe, e) != 0)
		return -1;
	if (pe.certificates != 0)
		return err_set(e, ERR_RECIPE, "the program is signed already");
	if (hash_program(fd, &pe, head, &program, e) != 0 || make(a, &program, time, &der, e) != 0)
		return -1;
	return attach(fd, &pe, &der, e);
}

#include "sign/pkey.h"
#include "sign/signer.h"

#include "base/log.h"
#include "form/json.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PEM_MAX = 64 << 10, META_MAX = 64 << 10 };

/* SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING (66 bytes, none unused) }; the
 * point follows. */
static const uint8_t spki_head[POINT_AT] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
					    0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
					    0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

/* One PEM block; wiped when released, whatever it was. */
struct pem {
	char *name, *header;
	unsigned char *data;
	long len;
};

static void pem_release(struct pem *p)
{
	OPENSSL_secure_free(p->name);
	OPENSSL_secure_free(p->header);
	if (p->data != NULL)
		OPENSSL_secure_clear_free(p->data, (size_t)p->len);
}

static void bio_freep(BIO **b)
{
	BIO_free(*b);
}

static void info_freep(PKCS8_PRIV_KEY_INFO **p)
{
	PKCS8_PRIV_KEY_INFO_free(*p);
}

static void sealed_freep(X509_SIG **p)
{
	X509_SIG_free(*p);
}

void pkey_freep(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}

/* Bytes of a key file, wiped when released. */
struct secret {
	char *p;
	size_t n;
};

static void secret_release(struct secret *s)
{
	if (s->p != NULL)
		OPENSSL_cleanse(s->p, s->n);
	free(s->p);
}

static int read_pem(const void *p, size_t n, struct pem *ret)
{
	BIO *b SCOPED(bio_freep) = BIO_new_mem_buf(p, (int)n);
	int rc = b != NULL && PEM_read_bio_ex(b, &ret->name, &ret->header, &ret->data, &ret->len,
					      PEM_FLAG_SECURE) == 1;

	ERR_clear_error();
	return rc ? 0 : -1;
}

int public_parse(const uint8_t *der, size_t n, const char *what, struct sign_public **ret,
		 struct err *e)
{
	EVP_PKEY *pkey SCOPED(pkey_freep) = NULL;
	const unsigned char *at = der;
	struct sign_public *k;

	if (n != SPKI_BYTES || memcmp(der, spki_head, POINT_AT) != 0 || der[POINT_AT] != 0x04) {
		(void)err_set(e, ERR_VERIFY, "%s: not a P-256 public key", what);
		return err_hint(e, "use a key that posmedia key new made");
	}
	pkey = d2i_PUBKEY(NULL, &at, (long)n);
	if (pkey == NULL)
		return ssl_err(e, ERR_VERIFY, "%s: not a point of the curve", what);
	k = mem_zalloc(sizeof(*k));
	memcpy(k->spki, der, SPKI_BYTES);
	k->pkey = STEAL(pkey);
	*ret = k;
	return 0;
}

int sign_public_load(const char *path, struct sign_public **ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(PEM_MAX);
	struct pem pem SCOPED(pem_release) = {0};

	if (fs_get(AT_FDCWD, path, &b, e) != 0)
		return err_in(e, "public key");
	if (read_pem(b.data, b.len, &pem) != 0 || strcmp(pem.name, "PUBLIC KEY") != 0 ||
	    pem.header[0] != '\0') {
		(void)err_set(e, ERR_VERIFY, "%s: no PEM block \"PUBLIC KEY\"", path);
		return err_hint(e, "name the .pub file that posmedia key new made");
	}
	return public_parse(pem.data, (size_t)pem.len, path, ret, e);
}

void sign_public_free(struct sign_public *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

void sign_public_freep(struct sign_public **k)
{
	sign_public_free(*k);
	*k = NULL;
}

struct digest sign_public_id(const struct sign_public *k)
{
	return digest_of(k->spki, SPKI_BYTES);
}

void sign_key_free(struct sign_key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->pkey); /* wipes the private number */
	sign_public_free(k->pub);
	signer_free(k->signer);
	free(k);
}

void sign_key_freep(struct sign_key **k)
{
	sign_key_free(*k);
	*k = NULL;
}

const struct sign_public *sign_key_public(const struct sign_key *k)
{
	return k->pub;
}

void sign_key_stamps(struct sign_key *k, const struct sign_stamper *s)
{
	k->stamper = s;
}

void sign_key_certified(struct sign_key *k, const struct sign_chain *c)
{
	k->chain = c;
}

static int halves_fit(EVP_PKEY *pkey)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(pkey, NULL);
	int good = c != NULL && EVP_PKEY_pairwise_check(c) == 1;

	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return good;
}

int key_wrap(EVP_PKEY *pkey, int64_t created, const char *what, struct sign_key **ret,
	     struct err *e)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(pkey, &der);
	struct sign_public *pub = NULL;
	struct sign_key *k;
	int rc;

	if (n < 0)
		return ssl_err(e, ERR_VERIFY, "%s: no public half", what);
	rc = public_parse(der, (size_t)n, what, &pub, e);
	OPENSSL_free(der);
	if (rc != 0)
		return -1;
	if (!halves_fit(pkey)) {
		sign_public_free(pub);
		return err_set(e, ERR_VERIFY, "%s: its two halves do not belong together", what);
	}
	k = mem_zalloc(sizeof(*k));
	k->pkey = pkey;
	k->pub = pub;
	k->created = created;
	*ret = k;
	return 0;
}

/* Who else may point us at another file, or read this one, decides what we sign with. */
static int open_private(const char *path, int *ret_fd, size_t *ret_size, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	struct stat st;

	if (lstat(path, &st) != 0)
		return err_sys(e, "key %s", path);
	if (S_ISLNK(st.st_mode) && st.st_uid != geteuid() && st.st_uid != 0) {
		(void)err_set(e, ERR_VERIFY, "key %s: a symbolic link of another user", path);
		return err_hint(e, "name the file itself");
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "key %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > PEM_MAX)
		return err_set(e, ERR_VERIFY, "key %s: not a key file", path);
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
		(void)err_set(e, ERR_VERIFY, "key %s: mode %04o lets others in", path,
			      (unsigned)(st.st_mode & 07777));
		return err_hint(e, "run: chmod 600 %s", path);
	}
	*ret_fd = STEAL_FD(fd);
	*ret_size = (size_t)st.st_size;
	return 0;
}

static int unseal(const struct pem *pem, const char *pass, const char *path,
		  PKCS8_PRIV_KEY_INFO **ret, struct err *e)
{
	const unsigned char *at = pem->data;
	X509_SIG *sealed SCOPED(sealed_freep) = NULL;

	if (pass == NULL) {
		(void)err_set(e, ERR_VERIFY, "key %s: needs a passphrase", path);
		return err_hint(e, "name the file that holds it");
	}
	sealed = d2i_X509_SIG(NULL, &at, pem->len);
	if (sealed == NULL)
		return ssl_err(e, ERR_VERIFY, "key %s: damaged", path);
	*ret = PKCS8_decrypt(sealed, pass, (int)strlen(pass));
	ERR_clear_error();
	if (*ret != NULL)
		return 0;
	(void)err_set(e, ERR_VERIFY, "key %s: wrong passphrase, or a damaged file", path);
	return err_hint(e, "look for a stray newline or blank in the passphrase file");
}

static int no_key(const char *path, struct err *e)
{
	(void)err_set(e, ERR_VERIFY, "key %s: not a PKCS#8 private key", path);
	return err_hint(e, "make one with posmedia key new; of a key that there is, openssl pkcs8 "
			   "-topk8 gives that form");
}

static int unpack(const struct pem *pem, const char *pass, const char *path, EVP_PKEY **ret,
		  struct err *e)
{
	PKCS8_PRIV_KEY_INFO *info SCOPED(info_freep) = NULL;
	const unsigned char *at = pem->data;

	if (strcmp(pem->name, PEM_STRING_PKCS8) == 0) {
		if (unseal(pem, pass, path, &info, e) != 0)
			return -1;
	} else if (strcmp(pem->name, PEM_STRING_PKCS8INF) == 0) {
		if (pass != NULL)
			log_warn("key %s is not encrypted; its passphrase is not used", path);
		info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, pem->len);
	}
	*ret = info == NULL ? NULL : EVP_PKCS82PKEY(info);
	ERR_clear_error();
	if (*ret != NULL)
		return 0;
	return no_key(path, e);
}

int key_read(const char *path, const char *pass, EVP_PKEY **ret, struct err *e)
{
	struct secret text SCOPED(secret_release) = {0};
	struct pem pem SCOPED(pem_release) = {0};
	int fd SCOPED(fd_closep) = -1;

	if (open_private(path, &fd, &text.n, e) != 0)
		return -1;
	text.p = mem_zalloc(text.n + 1);
	if (fs_read_all(fd, text.p, text.n, e) != 0)
		return err_in(e, "key %s", path);
	if (read_pem(text.p, text.n, &pem) != 0 || pem.header[0] != '\0')
		return no_key(path, e);
	return unpack(&pem, pass, path, ret, e);
}

int sign_key_load(const char *path, const char *passphrase, struct sign_key **ret, struct err *e)
{
	EVP_PKEY *pkey SCOPED(pkey_freep) = NULL;
	int64_t created;

	if (key_read(path, passphrase, &pkey, e) != 0 ||
	    sign_key_about(path, &created, NULL, e) != 0 ||
	    key_wrap(pkey, created, path, ret, e) != 0)
		return -1;
	pkey = NULL;
	return 0;
}

int sign_key_about(const char *path, int64_t *ret_created, char **ret_uid, struct err *e)
{
	char *file SCOPED(mem_freep) = mem_format("%s.json", path);
	struct buf b SCOPED(buf_release) = BUF_INIT(META_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	const char *uid;
	int64_t created;

	if (fs_get(AT_FDCWD, file, &b, e) != 0) {
		(void)err_in(e, "key %s", path);
		return err_hint(e, "bring the .json that posmedia key new made beside the key");
	}
	if (jval_parse(b.data, b.len, file, &v, e) != 0)
		return -1;
	uid = jval_get_str(v, "uid");
	if (jval_get_int(v, "created", &created) != 0 || created < 0 || created > UINT32_MAX ||
	    uid == NULL)
		return err_set(e, ERR_RECIPE, "%s:1:1: wants created (seconds) and uid", file);
	*ret_created = created;
	if (ret_uid != NULL)
		*ret_uid = mem_strdup(uid);
	return 0;
}

#include "sign/pkey.h"

#include "form/json.h"
#include "sign/openpgp.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* scrypt at 16 MiB and five rounds: what OWASP gives as equal to its first choice, and below the
 * 32 MiB at which OpenSSL stops reading. */
enum { SCRYPT_N = 1 << 14, SCRYPT_R = 8, SCRYPT_P = 5, SALT_BYTES = 16 };
enum { UID_MAX = 255, PASS_MAX = 1024, KEYRING_MAX = 4096, KEY_FILE_MAX = 64 << 10 };

/* The private key is last: a key that is there can be used. */
static const char *const suffix[] = {".json", ".pub", ".gpg", ""};
enum { FILES = 4, PRIVATE = 3 };

/* Where the files go. */
struct place {
	int dir;
	char *base;
	const char *path;
};

static void place_release(struct place *p)
{
	fd_closep(&p->dir);
	free(p->base);
}

static void bio_freep(BIO **b)
{
	BIO_free(*b); /* a memory BIO wipes what it held */
}

static bool there(const struct place *p, int i)
{
	char *name SCOPED(mem_freep) = mem_format("%s%s", p->base, suffix[i]);
	struct stat st;

	return fstatat(p->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int check_free(const struct place *p, struct err *e)
{
	if (there(p, PRIVATE)) {
		(void)err_set(e, ERR_BUSY, "key %s: is there already", p->path);
		return err_hint(e, "choose another name; a key is never overwritten");
	}
	for (int i = 0; i < PRIVATE; i++) {
		if (!there(p, i))
			continue;
		(void)err_set(e, ERR_BUSY,
			      "%s%s is there without %s: a key that was not finished, or whose "
			      "private part is kept elsewhere",
			      p->path, suffix[i], p->path);
		return err_hint(e,
				"choose another name, or remove %s.json, .pub and .gpg if no "
				"signature was made with it",
				p->path);
	}
	return 0;
}

/* Removes what an interrupted call left: with the lock held, nobody else is writing these. */
static int sweep(const struct place *p, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};

	if (fs_list(p->dir, ".", &names, e) != 0)
		return -1;
	for (int i = 0; i < FILES; i++) {
		char *left SCOPED(mem_freep) = mem_format(".%s%s.new.", p->base, suffix[i]);

		for (size_t n = 0; n < names.n; n++)
			if (strncmp(names.v[n], left, strlen(left)) == 0 &&
			    unlinkat(p->dir, names.v[n], 0) != 0)
				return err_sys(e, "remove %s", names.v[n]);
	}
	return 0;
}

/* The lock is on the directory itself, so that none is left behind. */
static int open_place(const char *path, struct place *ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(path);

	ret->path = path;
	ret->base = fs_basename(path);
	if (fs_open_dir(AT_FDCWD, dir, &ret->dir, e) != 0)
		return err_in(e, "key %s", path);
	if (flock(ret->dir, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK)
			return err_sys(e, "lock %s", dir);
		(void)err_set(e, ERR_BUSY, "%s: another key is being made there", dir);
		return err_hint(e, "try again in a moment");
	}
	if (sweep(ret, e) != 0)
		return -1;
	return check_free(ret, e);
}

static int check_words(const char *uid, const char *pass, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_text(uid);
	size_t n = strlen(uid);

	if (n == 0 || n > UID_MAX || strcmp(jval_str(v), uid) != 0)
		return err_set(e, ERR_USAGE, "user id: wants 1 to %d bytes of UTF-8", UID_MAX);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)uid[i] < 0x20 || uid[i] == 0x7f)
			return err_set(e, ERR_USAGE, "user id: has a control character");
	if (pass != NULL && (pass[0] == '\0' || strlen(pass) > PASS_MAX))
		return err_set(e, ERR_USAGE, "passphrase: wants 1 to %d bytes", PASS_MAX);
	return 0;
}

static int seal(BIO *out, PKCS8_PRIV_KEY_INFO *info, const char *pass)
{
	X509_ALGOR *how = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), NULL, SALT_BYTES, NULL, SCRYPT_N,
						SCRYPT_R, SCRYPT_P);
	X509_SIG *sealed = how == NULL ? NULL : PKCS8_set0_pbe(pass, (int)strlen(pass), info, how);
	int rc;

	if (sealed == NULL) {
		X509_ALGOR_free(how);
		return -1;
	}
	rc = PEM_write_bio_PKCS8(out, sealed) == 1 ? 0 : -1;
	X509_SIG_free(sealed); /* and the algorithm with it */
	return rc;
}

static int private_pem(BIO *out, const struct sign_key *k, const char *pass, struct err *e)
{
	PKCS8_PRIV_KEY_INFO *info = out == NULL ? NULL : EVP_PKEY2PKCS8(k->pkey);
	int rc = -1;

	if (info != NULL)
		rc = pass != NULL ? seal(out, info, pass)
				  : PEM_write_bio_PKCS8_PRIV_KEY_INFO(out, info) - 1;
	PKCS8_PRIV_KEY_INFO_free(info); /* wipes */
	return rc == 0 ? 0 : ssl_err(e, ERR_FAIL, "write the private key");
}

static int put(const struct place *p, int i, const void *data, size_t n, struct err *e)
{
	char *name SCOPED(mem_freep) = mem_format("%s%s", p->base, suffix[i]);

	return fs_put(p->dir, name, data, n, i == PRIVATE ? 0600 : 0644, e);
}

static int put_bio(const struct place *p, int i, BIO *b, struct err *e)
{
	char *data;
	long n = BIO_get_mem_data(b, &data);

	return put(p, i, data, (size_t)n, e);
}

static int put_about(const struct place *p, int64_t created, const char *uid, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct buf b SCOPED(buf_release) = BUF_INIT(KEYRING_MAX);

	jval_put_int(v, "created", created);
	jval_put_text(v, "uid", uid);
	jval_write_pretty(v, &b);
	return put(p, 0, b.data, b.len, e);
}

static int put_public(const struct place *p, const struct sign_key *k, struct err *e)
{
	BIO *b SCOPED(bio_freep) = BIO_new(BIO_s_mem());

	if (b == NULL || PEM_write_bio_PUBKEY(b, k->pub->pkey) != 1)
		return ssl_err(e, ERR_FAIL, "write the public key");
	return put_bio(p, 1, b, e);
}

static int put_keyring(const struct place *p, const struct sign_key *k, const char *uid,
		       struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(KEYRING_MAX);

	if (openpgp_keyring(k, uid, &b, e) != 0)
		return -1;
	return put(p, 2, b.data, b.len, e);
}

static int put_all(const struct place *p, const struct sign_key *k, const char *uid, BIO *private,
		   struct err *e)
{
	if (put_about(p, k->created, uid, e) == 0 && put_public(p, k, e) == 0 &&
	    put_keyring(p, k, uid, e) == 0 && put_bio(p, PRIVATE, private, e) == 0)
		return 0;
	for (int i = FILES; i-- > 0;) {
		char *name SCOPED(mem_freep) = mem_format("%s%s", p->base, suffix[i]);

		(void)unlinkat(p->dir, name, 0);
	}
	return err_in(e, "key %s", p->path);
}

/* Writes all files of a key, which is taken over. */
static int put_key(const struct place *place, EVP_PKEY *pkey, const char *uid, const char *pass,
		   struct err *e)
{
	struct sign_key *k SCOPED(sign_key_freep) = NULL;
	BIO *private SCOPED(bio_freep) = BIO_new(BIO_s_mem());

	if (key_wrap(pkey, clock_epoch_s(), place->path, &k, e) != 0) {
		EVP_PKEY_free(pkey);
		return -1;
	}
	if (k->created < 0 || k->created > UINT32_MAX)
		return err_set(e, ERR_FAIL, "the clock is outside of what OpenPGP can write");
	if (private_pem(private, k, pass, e) != 0)
		return -1;
	return put_all(place, k, uid, private, e);
}

int sign_key_new(const char *path, const char *uid, const char *passphrase, struct err *e)
{
	struct place place SCOPED(place_release) = {.dir = -1};
	EVP_PKEY *pkey;

	if (check_words(uid, passphrase, e) != 0 || open_place(path, &place, e) != 0)
		return -1;
	pkey = EVP_EC_gen("P-256");
	if (pkey == NULL)
		return ssl_err(e, ERR_FAIL, "make a key");
	return put_key(&place, pkey, uid, passphrase, e);
}

int sign_key_import(const char *path, const char *from, const char *uid, const char *passphrase,
		    struct err *e)
{
	struct place place SCOPED(place_release) = {.dir = -1};
	struct buf b SCOPED(buf_release) = BUF_INIT(KEY_FILE_MAX);
	EVP_PKEY *pkey = NULL;

	if (passphrase == NULL) {
		(void)err_set(e, ERR_USAGE, "a key of cosign's wants its passphrase");
		return err_hint(e, "name the file that holds it: --passphrase-file");
	}
	if (check_words(uid, passphrase, e) != 0 || open_place(path, &place, e) != 0 ||
	    fs_get_file(AT_FDCWD, from, &b, e) != 0)
		return -1;
	if (key_from_cosign(b.data, b.len, passphrase, &pkey, e) != 0)
		return err_in(e, "key %s", from);
	return put_key(&place, pkey, uid, passphrase, e);
}

int sign_key_to_pkcs8(const struct sign_key *k, const char *passphrase, struct buf *ret,
		      struct err *e)
{
	BIO *out SCOPED(bio_freep) = BIO_new(BIO_s_mem());
	char *data;
	long n;

	if (k->pkey == NULL)
		return err_set(e, ERR_USAGE, "the key cannot be taken out");
	if (private_pem(out, k, passphrase, e) != 0)
		return -1;
	n = BIO_get_mem_data(out, &data);
	buf_add(ret, data, (size_t)n);
	return 0;
}

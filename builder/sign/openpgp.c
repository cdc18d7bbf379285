#include "sign/openpgp.h"

#include <openssl/evp.h>
#include <string.h>

static void add_u16(struct buf *b, size_t v)
{
	const uint8_t be[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	buf_add(b, be, sizeof(be));
}

static void add_u32(struct buf *b, uint64_t v)
{
	add_u16(b, v >> 16 & 0xffff);
	add_u16(b, v & 0xffff);
}

static void add_byte(struct buf *b, int v)
{
	const uint8_t byte = (uint8_t)v;

	buf_add(b, &byte, 1);
}

void pgp_packet(int tag, size_t n, struct buf *out)
{
	add_byte(out, 0xc0 | tag);
	if (n < 192) {
		add_byte(out, (int)n);
	} else if (n < 8384) {
		add_u16(out, n - 192 + (192 << 8));
	} else {
		add_byte(out, 0xff);
		add_u32(out, n);
	}
}

void pgp_mpi(const uint8_t *p, size_t n, struct buf *out)
{
	size_t bits;

	while (n > 1 && *p == 0) {
		p++;
		n--;
	}
	bits = n * 8;
	for (int top = 0x80; top > *p && bits > 0; top >>= 1)
		bits--;
	add_u16(out, bits);
	buf_add(out, p, n);
}

static void key_body(const struct sign_public *k, int64_t created, struct buf *out)
{
	static const uint8_t curve[] = {PGP_ECDSA, 8,    0x2a, 0x86, 0x48,
					0xce,      0x3d, 0x03, 0x01, 0x07};

	add_byte(out, 4);
	add_u32(out, (uint64_t)created);
	buf_add(out, curve, sizeof(curve));
	pgp_mpi(k->spki + POINT_AT, POINT_BYTES, out);
}

static void hashed_key(const struct sign_public *k, int64_t created, struct buf *out)
{
	struct buf body SCOPED(buf_release) = BUF_INIT(256);

	key_body(k, created, &body);
	add_byte(out, 0x99);
	add_u16(out, body.len);
	buf_add(out, body.data, body.len);
}

struct pgp_fpr pgp_fingerprint(const struct sign_public *k, int64_t created)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(256);
	struct pgp_fpr fpr = {{0}};

	/* names the key and secures nothing: version 4 of OpenPGP knows no other hash for it */
	hashed_key(k, created, &b);
	(void)EVP_Digest(b.data, b.len, fpr.b, NULL, EVP_sha1(), NULL);
	return fpr;
}

char *sign_openpgp_fingerprint(const struct sign_public *k, int64_t created)
{
	struct pgp_fpr fpr = pgp_fingerprint(k, created);
	char *s = mem_zalloc(2 * PGP_FPR_BYTES + 1);

	for (size_t i = 0; i < PGP_FPR_BYTES; i++) {
		s[2 * i] = "0123456789ABCDEF"[fpr.b[i] >> 4];
		s[2 * i + 1] = "0123456789ABCDEF"[fpr.b[i] & 15];
	}
	return s;
}

void pgp_head(int type, const struct pgp_fpr *fpr, int64_t time, struct buf *out)
{
	const bool certify = type == PGP_CERTIFY;

	add_byte(out, 4);
	add_byte(out, type);
	add_byte(out, PGP_ECDSA);
	add_byte(out, PGP_SHA256);
	add_u16(out, certify ? 32 : 29);
	add_byte(out, 22);
	add_byte(out, 33);
	add_byte(out, 4);
	buf_add(out, fpr->b, PGP_FPR_BYTES);
	add_byte(out, 5);
	add_byte(out, 2);
	add_u32(out, (uint64_t)time);
	if (certify)
		buf_add(out, "\x02\x1b\x03", 3); /* may certify and sign */
}

void pgp_tail(const struct pgp_fpr *fpr, const struct digest *hash, struct buf *out)
{
	add_u16(out, 10);
	add_byte(out, 9);
	add_byte(out, 16);
	buf_add(out, fpr->b + PGP_FPR_BYTES - PGP_KEY_ID_BYTES, PGP_KEY_ID_BYTES);
	buf_add(out, hash->b, 2);
}

void pgp_trailer(const void *head, size_t n, struct buf *out)
{
	buf_add(out, head, n);
	add_byte(out, 4);
	add_byte(out, 0xff);
	add_u32(out, n);
}

/* Appends a signature packet over the bytes that h has been given. */
static int signature_of(const struct sign_key *k, int type, int64_t time, struct hash *h,
			struct buf *out, struct err *e)
{
	struct pgp_fpr fpr = pgp_fingerprint(k->pub, k->created);
	struct buf body SCOPED(buf_release) = BUF_INIT(256);
	struct buf trailer SCOPED(buf_release) = BUF_INIT(256);
	struct buf der SCOPED(buf_release) = BUF_INIT(ECDSA_DER_MAX);
	uint8_t r[SCALAR_BYTES], s[SCALAR_BYTES];
	struct digest hash;

	pgp_head(type, &fpr, time, &body);
	pgp_trailer(body.data, body.len, &trailer);
	hash_add(h, trailer.data, trailer.len);
	hash = hash_final(h);
	if (sign_digest(k, &hash, &der, e) != 0 || ecdsa_split(der.data, der.len, r, s, e) != 0)
		return -1;
	pgp_tail(&fpr, &hash, &body);
	pgp_mpi(r, sizeof(r), &body);
	pgp_mpi(s, sizeof(s), &body);
	pgp_packet(PGP_SIGNATURE, body.len, out);
	buf_add(out, body.data, body.len);
	return 0;
}

/* The same over bytes in memory. */
static int signature(const struct sign_key *k, int type, int64_t time, const struct buf *hashed,
		     struct buf *out, struct err *e)
{
	struct hash *h SCOPED(hash_freep) = hash_new();

	if (buf_over(hashed))
		return err_set(e, ERR_FAIL, "too large to sign");
	hash_add(h, hashed->data, hashed->len);
	return signature_of(k, type, time, h, out, e);
}

int openpgp_keyring(const struct sign_key *k, const char *uid, struct buf *ret, struct err *e)
{
	struct buf body SCOPED(buf_release) = BUF_INIT(256);
	struct buf hashed SCOPED(buf_release) = BUF_INIT(1024);
	struct buf out SCOPED(buf_release) = BUF_INIT(2048);
	size_t n = strlen(uid);

	key_body(k->pub, k->created, &body);
	pgp_packet(PGP_KEY, body.len, &out);
	buf_add(&out, body.data, body.len);
	pgp_packet(PGP_USER_ID, n, &out);
	buf_add(&out, uid, n);

	hashed_key(k->pub, k->created, &hashed);
	add_byte(&hashed, 0xb4);
	add_u32(&hashed, n);
	buf_add(&hashed, uid, n);
	if (signature(k, PGP_CERTIFY, k->created, &hashed, &out, e) != 0)
		return -1;
	buf_add(ret, out.data, out.len);
	if (buf_over(&out) || buf_over(ret))
		return err_set(e, ERR_FAIL, "the keyring is too large");
	return 0;
}

static void one_pass(const struct pgp_fpr *fpr, struct buf *out)
{
	static const uint8_t head[] = {3, PGP_BINARY, PGP_SHA256, PGP_ECDSA};

	pgp_packet(PGP_ONE_PASS, PGP_ONE_PASS_BYTES, out);
	buf_add(out, head, sizeof(head));
	buf_add(out, fpr->b + PGP_FPR_BYTES - PGP_KEY_ID_BYTES, PGP_KEY_ID_BYTES);
	add_byte(out, 1);
}

static int check_time(const struct sign_key *k, int64_t time, struct err *e)
{
	if (time >= k->created && time <= UINT32_MAX)
		return 0;
	(void)err_set(e, ERR_FAIL, "sign: the time %lld is before the key was made (%lld)",
		      (long long)time, (long long)k->created);
	return err_hint(e, "unset SOURCE_DATE_EPOCH, or set the clock");
}

int sign_openpgp(const struct sign_key *k, const void *payload, size_t n, int64_t timestamp,
		 struct buf *ret, struct err *e)
{
	struct pgp_fpr fpr = pgp_fingerprint(k->pub, k->created);
	struct buf out SCOPED(buf_release) = BUF_INIT(PGP_MESSAGE_MAX);
	struct buf hashed SCOPED(buf_release) = BUF_INIT(PGP_MESSAGE_MAX);

	if (check_time(k, timestamp, e) != 0)
		return -1;
	one_pass(&fpr, &out);
	pgp_packet(PGP_LITERAL, PGP_LITERAL_HEAD + n, &out);
	buf_add(&out, "b\0\0\0\0\0", PGP_LITERAL_HEAD);
	buf_add(&out, payload, n);
	buf_add(&hashed, payload, n);
	if (signature(k, PGP_BINARY, timestamp, &hashed, &out, e) != 0)
		return -1;
	buf_add(ret, out.data, out.len);
	if (buf_over(&out) || buf_over(ret))
		return err_set(e, ERR_FAIL, "too large to sign");
	return 0;
}

int openpgp_detached(const struct sign_key *k, int64_t timestamp, struct hash *h, struct buf *ret,
		     struct err *e)
{
	if (check_time(k, timestamp, e) != 0)
		return -1;
	return signature_of(k, PGP_BINARY, timestamp, h, ret, e);
}

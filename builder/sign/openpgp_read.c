#include "sign/openpgp.h"

#include <string.h>

/* What is left to read. Every take is checked against n. */
struct span {
	const uint8_t *p;
	size_t n;
};

static int bad(struct err *e, const char *what)
{
	return err_set(e, ERR_VERIFY, "OpenPGP message: %s", what);
}

static const uint8_t *take(struct span *s, size_t n)
{
	const uint8_t *at = s->p;

	if (s->n < n)
		return NULL;
	s->p += n;
	s->n -= n;
	return at;
}

/* Reads a new-format length (RFC 4880, 4.2.2) that is no longer than it has to be. */
static int read_length(struct span *s, size_t *ret, struct err *e)
{
	const uint8_t *a = take(s, 1);
	const uint8_t *more;

	if (a == NULL)
		return bad(e, "cut short");
	if (*a >= 224 && *a < 255)
		return bad(e, "a packet of partial lengths");
	more = take(s, *a < 192 ? 0 : *a < 224 ? 1 : 4);
	if (more == NULL)
		return bad(e, "cut short");
	if (*a < 192)
		*ret = *a;
	else if (*a < 224)
		*ret = ((size_t)(*a - 192) << 8) + *more + 192;
	else
		*ret =
		    (size_t)more[0] << 24 | (size_t)more[1] << 16 | (size_t)more[2] << 8 | more[3];
	return *a == 255 && *ret < 8384 ? bad(e, "a length in more bytes than it needs") : 0;
}

static int read_packet(struct span *s, int tag, struct span *ret, struct err *e)
{
	const uint8_t *head = take(s, 1);
	size_t n = 0;

	if (head == NULL)
		return bad(e, "cut short");
	if ((*head & 0xc0) == 0x80)
		return bad(e, "a packet with an old-format header");
	if (*head != (0xc0 | tag)) {
		(void)bad(e, "other packets than one-pass, literal data and signature");
		return err_hint(e, "sign with posmedia sign; other programs compress or encrypt");
	}
	if (read_length(s, &n, e) != 0)
		return -1;
	ret->p = take(s, n);
	ret->n = n;
	return ret->p == NULL ? bad(e, "cut short") : 0;
}

static int read_one_pass(struct span *msg, const uint8_t **ret_id, struct err *e)
{
	struct span p;

	if (read_packet(msg, PGP_ONE_PASS, &p, e) != 0)
		return -1;
	if (p.n != PGP_ONE_PASS_BYTES || p.p[0] != 3 || p.p[PGP_ONE_PASS_BYTES - 1] != 1)
		return bad(e, "the one-pass packet is not of version 3");
	if (p.p[1] != PGP_BINARY)
		return bad(e, "a signature of another type than over binary data");
	if (p.p[2] != PGP_SHA256 || p.p[3] != PGP_ECDSA)
		return bad(e, "another algorithm than ECDSA with SHA-256");
	*ret_id = p.p + 4;
	return 0;
}

static int read_literal(struct span *msg, struct span *ret, struct err *e)
{
	if (read_packet(msg, PGP_LITERAL, ret, e) != 0)
		return -1;
	if (ret->n < PGP_LITERAL_HEAD || memcmp(ret->p, "b\0\0\0\0\0", PGP_LITERAL_HEAD) != 0)
		return bad(e, "the literal data has a name, a date or a text mode");
	(void)take(ret, PGP_LITERAL_HEAD);
	return 0;
}

/* Reads an MPI into 32 bytes; its bit count must be exact. */
static int read_mpi(struct span *s, uint8_t out[SCALAR_BYTES], struct err *e)
{
	const uint8_t *head = take(s, 2);
	size_t bits = head == NULL ? 0 : (size_t)head[0] << 8 | head[1];
	size_t n = (bits + 7) / 8;
	const uint8_t *p = bits == 0 || n > SCALAR_BYTES ? NULL : take(s, n);
	unsigned top = (unsigned)((bits - 1) % 8);

	if (p == NULL)
		return bad(e, "a number of the wrong size");
	if (p[0] >> top != 1)
		return bad(e, "a number with a wrong count of bits");
	memset(out, 0, SCALAR_BYTES - n);
	memcpy(out + SCALAR_BYTES - n, p, n);
	return 0;
}

/* A signature packet in parts; head and tail are borrowed. */
struct parts {
	struct pgp_fpr fpr;
	const uint8_t *head; /* PGP_HEAD_BYTES */
	const uint8_t *tail;
	uint8_t r[SCALAR_BYTES], s[SCALAR_BYTES];
};

static int64_t time_of(const uint8_t *head)
{
	const uint8_t *t = head + PGP_TIME_AT;

	return (int64_t)t[0] << 24 | t[1] << 16 | t[2] << 8 | t[3];
}

/* The fingerprint and the time are the only bytes of the head that may differ from message to
 * message: write it again with them and compare. */
static int read_signature(struct span *msg, struct parts *ret, struct err *e)
{
	struct buf same SCOPED(buf_release) = BUF_INIT(PGP_HEAD_BYTES);
	struct span p;
	const uint8_t *head;

	if (read_packet(msg, PGP_SIGNATURE, &p, e) != 0)
		return -1;
	if (msg->n != 0)
		return bad(e, "bytes after the signature");
	head = take(&p, PGP_HEAD_BYTES);
	ret->tail = take(&p, PGP_TAIL_BYTES);
	if (head == NULL || ret->tail == NULL)
		return bad(e, "cut short");
	ret->head = head;
	memcpy(ret->fpr.b, head + PGP_FPR_AT, PGP_FPR_BYTES);
	pgp_head(PGP_BINARY, &ret->fpr, time_of(head), &same);
	if (memcmp(ret->head, same.data, PGP_HEAD_BYTES) != 0)
		return bad(e, "a signature of another version, type or algorithm, or with other "
			      "subpackets");
	if (read_mpi(&p, ret->r, e) != 0 || read_mpi(&p, ret->s, e) != 0)
		return -1;
	return p.n == 0 ? 0 : bad(e, "bytes after the numbers");
}

/* Checks a signature of the bytes that h has been given. */
static int check_parts(const struct sign_public *k, struct hash *h, const struct parts *sig,
		       struct err *e)
{
	struct buf trailer SCOPED(buf_release) = BUF_INIT(256);
	struct buf tail SCOPED(buf_release) = BUF_INIT(PGP_TAIL_BYTES);
	struct buf der SCOPED(buf_release) = BUF_INIT(ECDSA_DER_MAX);
	struct digest hash;

	pgp_trailer(sig->head, PGP_HEAD_BYTES, &trailer);
	hash_add(h, trailer.data, trailer.len);
	hash = hash_final(h);
	pgp_tail(&sig->fpr, &hash, &tail);
	if (memcmp(sig->tail, tail.data, PGP_TAIL_BYTES) != 0)
		return bad(e, "the hash or the key id does not fit");
	if (ecdsa_join(sig->r, sig->s, &der, e) != 0 ||
	    sign_verify_digest(k, &hash, der.data, der.len, e) != 0)
		return err_in(e, "OpenPGP message");
	return 0;
}

int openpgp_detached_check(const struct sign_public *k, const struct buf *msg, struct hash *h,
			   int64_t *ret_time, struct err *e)
{
	struct span all = {(const uint8_t *)msg->data, msg->len};
	struct parts sig;

	if (read_signature(&all, &sig, e) != 0 || check_parts(k, h, &sig, e) != 0)
		return -1;
	*ret_time = time_of(sig.head);
	return 0;
}

int sign_openpgp_open(const struct sign_public *k, const void *msg, size_t n,
		      struct buf *ret_payload, struct err *e)
{
	struct span all = {msg, n}, payload = {0};
	struct parts sig;
	struct hash *h SCOPED(hash_freep) = hash_new();
	const uint8_t *id = NULL;

	if (n > PGP_MESSAGE_MAX)
		return bad(e, "larger than 4 MiB");
	if (read_one_pass(&all, &id, e) != 0 || read_literal(&all, &payload, e) != 0 ||
	    read_signature(&all, &sig, e) != 0)
		return -1;
	if (memcmp(id, sig.fpr.b + PGP_FPR_BYTES - PGP_KEY_ID_BYTES, PGP_KEY_ID_BYTES) != 0)
		return bad(e, "two different key ids");
	hash_add(h, payload.p, payload.n);
	if (check_parts(k, h, &sig, e) != 0)
		return -1;
	buf_add(ret_payload, payload.p, payload.n);
	return buf_over(ret_payload) ? bad(e, "too large") : 0;
}

/* openpgp.h - the few OpenPGP packets that we write and read back (RFC 4880, RFC 6637); for the
 * files of sign/ only.
 *
 * A message is three packets in this order, each with a new-format header:
 *   4  one-pass   03, type 00, SHA-256, ECDSA, key id, 01
 *   11 literal    'b', no name, no date, payload
 *   2  signature  version 4, as struct pgp_sig below
 * Nothing in them is free to vary, so the reader refuses what the writer would not have written. */
#ifndef SIGN_OPENPGP_H
#define SIGN_OPENPGP_H

#include "sign/pkey.h"

enum { PGP_SIGNATURE = 2, PGP_ONE_PASS = 4, PGP_KEY = 6, PGP_LITERAL = 11, PGP_USER_ID = 13 };
enum { PGP_BINARY = 0x00, PGP_CERTIFY = 0x13 }; /* signature types */
enum { PGP_SHA256 = 8, PGP_ECDSA = 19 };
enum { PGP_FPR_BYTES = 20, PGP_KEY_ID_BYTES = 8, PGP_MESSAGE_MAX = 4 << 20 };
enum { PGP_ONE_PASS_BYTES = 13, PGP_LITERAL_HEAD = 6 };

/* A signature packet up to the numbers: head is hashed, tail is not.
 * head: 04, type, ECDSA, SHA-256, length, {33: 04, fingerprint}, {2: time}[, {27: 03}]
 * tail: length, {16: key id}, the first two bytes of the hash */
enum { PGP_HEAD_BYTES = 35, PGP_FPR_AT = 9, PGP_TIME_AT = 31, PGP_TAIL_BYTES = 14 };

/* SHA1(99 || length || key body): RFC 4880, 12.2. */
struct pgp_fpr {
	uint8_t b[PGP_FPR_BYTES];
};
struct pgp_fpr pgp_fingerprint(const struct sign_public *k, int64_t created);

/* Appends head and tail for a fingerprint and time; hash: its first two bytes are used. */
void pgp_head(int type, const struct pgp_fpr *fpr, int64_t time, struct buf *out);
void pgp_tail(const struct pgp_fpr *fpr, const struct digest *hash, struct buf *out);

/* Appends what closes the hashed bytes: head || 04 FF || length of head (RFC 4880, 5.2.4). */
void pgp_trailer(const void *head, size_t n, struct buf *out);

/* Appends a new-format packet header. */
void pgp_packet(int tag, size_t n, struct buf *out);

/* Appends an MPI of the n big-endian bytes. */
void pgp_mpi(const uint8_t *p, size_t n, struct buf *out);

/* The public keyring: key, user id, self-signature. */
int openpgp_keyring(const struct sign_key *k, const char *uid, struct buf *ret,
		    struct err *e) MUST_CHECK;

/* A signature packet alone ("detached") over the bytes that h has been given, which it ends; and
 * its check, which gives the time that the signer says. */
int openpgp_detached(const struct sign_key *k, int64_t timestamp, struct hash *h, struct buf *ret,
		     struct err *e) MUST_CHECK;
int openpgp_detached_check(const struct sign_public *k, const struct buf *msg, struct hash *h,
			   int64_t *ret_time, struct err *e) MUST_CHECK;

#endif

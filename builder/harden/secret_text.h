/* secret_text.h - secrets by what is in a file, whatever it is called. */
#ifndef HARDEN_SECRET_TEXT_H
#define HARDEN_SECRET_TEXT_H

#include "harden/secrets.h"
#include <stddef.h>

/* A file without a zero in so many bytes is a text. */
enum { SECRET_TEXT = 512 };

/* The beginning of a file, or a stretch of it. */
struct secret_look {
	const char *path; /* without leading slash */
	const char *p;
	size_t n;
	uint64_t size; /* of the whole file; 0 = this is no beginning */
};

/* A secret that was seen, and where. */
struct secret_seen {
	enum secret_kind kind;
	const char *what; /* static; a password hash with the strength of its method */
	size_t at;
};

/* Hands out the first secret of each of these kinds (bits of enum secret_kind) in the bytes.
 * Private keys: PEM (RFC 7468), OpenSSH, OpenPGP, PuTTY, SSH.COM, age, minisign, signify,
 * WireGuard, JWK, and in DER PKCS#1, PKCS#8, SEC 1 and PKCS#12; Java key stores.
 * Credentials: keytabs, keys and tokens of services by their marks, pre-shared keys of wireless
 * networks. Hashes: crypt(5) and htpasswd outside of /usr. */
void secret_kinds(const struct secret_look *l, unsigned kinds,
		  void (*fn)(void *ctx, const struct secret_seen *s), void *ctx);

/* Hands out what the name of a file and its beginning show: as secrets_find, one file at a time,
 * the first of each kind, and each row of a file of accounts. */
void secret_each(const struct secret_look *l, void (*fn)(void *ctx, const struct secret_seen *s),
		 void *ctx);

/* The method of a hash of crypt(5) at p and how strong it is, in words; NULL when there is none. A
 * hash of DES has no mark and is known only by its place: `field` says that p is one. */
const char *secret_hash(const char *p, const char *end, bool field);

/* Whether rows of passwd(5) and shadow(5) have a hash in their second field, locked or not. */
bool secret_in_rows(const char *text);

/* Whether a file of secrets has one: a line that is no comment and includes nothing. */
bool secret_in_lines(const char *text);

#endif

#include "harden/secret_text.h"

#include <ctype.h>
#include <string.h>

#define BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#define URL64  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
#define BECH32 "023456789ACDEFGHJKLMNPQRSTUVWXYZ"
#define CRYPT  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./$,="

/* How many bytes from p on are of the set. */
static size_t run_of(const char *p, const char *end, const char *set)
{
	size_t n = 0;

	while (p + n < end && p[n] != '\0' && strchr(set, p[n]) != NULL)
		n++;
	return n;
}

static const char *skip(const char *p, const char *end, const char *set)
{
	return p + run_of(p, end, set);
}

static bool begins(const char *p, const char *end, const char *with)
{
	size_t n = strlen(with);

	return (size_t)(end - p) >= n && memcmp(p, with, n) == 0;
}

/* Whether key bytes follow: a line of base64, or the headers that old encrypted keys have. */
static bool key_follows(const char *p, const char *end)
{
	if (begins(p, end, "\\n"))
		p += 2; /* inside a JSON or shell string */
	while (p < end && isspace((unsigned char)*p))
		p++;
	if (begins(p, end, "Proc-Type:") || begins(p, end, "Version: ") ||
	    begins(p, end, "Comment: "))
		return true;
	return run_of(p, end, BASE64 "=") >= 32;
}

/* After "-----BEGIN " (RFC 7468) or "---- BEGIN " (SSH.COM, RFC 4716). */
static bool armour(const char *at, const char *end)
{
	enum { LABEL_MAX = 60 };
	size_t left = (size_t)(end - at) < LABEL_MAX ? (size_t)(end - at) : LABEL_MAX;
	const char *close = memmem(at, left, "----", 4);

	if (close == NULL || memmem(at, (size_t)(close - at), "PRIVATE KEY", 11) == NULL)
		return false;
	return key_follows(skip(close, end, "-"), end);
}

static bool putty(const char *at, const char *end)
{
	return at < end && (*at == '2' || *at == '3' || *at == '1') &&
	       memmem(at, (size_t)(end - at), "Encryption: ", 12) != NULL;
}

static bool age(const char *at, const char *end)
{
	return run_of(at, end, BECH32) >= 50;
}

static bool base64_line(const char *at, const char *end)
{
	const char *line = memchr(at, '\n', (size_t)(end - at));

	return line != NULL && run_of(line + 1, end, BASE64 "=") >= 60;
}

/* "PrivateKey = " and 32 bytes. */
static bool wireguard(const char *at, const char *end)
{
	at = skip(at, end, " \t");
	if (at == end || *at != '=')
		return false;
	return run_of(skip(at + 1, end, " \t"), end, BASE64) == 43;
}

/* A JSON Web Key with its private part: "d": "...". */
static bool jwk(const char *at, const char *end)
{
	const char *d = memmem(at, (size_t)(end - at), "\"d\"", 3);

	if (d == NULL)
		return false;
	d = skip(d + 3, end, " \t:");
	return d < end && *d == '"' && run_of(d + 1, end, URL64) >= 32;
}

/* Forty characters that are not the example of the manuals. */
static bool cloud_key(const char *at, const char *end)
{
	at = skip(at, end, " \t\"':=");
	return run_of(at, end, BASE64) == 40 && memmem(at, 40, "EXAMPLE", 7) == NULL;
}

static const struct needle {
	const char *text;
	bool (*fits)(const char *after, const char *end);
	enum secret_kind kind;
	const char *what;
} needles[] = {
    {"-----BEGIN ", armour, SECRET_PRIVATE_KEY, "private key"},
    {"---- BEGIN ", armour, SECRET_PRIVATE_KEY, "private key"},
    {"PuTTY-User-Key-File-", putty, SECRET_PRIVATE_KEY, "private key"},
    {"AGE-SECRET-KEY-1", age, SECRET_PRIVATE_KEY, "private key of age"},
    {"untrusted comment: minisign encrypted secret key", base64_line, SECRET_PRIVATE_KEY,
     "private key of minisign"},
    {"untrusted comment: signify secret key", base64_line, SECRET_PRIVATE_KEY,
     "private key of signify"},
    {"PrivateKey", wireguard, SECRET_PRIVATE_KEY, "private key of WireGuard"},
    {"\"kty\"", jwk, SECRET_PRIVATE_KEY, "private JSON web key"},
    {"aws_secret_access_key", cloud_key, SECRET_CREDENTIAL, "credentials of a cloud"},
    {"AWS_SECRET_ACCESS_KEY", cloud_key, SECRET_CREDENTIAL, "credentials of a cloud"},
};

static const struct needle *find_needle(const struct secret_look *l, unsigned kinds)
{
	const char *end = l->p + l->n;

	for (size_t i = 0; i < sizeof(needles) / sizeof(needles[0]); i++) {
		const struct needle *n = &needles[i];
		size_t len = strlen(n->text);
		const char *at = l->p;

		if ((n->kind & kinds) == 0)
			continue;
		while ((at = memmem(at, (size_t)(end - at), n->text, len)) != NULL) {
			at += len;
			if (n->fits(at, end))
				return n;
		}
	}
	return NULL;
}

/* One DER header at p: its length as *ret_body; returns the bytes of the header, 0 when it is none
 * (X.690, 8.1). */
static size_t der(const uint8_t *p, size_t n, uint64_t *ret_body)
{
	size_t bytes;
	uint64_t len = 0;

	if (n < 2)
		return 0;
	if (p[1] < 0x80) {
		*ret_body = p[1];
		return 2;
	}
	bytes = p[1] & 0x7f;
	if (bytes == 0 || bytes > 4 || n < 2 + bytes)
		return 0;
	for (size_t i = 0; i < bytes; i++)
		len = len << 8 | p[2 + i];
	*ret_body = len;
	return 2 + bytes;
}

/* What stands after the version number: RFC 8017 A.1.2, RFC 5958, RFC 5915, RFC 7292. */
static const char *der_version(uint8_t version, const uint8_t *next, size_t n)
{
	uint64_t len = 0;
	size_t head = der(next, n, &len);
	bool names, number, octets;

	if (head == 0 || n <= head)
		return NULL;
	names = next[0] == 0x30 && next[head] == 0x06; /* an algorithm */
	number = next[0] == 0x02 && len >= 32;
	octets = next[0] == 0x04 && len >= 20 && len <= 66;
	if (version == 3)
		return names ? "key store" : NULL;
	if (version == 0)
		return names || number ? "private key" : NULL;
	return version == 1 && (names || octets) ? "private key" : NULL;
}

/* An encrypted PKCS#8 key: an algorithm for encryption by password, then the bytes. */
static bool der_encrypted(const uint8_t *p, size_t n)
{
	static const uint8_t pkcs5[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05},
			     pkcs12[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01};
	uint64_t len = 0, oid = 0;
	size_t head = der(p, n, &len);
	const uint8_t *at;

	if (head == 0 || p[0] != 0x30 || n < head + 2 + sizeof(pkcs12) || p[head] != 0x06)
		return false;
	at = p + head + der(p + head, n - head, &oid);
	return memcmp(at, pkcs5, sizeof(pkcs5)) == 0 || memcmp(at, pkcs12, sizeof(pkcs12)) == 0;
}

/* The file is one SEQUENCE from its first byte to its last. */
static const char *der_key(const struct secret_look *l)
{
	const uint8_t *p = (const uint8_t *)l->p;
	uint64_t len = 0;
	size_t head = der(p, l->n, &len);

	if (head == 0 || p[0] != 0x30 || head + len != l->size || l->n < head + 16)
		return NULL;
	p += head;
	if (p[0] == 0x02 && p[1] == 0x01)
		return der_version(p[2], p + 3, l->n - head - 3);
	return der_encrypted(p, l->n - head) ? "private key" : NULL;
}

/* A keytab of version 2: entries, each with its length, the number of names, and the realm. */
static bool is_keytab(const struct secret_look *l)
{
	const uint8_t *p = (const uint8_t *)l->p;
	uint64_t entry, realm;

	if (l->n < 24 || p[0] != 5 || p[1] != 2)
		return false;
	entry = (uint64_t)p[2] << 24 | (uint64_t)p[3] << 16 | (uint64_t)p[4] << 8 | p[5];
	realm = (uint64_t)p[8] << 8 | p[9];
	return entry >= 20 && entry + 6 <= l->size && p[6] == 0 && p[7] >= 1 && p[7] <= 8 &&
	       realm >= 1 && realm < 200 && realm + 10 < l->n && isprint(p[10]);
}

static const char *binary(const struct secret_look *l, unsigned kinds, enum secret_kind *ret)
{
	static const char jks[] = "\xfe\xed\xfe\xed\0\0\0", jceks[] = "\xce\xce\xce\xce\0\0\0";
	const char *key = (kinds & SECRET_PRIVATE_KEY) != 0 ? der_key(l) : NULL;

	*ret = SECRET_PRIVATE_KEY;
	if (key != NULL)
		return key;
	if ((kinds & SECRET_PRIVATE_KEY) != 0 && l->n > 12 &&
	    (memcmp(l->p, jks, 7) == 0 || memcmp(l->p, jceks, 7) == 0))
		return "key store";
	*ret = SECRET_CREDENTIAL;
	return (kinds & SECRET_CREDENTIAL) != 0 && is_keytab(l) ? "keytab" : NULL;
}

/* A hash of crypt(5) at p: "$id$salt$hash". */
static bool is_crypt(const char *p, const char *end)
{
	static const char *const ids[] = {"$1$", "$2a$", "$2b$", "$2y$",   "$5$",
					  "$6$", "$y$",  "$gy$", "$apr1$", "$7$"};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (begins(p, end, ids[i]))
			return run_of(p, end, CRYPT) >= strlen(ids[i]) + 22 + 2;
	return false;
}

/* "name:HASH" at the beginning of a line, as htpasswd(1) writes it. */
static bool has_account_line(const struct secret_look *l)
{
	const char *end = l->p + l->n;

	for (const char *p = l->p; p < end;) {
		size_t name = run_of(p, end, URL64 ".@");
		const char *field = p + name + 1;
		const char *line = memchr(p, '\n', (size_t)(end - p));

		if (name > 0 && field < end && field[-1] == ':' &&
		    (is_crypt(field, end) ||
		     (begins(field, end, "{SHA}") && run_of(field + 5, end, BASE64 "=") == 28) ||
		     (begins(field, end, "{SSHA}") && run_of(field + 6, end, BASE64 "=") >= 32)))
			return true;
		p = line != NULL ? line + 1 : end;
	}
	return false;
}

static bool is_text(const struct secret_look *l)
{
	return memchr(l->p, '\0', l->n < 512 ? l->n : 512) == NULL;
}

const char *secret_in(const struct secret_look *l, unsigned kinds, enum secret_kind *ret)
{
	const struct needle *n;

	if (!is_text(l))
		return binary(l, kinds, ret);
	n = find_needle(l, kinds);
	if (n != NULL) {
		*ret = n->kind;
		return n->what;
	}
	*ret = SECRET_HASH;
	/* programs and their documents have examples */
	if ((kinds & SECRET_HASH) != 0 && strncmp(l->path, "usr/", 4) != 0 && has_account_line(l))
		return "password hash";
	return binary(l, kinds, ret);
}

/* Whether field two is what nobody's password gives: nothing, or a mark of no login. */
static bool is_no_hash(const char *p, size_t n)
{
	size_t marks = 0;

	while (marks < n && strchr("!*x", p[marks]) != NULL)
		marks++;
	return marks == n || n - marks < 8;
}

bool secret_in_rows(const char *text)
{
	for (const char *p = text; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n') {
		size_t name = strcspn(p, ":\n");

		if (p[name] == ':' && !is_no_hash(p + name + 1, strcspn(p + name + 1, ":\n")))
			return true;
	}
	return false;
}

bool secret_in_lines(const char *text)
{
	for (const char *p = text; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n') {
		const char *word = p + strspn(p, " \t\r");

		if (*word != '\n' && *word != '\0' && *word != '#' && *word != ';' &&
		    strncmp(word, "include", 7) != 0)
			return true;
	}
	return false;
}

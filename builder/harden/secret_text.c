#include "harden/secret_text.h"

#include <ctype.h>
#include <endian.h>
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

/* What services give out says what it is by how it begins; then at least so many characters. */
static bool token(const char *at, const char *end, size_t least)
{
	size_t n = run_of(at, end, URL64);

	return n >= least && memmem(at, n, "EXAMPLE", 7) == NULL &&
	       memmem(at, n, "xxxx", 4) == NULL;
}

static bool token_16(const char *at, const char *end)
{
	return run_of(at, end, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == 16 && token(at, end, 16) &&
	       run_of(at, end, URL64) == 16;
}

static bool token_20(const char *at, const char *end)
{
	return token(at, end, 20);
}

static bool token_36(const char *at, const char *end)
{
	return token(at, end, 36);
}

/* "psk=": a passphrase, in quotes or not, or 64 hex digits (wpa_supplicant.conf(5)). */
static bool psk(const char *at, const char *end)
{
	bool quoted = at < end && *at == '"';
	size_t n = 0;

	at += quoted ? 1 : 0;
	while (at + n < end && at[n] >= ' ' && at[n] != '"' && (quoted || at[n] != ' '))
		n++;
	return n >= 8 && n <= 64 && *at != '$' && *at != '<';
}

/* rare: where in the text four letters stand that are seldom together. */
static const struct needle {
	const char *text;
	size_t rare;
	bool (*fits)(const char *after, const char *end);
	enum secret_kind kind;
	const char *what;
} needles[] = {
    {"-----BEGIN ", 4, armour, SECRET_PRIVATE_KEY, "private key"},
    {"---- BEGIN ", 5, armour, SECRET_PRIVATE_KEY, "private key"},
    {"PuTTY-User-Key-File-", 2, putty, SECRET_PRIVATE_KEY, "private key"},
    {"AGE-SECRET-KEY-1", 2, age, SECRET_PRIVATE_KEY, "private key of age"},
    {"untrusted comment: minisign encrypted secret key", 30, base64_line, SECRET_PRIVATE_KEY,
     "private key of minisign"},
    {"untrusted comment: signify secret key", 22, base64_line, SECRET_PRIVATE_KEY,
     "private key of signify"},
    {"PrivateKey", 6, wireguard, SECRET_PRIVATE_KEY, "private key of WireGuard"},
    {"\"kty\"", 0, jwk, SECRET_PRIVATE_KEY, "private JSON web key"},
    {"aws_secret_access_key", 0, cloud_key, SECRET_CREDENTIAL, "credentials of a cloud"},
    {"AWS_SECRET_ACCESS_KEY", 0, cloud_key, SECRET_CREDENTIAL, "credentials of a cloud"},
    {"AKIA", 0, token_16, SECRET_CREDENTIAL, "access key of a cloud"},
    {"ASIA", 0, token_16, SECRET_CREDENTIAL, "access key of a cloud"},
    {"AIzaSy", 0, token_20, SECRET_CREDENTIAL, "key of a programming interface"},
    {"ghp_", 0, token_36, SECRET_CREDENTIAL, "token of a source host"},
    {"gho_", 0, token_36, SECRET_CREDENTIAL, "token of a source host"},
    {"ghs_", 0, token_36, SECRET_CREDENTIAL, "token of a source host"},
    {"github_pat_", 4, token_36, SECRET_CREDENTIAL, "token of a source host"},
    {"glpat-", 0, token_20, SECRET_CREDENTIAL, "token of a source host"},
    {"dckr_pat_", 0, token_20, SECRET_CREDENTIAL, "token of a registry"},
    {"npm_", 0, token_36, SECRET_CREDENTIAL, "token of a registry"},
    {"xoxb-", 0, token_20, SECRET_CREDENTIAL, "token of a messenger"},
    {"xoxp-", 0, token_20, SECRET_CREDENTIAL, "token of a messenger"},
    {"sk_live_", 0, token_20, SECRET_CREDENTIAL, "key of a payment processor"},
    {"rk_live_", 0, token_20, SECRET_CREDENTIAL, "key of a payment processor"},
    {"\npsk=", 1, psk, SECRET_CREDENTIAL, "pre-shared key of a network"},
    {"\tpsk=", 1, psk, SECRET_CREDENTIAL, "pre-shared key of a network"},
    {" psk=", 1, psk, SECRET_CREDENTIAL, "pre-shared key of a network"},
};

enum { NEEDLES = sizeof(needles) / sizeof(needles[0]), STRIDE = 2, GRAM = 3, GRAMS = 1 << 16 };

/* A hash of the three letters in the low bytes. */
static unsigned gram(uint64_t letters)
{
	return (uint32_t)(letters & 0xffffff) * 0x9e3779b1U >> 16;
}

static uint64_t three(const char *p)
{
	return (uint64_t)(unsigned char)p[0] | (uint64_t)(unsigned char)p[1] << 8 |
	       (uint64_t)(unsigned char)p[2] << 16;
}

/* Eight letters, the first of them in the low byte. */
static uint64_t letters_at(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

/* The groups of three letters in the rare parts, as bits: of each needle's one begins at every
 * second place of a text, wherever it stands. */
static const uint64_t *rare_grams(void)
{
	static _Thread_local uint64_t bits[GRAMS / 64];
	static _Thread_local bool made;

	for (size_t i = 0; i < NEEDLES && !made; i++)
		for (size_t k = 0; k < STRIDE; k++) {
			const char *p = needles[i].text + needles[i].rare + k;
			unsigned v = gram(three(p));

			bits[v >> 6] |= UINT64_C(1) << (v & 63);
		}
	made = true;
	return bits;
}

/* The needle whose rare part is at `at`, whole and fitting; *ret_at is where it begins. */
static const struct needle *needle_at(const struct secret_look *l, unsigned kinds, size_t at,
				      size_t *ret_at)
{
	const char *end = l->p + l->n;

	for (size_t i = 0; i < NEEDLES * STRIDE; i++) {
		const struct needle *n = &needles[i / STRIDE];
		size_t off = n->rare + i % STRIDE, len;

		if (l->p[at] != n->text[off] || at < off || (n->kind & kinds) == 0)
			continue;
		len = strlen(n->text);
		if (l->n - (at - off) < len || memcmp(l->p + at - off, n->text, len) != 0 ||
		    !n->fits(l->p + at - off + len, end))
			continue;
		*ret_at = at - off;
		return n;
	}
	return NULL;
}

static bool bit(const uint64_t *bits, unsigned v)
{
	return (bits[v >> 6] >> (v & 63) & 1) != 0;
}

/* Looks at the n places from i on whose three letters are rare ones. */
static const struct needle *needle_in(const struct secret_look *l, unsigned kinds, size_t i,
				      size_t n, size_t *ret_at)
{
	const uint64_t *bits = rare_grams();
	const struct needle *found = NULL;

	for (size_t end = i + n; i + GRAM <= l->n && i < end && found == NULL; i++)
		if (bit(bits, gram(three(l->p + i))))
			found = needle_at(l, kinds, i, ret_at);
	return found;
}

static const struct needle *find_needle(const struct secret_look *l, unsigned kinds, size_t *ret_at)
{
	const uint64_t *bits = rare_grams();
	size_t i = 0;

	for (; i + sizeof(uint64_t) <= l->n; i += 3 * STRIDE) {
		uint64_t v = letters_at(l->p + i);
		const struct needle *n = NULL;

		/* a test of one bit each: three in one would be shifts, which take longer */
		if (bit(bits, gram(v)) || bit(bits, gram(v >> 16)) || bit(bits, gram(v >> 32)))
			n = needle_in(l, kinds, i, 3 * STRIDE, ret_at);
		if (n != NULL)
			return n;
	}
	return needle_in(l, kinds, i, l->n - i, ret_at);
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

const char *secret_hash(const char *p, const char *end, bool field)
{
	static const struct {
		const char *mark, *what;
	} ids[] = {
	    {"$1$", "password hash, MD5: weak"},        {"$apr1$", "password hash, MD5: weak"},
	    {"$2a$", "password hash, bcrypt: good"},    {"$2b$", "password hash, bcrypt: good"},
	    {"$2y$", "password hash, bcrypt: good"},    {"$5$", "password hash, SHA-256: fair"},
	    {"$6$", "password hash, SHA-512: fair"},    {"$7$", "password hash, scrypt: strong"},
	    {"$y$", "password hash, yescrypt: strong"}, {"$gy$", "password hash, yescrypt: strong"},
	};
	enum { HASH_MIN = 22 + 2, DES_LENGTH = 13 };

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (begins(p, end, ids[i].mark))
			return run_of(p, end, CRYPT) >= strlen(ids[i].mark) + HASH_MIN ? ids[i].what
										       : NULL;
	return field && run_of(p, end, CRYPT) == DES_LENGTH ? "password hash, DES: broken" : NULL;
}

static bool has_after_colon(const struct secret_look *l, char mark)
{
	const char *end = l->p + l->n;

	for (const char *p = l->p; (p = memchr(p, mark, (size_t)(end - p))) != NULL; p++)
		if (p > l->p && p[-1] == ':')
			return true;
	return false;
}

/* "name:HASH" at the beginning of a line, as htpasswd(1) writes it. */
static bool has_account_line(const struct secret_look *l)
{
	const char *end = l->p + l->n;

	if (!has_after_colon(l, '$') && !has_after_colon(l, '{'))
		return false;
	for (const char *p = l->p; p < end;) {
		size_t name = run_of(p, end, URL64 ".@");
		const char *field = p + name + 1;
		const char *line = memchr(p, '\n', (size_t)(end - p));

		if (name > 0 && field < end && field[-1] == ':' &&
		    (secret_hash(field, end, false) != NULL ||
		     (begins(field, end, "{SHA}") && run_of(field + 5, end, BASE64 "=") == 28) ||
		     (begins(field, end, "{SSHA}") && run_of(field + 6, end, BASE64 "=") >= 32)))
			return true;
		p = line != NULL ? line + 1 : end;
	}
	return false;
}

static bool is_text(const struct secret_look *l)
{
	return memchr(l->p, '\0', l->n < SECRET_TEXT ? l->n : SECRET_TEXT) == NULL;
}

/* The first needle, else what the whole is, and where it stands. */
static const char *find(const struct secret_look *l, unsigned kinds, enum secret_kind *ret,
			size_t *ret_at)
{
	const struct needle *n;

	*ret_at = 0;
	if (!is_text(l))
		return binary(l, kinds, ret);
	n = find_needle(l, kinds, ret_at);
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

void secret_kinds(const struct secret_look *l, unsigned kinds,
		  void (*fn)(void *ctx, const struct secret_seen *s), void *ctx)
{
	struct secret_seen s = {0};

	/* one look is enough for a file that has nothing */
	while (kinds != 0 && (s.what = find(l, kinds, &s.kind, &s.at)) != NULL) {
		fn(ctx, &s);
		kinds &= ~(unsigned)s.kind;
	}
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

/* Each row with a hash in its second field, locked or not, or further behind as in opasswd(5). */
static void each_row(const struct secret_look *l,
		     void (*fn)(void *ctx, const struct secret_seen *s), void *ctx)
{
	const char *end = l->p + l->n;

	for (const char *p = l->p; p < end;) {
		const char *line = memchr(p, '\n', (size_t)(end - p)), *stop;
		bool second = true;

		stop = line != NULL ? line : end;
		while (p < stop && (p = memchr(p, ':', (size_t)(stop - p))) != NULL) {
			const char *what;

			p = skip(p + 1, stop, "!*");
			what = secret_hash(p, stop, second);
			if (what != NULL)
				fn(ctx,
				   &(struct secret_seen){SECRET_HASH, what, (size_t)(p - l->p)});
			second = false;
		}
		p = stop + 1;
	}
}

void secret_each(const struct secret_look *l, void (*fn)(void *ctx, const struct secret_seen *s),
		 void *ctx)
{
	struct secret_seen named = {0};
	unsigned kinds = SECRET_ALL;

	named.what = secret_named(l->path, &named.kind);
	if (named.what != NULL) {
		fn(ctx, &named);
		kinds &= ~(unsigned)named.kind;
	}
	if (secret_is_accounts(l->path)) {
		each_row(l, fn, ctx);
		kinds &= ~(unsigned)SECRET_HASH;
	}
	if (secret_is_list(l->path)) {
		char *text SCOPED(mem_freep) = mem_strndup(l->p, l->n);

		if (secret_in_lines(text))
			fn(ctx, &(struct secret_seen){SECRET_CREDENTIAL, "credentials", 0});
		kinds &= ~(unsigned)SECRET_CREDENTIAL;
	}
	secret_kinds(l, kinds, fn, ctx);
}

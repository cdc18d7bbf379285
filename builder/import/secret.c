#include "import/parts.h"
#include <string.h>
#include <strings.h>

static const char crypt_letters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./";

/* crypt(5): "$id$salt$hash". */
bool any_hash(const char *s)
{
	static const char *const ids[] = {"$1$", "$2a$", "$2b$", "$2y$", "$5$",
					  "$6$", "$y$",  "$7$",  "$gy$", "$sha1$"};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		size_t id = strlen(ids[i]), salt;

		if (strncmp(s, ids[i], id) != 0)
			continue;
		if (strncmp(s + id, "rounds=", 7) == 0)
			id += 7;
		salt = strspn(s + id, crypt_letters);
		return salt > 0 && s[id + salt] == '$' &&
		       strspn(s + id + salt + 1, crypt_letters) >= 8;
	}
	return false;
}

/* MD5 and SHA-1, or the 13 letters of DES. */
bool weak_hash(const char *s)
{
	if (strncmp(s, "$1$", 3) == 0 || strncmp(s, "$sha1$", 6) == 0)
		return true;
	return s[0] != '$' && s[0] != '!' && s[0] != '*' && strlen(s) == 13 &&
	       s[strspn(s, crypt_letters)] == '\0';
}

void found_password(const struct spot *at, const char *what, const char *value, bool is_hash)
{
	if (!is_hash)
		found(at, RULE_PLAIN_PASSWORD, "a password of %s in plain text", what);
	else if (weak_hash(value))
		found(at, RULE_WEAK_HASH, "a password hash of %s that is broken (%s)", what,
		      value[0] == '$' ? "MD5 or SHA-1" : "DES");
	else
		found(at, RULE_PASSWORD, "a password hash of %s", what);
}

/* Whether the letters of a lower-case word stand in the text, in any case. */
static bool says(const char *p, size_t n, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i + len <= n; i++)
		if (strncasecmp(p + i, word, len) == 0)
			return true;
	return false;
}

char *kept_comment(const struct spot *at, const char *p, size_t n)
{
	static const char *const words[] = {"rootpw", "passw", "passphrase", "sshpw", "--psk"};
	bool secret = false;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		secret |= says(p, n, words[i]);
	for (size_t i = 0; i < n && !secret; i++)
		secret = p[i] == '$' && any_hash(p + i);
	secret |= has_userinfo(p, n);
	mark(at, MARK_COMMENT);
	if (secret) {
		found(at, RULE_PASSWORD, "a comment that may have a password is left out");
		return NULL;
	}
	return harmless(p, n);
}

/* ---- names and passwords in URLs */

/* The first of them at or behind p: where it begins, and its bytes with the '@'. A password may
 * have an '@' itself. NULL when there is none. */
static const char *next_userinfo(const char *p, const char *end, size_t *ret_n)
{
	const char *from, *at;

	while ((p = memmem(p, (size_t)(end - p), "://", 3)) != NULL) {
		from = p += 3;
		for (at = NULL; p < end && strchr("/ \t\r\n\"'<>`", *p) == NULL; p++)
			at = *p == '@' ? p : at;
		if (at != NULL) {
			*ret_n = (size_t)(at - from) + 1;
			return from;
		}
	}
	return NULL;
}

bool has_userinfo(const char *p, size_t n)
{
	size_t len;

	return next_userinfo(p, p + n, &len) != NULL;
}

void note_userinfo(const struct spot *at, const char *p, size_t n)
{
	const char *end = p + n;
	size_t len;

	while ((p = next_userinfo(p, end, &len)) != NULL) {
		if (memchr(p, '$', len) == NULL) {
			found(at, RULE_PLAIN_PASSWORD, "a URL has a name or password in it");
			return;
		}
		p += len;
	}
}

char *without_userinfo(const struct spot *at, const char *p, size_t n)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(n + 1);
	const char *end = p + n, *from;
	size_t len;

	if (at != NULL)
		note_userinfo(at, p, n);
	while ((from = next_userinfo(p, end, &len)) != NULL) {
		buf_add(&b, p, (size_t)(from - p));
		p = from + len;
	}
	buf_add(&b, p, (size_t)(end - p));
	return buf_take(&b);
}

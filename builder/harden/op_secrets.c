/* op_secrets.c - secrets and identities that an image may not carry. */
#include "harden/op.h"
#include "harden/secrets.h"

#include "form/digest.h"
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

struct secrets_want {
	struct strv kinds;
	struct strv allow;         /* patterns of paths */
	struct strv allow_digests; /* hex SHA-256 of files that are published anyway */
	unsigned bits;
};

static const struct field secrets_fields[] = {
    {"kinds", FIELD_LIST, offsetof(struct secrets_want, kinds), true},
    {"allow", FIELD_PATHS, offsetof(struct secrets_want, allow), false},
    {"allow-digests", FIELD_LIST, offsetof(struct secrets_want, allow_digests), false},
    {0},
};

static const struct {
	const char *word;
	enum secret_kind kind;
} kinds[] = {
    {"host-keys", SECRET_HOST_KEY},       {"identity", SECRET_IDENTITY},
    {"private-keys", SECRET_PRIVATE_KEY}, {"trust", SECRET_TRUST},
    {"credentials", SECRET_CREDENTIAL},   {"hashes", SECRET_HASH},
};

enum { KINDS_N = sizeof(kinds) / sizeof(kinds[0]) };

static int secrets_finish(void *want, const struct yaml *at, struct err *e)
{
	struct secrets_want *w = want;

	for (size_t i = 0; i < w->kinds.n; i++) {
		size_t k = 0;

		while (k < KINDS_N && strcmp(kinds[k].word, w->kinds.v[i]) != 0)
			k++;
		if (k == KINDS_N)
			return yaml_err(yaml_get(at, "kinds"), e, "\"%s\" is no kind of secret",
					w->kinds.v[i]);
		w->bits |= kinds[k].kind;
	}
	for (size_t i = 0; i < w->allow_digests.n; i++) {
		struct digest d;

		if (digest_parse_hex(w->allow_digests.v[i], &d) != 0)
			return yaml_err(yaml_get(at, "allow-digests"), e,
					"\"%s\" is no SHA-256 of 64 hex digits",
					w->allow_digests.v[i]);
	}
	return 0;
}

static bool is_allowed(const struct op_run *r, const struct secrets_want *w, const char *path)
{
	struct digest d;
	struct err ignored = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	for (size_t i = 0; i < w->allow.n; i++)
		if (root_match(w->allow.v[i], path))
			return true;
	if (w->allow_digests.n == 0)
		return false;
	fd = root_open(r->rootfd, path, O_RDONLY | O_NOFOLLOW);
	if (fd < 0 || digest_fd(fd, &d, NULL, &ignored) != 0)
		return false;
	return strv_has(&w->allow_digests, digest_hex(&d).s);
}

static int secrets_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct secrets_want *w = want;
	struct secrets s SCOPED(secrets_release) = {0};

	if (secrets_find(r->rootfd, r->facts, w->bits, &s, e) != 0)
		return -1;
	for (size_t i = 0; i < s.n; i++)
		if (!is_allowed(r, w, s.v[i].path))
			strv_addf(r->found, "/%s: %s", s.v[i].path, s.v[i].what);
	return 0;
}

/* What a fix may take away: identities that are made anew at the first start. A private key or a
 * hash that somebody put there is for a person to look at. */
static int secrets_fix(const struct op_run *r, const void *want, struct err *e)
{
	const unsigned fixable = SECRET_HOST_KEY | SECRET_IDENTITY | SECRET_TRUST;
	const struct secrets_want *w = want;
	struct secrets s SCOPED(secrets_release) = {0};
	struct buf none SCOPED(buf_release) = BUF_INIT(1);

	if ((w->bits & fixable) == 0)
		return 0;
	if (secrets_find(r->rootfd, r->facts, w->bits & fixable, &s, e) != 0)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		const char *path = s.v[i].path;

		if (is_allowed(r, w, path))
			continue;
		/* machine-id(5): an empty file is filled at the first start */
		if (strcmp(path, "etc/machine-id") == 0 &&
		    root_write(r->rootfd, path, &none, 0444, e) != 0)
			return -1;
		if (strcmp(path, "etc/machine-id") != 0 && root_remove(r->rootfd, path, e) != 0)
			return -1;
		strv_addf(r->done, "/%s: %s removed", path, s.v[i].what);
	}
	return 0;
}

const struct op_kind op_secrets = {
    .name = "secrets",
    .whole_tree = true,
    .size = sizeof(struct secrets_want),
    .fields = secrets_fields,
    .finish = secrets_finish,
    .check = secrets_check,
    .fix = secrets_fix,
};

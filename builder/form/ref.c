#include "form/ref.h"

#include <stdlib.h>
#include <string.h>

static bool lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool word(char c)
{
	return lower_alnum(c) || (c >= 'A' && c <= 'Z') || c == '_';
}

bool ref_tag_ok(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > 128 || !word(s[0]))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!word(s[i]) && s[i] != '.' && s[i] != '-')
			return false;
	return true;
}

/* Length of one separator inside a path component ("." "_" "__" or dashes), 0 on none. */
static size_t separator(const char *s)
{
	if (s[0] == '.')
		return 1;
	if (s[0] == '_')
		return s[1] == '_' ? 2 : 1;
	return strspn(s, "-");
}

bool ref_repo_ok(const char *s)
{
	if (strlen(s) > 255 || !lower_alnum(s[0]))
		return false;
	while (*s != '\0') {
		size_t sep = lower_alnum(*s) ? 0 : *s == '/' ? 1 : separator(s);

		if (lower_alnum(*s)) {
			s++;
			continue;
		}
		if (sep == 0 || !lower_alnum(s[sep]))
			return false;
		s += sep;
	}
	return true;
}

static bool port_ok(const char *s, size_t n)
{
	if (n == 0)
		return true;
	if (s[0] != ':' || n < 2 || n > 6)
		return false;
	for (size_t i = 1; i < n; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return true;
}

/* "[::1]": hex digits, colons, and dots for an IPv4 tail. Returns its length, 0 for none. */
static size_t bracketed(const char *s, size_t n)
{
	size_t colons = 0;

	for (size_t i = 1; i < n; i++) {
		if (s[i] == ']')
			return colons >= 2 && i <= 46 ? i + 1 : 0;
		colons += s[i] == ':';
		if (strchr("0123456789abcdefABCDEF:.", s[i]) == NULL)
			return 0;
	}
	return 0;
}

static bool host_ok(const char *s, size_t n)
{
	size_t name = s[0] == '[' ? bracketed(s, n) : 0;

	if (s[0] != '[')
		while (name < n && (word(s[name]) || s[name] == '.' || s[name] == '-'))
			name++;
	return name > 0 && s[0] != '.' && s[0] != '-' && port_ok(s + name, n - name);
}

/* Cuts "@sha256:…" or ":TAG" off the end of text. A colon before the last slash is no tag. */
static int cut_tail(char *text, struct ref *r, struct err *e)
{
	char *slash = strrchr(text, '/');
	char *at = strrchr(slash != NULL ? slash : text, '@');
	char *colon;

	if (at != NULL) {
		if (digest_parse(at + 1, &r->digest) != 0)
			return err_set(e, ERR_USAGE, "%s: not sha256: and 64 hex digits", at + 1);
		r->has_digest = true;
		*at = '\0';
	}
	colon = strrchr(text, ':');
	if (colon != NULL && (slash == NULL || colon > slash)) {
		if (!ref_tag_ok(colon + 1))
			return err_set(e, ERR_USAGE, "%s: not a tag", colon + 1);
		r->tag = mem_strdup(colon + 1);
		*colon = '\0';
	}
	return 0;
}

static int parse_hosted(char *text, struct ref *r, struct err *e)
{
	char *slash = strchr(text, '/');

	if (slash == NULL || !host_ok(text, (size_t)(slash - text)))
		return err_set(e, ERR_USAGE, "%s: wants HOST[:PORT]/REPOSITORY", text);
	if (cut_tail(slash, r, e) != 0)
		return -1;
	if (!ref_repo_ok(slash + 1))
		return err_set(e, ERR_USAGE, "%s: not a repository name", slash + 1);
	r->host = mem_strndup(text, (size_t)(slash - text));
	r->path = mem_strdup(slash + 1);
	return 0;
}

static int parse_local(char *text, struct ref *r, struct err *e)
{
	if (r->kind == REF_OCI && cut_tail(text, r, e) != 0)
		return -1;
	if (text[0] == '\0')
		return err_set(e, ERR_USAGE, "wants a directory");
	r->path = mem_strdup(text);
	return 0;
}

static const struct {
	const char *prefix;
	enum ref_kind kind;
} transports[] = {
    {"oci:", REF_OCI}, {"docker://", REF_DOCKER}, {"s3://", REF_S3}, {"dir:", REF_DIR}};

static int parse_as(enum ref_kind kind, const char *rest, struct ref *ret, struct err *e)
{
	char *copy SCOPED(mem_freep) = mem_strdup(rest);
	struct ref r = {.kind = kind};
	bool hosted = kind == REF_DOCKER || kind == REF_S3;

	if ((hosted ? parse_hosted(copy, &r, e) : parse_local(copy, &r, e)) != 0) {
		ref_release(&r);
		return -1;
	}
	if (r.host == NULL)
		r.host = mem_strdup("");
	if (r.tag == NULL)
		r.tag = mem_strdup("");
	*ret = r;
	return 0;
}

int ref_parse_docker(const char *text, struct ref *ret, struct err *e)
{
	return parse_as(REF_DOCKER, text, ret, e);
}

int ref_parse(const char *text, struct ref *ret, struct err *e)
{
	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
		size_t n = strlen(transports[i].prefix);

		if (strncmp(text, transports[i].prefix, n) != 0)
			continue;
		if (parse_as(transports[i].kind, text + n, ret, e) != 0)
			return err_in(e, "%s", text);
		return 0;
	}
	(void)err_set(e, ERR_USAGE, "%s: no transport", text);
	return err_hint(e, "write oci:DIR:TAG, docker://HOST/REPO:TAG, s3://BUCKET/PREFIX:TAG or "
			   "dir:PATH");
}

char *ref_text(const struct ref *r)
{
	const char *prefix = "";
	struct digest_text d = {.s = ""};

	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		if (transports[i].kind == r->kind)
			prefix = transports[i].prefix;
	if (r->has_digest)
		d = digest_text(&r->digest);
	return mem_format("%s%s%s%s%s%s%s%s", prefix, r->host, r->host[0] ? "/" : "", r->path,
			  r->tag[0] ? ":" : "", r->tag, r->has_digest ? "@" : "", d.s);
}

void ref_release(struct ref *r)
{
	free(r->host);
	free(r->path);
	free(r->tag);
	*r = (struct ref){0};
}

#include "import/df.h"
#include <stdlib.h>
#include <string.h>

enum { EXPANDED_MAX = 1 << 20, BRACED_MAX = 1024 };

const char *df_value(const struct df *d, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = d->vars.n; i-- > 0;)
		if (strncmp(d->vars.v[i], name, n) == 0 && d->vars.v[i][n] == '=')
			return d->vars.v[i] + n + 1;
	return NULL;
}

/* Whether a value has room beside all others but the i-th. */
static bool has_room(const struct df *d, size_t i, const char *entry)
{
	size_t bytes = strlen(entry);

	for (size_t k = 0; k < d->vars.n; k++)
		bytes += k == i ? 0 : strlen(d->vars.v[k]);
	return bytes <= DF_VARIABLES_BYTES;
}

bool df_set(struct df *d, const char *name, const char *given)
{
	size_t n = strlen(name), i = 0;
	char *value SCOPED(mem_freep) = without_userinfo(&d->at, given, strlen(given));
	char *entry SCOPED(mem_freep) = mem_format("%s=%s", name, value);

	while (i < d->vars.n && strncmp(d->vars.v[i], entry, n + 1) != 0)
		i++;
	if (i == DF_VARIABLES_MAX) {
		found(&d->at, RULE_NOT_UNDERSTOOD, "more than %d variables", DF_VARIABLES_MAX);
		return false;
	}
	if (!has_room(d, i, entry)) {
		found(&d->at, RULE_NOT_UNDERSTOOD,
		      "more than 64 KiB of variables: \"%s\" is not set", name);
		return false;
	}
	if (i == d->vars.n) {
		strv_take(&d->vars, STEAL(entry));
	} else {
		free(d->vars.v[i]);
		d->vars.v[i] = STEAL(entry);
	}
	return true;
}

static size_t name_length(const char *s)
{
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
}

static void put_value(struct df *d, const char *name, struct buf *out)
{
	const char *v = df_value(d, name);

	if (v == NULL)
		found(&d->at, RULE_UNSET_ARGUMENT, "nothing sets \"%s\"", name);
	else
		buf_addf(out, "%s", v);
}

/* "NAME:-word" between braces. */
static void put_braced(struct df *d, const char *in, size_t n, struct buf *out)
{
	size_t len = name_length(in);
	char *name SCOPED(mem_freep) = mem_strndup(in, len < n ? len : n);
	const char *v = df_value(d, name);
	bool plus = len < n && (in[len] == '+' || (in[len] == ':' && in[len + 1] == '+'));
	size_t skip = len + (len < n && in[len] == ':' ? 2 : 1);

	if (len >= n) {
		put_value(d, name, out);
	} else if (plus) {
		if (v != NULL && v[0] != '\0' && skip < n)
			buf_add(out, in + skip, n - skip);
	} else if (v != NULL && v[0] != '\0') {
		buf_addf(out, "%s", v);
	} else if (skip < n) {
		buf_add(out, in + skip, n - skip);
	}
}

/* What stands at '$'; the bytes that it takes. */
static size_t put_variable(struct df *d, const char *p, struct buf *out)
{
	size_t n = name_length(p + 1);
	const char *end;

	if (p[1] == '{' && (end = memchr(p, '}', strnlen(p, BRACED_MAX))) != NULL &&
	    name_length(p + 2) > 0) {
		put_braced(d, p + 2, (size_t)(end - p) - 2, out);
		return (size_t)(end - p) + 1;
	}
	if (n > 0) {
		char *name SCOPED(mem_freep) = mem_strndup(p + 1, n);

		put_value(d, name, out);
		return n + 1;
	}
	buf_add(out, p, 1);
	return 1;
}

static void check_length(struct df *d, const struct buf *b)
{
	if (buf_over(b))
		found(&d->at, RULE_NOT_UNDERSTOOD, "cut: it is longer than 1 MiB once expanded");
}

char *df_expand(struct df *d, const char *text)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(EXPANDED_MAX);

	while (*text != '\0') {
		if (*text == d->escape && text[1] == '$') {
			buf_add(&b, text + 1, 1);
			text += 2;
		} else if (*text == '$') {
			text += put_variable(d, text, &b);
		} else {
			buf_add(&b, text++, 1);
		}
	}
	check_length(d, &b);
	return buf_take(&b);
}

/* One character, or what is quoted. */
static const char *word_part(struct df *d, const char *p, bool expand, char *quote, struct buf *out)
{
	if (*quote != '\0' && *p == *quote) {
		*quote = '\0';
		return p + 1;
	}
	if (*quote == '\0' && (*p == '"' || *p == '\'')) {
		*quote = *p;
		return p + 1;
	}
	if (*p == d->escape && p[1] != '\0' && *quote != '\'') {
		if (*quote == '"' && strchr("\"$\\", p[1]) == NULL)
			buf_add(out, p, 1);
		buf_add(out, p + 1, 1);
		return p + 2;
	}
	if (*p == '$' && expand && *quote != '\'')
		return p + put_variable(d, p, out);
	buf_add(out, p, 1);
	return p + 1;
}

void df_words(struct df *d, const char *text, bool expand, struct strv *ret)
{
	const char *p = text + strspn(text, " \t\r");

	while (*p != '\0') {
		struct buf b SCOPED(buf_release) = BUF_INIT(EXPANDED_MAX);
		char quote = '\0';

		while (*p != '\0' && (quote != '\0' || strchr(" \t\r", *p) == NULL))
			p = word_part(d, p, expand, &quote, &b);
		if (quote != '\0')
			found(&d->at, RULE_UNCLOSED_QUOTE, "a quote is not closed");
		check_length(d, &b);
		strv_take(ret, buf_take(&b));
		p += strspn(p, " \t\r");
	}
}

char *df_path(const struct df *d, const char *text)
{
	char *whole SCOPED(mem_freep) =
	    text[0] == '/' ? mem_strdup(text)
			   : mem_format("%s/%s", d->workdir != NULL ? d->workdir : "", text);
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);

	for (const char *p = whole; *p != '\0';) {
		size_t n;

		p += strspn(p, "/");
		n = strcspn(p, "/");
		if (n == 2 && memcmp(p, "..", 2) == 0)
			return NULL;
		if (n > 0 && !(n == 1 && *p == '.')) {
			buf_add(&b, "/", 1);
			buf_add(&b, p, n);
		}
		p += n;
	}
	if (buf_over(&b))
		return NULL;
	return b.len > 0 ? buf_take(&b) : mem_strdup("/");
}

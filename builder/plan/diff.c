#include "plan/parts.h"

#include <string.h>

enum { WORDS_MAX = 200 };

struct diff {
	struct buf *out;
	const struct jval *other; /* the object on the other side */
	const char *label;        /* what its members are called: "package", "overlay" */
	bool walks_old;           /* only what went is said */
};

static void say(struct diff *d, const char *name, const char *how)
{
	buf_addf(d->out, "%s%s%s%s %s", d->out->len > 0 ? "; " : "", d->label,
		 d->label[0] ? " " : "", name, how);
}

/* The first word of a part's text, such as a package's version; "" when it is a digest. */
static char *word(const struct jval *v)
{
	const char *s = jval_str(v);

	if (s == NULL || strncmp(s, "sha256:", 7) == 0 || strlen(s) == 64)
		return mem_strdup("");
	return mem_strndup(s, strcspn(s, " "));
}

static void compare(struct buf *out, const struct jval *a, const struct jval *b, const char *label);

static void changed(struct diff *d, const char *key, const struct jval *was, const struct jval *is)
{
	char *x SCOPED(mem_freep) = word(was), *y SCOPED(mem_freep) = word(is);
	char *how SCOPED(mem_freep) = x[0] != '\0' && y[0] != '\0' && strcmp(x, y) != 0
					  ? mem_format("%s -> %s", x, y)
					  : mem_strdup("changed");

	say(d, key, how);
}

static int member(void *ctx, const char *key, struct jval *is)
{
	struct diff *d = ctx;
	const struct jval *was = jval_get(d->other, key);

	if (d->walks_old || was == NULL) {
		if (was == NULL)
			say(d, key, d->walks_old ? "removed" : "added");
	} else if (jval_equal(was, is)) {
		return 0;
	} else if (jval_is_object(is) && jval_is_object(was)) {
		compare(d->out, was, is, key);
	} else if (jval_is_object(jval_at(is, 0)) && jval_len(is) == jval_len(was)) {
		for (size_t i = 0; i < jval_len(is); i++)
			compare(d->out, jval_at(was, i), jval_at(is, i), key);
	} else {
		changed(d, key, was, is);
	}
	return 0;
}

static void compare(struct buf *out, const struct jval *a, const struct jval *b, const char *label)
{
	struct diff d = {.out = out, .other = a, .label = label};

	(void)jval_each(b, member, &d);
	d.other = b;
	d.walks_old = true;
	(void)jval_each(a, member, &d);
}

char *parts_diff(const struct jval *a, const struct jval *b)
{
	struct buf out = BUF_INIT(1 << 20);

	compare(&out, a, b, "");
	if (out.len > WORDS_MAX) {
		while (out.len > WORDS_MAX || out.data[out.len] != ';')
			out.len--;
		out.data[out.len] = '\0';
		buf_addf(&out, "; and more");
	}
	return buf_take(&out);
}

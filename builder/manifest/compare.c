/* compare.c - what is not the same in two manifests. */
#include "manifest/parts.h"

#include "form/hex.h"
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

enum { SHOWN = 64 }; /* bytes of an attribute */

struct comparing {
	void (*fn)(void *ctx, const struct manifest_difference *d);
	void *ctx;
	uint64_t n;
	const char *path;
};

static void tell(struct comparing *c, const char *field, const char *a, const char *b)
{
	c->n++;
	if (c->fn != NULL)
		c->fn(c->ctx, &(struct manifest_difference){
				  .path = c->path, .field = field, .a = a, .b = b});
}

static bool same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void texts(struct comparing *c, const char *field, const char *a, const char *b)
{
	if (!same_text(a, b))
		tell(c, field, a, b);
}

static void numbers(struct comparing *c, const char *field, uint64_t a, uint64_t b)
{
	char *x SCOPED(mem_freep) = NULL;
	char *y SCOPED(mem_freep) = NULL;

	if (a == b)
		return;
	x = mem_format("%llu", (unsigned long long)a);
	y = mem_format("%llu", (unsigned long long)b);
	tell(c, field, x, y);
}

static void modes(struct comparing *c, mode_t a, mode_t b)
{
	char *x SCOPED(mem_freep) = mem_format("%04o", (unsigned)a);
	char *y SCOPED(mem_freep) = mem_format("%04o", (unsigned)b);

	texts(c, "mode", x, y);
}

static char *time_text(const struct manifest_entry *en)
{
	return mem_format("%lld.%09u", (long long)en->mtime, en->mtime_ns);
}

static void times(struct comparing *c, const struct manifest_entry *a,
		  const struct manifest_entry *b)
{
	char *x SCOPED(mem_freep) = NULL;
	char *y SCOPED(mem_freep) = NULL;

	if (a->mtime == b->mtime && a->mtime_ns == b->mtime_ns)
		return;
	x = time_text(a);
	y = time_text(b);
	tell(c, "mtime", x, y);
}

static void devices(struct comparing *c, dev_t a, dev_t b)
{
	char *x SCOPED(mem_freep) = mem_format("%u,%u", major(a), minor(a));
	char *y SCOPED(mem_freep) = mem_format("%u,%u", major(b), minor(b));

	texts(c, "device", x, y);
}

static void contents(struct comparing *c, const struct manifest_entry *a,
		     const struct manifest_entry *b)
{
	numbers(c, "size", a->size, b->size);
	if (!digest_equal(&a->digest, &b->digest))
		tell(c, "content", digest_hex(&a->digest).s, digest_hex(&b->digest).s);
}

static char *xattr_text(const struct manifest_xattr *x)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(LINE_MAX_BYTES);
	char *val SCOPED(mem_freep) = base64_encode(x->val, x->len < SHOWN ? x->len : SHOWN);

	text_escape(&b, x->name);
	buf_addf(&b, "=%s%s", val, x->len > SHOWN ? "..." : "");
	return buf_take(&b);
}

static void xattr(struct comparing *c, const struct manifest_xattr *a,
		  const struct manifest_xattr *b)
{
	char *x SCOPED(mem_freep) = a == NULL ? NULL : xattr_text(a);
	char *y SCOPED(mem_freep) = b == NULL ? NULL : xattr_text(b);

	tell(c, "xattr", x, y);
}

static void xattrs(struct comparing *c, const struct manifest_entry *a,
		   const struct manifest_entry *b)
{
	size_t i = 0, j = 0;

	while (i < a->xattrs_n || j < b->xattrs_n) {
		const struct manifest_xattr *x = i < a->xattrs_n ? &a->xattrs[i] : NULL;
		const struct manifest_xattr *y = j < b->xattrs_n ? &b->xattrs[j] : NULL;
		int order = x == NULL ? 1 : y == NULL ? -1 : strcmp(x->name, y->name);

		if (order != 0)
			xattr(c, order < 0 ? x : NULL, order > 0 ? y : NULL);
		else if (x->len != y->len || memcmp(x->val, y->val, x->len) != 0)
			xattr(c, x, y);
		i += order <= 0 ? 1 : 0;
		j += order >= 0 ? 1 : 0;
	}
}

static const struct manifest_entry *first_name(const struct manifest *m,
					       const struct manifest_entry *en)
{
	const struct manifest_entry *first =
	    en->same_as == NULL ? NULL : manifest_find(m, en->same_as);

	return first == NULL ? en : first;
}

static void both(struct comparing *c, const struct manifest_entry *a,
		 const struct manifest_entry *b)
{
	if (a->type != b->type) {
		tell(c, "type", text_type(a->type), text_type(b->type));
		return;
	}
	if (a->type == MANIFEST_FILE)
		contents(c, a, b);
	if (a->type == MANIFEST_LINK)
		texts(c, "target", a->target, b->target);
	if (a->type == MANIFEST_CHAR || a->type == MANIFEST_BLOCK)
		devices(c, a->device, b->device);
	modes(c, a->mode, b->mode);
	texts(c, "owner", a->user, b->user);
	texts(c, "group", a->group, b->group);
	times(c, a, b);
	texts(c, "acl", a->acl, b->acl);
	texts(c, "acl", a->acl_default, b->acl_default);
	xattrs(c, a, b);
}

uint64_t manifest_compare(const struct manifest *a, const struct manifest *b,
			  void (*fn)(void *ctx, const struct manifest_difference *d), void *ctx)
{
	struct comparing c = {.fn = fn, .ctx = ctx};
	size_t i = 0, j = 0;

	while (i < a->n || j < b->n) {
		const struct manifest_entry *x = i < a->n ? &a->v[i] : NULL;
		const struct manifest_entry *y = j < b->n ? &b->v[j] : NULL;
		int order = x == NULL ? 1 : y == NULL ? -1 : strcmp(x->path, y->path);

		c.path = order <= 0 ? x->path : y->path;
		if (order < 0)
			tell(&c, "missing", text_type(x->type), NULL);
		else if (order > 0)
			tell(&c, "extra", NULL, text_type(y->type));
		else
			texts(&c, "link", x->same_as, y->same_as);
		/* of names that are the same file's on both sides, the first tells the rest */
		if (order == 0 && (x->same_as == NULL || !same_text(x->same_as, y->same_as)))
			both(&c, first_name(a, x), first_name(b, y));
		i += order <= 0 ? 1 : 0;
		j += order >= 0 ? 1 : 0;
	}
	return c.n;
}

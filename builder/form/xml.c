#include "form/xml.h"

#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 2048, TEXT_BYTES = 1 << 16 };

struct xml {
	const char *p, *end;
	const struct xml_reader *r;
	struct buf path, text;
	size_t at[XML_DEPTH_MAX]; /* where in path each open element's name begins */
	bool has_child[XML_DEPTH_MAX];
	size_t depth;
	bool seen; /* the root */
};

static void xml_release(struct xml *x)
{
	buf_release(&x->path);
	buf_release(&x->text);
}

static int bad(const char *what, struct err *e)
{
	return err_set(e, ERR_REMOTE, "not the XML that was expected: %s", what);
}

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.' || c == ':' || (unsigned char)c >= 0x80;
}

static void add_utf8(unsigned long c, struct buf *b)
{
	char u[4];
	size_t n = 1;

	if (c < 0x80) {
		u[0] = (char)c;
	} else if (c < 0x800) {
		u[0] = (char)(0xc0 | c >> 6);
		n = 2;
	} else if (c < 0x10000) {
		u[0] = (char)(0xe0 | c >> 12);
		n = 3;
	} else {
		u[0] = (char)(0xf0 | c >> 18);
		n = 4;
	}
	for (size_t i = 1; i < n; i++)
		u[i] = (char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
	buf_add(b, u, n);
}

/* One "&...;" */
static int entity(struct xml *x, struct err *e)
{
	static const struct {
		const char *name;
		char is;
	} known[] = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
	const char *semi = memchr(x->p, ';', (size_t)(x->end - x->p));
	char name[12] = "", *stop;
	unsigned long c;

	if (semi == NULL || (size_t)(semi - x->p) >= sizeof(name))
		return bad("an entity without an end", e);
	memcpy(name, x->p + 1, (size_t)(semi - x->p) - 1);
	x->p = semi + 1;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(name, known[i].name) == 0) {
			buf_add(&x->text, &known[i].is, 1);
			return 0;
		}
	if (name[0] != '#' || strspn(name + 1, "xX0123456789abcdefABCDEF") == 0)
		return bad("an entity of its own", e);
	c = name[1] == 'x' ? strtoul(name + 2, &stop, 16) : strtoul(name + 1, &stop, 10);
	if (*stop != '\0' || c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return bad("a character that is none", e);
	add_utf8(c, &x->text);
	return 0;
}

/* Moves behind the first `what` from here on. */
static int skip_past(struct xml *x, const char *what, struct err *e)
{
	const char *hit = memmem(x->p, (size_t)(x->end - x->p), what, strlen(what));

	if (hit == NULL)
		return bad("it ends early", e);
	x->p = hit + strlen(what);
	return 0;
}

static int close_element(struct xml *x, struct err *e)
{
	int rc = 0;

	x->depth--;
	if (!x->has_child[x->depth])
		rc = x->r->leaf(x->r->ctx, x->path.data, x->text.data, e);
	else if (x->r->end != NULL)
		rc = x->r->end(x->r->ctx, x->path.data, e);
	buf_cut(&x->path, x->at[x->depth] > 0 ? x->at[x->depth] - 1 : 0);
	buf_cut(&x->text, 0);
	return rc;
}

static const char *local_name(const char *p, size_t *n)
{
	const char *colon = memchr(p, ':', *n);

	if (colon == NULL)
		return p;
	*n -= (size_t)(colon + 1 - p);
	return colon + 1;
}

/* Passes over attributes. *ret_empty: the element ends here ("/>"). */
static int attributes(struct xml *x, bool *ret_empty, struct err *e)
{
	char quote = '\0';

	for (; x->p < x->end; x->p++) {
		if (quote != '\0') {
			quote = *x->p == quote ? '\0' : quote;
		} else if (*x->p == '"' || *x->p == '\'') {
			quote = *x->p;
		} else if (*x->p == '>') {
			*ret_empty = x->p[-1] == '/';
			x->p++;
			return 0;
		}
	}
	return bad("it ends early", e);
}

static int open_element(struct xml *x, struct err *e)
{
	const char *name = x->p, *local;
	bool empty = false;
	size_t n;

	while (x->p < x->end && name_char(*x->p))
		x->p++;
	n = (size_t)(x->p - name);
	local = local_name(name, &n);
	if (n == 0 || x->depth == XML_DEPTH_MAX || (x->depth == 0 && x->seen))
		return bad("an element where none may be", e);
	x->seen = true;
	if (x->depth > 0) {
		x->has_child[x->depth - 1] = true;
		buf_add(&x->path, "/", 1);
	}
	x->at[x->depth] = x->path.len;
	x->has_child[x->depth++] = false;
	buf_add(&x->path, local, n);
	buf_cut(&x->text, 0);
	if (buf_over(&x->path))
		return bad("names too long", e);
	if (attributes(x, &empty, e) != 0)
		return -1;
	return empty ? close_element(x, e) : 0;
}

static int end_tag(struct xml *x, struct err *e)
{
	const char *name = x->p, *local;
	size_t n;

	while (x->p < x->end && name_char(*x->p))
		x->p++;
	n = (size_t)(x->p - name);
	local = local_name(name, &n);
	if (x->depth == 0 || strlen(x->path.data + x->at[x->depth - 1]) != n ||
	    memcmp(x->path.data + x->at[x->depth - 1], local, n) != 0)
		return bad("an end without a beginning", e);
	if (skip_past(x, ">", e) != 0)
		return -1;
	return close_element(x, e);
}

static bool begins(const struct xml *x, const char *what)
{
	size_t n = strlen(what);

	return (size_t)(x->end - x->p) >= n && memcmp(x->p, what, n) == 0;
}

static int markup(struct xml *x, struct err *e)
{
	if (begins(x, "<?"))
		return skip_past(x, "?>", e);
	if (begins(x, "<!--"))
		return skip_past(x, "-->", e);
	if (begins(x, "<!"))
		return bad("a declaration", e);
	if (begins(x, "</")) {
		x->p += 2;
		return end_tag(x, e);
	}
	x->p++;
	return open_element(x, e);
}

int xml_read(const char *p, size_t n, const struct xml_reader *r, struct err *e)
{
	struct xml x SCOPED(xml_release) = {.p = p,
					    .end = p + n,
					    .r = r,
					    .path = BUF_INIT(PATH_BYTES),
					    .text = BUF_INIT(TEXT_BYTES)};

	while (x.p < x.end) {
		if (*x.p == '<') {
			if (markup(&x, e) != 0)
				return -1;
		} else if (*x.p == '&') {
			if (entity(&x, e) != 0)
				return -1;
		} else {
			buf_add(&x.text, x.p++, 1);
		}
		if (buf_over(&x.text))
			return bad("a text too long", e);
	}
	return x.depth == 0 && x.seen ? 0 : bad("it ends early", e);
}

struct wanted {
	const char *path;
	char *text;
};

static int take(void *ctx, const char *path, const char *text, struct err *e)
{
	struct wanted *w = ctx;

	(void)e;
	if (w->text == NULL && strcmp(path, w->path) == 0)
		w->text = mem_strdup(text);
	return 0;
}

char *xml_get(const char *p, size_t n, const char *path)
{
	struct wanted w = {path, NULL};
	const struct xml_reader r = {take, NULL, &w};
	struct err quiet = ERR_INIT;

	if (xml_read(p, n, &r, &quiet) == 0)
		return w.text;
	free(w.text);
	return NULL;
}

#include "form/inventory.h"

#include "form/inventory_line.h"
#include "form/version.h"
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 4096, PACKAGES_MAX = 100000 };

struct reader {
	const char *file;
	const char *p; /* what is not read yet */
	size_t n;
	unsigned number; /* of the line before */
};

/* The next line that is not empty and no comment: 1, 0 at the end, -1. */
static int next(struct reader *r, struct line *ret, struct err *e)
{
	while (r->n > 0) {
		const char *nl = memchr(r->p, '\n', r->n);
		size_t n = nl != NULL ? (size_t)(nl - r->p) : r->n;
		struct line l = {.file = r->file, .number = ++r->number, .p = r->p, .n = n};

		r->p += n + (nl != NULL);
		r->n -= n + (nl != NULL);
		if (n > LINE_MAX_BYTES)
			return err_set(e, ERR_RECIPE, "%s:%u:1: a line of %zu bytes is no package",
				       r->file, l.number, n);
		while (l.n > 0 && (l.p[l.n - 1] == '\r' || l.p[l.n - 1] == ' '))
			l.n--;
		for (size_t i = 0; i < l.n; i++)
			if (((unsigned char)l.p[i] < ' ' && l.p[i] != '\t') || l.p[i] == 0x7f)
				return err_set(e, ERR_RECIPE, "%s:%u:%zu: byte 0x%02x is no text",
					       r->file, l.number, i + 1, (unsigned char)l.p[i]);
		if (l.n == 0 || l.p[0] == '#')
			continue;
		line_split(&l);
		*ret = l;
		if (l.fields > 0)
			return 1;
	}
	return 0;
}

/* dpkg -l begins with a head in the language of its user, which ends with a line of "+++-===". */
static void skip_head(struct reader *r)
{
	const char *at = r->p;

	for (unsigned i = 1; i <= 10 && at < r->p + r->n; i++) {
		const char *nl = memchr(at, '\n', r->n - (size_t)(at - r->p));

		if (nl == NULL)
			return;
		if (strncmp(at, "+++-", 4) == 0) {
			r->n -= (size_t)(nl + 1 - r->p);
			r->p = nl + 1;
			r->number += i;
			return;
		}
		at = nl + 1;
	}
}

static struct reader begin(const char *file, const char *p, size_t n)
{
	struct reader r = {.file = file, .p = p, .n = n};

	if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
		r.p += 3;
		r.n -= 3;
	}
	skip_head(&r);
	return r;
}

/* What the first line that can only be of one kind says. */
static int find_kind(struct reader r, enum inventory_kind *ret, struct err *e)
{
	struct line l;
	int rc;

	while ((rc = next(&r, &l, e)) == 1) {
		bool deb = line_is(&l, INVENTORY_DEB), rpm = line_is(&l, INVENTORY_RPM);

		if (deb != rpm) {
			*ret = deb ? INVENTORY_DEB : INVENTORY_RPM;
			return 0;
		}
	}
	return rc;
}

static void package_release(struct inventory_package *p)
{
	free(p->name);
	free(p->version);
	free(p->arch);
}

void inventory_release(struct inventory *i)
{
	for (size_t k = 0; k < i->n; k++)
		package_release(&i->v[k]);
	free(i->v);
	*i = (struct inventory){0};
}

static int by_name(const void *a, const void *b)
{
	const struct inventory_package *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	if (c == 0)
		c = strcmp(x->arch != NULL ? x->arch : "", y->arch != NULL ? y->arch : "");
	return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

/* rpm keeps several kernels, and libraries of two architectures, which not every list tells apart.
 * Anything else that is there twice is a list of two servers. */
static bool may_repeat(const struct inventory *i, const struct inventory_package *a,
		       const struct inventory_package *b)
{
	if (i->kind != INVENTORY_RPM)
		return false;
	return strncmp(a->name, "kernel", 6) == 0 ||
	       (a->arch == NULL && strcmp(a->version, b->version) == 0);
}

static bool same_package(const struct inventory_package *a, const struct inventory_package *b)
{
	return strcmp(a->name, b->name) == 0 &&
	       strcmp(a->arch != NULL ? a->arch : "", b->arch != NULL ? b->arch : "") == 0;
}

static int drop_repeated(const char *file, struct inventory *i, struct err *e)
{
	struct inventory_package *last = NULL;
	size_t n = 0;

	for (size_t k = 0; k < i->n; k++) {
		struct inventory_package *p = &i->v[k];

		if (last == NULL || !same_package(last, p)) {
			last = p;
			continue;
		}
		if (!may_repeat(i, last, p)) {
			(void)err_set(e, ERR_RECIPE, "%s:%u:1: %s is in line %u already", file,
				      p->line, p->name, last->line);
			return err_hint(e, "a manifest is the list of one server");
		}
		if (version_compare_rpm(last->version, p->version) < 0)
			SWAP(*last, *p);
		package_release(p);
		*p = (struct inventory_package){0};
	}
	for (size_t k = 0; k < i->n; k++)
		if (i->v[k].name != NULL)
			i->v[n++] = i->v[k];
	i->n = n;
	return 0;
}

/* Takes one line; one that is not like the first is refused, as half of another list would be. */
static int take(struct inventory *i, const struct line *l, const struct line *first,
		struct inventory_package *ret, struct err *e)
{
	bool epoch = false;

	if (l->fields != first->fields || l->separator != first->separator) {
		if (!l->removed && l->fields >= 2) {
			(void)err_set(e, ERR_RECIPE, "%s:%u:1: %zu fields where line %u has %zu",
				      l->file, l->number, l->fields, first->number, first->fields);
			return err_hint(e, "every line of a manifest is of the same form");
		}
	}
	if (line_package(l, i->kind, ret, &epoch, e) != 0)
		return err_hint(e, "give the output of rpm -qa, dpkg-query -W or dpkg -l");
	i->epochs = i->epochs || epoch;
	return 0;
}

static bool is_kept(const struct line *l, const struct inventory_package *p)
{
	return p->version != NULL && !l->removed && strcmp(p->name, "gpg-pubkey") != 0;
}

static int read_all(struct reader r, struct inventory *i, struct err *e)
{
	struct line l, first = {0};
	size_t cap = 0;
	int rc;

	while ((rc = next(&r, &l, e)) == 1) {
		struct inventory_package p = {0};

		if (first.number == 0)
			first = l;
		if (take(i, &l, &first, &p, e) != 0)
			return -1;
		if (!is_kept(&l, &p)) {
			package_release(&p);
			i->skipped++;
			continue;
		}
		if (i->n == PACKAGES_MAX) {
			package_release(&p);
			return err_set(e, ERR_RECIPE, "%s:%u:1: more than %d packages", l.file,
				       l.number, PACKAGES_MAX);
		}
		if (i->n == cap) {
			cap = cap != 0 ? cap * 2 : 256;
			i->v = mem_resize(i->v, cap, sizeof(*i->v));
		}
		i->v[i->n++] = p;
	}
	return rc;
}

int inventory_parse(const char *file, const char *p, size_t n, enum inventory_kind assume,
		    struct inventory *ret, struct err *e)
{
	struct inventory i SCOPED(inventory_release) = {.kind = assume};
	struct reader r;

	if (n > INVENTORY_MAX)
		return err_set(e, ERR_RECIPE, "%s: more than %d bytes", file, INVENTORY_MAX);
	r = begin(file, p, n);
	if (find_kind(r, &i.kind, e) != 0)
		return -1;
	i.epochs = i.kind == INVENTORY_DEB;
	if (read_all(r, &i, e) != 0)
		return -1;
	if (i.n == 0) {
		(void)err_set(e, ERR_RECIPE, "%s: no package in it", file);
		return err_hint(e, "give the output of rpm -qa, dpkg-query -W or dpkg -l");
	}
	qsort(i.v, i.n, sizeof(*i.v), by_name);
	if (drop_repeated(file, &i, e) != 0)
		return -1;
	*ret = i;
	i = (struct inventory){0};
	return 0;
}

const char *inventory_kind_name(enum inventory_kind k)
{
	return k == INVENTORY_DEB ? "a list of dpkg" : "a list of rpm";
}

#include "package/match.h"

#include "form/version.h"
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

void match_begin(struct match *m, const char *file, const struct inventory *list, bool nearest)
{
	*m = (struct match){.file = file, .list = list, .nearest = nearest, .n = list->n};
	m->v = mem_zalloc((list->n + 1) * sizeof(*m->v));
	for (size_t i = list->n; i-- > 0;) {
		m->v[i].package = &list->v[i];
		m->v[i].next = map_put(&m->names, list->v[i].name, &m->v[i]);
	}
}

void match_release(struct match *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].version);
		free(m->v[i].where);
	}
	free(m->v);
	map_release(&m->names, NULL);
	*m = (struct match){0};
}

void match_leave_out(struct match *m, const struct strv *patterns)
{
	for (size_t i = 0; i < m->n; i++)
		for (size_t k = 0; k < patterns->n && !m->v[i].left_out; k++)
			m->v[i].left_out = fnmatch(patterns->v[k], m->v[i].package->name, 0) == 0;
}

static bool asked(const struct match_want *w)
{
	return !w->left_out;
}

bool match_wants(const struct match *m, const char *name)
{
	for (const struct match_want *w = map_get(&m->names, name); w != NULL; w = w->next)
		if (asked(w))
			return true;
	return false;
}

static int compare(const struct match *m, const char *a, const char *b)
{
	if (!m->list->epochs) {
		a = version_without_epoch(a);
		b = version_without_epoch(b);
	}
	return m->list->kind == INVENTORY_DEB ? version_compare_deb(a, b)
					      : version_compare_rpm(a, b);
}

bool match_is_newer(const struct match *m, const struct match_want *w)
{
	return compare(m, w->version, w->package->version) > 0;
}

/* Whether an offer is nearer to what is wanted than what there is. */
static bool is_nearer(const struct match *m, const struct match_want *w, const char *version)
{
	bool newer = compare(m, version, w->package->version) > 0;

	if (w->version == NULL)
		return true;
	if (newer != match_is_newer(m, w))
		return newer;
	return newer ? compare(m, version, w->version) < 0 : compare(m, version, w->version) > 0;
}

/* dpkg's "all" and an architecture may follow one another from version to version. */
static bool arch_fits(const struct match *m, const struct match_want *w, const char *arch)
{
	const char *want = w->package->arch;

	if (want == NULL || strcmp(want, arch) == 0)
		return true;
	return m->list->kind == INVENTORY_DEB &&
	       (strcmp(want, "all") == 0 || strcmp(arch, "all") == 0);
}

static void offer(struct match *m, struct match_want *w, const char *version, const char *where)
{
	bool exact = compare(m, version, w->package->version) == 0;

	if (w->exact || (!exact && !is_nearer(m, w, version)))
		return;
	free(w->version);
	free(w->where);
	w->version = mem_strdup(version);
	w->where = mem_strdup(where);
	w->exact = exact;
}

void match_offer(struct match *m, const char *name, const char *version, const char *arch,
		 const char *where)
{
	for (struct match_want *w = map_get(&m->names, name); w != NULL; w = w->next)
		if (asked(w) && arch_fits(m, w, arch))
			offer(m, w, version, where);
}

size_t match_missing(const struct match *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += asked(&m->v[i]) && !m->v[i].exact;
	return n;
}

int match_refuse(const struct match *m, struct err *e)
{
	if (m->nearest || match_missing(m) == 0)
		return 0;
	(void)err_set(e, ERR_FAIL, "%zu of %zu packages of %s cannot be had in its versions",
		      match_missing(m), m->n, m->file);
	return err_hint(e, "--nearest takes the nearest version of each and leaves out what there "
			   "is none of");
}

/* NAME, and its architecture where the list has the name more than once; the caller owns it. */
static char *shown_name(const struct match *m, const struct match_want *w)
{
	const struct match_want *first = map_get(&m->names, w->package->name);
	bool several = first->next != NULL && w->package->arch != NULL;

	return mem_format("%s%s%s", w->package->name,
			  !several                         ? ""
			  : m->list->kind == INVENTORY_DEB ? ":"
							   : ".",
			  several ? w->package->arch : "");
}

void match_report(const struct match *m, struct buf *out)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct match_want *w = &m->v[i];
		char *name SCOPED(mem_freep) = shown_name(m, w);

		if (!asked(w) || w->exact)
			continue;
		buf_addf(out, "not to be had: %s %s, ", name, w->package->version);
		if (w->version == NULL)
			buf_addf(out, "nor any other version\n");
		else
			buf_addf(out, "nearest %s in %s (%s)\n", w->version, w->where,
				 match_is_newer(m, w) ? "newer" : "older");
	}
}

static struct jval *missing_json(const struct match *m, const struct match_want *w)
{
	struct jval *o = jval_object();
	char *name SCOPED(mem_freep) = shown_name(m, w);

	jval_put_text(o, "package", name);
	jval_put_text(o, "wanted", w->package->version);
	jval_put(o, "nearest", w->version != NULL ? jval_text(w->version) : jval_null());
	jval_put(o, "where", w->where != NULL ? jval_text(w->where) : jval_null());
	return o;
}

struct jval *match_json(const struct match *m)
{
	struct jval *o = jval_object(), *out = jval_array(), *missing = jval_array();
	size_t exact = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct match_want *w = &m->v[i];

		if (!asked(w))
			jval_push(out, jval_text(w->package->name));
		else if (!w->exact)
			jval_push(missing, missing_json(m, w));
		exact += asked(w) && w->exact;
	}
	jval_put_text(o, "manifest", m->file);
	jval_put_int(o, "packages", (int64_t)m->n);
	jval_put_int(o, "exact", (int64_t)exact);
	jval_put(o, "left-out", out);
	jval_put(o, "unavailable", missing);
	return o;
}

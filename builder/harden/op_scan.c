/* op_scan.c - what a look into all files found (builder/scan), by class. Numbers are masked. */
#include "harden/op.h"

#include <stddef.h>
#include <string.h>

enum { PLACES = 3 };

struct scan_want {
	struct strv classes;
	bool packed; /* only in archives and databases: elsewhere others look */
};

static const struct field scan_fields[] = {
    {"classes", FIELD_LIST, offsetof(struct scan_want, classes), true},
    {"packed", FIELD_BOOL, offsetof(struct scan_want, packed), false},
    {0},
};

static const char *const classes[] = {"pan",           "track1",   "track2",      "cvv",
				      "pin-block",     "test-pan", "private-key", "credential",
				      "password-hash", "trust",    "identity",    "incomplete"};

static int scan_finish(void *want, const struct yaml *at, struct err *e)
{
	const struct scan_want *w = want;

	for (size_t i = 0; i < w->classes.n; i++) {
		size_t k = 0, n = sizeof(classes) / sizeof(classes[0]);

		while (k < n && strcmp(classes[k], w->classes.v[i]) != 0)
			k++;
		if (k == n)
			return yaml_err(yaml_get(at, "classes"), e, "\"%s\" is no class of finding",
					w->classes.v[i]);
	}
	return 0;
}

static const char *scan_lacks(const struct op_run *r, const void *want)
{
	(void)want;
	return r->c->content == NULL ? "nobody looked into the files" : NULL;
}

/* A few of the places of a class: "Visa 400000******0000 at 12". */
static void add_places(const struct jval *file, const char *cls, struct buf *out)
{
	const struct jval *places = jval_get(file, "places");
	int n = 0;

	for (size_t i = 0; i < jval_len(places) && n < PLACES; i++) {
		const struct jval *p = jval_at(places, i);
		const char *is = jval_get_str(p, "class"), *what = jval_get_str(p, "what");
		const char *seen = jval_get_str(p, "seen"), *inside = jval_get_str(p, "inside");
		int64_t at;

		if (is == NULL || strcmp(is, cls) != 0 || jval_get_int(p, "offset", &at) != 0)
			continue;
		buf_addf(out, "%s%s%s%s at %lld%s%s", n++ == 0 ? " (" : ", ",
			 what != NULL ? what : "", seen != NULL ? " " : "",
			 seen != NULL ? seen : "", (long long)at, inside != NULL ? " in " : "",
			 inside != NULL ? inside : "");
	}
	if (n > 0)
		buf_addf(out, ")");
}

static void say(const struct op_run *r, const struct jval *file, const char *cls, int64_t n)
{
	const char *path = jval_get_str(file, "file"), *layer = jval_get_str(file, "layer");
	const char *reason = jval_get_str(jval_get(file, "allowed"), cls);
	const char *until = jval_get_str(jval_get(file, "expired"), cls);
	struct buf places SCOPED(buf_release) = BUF_INIT(2048);

	if (reason != NULL) {
		if (r->held != NULL)
			strv_addf(r->held, "/%s: %lld %s, allowed: %s", path, (long long)n, cls,
				  reason);
		return;
	}
	add_places(file, cls, &places);
	strv_addf(r->found, "/%s%s%s: %lld %s%s%s%s", path, layer != NULL ? " in layer " : "",
		  layer != NULL ? layer : "", (long long)n, cls, places.data,
		  until != NULL ? ", allowed until " : "", until != NULL ? until : "");
}

/* How many of the places of a class are inside of something. */
static int64_t packed(const struct jval *file, const char *cls)
{
	const struct jval *places = jval_get(file, "places");
	int64_t n = 0;

	for (size_t i = 0; i < jval_len(places); i++) {
		const char *is = jval_get_str(jval_at(places, i), "class");
		const char *inside = jval_get_str(jval_at(places, i), "inside");

		n += is != NULL && strcmp(is, cls) == 0 && inside != NULL &&
		     strcmp(inside, "its name") != 0;
	}
	return n;
}

static void look_at(const struct op_run *r, const struct scan_want *w, const struct jval *file)
{
	const char *path = jval_get_str(file, "file"), *why = jval_get_str(file, "incomplete");
	int64_t n;

	for (size_t i = 0; i < w->classes.n; i++) {
		if (jval_get_int(jval_get(file, "counts"), w->classes.v[i], &n) == 0)
			n = w->packed ? packed(file, w->classes.v[i]) : n;
		else
			n = 0;
		if (n > 0)
			say(r, file, w->classes.v[i], n);
		else if (why != NULL && strcmp(w->classes.v[i], "incomplete") == 0)
			strv_addf(r->found, "/%s: not looked at whole: %s", path, why);
	}
	facts_found(r->facts, path);
}

static int scan_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct harden_content *c = r->c->content;
	const struct scan_want *w = want;
	const struct facts_files *files;
	const struct jval *report, *list;

	if (facts_files(r->facts, &files, e) != 0 ||
	    c->look(c->ctx, r->rootfd, files, &report, e) != 0)
		return -1;
	list = jval_get(report, "files");
	for (size_t i = 0; i < jval_len(list); i++)
		if (jval_get_str(jval_at(list, i), "file") != NULL)
			look_at(r, w, jval_at(list, i));
	for (size_t i = 0; i < w->classes.n && !w->packed && c->judged != NULL; i++)
		c->judged(c->ctx, w->classes.v[i]);
	return 0;
}

const struct op_kind op_scan = {
    .name = "scan",
    .whole_tree = true,
    .size = sizeof(struct scan_want),
    .fields = scan_fields,
    .finish = scan_finish,
    .lacks = scan_lacks,
    .check = scan_check,
};

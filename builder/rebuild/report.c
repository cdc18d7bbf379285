/* report.c - what a rebuild found, for people and for programs. */
#include "rebuild/rebuild.h"

#include <stdlib.h>
#include <string.h>

/* More than that is one cause, not many. */
enum { FILES_SHOWN = 50 };

static const struct {
	enum rebuild_kind kind;
	const char *word;
} kinds[] = {
    {REBUILD_ONLY_WAS, "only in the image"},
    {REBUILD_ONLY_IS, "only in the new build"},
    {REBUILD_TYPE, "type"},
    {REBUILD_CONTENT, "content"},
    {REBUILD_LINK, "link target"},
    {REBUILD_OWNER, "owner"},
    {REBUILD_MODE, "mode"},
    {REBUILD_MTIME, "time"},
    {REBUILD_XATTRS, "attributes"},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static char *kinds_text(unsigned bits)
{
	struct buf b = BUF_INIT(256);

	for (size_t i = 0; i < KINDS; i++)
		if ((bits & kinds[i].kind) != 0)
			buf_addf(&b, "%s%s", b.len > 0 ? ", " : "", kinds[i].word);
	return buf_take(&b);
}

static const char compressor[] = "same contents, other bytes: another version of the compressor";

/* Layers whose tar is the same need not have been compressed by the same program. */
static const char *layer_words(const struct rebuild_layer *l)
{
	if (l->same)
		return l->same_blob ? "same" : compressor;
	return "different";
}

static void report_layers(const struct rebuild_result *r, struct buf *out)
{
	for (size_t i = 0; i < r->layers_n; i++) {
		const struct rebuild_layer *l = &r->layers[i];

		buf_addf(out, "layer %zu %s: %s\n", i + 1, l->name, layer_words(l));
		if (l->same)
			continue;
		buf_addf(out, "  was %s\n  is  %s\n", digest_text(&l->was).s,
			 digest_text(&l->is).s);
		if (l->tar != NULL)
			buf_addf(out, "  first in its tar: %s\n", l->tar);
	}
}

static void report_files(const struct rebuild_result *r, struct buf *out)
{
	for (size_t i = 0; i < r->files_n && i < FILES_SHOWN; i++) {
		const struct rebuild_file *f = &r->files[i];
		char *how SCOPED(mem_freep) = kinds_text(f->kinds);

		buf_addf(out, "/%s: %s%s%s%s\n  likely cause: %s; by: %s\n", f->path, how,
			 f->detail[0] != '\0' ? " (" : "", f->detail,
			 f->detail[0] != '\0' ? ")" : "", f->cause, f->by);
	}
	if (r->files_n > FILES_SHOWN)
		buf_addf(out, "and %zu more files; --json has them all\n",
			 r->files_n - FILES_SHOWN);
}

static void report_varied(const struct rebuild_result *r, struct buf *out)
{
	for (size_t i = 0; i < r->varied_n; i++) {
		const struct rebuild_varied *v = &r->varied[i];

		if (v->why_not == NULL)
			buf_addf(out, "varied %s: %s -> %s\n", v->name, v->was, v->is);
	}
	for (size_t i = 0; i < r->varied_n; i++) {
		const struct rebuild_varied *v = &r->varied[i];

		if (v->why_not != NULL)
			buf_addf(out, "not varied %s (%s): %s\n", v->name, v->is, v->why_not);
	}
}

void rebuild_report(const struct rebuild_result *r, struct buf *out)
{
	report_varied(r, out);
	report_layers(r, out);
	for (size_t i = 0; i < r->config.n; i++)
		buf_addf(out, "configuration: %s\n", r->config.v[i]);
	report_files(r, out);
	buf_addf(out, "%s %s\n", r->reproduced ? "reproduced" : "not reproduced",
		 digest_text(&r->was).s);
}

static struct jval *layers_json(const struct rebuild_result *r)
{
	struct jval *all = jval_array();

	for (size_t i = 0; i < r->layers_n; i++) {
		const struct rebuild_layer *l = &r->layers[i];
		struct jval *o = jval_object();

		jval_put_text(o, "name", l->name);
		jval_put_text(o, "was", digest_text(&l->was).s);
		jval_put_text(o, "is", digest_text(&l->is).s);
		jval_put(o, "same", jval_bool(l->same));
		jval_put(o, "same-compressed", jval_bool(l->same_blob));
		if (l->tar != NULL)
			jval_put_text(o, "tar", l->tar);
		jval_push(all, o);
	}
	return all;
}

static struct jval *files_json(const struct rebuild_result *r)
{
	struct jval *all = jval_array();

	for (size_t i = 0; i < r->files_n; i++) {
		const struct rebuild_file *f = &r->files[i];
		struct jval *o = jval_object(), *how = jval_array();

		for (size_t k = 0; k < KINDS; k++)
			if ((f->kinds & kinds[k].kind) != 0)
				jval_push(how, jval_text(kinds[k].word));
		jval_put_text(o, "path", f->path);
		jval_put(o, "kinds", how);
		jval_put_text(o, "detail", f->detail);
		jval_put_text(o, "cause", f->cause);
		jval_put_text(o, "by", f->by);
		jval_push(all, o);
	}
	return all;
}

static struct jval *varied_json(const struct rebuild_result *r)
{
	struct jval *all = jval_array();

	for (size_t i = 0; i < r->varied_n; i++) {
		const struct rebuild_varied *v = &r->varied[i];
		struct jval *o = jval_object();

		jval_put_text(o, "name", v->name);
		jval_put_text(o, "was", v->was);
		jval_put_text(o, "is", v->is);
		if (v->why_not != NULL)
			jval_put_text(o, "why-not", v->why_not);
		jval_push(all, o);
	}
	return all;
}

struct jval *rebuild_json(const struct rebuild_result *r)
{
	struct jval *o = jval_object(), *config = jval_array();

	for (size_t i = 0; i < r->config.n; i++)
		jval_push(config, jval_text(r->config.v[i]));
	jval_put(o, "reproduced", jval_bool(r->reproduced));
	jval_put_text(o, "was", digest_text(&r->was).s);
	jval_put_text(o, "is", digest_text(&r->is).s);
	jval_put(o, "configuration", config);
	jval_put(o, "layers", layers_json(r));
	jval_put(o, "files", files_json(r));
	jval_put(o, "varied", varied_json(r));
	return o;
}

/* json.c - differences for programs. */
#include "diff/diff.h"

#include <sys/stat.h>

static const char *const members[] = {
    [DIFF_PACKAGES] = "packages",
    [DIFF_PRIVILEGED] = "privileged",
    [DIFF_CAPABILITIES] = "capabilities",
    [DIFF_USERS] = "users",
    [DIFF_GROUPS] = "groups",
    [DIFF_PORTS] = "ports",
    [DIFF_SERVICES] = "services",
    [DIFF_CONTROLS] = "controls",
    [DIFF_RUN] = "run",
};

static const struct {
	unsigned how;
	const char *name;
} hows[] = {
    {DIFF_ADDED, "added"},     {DIFF_REMOVED, "removed"},   {DIFF_TYPE, "type"},
    {DIFF_CONTENT, "content"}, {DIFF_LINK, "link"},         {DIFF_OWNER, "owner"},
    {DIFF_MODE, "mode"},       {DIFF_XATTRS, "attributes"},
};

static void put_text(struct jval *o, const char *key, const char *s)
{
	if (s != NULL)
		jval_put_text(o, key, s);
}

static struct jval *list_json(const struct diff_list *l)
{
	struct jval *v = jval_array();

	for (size_t i = 0; i < l->n; i++) {
		struct jval *o = jval_object();

		jval_put_text(o, "name", l->v[i].name);
		put_text(o, "was", l->v[i].was);
		put_text(o, "is", l->v[i].is);
		put_text(o, "note", l->v[i].note);
		if (l->v[i].files > 0)
			jval_put_int(o, "files", (int64_t)l->v[i].files);
		jval_push(v, o);
	}
	return v;
}

static struct jval *meta_json(const struct diff_meta *m)
{
	struct jval *o = jval_object();
	char *mode SCOPED(mem_freep) = mem_format("%04o", m->mode & 07777U);

	jval_put_text(o, "type",
		      S_ISDIR(m->mode)   ? "directory"
		      : S_ISLNK(m->mode) ? "symlink"
					 : "file");
	jval_put_text(o, "mode", mode);
	jval_put_int(o, "uid", m->uid);
	jval_put_int(o, "gid", m->gid);
	if (S_ISREG(m->mode))
		jval_put_int(o, "size", (int64_t)m->size);
	put_text(o, "link", m->link);
	return o;
}

static struct jval *file_json(const struct diff_file *f)
{
	struct jval *o = jval_object(), *how = jval_array();

	for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++)
		if ((f->how & hows[i].how) != 0)
			jval_push(how, jval_text(hows[i].name));
	jval_put_text(o, "path", f->path);
	jval_put(o, "how", how);
	put_text(o, "package", f->package);
	if (f->was.mode != 0)
		jval_put(o, "was", meta_json(&f->was));
	if (f->is.mode != 0)
		jval_put(o, "is", meta_json(&f->is));
	return o;
}

static struct jval *side_json(const struct diff_side *s)
{
	struct jval *o = jval_object(), *layers = jval_array();

	jval_put_text(o, "object", s->object);
	if (s->is_image)
		jval_put_text(o, "image", digest_text(&s->image).s);
	if (s->only_packages) {
		jval_put_int(o, "packages", (int64_t)s->packages);
		jval_put(o, "layers", layers);
		return o;
	}
	for (size_t i = 0; i < s->layers_n; i++) {
		struct jval *l = jval_object();

		put_text(l, "name", s->layers[i].name);
		jval_put_text(l, "digest", digest_text(&s->layers[i].digest).s);
		jval_put_int(l, "size", (int64_t)s->layers[i].size);
		jval_put(l, "shared", jval_bool(s->layers[i].shared));
		jval_push(layers, l);
	}
	jval_put(o, "layers", layers);
	jval_put_int(o, "files", (int64_t)s->files);
	jval_put_int(o, "bytes", (int64_t)s->bytes);
	return o;
}

struct jval *diff_json(const struct diff *d)
{
	struct jval *o = jval_object(), *files = jval_array(), *unknown = jval_array();

	jval_put(o, "was", side_json(&d->was));
	jval_put(o, "is", side_json(&d->is));
	jval_put(o, "differ", jval_bool(diff_any(d)));
	for (int t = 0; t < DIFF_TOPICS; t++) {
		jval_put(o, members[t], list_json(&d->lists[t]));
		if (d->lists[t].unknown)
			jval_push(unknown, jval_text(members[t]));
	}
	for (size_t i = 0; i < d->files_n; i++)
		jval_push(files, file_json(&d->files[i]));
	jval_put(o, "files", files);
	jval_put(o, "unknown", unknown);
	return o;
}

/* compare.c - the image and the new build: configuration, layers, and the trees when those differ.
 */
#include "rebuild/again.h"

#include "archive/tarcmp.h"
#include "base/log.h"
#include "oci/unpack.h"
#include "package/package.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONTENT_MAX = 1 << 20 };

struct image_side {
	const struct oci_layout *layout;
	const struct oci_manifest *m;
	struct jval *config;
};

static int read_config(struct image_side *s, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	if (oci_layout_read(s->layout, &s->m->config.digest, &text, e) != 0)
		return -1;
	return jval_parse(text.data, text.len, "image configuration", &s->config, e);
}

/* The values of two configurations that differ, by their paths. */
struct config_diff {
	struct strv *out;
	const char *path;
	const struct jval *other;
	bool walks_old;
};

static void compare_values(struct strv *out, const char *path, const struct jval *was,
			   const struct jval *is);

static char *shown(const struct jval *v)
{
	struct buf b = BUF_INIT(1 << 20);

	if (v == NULL)
		return mem_strdup("nothing");
	jval_write(v, &b);
	if (b.len > 120) {
		b.len = 117;
		buf_addf(&b, "...");
	}
	return buf_take(&b);
}

static int compare_member(void *ctx, const char *key, struct jval *v)
{
	const struct config_diff *d = ctx;
	const struct jval *other = jval_get(d->other, key);
	char *path SCOPED(mem_freep) =
	    mem_format("%s%s%s", d->path, d->path[0] != '\0' ? "." : "", key);

	if (!d->walks_old)
		compare_values(d->out, path, other, v);
	else if (other == NULL)
		compare_values(d->out, path, v, NULL);
	return 0;
}

static void compare_values(struct strv *out, const char *path, const struct jval *was,
			   const struct jval *is)
{
	char *x SCOPED(mem_freep) = NULL, *y SCOPED(mem_freep) = NULL;

	if (was != NULL && is != NULL && jval_equal(was, is))
		return;
	if (jval_is_object(was) && jval_is_object(is)) {
		struct config_diff d = {.out = out, .path = path, .other = was};

		(void)jval_each(is, compare_member, &d);
		d = (struct config_diff){.out = out, .path = path, .other = is, .walks_old = true};
		(void)jval_each(was, compare_member, &d);
		return;
	}
	/* the layers are told one by one */
	if (strcmp(path, "rootfs.diff_ids") == 0)
		return;
	x = shown(was);
	y = shown(is);
	strv_addf(out, "%s: %s, now %s", path, x, y);
}

static struct digest diff_id(const struct image_side *s, size_t i)
{
	const struct jval *ids = jval_get(jval_get(s->config, "rootfs"), "diff_ids");
	const char *text = jval_str(jval_at(ids, i));
	struct digest d = {0};

	if (text != NULL && digest_parse(text, &d) != 0)
		d = (struct digest){0};
	return d;
}

static void compare_layers(struct rebuild_result *r, const struct image_side *was,
			   const struct image_side *is)
{
	size_t n = was->m->layers_n > is->m->layers_n ? was->m->layers_n : is->m->layers_n;

	r->layers = mem_zalloc((n + 1) * sizeof(*r->layers));
	for (; r->layers_n < n; r->layers_n++) {
		size_t i = r->layers_n;
		const struct oci_desc *x = i < was->m->layers_n ? &was->m->layers[i] : NULL;
		const struct oci_desc *y = i < is->m->layers_n ? &is->m->layers[i] : NULL;
		const struct oci_desc *any = x != NULL ? x : y;
		const char *name = jval_get_str(any->annotations, "org.posmedia.layer");
		struct rebuild_layer *l = &r->layers[i];

		l->name = mem_strdup(name != NULL ? name : "");
		l->was = diff_id(was, i);
		l->is = diff_id(is, i);
		l->same = x != NULL && y != NULL && digest_equal(&l->was, &l->is);
		l->same_blob = x != NULL && y != NULL && digest_equal(&x->digest, &y->digest);
	}
}

static struct rebuild_file *add_file(struct rebuild_result *r, const char *path, unsigned kinds)
{
	r->files = mem_resize(r->files, r->files_n + 1, sizeof(*r->files));
	r->files[r->files_n] = (struct rebuild_file){.path = mem_strdup(path), .kinds = kinds};
	return &r->files[r->files_n++];
}

static unsigned metadata_kinds(const struct tree_entry *a, const struct tree_entry *b)
{
	unsigned kinds = 0;

	if (a->uid != b->uid || a->gid != b->gid)
		kinds |= REBUILD_OWNER;
	if (a->mtime != b->mtime)
		kinds |= REBUILD_MTIME;
	if ((a->mode & S_IFMT) != (b->mode & S_IFMT))
		return kinds | REBUILD_TYPE;
	if (a->mode != b->mode)
		kinds |= REBUILD_MODE;
	if (a->link != NULL && strcmp(a->link, b->link) != 0)
		kinds |= REBUILD_LINK;
	if (!tree_same_xattrs(a, b))
		kinds |= REBUILD_XATTRS;
	return kinds;
}

struct trees {
	struct again *a;
	int was_fd, is_fd;
	struct tree was, is;
	struct map owner;
	struct strv owners;
};

static void trees_release(struct trees *t)
{
	tree_release(&t->was);
	tree_release(&t->is);
	map_release(&t->owner, NULL);
	strv_release(&t->owners);
	fd_closep(&t->was_fd);
	fd_closep(&t->is_fd);
}

static int hash_at(int rootfd, const char *path, struct digest *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = openat(rootfd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "open %s", path) : digest_fd(fd, ret, NULL, e);
}

static int content_differs(const struct trees *t, const struct tree_entry *a,
			   const struct tree_entry *b, bool *ret, struct err *e)
{
	struct digest x, y;

	*ret = a->size != b->size;
	if (*ret)
		return 0;
	if (hash_at(t->was_fd, a->path, &x, e) != 0 || hash_at(t->is_fd, b->path, &y, e) != 0)
		return -1;
	*ret = !digest_equal(&x, &y);
	return 0;
}

static void read_head(int rootfd, const struct tree_entry *en, struct buf *to)
{
	int fd SCOPED(fd_closep) = -1;
	char chunk[16384];
	ssize_t n;

	if (en == NULL || !S_ISREG(en->mode))
		return;
	fd = openat(rootfd, en->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	while (fd >= 0 && to->len + sizeof(chunk) < CONTENT_MAX &&
	       (n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(to, chunk, (size_t)n);
}

static char *detail_of(unsigned kinds, const struct tree_entry *a, const struct tree_entry *b)
{
	struct buf out = BUF_INIT(4096);

	if (a == NULL || b == NULL)
		return mem_strdup("");
	if ((kinds & (REBUILD_MODE | REBUILD_TYPE)) != 0)
		buf_addf(&out, ", mode %o, now %o", a->mode, b->mode);
	if ((kinds & REBUILD_OWNER) != 0)
		buf_addf(&out, ", owner %u:%u, now %u:%u", a->uid, a->gid, b->uid, b->gid);
	if ((kinds & REBUILD_MTIME) != 0)
		buf_addf(&out, ", time %lld, now %lld", (long long)a->mtime, (long long)b->mtime);
	if ((kinds & REBUILD_LINK) != 0)
		buf_addf(&out, ", to %.500s, now %.500s", a->link, b->link);
	if ((kinds & REBUILD_CONTENT) != 0 && a->size != b->size)
		buf_addf(&out, ", %llu bytes, now %llu", (unsigned long long)a->size,
			 (unsigned long long)b->size);
	char *all SCOPED(mem_freep) = buf_take(&out);

	return mem_strdup(all[0] != '\0' ? all + 2 : "");
}

static void tell_file(const struct trees *t, unsigned kinds, const struct tree_entry *a,
		      const struct tree_entry *b)
{
	struct pair p = {.a = t->a,
			 .path = a != NULL ? a->path : b->path,
			 .kinds = kinds,
			 .was = a,
			 .is = b,
			 .x = BUF_INIT(CONTENT_MAX),
			 .y = BUF_INIT(CONTENT_MAX)};
	struct rebuild_file *f = add_file(t->a->ret, p.path, kinds);

	if ((kinds & (REBUILD_CONTENT | REBUILD_ONLY_WAS | REBUILD_ONLY_IS)) != 0) {
		read_head(t->was_fd, a, &p.x);
		read_head(t->is_fd, b, &p.y);
	}
	f->detail = detail_of(kinds, a, b);
	f->cause = cause_of(&p);
	f->by = cause_by(t->a, &t->owner, p.path);
	buf_release(&p.x);
	buf_release(&p.y);
}

static int compare_both(const struct trees *t, const struct tree_entry *a,
			const struct tree_entry *b, struct err *e)
{
	unsigned kinds = metadata_kinds(a, b);
	bool differs = false;

	if (S_ISREG(a->mode) && S_ISREG(b->mode) && content_differs(t, a, b, &differs, e) != 0)
		return -1;
	if (differs)
		kinds |= REBUILD_CONTENT;
	if (kinds != 0)
		tell_file(t, kinds, a, b);
	return 0;
}

static int compare_trees(const struct trees *t, struct err *e)
{
	size_t i = 0, k = 0;

	while (i < t->was.n || k < t->is.n) {
		const struct tree_entry *a = i < t->was.n ? &t->was.v[i] : NULL;
		const struct tree_entry *b = k < t->is.n ? &t->is.v[k] : NULL;
		int c = a == NULL ? 1 : b == NULL ? -1 : strcmp(a->path, b->path);

		if (c == 0 && compare_both(t, a, b, e) != 0)
			return -1;
		if (c != 0)
			tell_file(t, c < 0 ? REBUILD_ONLY_WAS : REBUILD_ONLY_IS, c < 0 ? a : NULL,
				  c > 0 ? b : NULL);
		i += c <= 0;
		k += c >= 0;
		if (intr_pending())
			return intr_err(e);
	}
	return 0;
}

static int open_trees(struct trees *t, const struct oci_layout *layout, const struct oci_desc *m,
		      struct err *e)
{
	char *root SCOPED(mem_freep) = fs_join(t->a->scratch, "is");
	struct oci_manifest ignored SCOPED(oci_manifest_release) = {0};

	if (mkdir(root, 0755) != 0)
		return err_sys(e, "make %s", root);
	log_info("the digests differ: comparing the trees");
	if (oci_unpack(layout, m, root, &ignored, e) != 0 ||
	    fs_open_dir(AT_FDCWD, t->a->was_root, &t->was_fd, e) != 0 ||
	    fs_open_dir(AT_FDCWD, root, &t->is_fd, e) != 0 ||
	    tree_scan(t->was_fd, &t->was, NULL, e) != 0 ||
	    tree_scan(t->is_fd, &t->is, NULL, e) != 0)
		return -1;
	return package_owned(root, &t->owner, &t->owners, e);
}

/* Layers that are not the same although all that is in the trees is. */
static int compare_tars(struct rebuild_result *r, const struct image_side *was,
			const struct image_side *is, struct err *e)
{
	for (size_t i = 0; i < r->layers_n; i++) {
		int a SCOPED(fd_closep) = -1, b SCOPED(fd_closep) = -1;

		if (r->layers[i].same || i >= was->m->layers_n || i >= is->m->layers_n)
			continue;
		if (oci_layout_blob(was->layout, &was->m->layers[i].digest, &a, NULL, e) != 0 ||
		    oci_layout_blob(is->layout, &is->m->layers[i].digest, &b, NULL, e) != 0 ||
		    tar_compare(a, b, &r->layers[i].tar, e) != 0)
			return -1;
	}
	return 0;
}

static bool all_same(const struct rebuild_result *r)
{
	for (size_t i = 0; i < r->layers_n; i++)
		if (!r->layers[i].same)
			return false;
	return true;
}

static int compare_images(struct again *a, struct image_side *was, struct image_side *is,
			  const struct oci_desc *m, struct err *e)
{
	struct trees t SCOPED(trees_release) = {.a = a, .was_fd = -1, .is_fd = -1};

	if (read_config(was, e) != 0 || read_config(is, e) != 0)
		return -1;
	compare_values(&a->ret->config, "", was->config, is->config);
	compare_layers(a->ret, was, is);
	a->ret->reproduced = digest_equal(&a->ret->was, &a->ret->is);
	if (all_same(a->ret))
		return 0;
	if (open_trees(&t, is->layout, m, e) != 0 || compare_trees(&t, e) != 0)
		return -1;
	return a->ret->files_n > 0 ? 0 : compare_tars(a->ret, was, is, e);
}

int again_compare(struct again *a, struct err *e)
{
	char *dir SCOPED(mem_freep) = again_layout(a);
	struct oci_layout *layout SCOPED(oci_layout_freep) = NULL;
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc found = {0};
	struct image_side was = {.layout = a->o->layout, .m = &a->was}, is = {.m = &m};
	int rc;

	if (oci_layout_open(dir, false, &layout, e) != 0 ||
	    oci_layout_find(layout, "rebuilt", NULL, &found, e) != 0)
		return err_in(e, "the new build");
	a->ret->was = a->o->manifest->digest;
	a->ret->is = found.digest;
	is.layout = layout;
	rc = oci_layout_read(layout, &found.digest, &text, e);
	if (rc == 0)
		rc = oci_manifest_parse(text.data, text.len, &m, e);
	if (rc == 0)
		rc = compare_images(a, &was, &is, &found, e);
	jval_free(was.config);
	jval_free(is.config);
	oci_desc_release(&found);
	return rc;
}

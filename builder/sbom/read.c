#include "sbom/parts.h"

#include "archive/tree.h"
#include "build/embed.h"
#include "harden/root.h"
#include "oci/unpack.h"
#include "package/package.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOCK_MAX = 64 << 20 };

void sbom_release(struct sbom *b)
{
	for (size_t i = 0; i < b->packages_n; i++) {
		free(b->packages[i].name);
		free(b->packages[i].version);
		free(b->packages[i].arch);
		free(b->packages[i].purl);
	}
	for (size_t i = 0; i < b->files_n; i++) {
		free(b->files[i].path);
		free(b->files[i].link);
	}
	free(b->packages);
	free(b->files);
	free(b->name);
	free(b->version);
	free(b->created);
	free(b->os);
	lock_free(b->lock);
	*b = (struct sbom){0};
}

static int sum_file(int root, const struct tree_entry *en, struct sbom_file *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	ret->path = mem_strdup(en->path);
	if (en->link != NULL) {
		ret->link = mem_strdup(en->link);
		sums_of(en->link, strlen(en->link), &ret->sums);
		return 0;
	}
	fd = openat(root, en->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open %s", en->path);
	return sums_fd(fd, &ret->sums, e);
}

static int sort_out(int root, const struct tree *t, const struct map *owner, struct sbom *b,
		    struct err *e)
{
	b->files = mem_zalloc((t->n + 1) * sizeof(*b->files));
	for (size_t i = 0; i < t->n; i++) {
		const struct tree_entry *en = &t->v[i];

		if (S_ISDIR(en->mode))
			continue;
		if (map_has(owner, en->path)) {
			b->owned++;
			continue;
		}
		if (sum_file(root, en, &b->files[b->files_n++], e) != 0)
			return -1;
	}
	return 0;
}

static int read_files(const char *dir, int root, struct sbom *b, struct err *e)
{
	struct tree t = {0};
	struct map owner = {0};
	struct strv names SCOPED(strv_release) = {0};
	int rc = tree_scan(root, &t, NULL, e);

	if (rc == 0)
		rc = package_owned(dir, &owner, &names, e);
	if (rc == 0)
		rc = sort_out(root, &t, &owner, b, e);
	map_release(&owner, NULL);
	tree_release(&t);
	return rc;
}

/* The image's own recipe and lock; one that was not built by us has none. */
static int read_inputs(int root, struct sbom *b, struct err *e)
{
	struct buf lock SCOPED(buf_release) = BUF_INIT(LOCK_MAX);
	struct buf recipe SCOPED(buf_release) = BUF_INIT(LOCK_MAX);
	bool there = false;

	if (root_read(root, &EMBED_LOCK[1], &lock, &there, e) != 0)
		return -1;
	if (!there)
		return 0;
	if (root_read(root, &EMBED_RECIPE[1], &recipe, NULL, e) != 0)
		return -1;
	b->recipe = digest_of(recipe.data, recipe.len);
	return lock_parse(EMBED_LOCK, &lock, &b->lock, e);
}

static char *text_of(const struct jval *v, const char *key)
{
	const char *s = jval_get_str(v, key);

	return mem_strdup(s == NULL ? "" : s);
}

static int read_config(const struct oci_layout *l, const struct oci_manifest *m, struct sbom *b,
		       struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	const struct jval *labels;

	if (oci_layout_read(l, &m->config.digest, &text, e) != 0 ||
	    jval_parse(text.data, text.len, "image configuration", &v, e) != 0)
		return -1;
	labels = jval_get(jval_get(v, "config"), "Labels");
	b->name = text_of(labels, "org.opencontainers.image.title");
	b->version = text_of(labels, "org.opencontainers.image.version");
	b->created = text_of(v, "created");
	return 0;
}

static int read_tree(const char *dir, struct sbom *b, struct err *e)
{
	int root SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, dir, &root, e) != 0 || read_inputs(root, b, e) != 0 ||
	    sbom_packages(root, b, e) != 0)
		return -1;
	return read_files(dir, root, b, e);
}

int sbom_read(const struct oci_layout *l, const struct oci_desc *manifest, struct store *s,
	      struct sbom *ret, struct err *e)
{
	struct sbom b SCOPED(sbom_release) = {.image = manifest->digest};
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	char *dir SCOPED(mem_freep) = NULL;
	struct err drop = ERR_INIT;
	int rc;

	if (store_scratch(s, "sbom", &dir, e) != 0)
		return -1;
	rc = oci_unpack(l, manifest, dir, &m, e);
	if (rc == 0)
		rc = read_tree(dir, &b, e);
	if (store_scratch_drop(s, dir, &drop) != 0 && rc == 0) {
		*e = drop;
		rc = -1;
	}
	if (rc != 0 || read_config(l, &m, &b, e) != 0)
		return -1;
	*ret = b;
	b = (struct sbom){0};
	return 0;
}

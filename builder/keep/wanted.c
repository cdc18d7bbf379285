#include "keep/wanted.h"

#include "base/log.h"
#include "oci/oci.h"
#include "package/archive.h"
#include "proxy/record.h"
#include "recipe/lock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void want(struct wanted *w, const struct digest *d, enum keep_kind k, bool needed)
{
	struct digest_hex h = digest_hex(d);

	(void)map_put(&w->known[k], h.s, NULL);
	if (needed)
		(void)map_put(&w->blobs, h.s, NULL);
}

enum keep_kind wanted_blob(const struct wanted *w, const char *hex, bool *ret_needed)
{
	*ret_needed = map_has(&w->blobs, hex);
	for (enum keep_kind k = 0; k < KEEP_KINDS; k++)
		if (map_has(&w->known[k], hex))
			return k;
	return KEEP_OTHER;
}

static int want_lock(struct wanted *w, const char *path, struct err *e)
{
	struct lock *l SCOPED(lock_freep) = NULL;

	if (lock_load(path, &l, e) != 0)
		return -1;
	for (size_t i = 0; i < l->packages_n; i++)
		want(w, &l->packages[i].digest, KEEP_PACKAGE, true);
	for (size_t i = 0; i < l->media_n; i++)
		want(w, &l->media[i].digest, KEEP_MEDIUM, true);
	for (size_t i = 0; i < l->recorded_n; i++)
		want(w, &l->recorded[i].digest, KEEP_RECORDED, true);
	return 0;
}

/* A lock that the store remembers: of which recipe, under which keys, and its last use. */
struct remembered {
	char *name, *recipe;
	int64_t used_ns;
};

static int by_recipe(const void *a, const void *b)
{
	const struct remembered *x = a, *y = b;
	int c = strcmp(x->recipe, y->recipe);

	if (c == 0 && x->used_ns != y->used_ns)
		return x->used_ns > y->used_ns ? -1 : 1;
	return c != 0 ? c : strcmp(x->name, y->name);
}

/* Its packages are known as such, and needed when the lock is. One that cannot be read is of no
 * use to anybody. */
static int want_packages(struct wanted *w, struct store *s, const char *name, bool needed,
			 char **ret_recipe)
{
	char *path SCOPED(mem_freep) = mem_format("%s/" ARCHIVE_LOCKS "/%s", store_path(s), name);
	struct lock *l SCOPED(lock_freep) = NULL;
	struct err why = ERR_INIT;

	if (lock_load(path, &l, &why) != 0) {
		log_warn("%s", why.msg);
		return -1;
	}
	for (size_t i = 0; i < l->packages_n; i++)
		want(w, &l->packages[i].digest, KEEP_PACKAGE, needed);
	if (ret_recipe != NULL)
		*ret_recipe = mem_format("%s %s", l->recipe_name, name + DIGEST_HEX);
	return 0;
}

static void remember(struct wanted *w, struct store *s, const char *name, struct remembered *v,
		     size_t *n)
{
	char *path SCOPED(mem_freep) = fs_join(ARCHIVE_LOCKS, name);
	struct stat st;

	if (!archive_is_lock(name) || fstatat(store_fd(s), path, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    want_packages(w, s, name, false, &v[*n].recipe) != 0)
		return;
	v[*n].name = mem_strdup(name);
	v[(*n)++].used_ns = st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
}

/* What a server may still have, `lock --match` finds in the store only: so the packages of each
 * recipe's last locks stay. */
static int want_remembered(struct wanted *w, struct store *s, size_t most, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	struct remembered *v SCOPED(mem_freep) = NULL;
	size_t n = 0, of = 0;

	if (faccessat(store_fd(s), ARCHIVE_LOCKS, F_OK, 0) != 0 && errno == ENOENT)
		return 0;
	if (fs_list(store_fd(s), ARCHIVE_LOCKS, &names, e) != 0)
		return -1;
	v = mem_zalloc((names.n + 1) * sizeof(*v));
	for (size_t i = 0; i < names.n; i++)
		remember(w, s, names.v[i], v, &n);
	qsort(v, n, sizeof(*v), by_recipe);
	for (size_t i = 0; i < n; i++) {
		of = i > 0 && strcmp(v[i].recipe, v[i - 1].recipe) == 0 ? of + 1 : 0;
		if (of < most && want_packages(w, s, v[i].name, true, NULL) == 0)
			(void)map_put(&w->locks, v[i].name, NULL);
	}
	for (size_t i = 0; i < n; i++) {
		free(v[i].name);
		free(v[i].recipe);
	}
	return 0;
}

static void want_image(struct wanted *w, const struct plan_image *i, bool needed)
{
	want(w, &i->manifest, KEEP_IMAGE, needed);
	for (size_t k = 0; k < i->blobs_n; k++)
		want(w, &i->blobs[k], KEEP_IMAGE, needed);
	for (size_t k = 0; k < i->recorded_n; k++)
		want(w, &i->recorded[k].digest, KEEP_RECORDED, needed);
	if (!needed)
		return;
	for (size_t k = 0; k < i->records_n; k++)
		(void)map_put(&w->records, digest_hex(&i->records[k]).s, NULL);
	(void)map_put(&w->images, digest_hex(&i->key).s, NULL);
	for (size_t k = 0; k < i->stages_n; k++)
		(void)map_put(&w->stages, digest_hex(&i->stages[k]).s, NULL);
}

static int want_images(struct wanted *w, struct store *s, size_t builds, struct err *e)
{
	struct plan_image *v SCOPED(mem_freep) = NULL;
	size_t n = 0;

	if (plan_images(s, &v, &n, e) != 0)
		return -1;
	w->last_ns = n > 0 ? v[0].used_ns : 0;
	for (size_t i = 0; i < n; i++) {
		want_image(w, &v[i], i < builds);
		plan_image_release(&v[i]);
	}
	return 0;
}

/* A record is needed by the images that were made with it, or by the build that is not there yet;
 * until a lock has them, it is what its bodies are needed by. */
static int want_record(struct wanted *w, struct store *s, const char *name, struct err *e)
{
	char *hex SCOPED(mem_freep) = mem_strndup(name, strcspn(name, "."));
	char *path SCOPED(mem_freep) = fs_join("cache/records", name);
	struct record r SCOPED(record_release) = {0};
	struct digest key;
	struct stat st;

	if (digest_parse_hex(hex, &key) != 0 || !record_load(s, &key, &r))
		return 0;
	if (fstatat(store_fd(s), path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(e, "store: %s", path);
	if (st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec > w->last_ns)
		(void)map_put(&w->records, hex, NULL);
	for (size_t i = 0; i < r.n; i++)
		want(w, &r.v[i].digest, KEEP_RECORDED, map_has(&w->records, hex));
	return 0;
}

static int want_records(struct wanted *w, struct store *s, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};

	if (faccessat(store_fd(s), "cache/records", F_OK, 0) != 0 && errno == ENOENT)
		return 0;
	if (fs_list(store_fd(s), "cache/records", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (want_record(w, s, names.v[i], e) != 0)
			return -1;
	return 0;
}

/* What was captured, by its record: of a kept image, or of a build that is not through yet. */
static void want_capture(struct wanted *w, struct store *s, const char *name)
{
	char *hex SCOPED(mem_freep) = mem_strndup(name, strcspn(name, "."));
	struct plan_capture c SCOPED(plan_capture_release) = {0};
	struct digest key;

	if (digest_parse_hex(hex, &key) != 0 || !plan_capture_load(s, &key, &c))
		return;
	if (c.made_ns > w->last_ns || map_has(&w->stages, hex))
		(void)map_put(&w->captures, hex, NULL);
	want(w, &c.blob, KEEP_CAPTURE, map_has(&w->captures, hex));
}

static int want_captures(struct wanted *w, struct store *s, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};

	if (faccessat(store_fd(s), PLAN_CAPTURES, F_OK, 0) != 0)
		return 0;
	if (fs_list(store_fd(s), PLAN_CAPTURES, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		want_capture(w, s, names.v[i]);
	return 0;
}

static int want_manifest(struct wanted *w, const struct oci_layout *l, const struct oci_desc *d,
			 struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	want(w, &d->digest, KEEP_IMAGE, true);
	if (oci_layout_read(l, &d->digest, &b, e) != 0 ||
	    oci_manifest_parse(b.data, b.len, &m, e) != 0)
		return -1;
	want(w, &m.config.digest, KEEP_IMAGE, true);
	for (size_t i = 0; i < m.layers_n; i++)
		want(w, &m.layers[i].digest, KEEP_IMAGE, true);
	return 0;
}

/* An index of other tools may hold what this store never had: other platforms' images, whose
 * manifests the layout need not have either. */
static int want_entry(struct wanted *w, const struct oci_layout *l, const struct oci_desc *d,
		      struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_index x SCOPED(oci_index_release) = {0};
	struct err foreign = ERR_INIT;

	if (strcmp(d->media_type, OCI_MANIFEST) == 0)
		return want_manifest(w, l, d, e);
	if (strcmp(d->media_type, OCI_INDEX) != 0)
		return 0;
	want(w, &d->digest, KEEP_IMAGE, true);
	if (oci_layout_read(l, &d->digest, &b, e) != 0)
		return -1;
	if (oci_index_parse(b.data, b.len, &x, &foreign) != 0)
		return 0;
	for (size_t i = 0; i < x.n; i++)
		if (want_manifest(w, l, &x.v[i], &foreign) != 0)
			log_debug("index %s: %s", digest_text(&d->digest).s, foreign.msg);
	return 0;
}

static int want_layout(struct wanted *w, const char *dir, struct err *e)
{
	struct oci_layout *l SCOPED(oci_layout_freep) = NULL;
	const struct oci_desc *v;
	size_t n = 0;

	if (oci_layout_open(dir, false, &l, e) != 0)
		return -1;
	v = oci_layout_entries(l, &n);
	for (size_t i = 0; i < n; i++)
		if (want_entry(w, l, &v[i], e) != 0)
			return err_in(e, "layout %s", dir);
	return 0;
}

int wanted_collect(struct store *s, const struct keep_opts *o, struct wanted *ret, struct err *e)
{
	struct wanted w SCOPED(wanted_release) = {0};

	for (size_t i = 0; i < o->locks->n; i++)
		if (want_lock(&w, o->locks->v[i], e) != 0)
			return -1;
	if (want_remembered(&w, s, o->remembered, e) != 0 ||
	    want_images(&w, s, o->builds, e) != 0 || want_captures(&w, s, e) != 0 ||
	    want_records(&w, s, e) != 0)
		return -1;
	for (size_t i = 0; i < o->layouts->n; i++)
		if (want_layout(&w, o->layouts->v[i], e) != 0)
			return -1;
	*ret = w;
	w = (struct wanted){0};
	return 0;
}

void wanted_release(struct wanted *w)
{
	for (enum keep_kind k = 0; k < KEEP_KINDS; k++)
		map_release(&w->known[k], NULL);
	map_release(&w->blobs, NULL);
	map_release(&w->stages, NULL);
	map_release(&w->images, NULL);
	map_release(&w->records, NULL);
	map_release(&w->captures, NULL);
	map_release(&w->locks, NULL);
}

#include "keep/keep.h"

#include "base/fault.h"
#include "base/log.h"
#include "keep/wanted.h"
#include "package/archive.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORD_MAX = 4096, PARTS_MAX = 16 << 20 };

const char *keep_kind_name(enum keep_kind k)
{
	static const char *const names[] = {
	    [KEEP_IMAGE] = "images",      [KEEP_STAGE] = "stages",
	    [KEEP_PACKAGE] = "packages",  [KEEP_CAPTURE] = "captures",
	    [KEEP_LOCK] = "locks",        [KEEP_UNPACKED] = "unpacked",
	    [KEEP_MEDIUM] = "media",      [KEEP_RECORDED] = "recorded",
	    [KEEP_OTHER] = "other-blobs", [KEEP_PARTIAL] = "downloads",
	    [KEEP_DAMAGED] = "damaged",   [KEEP_LEFTOVER] = "leftovers",
	};

	return names[k];
}

void keep_release(struct keep_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].path);
	free(l->v);
	*l = (struct keep_list){0};
}

struct scan {
	struct store *s;
	struct wanted w;
	struct keep_list l;
};

static void scan_release(struct scan *sc)
{
	wanted_release(&sc->w);
	keep_release(&sc->l);
}

static int add_size(void *ctx, const struct fs_entry *en, struct err *e)
{
	uint64_t *sum = ctx;

	(void)e;
	if (S_ISREG(en->st.st_mode))
		*sum += (uint64_t)en->st.st_size;
	return 0;
}

/* What a file or a whole tree holds; what is gone holds nothing. */
static int size_of(struct store *s, const char *path, uint64_t *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	struct stat st;

	*ret = 0;
	if (fstatat(store_fd(s), path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "store: %s", path);
	if (S_ISREG(st.st_mode))
		*ret = (uint64_t)st.st_size;
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (fs_open_dir(store_fd(s), path, &fd, e) != 0)
		return -1;
	return fs_walk(fd, add_size, ret, e);
}

/* One directory of the store: what its names are, and which of them are needed. */
struct shelf {
	const char *dir;
	enum keep_kind (*look)(const struct scan *sc, const char *name, bool *ret_needed);
};

static enum keep_kind look_record(const struct scan *sc, const char *name, bool *ret_needed)
{
	char *hex SCOPED(mem_freep) = mem_strndup(name, strcspn(name, "."));

	*ret_needed = map_has(&sc->w.images, hex);
	return KEEP_IMAGE;
}

static enum keep_kind look_downloads(const struct scan *sc, const char *name, bool *ret_needed)
{
	char *hex SCOPED(mem_freep) = mem_strndup(name, strcspn(name, "."));

	*ret_needed = map_has(&sc->w.records, hex);
	return KEEP_RECORDED;
}

/* Whether the blob is needed that a small record names under `key`. */
static void look_named(const struct scan *sc, const char *path, const char *key, bool *ret_needed)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const char *text = NULL;
	struct digest d;

	*ret_needed = false;
	if (fs_get_file(store_fd(sc->s), path, &b, &quiet) == 0 &&
	    jval_parse(b.data, b.len, path, &v, &quiet) == 0)
		text = jval_get_str(v, key);
	if (text != NULL && digest_parse(text, &d) == 0)
		(void)wanted_blob(&sc->w, digest_hex(&d).s, ret_needed);
}

/* What was packed for a layer's key, {"digest", …}: of use as long as the layer itself. */
static enum keep_kind look_layer(const struct scan *sc, const char *name, bool *ret_needed)
{
	char *path SCOPED(mem_freep) = fs_join("cache/layers", name);

	look_named(sc, path, "digest", ret_needed);
	return KEEP_IMAGE;
}

/* What was made since the last build that went through is of one that did not, yet. */
static bool is_newer(const struct scan *sc, const char *path)
{
	struct stat st;

	return fstatat(store_fd(sc->s), path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec > sc->w.last_ns;
}

static enum keep_kind look_stage(const struct scan *sc, const char *name, bool *ret_needed)
{
	char *path SCOPED(mem_freep) = mem_format("cache/stages/%s/boot", name);
	struct digest key;

	*ret_needed = digest_parse_hex(name, &key) == 0 && plan_stage_usable(sc->s, &key, NULL) &&
		      (map_has(&sc->w.stages, name) || is_newer(sc, path));
	return KEEP_STAGE;
}

/* What a stage was made from the last time, to explain why it is made anew: the bytes of its key.
 */
static bool parts_needed(const struct scan *sc, const char *path)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(PARTS_MAX);
	struct err quiet = ERR_INIT;
	struct digest d;

	if (is_newer(sc, path))
		return true;
	if (fs_get_file(store_fd(sc->s), path, &b, &quiet) != 0)
		return false;
	d = digest_of(b.data, b.len);
	return map_has(&sc->w.stages, digest_hex(&d).s) || map_has(&sc->w.images, digest_hex(&d).s);
}

static enum keep_kind look_parts(const struct scan *sc, const char *name, bool *ret_needed)
{
	char *path SCOPED(mem_freep) = fs_join("cache/parts", name);

	*ret_needed = parts_needed(sc, path);
	return KEEP_STAGE;
}

/* A record by the recipe's name, for its next build: as long as one is remembered. */
static enum keep_kind look_recipe(const struct scan *sc, const char *dir, const char *name,
				  bool *ret_needed)
{
	char *path SCOPED(mem_freep) = fs_join(dir, name);
	char *parts SCOPED(mem_freep) = mem_format("cache/parts/%s config.json", name);

	*ret_needed = is_newer(sc, path) || parts_needed(sc, parts);
	return KEEP_STAGE;
}

static enum keep_kind look_looked(const struct scan *sc, const char *name, bool *ret_needed)
{
	return look_recipe(sc, "cache/looked", name, ret_needed);
}

static enum keep_kind look_gated(const struct scan *sc, const char *name, bool *ret_needed)
{
	return look_recipe(sc, "cache/gated", name, ret_needed);
}

static enum keep_kind look_exported(const struct scan *sc, const char *name, bool *ret_needed)
{
	return look_recipe(sc, "cache/exported", name, ret_needed);
}

/* "KEY.json": as long as an image stands on it, since its key is made from that. */
static enum keep_kind look_output(const struct scan *sc, const char *name, bool *ret_needed)
{
	char *hex SCOPED(mem_freep) = mem_strndup(name, strcspn(name, "."));

	*ret_needed = map_has(&sc->w.stages, hex);
	return KEEP_STAGE;
}

static enum keep_kind look_capture(const struct scan *sc, const char *name, bool *ret_needed)
{
	char *hex SCOPED(mem_freep) = mem_strndup(name, strcspn(name, "."));

	*ret_needed = map_has(&sc->w.captures, hex);
	return KEEP_CAPTURE;
}

/* "PACKAGE.PLAIN", as long as the package itself. */
static enum keep_kind look_unpacked(const struct scan *sc, const char *name, bool *ret_needed)
{
	char *hex SCOPED(mem_freep) = mem_strndup(name, strcspn(name, "."));

	(void)wanted_blob(&sc->w, hex, ret_needed);
	return KEEP_UNPACKED;
}

/* What was unpacked of a medium, as long as the medium itself. */
static enum keep_kind look_medium(const struct scan *sc, const char *name, bool *ret_needed)
{
	char *path SCOPED(mem_freep) = mem_format("cache/media/%s/record", name);

	look_named(sc, path, "medium", ret_needed);
	return KEEP_UNPACKED;
}

/* The tree of an image that was audited, as long as the image is needed. */
static enum keep_kind look_audited(const struct scan *sc, const char *name, bool *ret_needed)
{
	(void)wanted_blob(&sc->w, name, ret_needed);
	return KEEP_UNPACKED;
}

static enum keep_kind look_blob(const struct scan *sc, const char *name, bool *ret_needed)
{
	struct digest d;
	enum keep_kind k = wanted_blob(&sc->w, name, ret_needed);

	if (digest_parse_hex(name, &d) != 0)
		*ret_needed = true; /* not ours: store verify tells of it */
	return k;
}

/* Locks of recipes; others in that directory are what builds take of layouts. */
static enum keep_kind look_lock(const struct scan *sc, const char *name, bool *ret_needed)
{
	*ret_needed = map_has(&sc->w.locks, name);
	return archive_is_lock(name) ? KEEP_LOCK : KEEP_KINDS;
}

/* The lock of a download nobody is at goes with it. */
static enum keep_kind look_partial(const struct scan *sc, const char *name, bool *ret_needed)
{
	char *hex SCOPED(mem_freep) = mem_strndup(name, strcspn(name, "."));

	(void)wanted_blob(&sc->w, hex, ret_needed);
	return KEEP_PARTIAL;
}

static enum keep_kind look_damaged(const struct scan *sc, const char *name, bool *ret_needed)
{
	(void)sc;
	(void)name;
	*ret_needed = false;
	return KEEP_DAMAGED;
}

/* Images that were pulled to be staged: they come again when they are wanted again. */
static enum keep_kind look_pulled(const struct scan *sc, const char *name, bool *ret_needed)
{
	(void)sc;
	(void)name;
	*ret_needed = false;
	return KEEP_IMAGE;
}

/* Records go before what they name. */
static const struct shelf shelves[] = {
    {"cache/images", look_record},  {"cache/layers", look_layer},
    {"cache/stages", look_stage},   {"cache/records", look_downloads},
    {"cache/outputs", look_output}, {"cache/looked", look_looked},
    {"cache/gated", look_gated},    {"cache/exported", look_exported},
    {"cache/parts", look_parts},    {PLAN_CAPTURES, look_capture},
    {"cache/debs", look_unpacked},  {ARCHIVE_LOCKS, look_lock},
    {"cache/media", look_medium},   {"cache/audits", look_audited},
    {"partial", look_partial},      {"damaged", look_damaged},
    {"pulled", look_pulled},        {"blobs/sha256", look_blob},
};

static int add(struct scan *sc, struct keep_item it, struct err *e)
{
	sc->l.v = mem_resize(sc->l.v, sc->l.n + 1, sizeof(*sc->l.v));
	sc->l.v[sc->l.n++] = it;
	return size_of(sc->s, it.path, &sc->l.v[sc->l.n - 1].bytes, e);
}

static int scan_shelf(struct scan *sc, const struct shelf *sh, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};

	if (faccessat(store_fd(sc->s), sh->dir, F_OK, 0) != 0 && errno == ENOENT)
		return 0;
	if (fs_list(store_fd(sc->s), sh->dir, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		struct keep_item it = {0};

		it.kind = sh->look(sc, names.v[i], &it.needed);
		if (it.kind == KEEP_KINDS) /* not ours to list */
			continue;
		it.path = fs_join(sh->dir, names.v[i]);
		if (add(sc, it, e) != 0)
			return -1;
		if (intr_pending())
			return intr_err(e);
	}
	return 0;
}

static int scan_leftovers(struct scan *sc, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};

	if (store_leftovers(sc->s, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		struct keep_item it = {.kind = KEEP_LEFTOVER, .path = fs_join("tmp", names.v[i])};

		if (add(sc, it, e) != 0)
			return -1;
	}
	return 0;
}

int keep_scan(struct store *s, const struct keep_opts *o, struct keep_list *ret, struct err *e)
{
	struct scan sc SCOPED(scan_release) = {.s = s};

	if (wanted_collect(s, o, &sc.w, e) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(shelves) / sizeof(shelves[0]); i++)
		if (scan_shelf(&sc, &shelves[i], e) != 0)
			return -1;
	if (scan_leftovers(&sc, e) != 0)
		return -1;
	*ret = sc.l;
	sc.l = (struct keep_list){0};
	return 0;
}

int keep_remove(struct store *s, const struct keep_list *l, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		log_progress("gc", i, l->n);
		if (intr_pending())
			return intr_err(e);
		if (l->v[i].needed)
			continue;
		log_debug("removes %s", l->v[i].path);
		if (store_drop(s, l->v[i].path, e) != 0)
			return -1;
		fault_point("removed");
	}
	log_progress("gc", l->n, l->n);
	return 0;
}

struct keep_sum keep_sum(const struct keep_list *l, enum keep_kind k, bool needed)
{
	struct keep_sum sum = {0};

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].kind == k && l->v[i].needed == needed) {
			sum.n++;
			sum.bytes += l->v[i].bytes;
		}
	return sum;
}

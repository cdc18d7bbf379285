/* lay_out.c - the scratch project of a rebuild: everything that the build reads, and nothing that
 * the first build left. */
#include "rebuild/again.h"

#include "build/embed.h"
#include "form/ref.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct copy {
	int to;
	const struct jval *overlays; /* of the recipe */
};

/* Links mean something in an overlay only; elsewhere they would lead out of the project. */
static bool is_in_overlay(const struct copy *c, const char *path)
{
	for (size_t i = 0; i < jval_len(c->overlays); i++) {
		const char *from = jval_get_str(jval_at(c->overlays, i), "from");
		size_t n = from != NULL ? strlen(from) : 0;

		if (n > 0 && strncmp(path, from, n) == 0 && path[n] == '/')
			return true;
	}
	return false;
}

static int copy_link(const struct copy *c, const struct fs_entry *en, struct err *e)
{
	char target[4097];
	ssize_t n = readlinkat(en->parent_fd, en->name, target, sizeof(target) - 1);

	if (n < 0)
		return err_sys(e, "read %s", en->path);
	target[n] = '\0';
	return symlinkat(target, c->to, en->path) == 0 ? 0 : err_sys(e, "make %s", en->path);
}

static int copy_file(const struct copy *c, const struct fs_entry *en, struct err *e)
{
	mode_t mode = en->st.st_mode & 0100 ? 0755 : 0644;
	int from SCOPED(fd_closep) =
	    openat(en->parent_fd, en->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int to SCOPED(fd_closep) =
	    openat(c->to, en->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (from < 0 || to < 0)
		return err_sys(e, "copy %s", en->path);
	return fs_copy_fd(from, to, NULL, e);
}

static int copy_entry(void *ctx, const struct fs_entry *en, struct err *e)
{
	const struct copy *c = ctx;

	if (S_ISDIR(en->st.st_mode))
		return mkdirat(c->to, en->path, 0755) == 0 ? 0 : err_sys(e, "make %s", en->path);
	if (S_ISLNK(en->st.st_mode))
		return is_in_overlay(c, en->path) ? copy_link(c, en, e) : 0;
	return S_ISREG(en->st.st_mode) ? copy_file(c, en, e) : 0;
}

static int copy_project(struct again *a, const struct jval *recipe, struct err *e)
{
	char *to SCOPED(mem_freep) = fs_join(a->place, "project");
	struct copy c = {.to = -1, .overlays = jval_get(recipe, "overlays")};
	int root SCOPED(fd_closep) = -1, from SCOPED(fd_closep) = -1, dir SCOPED(fd_closep) = -1;

	if (mkdir(to, 0755) != 0)
		return err_sys(e, "make %s", to);
	if (fs_open_dir(AT_FDCWD, a->was_root, &root, e) != 0)
		return err_in(e, "the image's project");
	if (fs_open_in_root(root, EMBED_PROJECT, O_RDONLY | O_DIRECTORY, &from, e) != 0)
		/* a recipe that needs no other file has none */
		return e->sys == ENOENT ? 0 : err_in(e, "the image's project");
	if (fs_open_dir(AT_FDCWD, to, &dir, e) != 0)
		return err_in(e, "the image's project");
	c.to = dir;
	return fs_walk(from, copy_entry, &c, e);
}

struct files {
	struct again *a;
	struct err *e;
};

/* A medium that is a file of the project: the store has it by its digest. */
static int lay_medium(void *ctx, const char *name, struct jval *medium)
{
	struct files *f = ctx;
	const char *url = jval_get_str(medium, "url"), *hex = jval_get_str(medium, "sha256");
	char *path SCOPED(mem_freep) = NULL, *dir SCOPED(mem_freep) = NULL;
	int from SCOPED(fd_closep) = -1, to SCOPED(fd_closep) = -1;
	struct digest d;

	if (url == NULL || hex == NULL || digest_parse_hex(hex, &d) != 0)
		return err_set(f->e, ERR_RECIPE, "the image's recipe: medium %s", name);
	if (strstr(url, "://") != NULL)
		return 0;
	if (!fs_relative_ok(url))
		return err_set(f->e, ERR_RECIPE, "the image's recipe: medium %s: %s", name, url);
	if (!store_has(f->a->o->store, &d, NULL)) {
		(void)err_set(f->e, ERR_FAIL, "medium %s (%s) is not in the store", name, url);
		return err_hint(f->e, "It was a file of the project, which the image does not "
				      "carry: build the recipe here once, or bring its store.");
	}
	path = mem_format("%s/project/%s", f->a->place, url);
	dir = fs_dirname(path);
	if (fs_mkdirs(AT_FDCWD, dir, 0755, f->e) != 0 ||
	    store_get(f->a->o->store, &d, &from, f->e) != 0)
		return -1;
	to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (to < 0)
		return err_sys(f->e, "make %s", path);
	return fs_copy_fd(from, to, NULL, f->e);
}

/* The blobs of base.oci, in a layout where the recipe has it. */
static int lay_image(struct files *f, const char *image)
{
	struct ref ref SCOPED(ref_release) = {0};
	const struct lock *l = f->a->l;

	if (image == NULL || ref_parse(image, &ref, f->e) != 0)
		return err_set(f->e, ERR_RECIPE, "the image's recipe: its base");
	if (ref.kind == REF_DOCKER) /* the lock has its blobs: copy_store */
		return 0;
	for (size_t i = 0; i < l->media_n; i++) {
		char *url SCOPED(mem_freep) =
		    mem_format("%s/blobs/sha256/%s", ref.path, digest_hex(&l->media[i].digest).s);
		struct jval *m SCOPED(jval_freep) = NULL;

		if (!lock_is_base(&l->media[i]))
			continue;
		m = jval_object();
		jval_put_text(m, "url", url);
		jval_put_text(m, "sha256", digest_hex(&l->media[i].digest).s);
		if (lay_medium(f, l->media[i].name, m) != 0)
			return -1;
	}
	return 0;
}

/* So is the archive of base.tar. */
static int lay_base(struct files *f, const struct jval *recipe)
{
	const struct jval *base = jval_get(recipe, "base");
	struct jval *tar = jval_get(base, "tar"), *oci = jval_get(base, "oci");

	if (oci != NULL)
		return lay_image(f, jval_get_str(oci, "image"));
	return tar != NULL ? lay_medium(f, "base.tar", tar) : 0;
}

/* Copies a blob that we have, hashing it; one that is damaged or absent is fetched by the build. */
static int copy_blob(struct again *a, struct store *to, const struct digest *d, struct err *e)
{
	struct store_put *put SCOPED(store_put_freep) = NULL;
	char *chunk SCOPED(mem_freep) = NULL;
	int fd SCOPED(fd_closep) = -1;
	struct sink sink;
	ssize_t n;

	if (!store_has(a->o->store, d, NULL) || store_has(to, d, NULL))
		return 0;
	if (store_get(a->o->store, d, &fd, e) != 0 || store_put_begin(to, &put, e) != 0)
		return -1;
	sink = store_put_sink(put);
	chunk = mem_zalloc(1 << 18);
	while ((n = read(fd, chunk, 1 << 18)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read %s", digest_text(d).s);
		if (sink_write(&sink, chunk, (size_t)n, e) != 0)
			return -1;
	}
	if (store_put_commit(put, d, NULL, NULL, e) == 0)
		return 0;
	return e->kind == ERR_VERIFY ? 0 : -1;
}

static int copy_store(struct again *a, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(a->place, "store");
	struct store *to SCOPED(store_freep) = NULL;

	if (store_open(path, &to, e) != 0)
		return -1;
	for (size_t i = 0; i < a->l->packages_n; i++)
		if (copy_blob(a, to, &a->l->packages[i].digest, e) != 0)
			return -1;
	for (size_t i = 0; i < a->l->media_n; i++)
		if (copy_blob(a, to, &a->l->media[i].digest, e) != 0)
			return -1;
	for (size_t i = 0; i < a->l->recorded_n; i++)
		if (copy_blob(a, to, &a->l->recorded[i].digest, e) != 0)
			return -1;
	return 0;
}

/* The program that builds, where its user can reach it. */
static int copy_program(struct again *a, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(a->place, "posmedia");
	int from SCOPED(fd_closep) = open(a->o->program, O_RDONLY | O_CLOEXEC);
	int to SCOPED(fd_closep) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	if (from < 0 || to < 0)
		return err_sys(e, "copy %s", a->o->program);
	return fs_copy_fd(from, to, NULL, e);
}

static int give(void *ctx, const struct fs_entry *en, struct err *e)
{
	const struct again *a = ctx;

	return fchownat(en->parent_fd, en->name, a->uid, a->gid, AT_SYMLINK_NOFOLLOW) == 0
		   ? 0
		   : err_sys(e, "give %s to %s", en->path, a->user);
}

static int give_all(struct again *a, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (a->user == NULL)
		return 0;
	if (fs_open_dir(AT_FDCWD, a->place, &fd, e) != 0 || fs_walk(fd, give, a, e) != 0)
		return -1;
	return fchown(fd, a->uid, a->gid) == 0 ? 0 : err_sys(e, "give %s away", a->place);
}

static int read_recipe(struct again *a, struct buf *text, struct jval **ret, struct err *e)
{
	int root SCOPED(fd_closep) = -1, dir SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, a->was_root, &root, e) != 0 ||
	    fs_open_in_root(root, EMBED_DIR, O_RDONLY | O_DIRECTORY, &dir, e) != 0 ||
	    fs_get(dir, "recipe.json", text, e) != 0)
		return -1;
	return jval_parse(text->data, text->len, "the image's recipe", ret, e);
}

/* A waiver that has run out since changes what hardening does: then the day is the lock's, when it
 * was most likely still good. */
static void choose_day(struct again *a)
{
	char *today SCOPED(mem_freep) = clock_rfc3339(clock_epoch_s());
	char *day SCOPED(mem_freep) = clock_rfc3339(a->l->epoch);

	for (size_t i = 0; i < a->r->waivers_n && !clock_epoch_is_fixed(); i++) {
		const struct recipe_waiver *w = &a->r->waivers[i];

		if (strncmp(w->until, today, 10) >= 0)
			continue;
		strv_addf(&a->env, "SOURCE_DATE_EPOCH=%lld", (long long)a->l->epoch);
		again_varied(a, "day", mem_strdup("the image's"), mem_strndup(day, 10),
			     mem_format("the waiver of %s ran out on %s; the day is the lock's",
					w->control, w->until));
		return;
	}
}

/* In the project's top directory, which makes that the root (recipe/recipe.h). */
char *again_recipe(const struct again *a)
{
	return fs_join(a->place, "project/posmedia-rebuild.json");
}

int again_lay_out(struct again *a, struct err *e)
{
	char *recipe SCOPED(mem_freep) = again_recipe(a);
	char *lock SCOPED(mem_freep) = fs_join(a->place, "recipe.lock");
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct files f = {.a = a, .e = e};

	if (read_recipe(a, &text, &v, e) != 0 || copy_project(a, v, e) != 0 ||
	    jval_each(jval_get(v, "media"), lay_medium, &f) != 0 || lay_base(&f, v) != 0 ||
	    fs_put_path(recipe, text.data, text.len, 0644, e) != 0 ||
	    lock_save(a->l, lock, e) != 0 || recipe_load(recipe, &a->r, e) != 0)
		return -1;
	choose_day(a);
	if (copy_store(a, e) != 0 || copy_program(a, e) != 0)
		return -1;
	return give_all(a, e);
}

#include "outdated/outdated.h"

#include "audit/kept.h"
#include "base/log.h"
#include "build/embed.h"
#include "harden/dpkgdb.h"
#include "harden/root.h"
#include "package/rpmdb.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a recipe, and of a keyring. */
enum { TEXT_MAX = 1 << 20 };

static int take_debs(int root, struct pending *b, struct err *e)
{
	struct dpkgdb db SCOPED(dpkgdb_release) = {0};

	if (dpkgdb_read(root, &db, e) != 0)
		return -1;
	for (size_t i = 0; i < db.n; i++)
		if (db.v[i].version != NULL && db.v[i].arch != NULL)
			pending_add(b, db.v[i].name, db.v[i].version, db.v[i].arch);
	return 0;
}

static int take_rpms(int root, struct pending *b, struct err *e)
{
	struct rpmdb db SCOPED(rpmdb_release) = {0};

	if (rpmdb_read(root, RPMDB_NAMES, &db, e) != 0)
		return -1;
	for (size_t i = 0; i < db.n; i++)
		pending_add(b, db.v[i].name, db.v[i].version, db.v[i].arch);
	return 0;
}

/* A file that the base names, out of the image into the project. */
static int copy_file(int from, const char *to, const char *path, struct err *e)
{
	char *at SCOPED(mem_freep) = fs_join(to, path != NULL ? path : "");
	char *dir SCOPED(mem_freep) = fs_dirname(at), *in SCOPED(mem_freep) = NULL;
	struct buf text SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	bool there = false;

	if (path == NULL || !fs_relative_ok(path))
		return err_set(e, ERR_RECIPE, "the image's recipe: a keyring is not in it");
	in = mem_format("%s/%s", &EMBED_PROJECT[1], path);
	if (root_read(from, in, &text, &there, e) != 0)
		return -1;
	if (!there)
		return err_set(e, ERR_RECIPE, "the image does not carry %s", in);
	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0)
		return -1;
	return fs_put_unsynced(at, text.data, text.len, 0644, e);
}

static int copy_keys(int root, const char *to, const struct jval *base, struct err *e)
{
	const struct jval *apt = jval_get(base, "apt");
	const struct jval *repos = jval_get(jval_get(base, "dnf"), "repos");

	if (apt != NULL && copy_file(root, to, jval_get_str(apt, "keyring"), e) != 0)
		return -1;
	for (size_t i = 0; i < jval_len(repos); i++)
		if (copy_file(root, to, jval_get_str(jval_at(repos, i), "gpgkey"), e) != 0)
			return -1;
	return 0;
}

static const char *const needed[] = {"posmedia", "name", "version", "base"};

/* What the image's recipe says of its base: nothing else is needed, nor believed. */
static int load_recipe(int root, const char *scratch, struct recipe **ret, struct err *e)
{
	char *project SCOPED(mem_freep) = fs_join(scratch, "project");
	char *path SCOPED(mem_freep) = fs_join(scratch, "recipe.json");
	struct buf text SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	struct buf out SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	struct jval *v SCOPED(jval_freep) = NULL, *base SCOPED(jval_freep) = jval_object();
	bool there = false;

	if (root_read(root, &EMBED_RECIPE[1], &text, &there, e) != 0)
		return -1;
	if (!there) {
		(void)err_set(e, ERR_RECIPE, "the image does not carry its recipe");
		return err_hint(e, "only images that posmedia has built say where they come from");
	}
	if (jval_parse(text.data, text.len, EMBED_RECIPE, &v, e) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (jval_get(v, needed[i]) != NULL)
			jval_put(base, needed[i], jval_ref(jval_get(v, needed[i])));
	jval_write(base, &out);
	if (fs_mkdirs(AT_FDCWD, project, 0755, e) != 0 ||
	    copy_keys(root, project, jval_get(v, "base"), e) != 0 ||
	    fs_put_unsynced(path, out.data, out.len, 0644, e) != 0)
		return -1;
	return recipe_load_in(path, project, ret, e);
}

static void count(struct outdated *o)
{
	for (size_t i = 0; i < o->all.n; i++) {
		const struct pending_package *p = o->all.v[i];

		o->behind += p->candidate != NULL;
		o->security += p->candidate != NULL && p->security;
		o->strange += !p->known;
	}
}

static int look(const char *tree, const char *scratch, struct outdated *o, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_join(scratch, "repositories");
	struct recipe *r SCOPED(recipe_freep) = NULL;
	int root SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, tree, &root, e) != 0 || load_recipe(root, scratch, &r, e) != 0 ||
	    take_debs(root, &o->all, e) != 0 || take_rpms(root, &o->all, e) != 0 ||
	    fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0 || pending_look(r, dir, &o->all, e) != 0)
		return -1;
	o->recipe = mem_strdup(r->name);
	o->version = mem_strdup(r->version);
	count(o);
	return 0;
}

int outdated_image(struct store *s, const struct oci_layout *l, const struct oci_desc *manifest,
		   const char *object, struct outdated *ret, struct err *e)
{
	struct outdated o SCOPED(outdated_release) = {.object = mem_strdup(object),
						      .image = manifest->digest};
	struct kept *k SCOPED(kept_freep) = NULL;
	char *scratch SCOPED(mem_freep) = NULL;
	struct err late = ERR_INIT;
	int rc;

	if (kept_open(s, l, manifest, &k, e) != 0)
		return -1;
	if (store_scratch(s, "outdated", &scratch, e) != 0)
		return -1;
	rc = look(kept_tree(k), scratch, &o, e);
	if (store_scratch_drop(s, scratch, &late) != 0)
		log_warn("%s", late.msg);
	kept_leave(k);
	if (rc != 0)
		return err_in(e, "%s", object);
	*ret = o;
	o = (struct outdated){0};
	return 0;
}

void outdated_release(struct outdated *o)
{
	free(o->object);
	free(o->recipe);
	free(o->version);
	pending_release(&o->all);
	*o = (struct outdated){0};
}

/* The image carries its own inputs: the canonical recipe, the lock, and the files of the project
 * that a build reads. Media and packages stay out: the lock names them by digest. */
#include "build/embed.h"

#include "base/log.h"
#include "build/job.h"
#include "harden/secrets.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The largest recipe that can be read again (form/yaml.h). */
enum { RECIPE_MAX = 1 << 20, LOCK_MAX = 64 << 20 };

/* place: EMBED_DIR, open; it is new, so nothing in it leads elsewhere. */
struct embed {
	const struct job *j;
	const char *root;
	int place;
};

static int put_at(const struct embed *em, const char *name, const struct buf *text, mode_t mode,
		  struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(name), *base SCOPED(mem_freep) = fs_basename(name);
	int fd SCOPED(fd_closep) = -1;

	if (buf_over(text))
		return err_set(e, ERR_RECIPE, "%s: larger than %zu bytes", name, text->max);
	if (fs_mkdirs(em->place, dir, 0755, e) != 0 || fs_open_dir(em->place, dir, &fd, e) != 0)
		return -1;
	return fs_put(fd, base, text->data, text->len, mode, e);
}

static int put_recipe(const struct embed *em, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(RECIPE_MAX);

	jval_write(em->j->r->resolved, &text);
	return put_at(em, "recipe.json", &text, 0644, e);
}

static int put_lock(const struct embed *em, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(LOCK_MAX);

	lock_write(em->j->l, &text);
	return put_at(em, "recipe.lock", &text, 0644, e);
}

/* One file of the project, by the name that the canonical recipe has for it. */
static int put_file(const struct embed *em, const char *file, struct err *e)
{
	char *name SCOPED(mem_freep) = recipe_path(em->j->r, file);
	char *to SCOPED(mem_freep) = mem_format("project/%s", name);
	struct buf text SCOPED(buf_release) = BUF_INIT(LOCK_MAX);
	struct stat st;

	if (fs_get(AT_FDCWD, file, &text, e) != 0)
		return -1;
	if (stat(file, &st) != 0)
		return err_sys(e, "%s", file);
	return put_at(em, to, &text, st.st_mode & 0100 ? 0755 : 0644, e);
}

/* A profile may extend another of its directory. */
static int put_profiles(const struct embed *em, const char *profile, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(profile);
	struct strv names SCOPED(strv_release) = {0};

	if (fs_list(AT_FDCWD, dir, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		char *file SCOPED(mem_freep) = fs_join(dir, names.v[i]);
		size_t n = strlen(names.v[i]);

		if (n < 5 || strcmp(names.v[i] + n - 5, ".yaml") != 0)
			continue;
		if (put_file(em, file, e) != 0)
			return -1;
	}
	return 0;
}

static int put_overlay(const struct embed *em, const struct recipe_overlay *o, struct err *e)
{
	char *name SCOPED(mem_freep) = recipe_path(em->j->r, o->from);
	char *to SCOPED(mem_freep) = mem_format(EMBED_PROJECT "/%s", name);
	struct recipe_overlay copy = {.from = o->from, .to = to, .pos = o->pos};

	return job_overlay(&copy, em->root, e);
}

/* Files first: an overlay may have links that lead anywhere in the image. */
static int put_project(const struct embed *em, struct err *e)
{
	const struct recipe *r = em->j->r;
	struct strv files SCOPED(strv_release) = {0};

	recipe_base_files(r, &files);
	for (size_t i = 0; i < files.n; i++)
		if (put_file(em, files.v[i], e) != 0)
			return -1;
	for (size_t i = 0; i < r->profiles.n; i++)
		if (put_profiles(em, r->profiles.v[i], e) != 0)
			return -1;
	for (size_t i = 0; i < r->steps_n; i++)
		if (r->steps[i].answers != NULL && put_file(em, r->steps[i].answers, e) != 0)
			return -1;
	for (size_t i = 0; i < r->overlays_n; i++)
		if (put_overlay(em, &r->overlays[i], e) != 0)
			return -1;
	return 0;
}

/* What a package, a step or an overlay put there would not be what the image was made from. */
static int make_place(struct embed *em, struct err *e)
{
	struct strv made SCOPED(strv_release) = {0};
	int rootfd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, em->root, &rootfd, e) != 0 ||
	    fs_mkdirs_in_root(rootfd, EMBED_DIR, 0755, &made, e) != 0)
		return -1;
	if (made.n == 0) {
		(void)err_set(e, ERR_STEP, EMBED_DIR " is there already");
		return err_hint(e, "No package, step or overlay may write there.");
	}
	return fs_open_in_root(rootfd, EMBED_DIR, O_RDONLY | O_DIRECTORY, &em->place, e);
}

/* The seal has seen what overlays bring; keyrings, profiles and answers come here only. */
static int check(const struct embed *em, struct err *e)
{
	const unsigned kinds = SECRET_PRIVATE_KEY | SECRET_CREDENTIAL | SECRET_HASH;
	struct facts *f SCOPED(facts_freep) = facts_new(em->place);
	struct secrets s SCOPED(secrets_release) = {0};

	if (secrets_find(em->place, f, kinds, &s, e) != 0)
		return -1;
	for (size_t i = 0; i < s.n; i++)
		log_warn("secret: " EMBED_DIR "/%s: %s", s.v[i].path, s.v[i].what);
	if (s.n == 0)
		return 0;
	(void)err_set(e, ERR_VERIFY, EMBED_DIR "/%s: %s (a copy of the project's file)",
		      s.v[0].path, s.v[0].what);
	return err_hint(e, "The image carries what it is made from: keep secrets out of that.");
}

int job_embed(struct job *j, const char *root, struct err *e)
{
	struct embed em = {.j = j, .root = root, .place = -1};
	int rc = make_place(&em, e);

	if (rc == 0)
		rc = put_recipe(&em, e);
	if (rc == 0)
		rc = put_lock(&em, e);
	if (rc == 0)
		rc = put_project(&em, e);
	if (rc == 0)
		rc = check(&em, e);
	fd_closep(&em.place);
	return rc == 0 ? 0 : err_in(e, "embed the inputs");
}

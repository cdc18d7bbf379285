/* place.c - the site's directories on the host: its record, what its instance is shown, and
 * its secrets. */
#include "stage/parts.h"

#include "sandbox/profile.h"
#include "site/secret.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHOWN_MAX = 8 << 20 };

static char *generation_name(const struct stage_one *one)
{
	return mem_strndup(digest_hex(&one->generation).s, 16);
}

char *stage_shown_dir(const struct stage *st, const struct stage_one *one)
{
	char *name SCOPED(mem_freep) = generation_name(one);

	return fs_join(st->own, name);
}

char *stage_secret_dir(const struct stage *st, const struct stage_one *one)
{
	char *name SCOPED(mem_freep) = generation_name(one);

	return mem_format("%s/%s-%s/%s", st->o->runtime, st->s->shop, site_env_word(st->s->env),
			  name);
}

void stage_release(struct stage *st)
{
	stage_record_release(&st->r);
	stage_one_release(&st->lost);
	stage_outcome_release(&st->out);
	engine_free(st->en);
	jval_free(st->config);
	jval_free(st->seccomp);
	strv_release(&st->layers);
	files_release(&st->image);
	fd_closep(&st->lock);
	fd_closep(&st->ownfd);
	free(st->dir);
	free(st->own);
}

/* STATE/SHOP is for root alone: below it, owners and modes are the image's, and their numbers are
 * those of the host's own users. */
static int make_shop(const struct site *s, const struct stage_opts *o, struct err *e)
{
	char *shop SCOPED(mem_freep) = fs_join(o->state, s->shop);
	int fd SCOPED(fd_closep) = -1;

	if (fs_mkdirs(AT_FDCWD, o->state, 0755, e) != 0 ||
	    fs_mkdirs(AT_FDCWD, shop, 0700, e) != 0 || fs_open_dir(AT_FDCWD, shop, &fd, e) != 0)
		return -1;
	return fchmod(fd, 0700) == 0 ? 0 : err_sys(e, "chmod %s", shop);
}

/* The one before may have been its end, which sets the directory aside. */
static int check_there(const struct stage *st, struct err *e)
{
	struct stat open, now;

	if (fstat(st->ownfd, &open) == 0 && stat(st->own, &now) == 0 && open.st_dev == now.st_dev &&
	    open.st_ino == now.st_ino)
		return 0;
	return err_set(e, ERR_BUSY, "shop %s in %s was removed meanwhile", st->s->shop,
		       site_env_word(st->s->env));
}

static int open_own(struct stage *st, struct err *e)
{
	if (st->o->dry_run && access(st->own, F_OK) != 0)
		return 0;
	if (fs_open_dir(AT_FDCWD, st->own, &st->ownfd, e) != 0)
		return -1;
	if (!st->o->dry_run && lock_take(st->ownfd, "lock", &st->lock, e) != 0)
		return err_in(e, "shop %s in %s", st->s->shop, site_env_word(st->s->env));
	if (!st->o->dry_run && check_there(st, e) != 0)
		return -1;
	if (stage_record_read(st->ownfd, &st->r, e) != 0)
		return -1;
	stage_settle(st);
	return 0;
}

int stage_make_own(const struct site *s, const struct stage_opts *o, struct err *e)
{
	char *own SCOPED(mem_freep) =
	    mem_format("%s/%s/%s/.posmedia", o->state, s->shop, site_env_word(s->env));

	if (!site_shop_ok(s->shop))
		return err_set(e, ERR_RECIPE, "%s: no shop", s->file);
	if (stage_check_mounted(s, o, e) != 0)
		return -1;
	return o->dry_run || (make_shop(s, o, e) == 0 && fs_mkdirs(AT_FDCWD, own, 0755, e) == 0)
		   ? 0
		   : -1;
}

int stage_open(const struct site *s, const struct stage_opts *o, struct stage *ret, struct err *e)
{
	struct stage st SCOPED(stage_release) = {.s = s, .o = o, .ownfd = -1, .lock = -1};

	if (!site_shop_ok(s->shop))
		return err_set(e, ERR_RECIPE, "%s: no shop", s->file);
	if (stage_check_mounted(s, o, e) != 0)
		return -1;
	st.dir = mem_format("%s/%s/%s", o->state, s->shop, site_env_word(s->env));
	st.own = mem_format("%s/.posmedia", st.dir);
	if ((o->seccomp != NULL && seccomp_profile_load(o->seccomp, &st.seccomp, e) != 0) ||
	    engine_open(o->socket, &st.en, e) != 0 || open_own(&st, e) != 0)
		return -1;
	*ret = st;
	st = (struct stage){.ownfd = -1, .lock = -1};
	return 0;
}

static int put_text(const char *dir, const char *name, const struct buf *text, mode_t mode,
		    struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(dir, name);

	if (buf_over(text))
		return err_set(e, ERR_FAIL, "%s: too large", path);
	return fs_put_path(path, text->data, text->len, mode, e);
}

/* What the instance may know of its site: no secret is in it, and not where they come from. */
static int put_site(const struct site *s, const char *dir, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct buf text SCOPED(buf_release) = BUF_INIT(SHOWN_MAX);
	static const char *const keys[] = {"shop",     "environment", "hostname", "network",
					   "printers", "users",       "data"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct jval *one = jval_get(s->resolved, keys[i]);

		if (one != NULL)
			jval_put(v, keys[i], jval_ref(one));
	}
	jval_write_pretty(v, &text);
	return put_text(dir, "site.json", &text, 0644, e);
}

static int put_keys(const struct site *s, const char *dir, struct err *e)
{
	char *keys SCOPED(mem_freep) = fs_join(dir, "keys");

	if (fs_mkdirs(AT_FDCWD, keys, 0755, e) != 0)
		return -1;
	for (size_t i = 0; i < s->users_n; i++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(SHOWN_MAX);

		for (size_t k = 0; k < s->users[i].keys.n; k++)
			buf_addf(&text, "%s\n", s->users[i].keys.v[k]);
		if (put_text(keys, s->users[i].name, &text, 0644, e) != 0)
			return -1;
	}
	return 0;
}

static int put_secret(const struct site_source *from, const char *path, const char *what,
		      struct err *e)
{
	struct buf b SCOPED(site_secret_release) = BUF_INIT(SITE_SECRET_MAX);

	if (site_secret_read(from, &b, e) != 0)
		return err_in(e, "%s", what);
	return fs_put_path(path, b.data, b.len, 0400, e);
}

int stage_put_secrets(struct stage *st, const struct stage_one *one, struct err *e)
{
	const struct site *s = st->s;
	char *dir SCOPED(mem_freep) = stage_secret_dir(st, one);
	char *licence SCOPED(mem_freep) = mem_format("%s.licence", dir);

	if (fs_mkdirs(AT_FDCWD, dir, 0700, e) != 0)
		return -1;
	for (size_t i = 0; i < s->secrets_n; i++) {
		const struct site_secret *one_of = &s->secrets[i];
		char *path SCOPED(mem_freep) = fs_join(dir, one_of->name);
		char *what SCOPED(mem_freep) = mem_format("the secret \"%s\"", one_of->name);

		if (stage_secret_inside(s, one_of) && put_secret(&one_of->from, path, what, e) != 0)
			return -1;
	}
	return s->licence.at == NULL ? 0 : put_secret(&s->licence.from, licence, "the licence", e);
}

int stage_put_files(struct stage *st, const struct stage_one *one, struct err *e)
{
	char *dir SCOPED(mem_freep) = stage_shown_dir(st, one);
	char *filter SCOPED(mem_freep) = mem_format("%s.seccomp", dir);
	char *site SCOPED(mem_freep) = mem_format("%s.site", dir);
	struct buf text SCOPED(buf_release) = BUF_INIT(SHOWN_MAX);
	struct buf own SCOPED(buf_release) = BUF_INIT(SHOWN_MAX);

	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0 || put_site(st->s, dir, e) != 0 ||
	    put_keys(st->s, dir, e) != 0)
		return -1;
	if (stage_net_files(st, one, e) != 0)
		return -1;
	jval_write(st->seccomp, &text);
	jval_write(st->s->resolved, &own);
	if (fs_put_path(filter, text.data, text.len, 0644, e) != 0 ||
	    fs_put_path(site, own.data, own.len, 0600, e) != 0)
		return -1;
	return stage_put_secrets(st, one, e);
}

int stage_drop_files(struct stage *st, const struct stage_one *one, struct err *e)
{
	char *shown SCOPED(mem_freep) = stage_shown_dir(st, one);
	char *secrets SCOPED(mem_freep) = stage_secret_dir(st, one);
	char *filter SCOPED(mem_freep) = mem_format("%s.seccomp", shown);
	char *site SCOPED(mem_freep) = mem_format("%s.site", shown);
	char *licence SCOPED(mem_freep) = mem_format("%s.licence", secrets);
	char *run SCOPED(mem_freep) = mem_format("%s.run", secrets);

	return stage_net_drop(st, one, e) != 0 || fs_rmtree(AT_FDCWD, shown, e) != 0 ||
		       fs_rmtree(AT_FDCWD, filter, e) != 0 || fs_rmtree(AT_FDCWD, site, e) != 0 ||
		       fs_rmtree(AT_FDCWD, secrets, e) != 0 ||
		       fs_rmtree(AT_FDCWD, licence, e) != 0 ||
		       stage_forget_image(st, one, e) != 0 || fs_rmtree(AT_FDCWD, run, e) != 0
		   ? -1
		   : 0;
}

int stage_site_of(const struct stage *st, const struct stage_one *one, struct site **ret,
		  struct err *e)
{
	char *dir SCOPED(mem_freep) = stage_shown_dir(st, one);
	char *path SCOPED(mem_freep) = mem_format("%s.site", dir);
	struct site *s SCOPED(site_freep) = NULL;

	if (site_load_in(path, st->s->root, &s, e) != 0)
		return -1;
	if (!digest_equal(&s->digest, &one->site) || strcmp(s->shop, st->s->shop) != 0)
		return err_set(e, ERR_VERIFY, "%s is not the site that the record names", path);
	*ret = STEAL(s);
	return 0;
}

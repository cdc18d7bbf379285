/* keep_give.c - into an instance that does not run: its accounts, what it keeps, its printers. */
#include "stage/keeps.h"

#include "base/log.h"
#include "harden/lines.h"
#include "stage/accounts.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TABLE_MAX = 8 << 20, TAR_MAX = 64 << 20 };

/* What an instance is furnished from. */
struct furnish {
	struct stage *st;
	const struct stage_one *one;
	bool rehearsal;              /* another instance has the directories of data */
	bool left_out;               /* something for these was not written */
	struct files image;          /* its image's own */
	struct files kept;           /* kept.tar */
	struct strv users, printers; /* of the site before */
	struct files put;
};

static void furnish_release(struct furnish *f)
{
	files_release(&f->image);
	files_release(&f->kept);
	files_release(&f->put);
	strv_release(&f->users);
	strv_release(&f->printers);
}

static const char *text_of(const struct files *f, const char *path)
{
	const struct small_file *one = files_find(f, path);

	return one != NULL ? one->data : NULL;
}

static void read_names(const struct files *f, const char *path, struct strv *ret)
{
	const struct small_file *one = files_find(f, path);

	if (one != NULL)
		lines_split(one->data, ret);
}

/* As the image has the file, or as an image would. */
static struct small_file account_like(const struct files *image, enum account_table t)
{
	const struct small_file *own = files_find(image, account_paths[t]);
	bool open = t == ACCOUNT_PASSWD || t == ACCOUNT_GROUP;
	struct small_file like = {.mode = S_IFREG | (open ? 0644 : 0600)};

	if (own != NULL)
		like = *own;
	like.path = (char *)(uintptr_t)account_paths[t];
	return like;
}

static int put_tables(struct furnish *f, const struct account_files *made, struct err *e)
{
	for (unsigned t = 0; t < ACCOUNT_TABLES; t++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(TABLE_MAX);
		const struct small_file *own = files_find(&f->image, account_paths[t]);
		struct small_file like = account_like(&f->image, t);

		account_rows_text(&made->t[t], &text);
		if (buf_over(&text))
			return err_set(e, ERR_VERIFY, "/%s: too large", account_paths[t]);
		if (own != NULL || text.len > 0)
			files_put_text(&f->put, &like, text.data);
	}
	return 0;
}

/* A home on the host: the container's own directory would be hidden by the one of data. */
static int make_on_host(const struct stage *st, const struct account_home *h, struct err *e)
{
	for (size_t i = 0; i < st->s->data_n; i++) {
		const struct site_data *d = &st->s->data[i];
		char *dir SCOPED(mem_freep) = fs_join(st->dir, d->name);
		size_t n = strlen(d->at);
		int root SCOPED(fd_closep) = -1, fd SCOPED(fd_closep) = -1;
		struct strv made SCOPED(strv_release) = {0};

		if (strncmp(h->path, d->at, n) != 0 || h->path[n] != '/')
			continue;
		if (fs_open_dir(AT_FDCWD, dir, &root, e) != 0 ||
		    fs_mkdirs_in_root(root, h->path + n, 0700, &made, e) != 0 ||
		    fs_open_in_root(root, h->path + n, O_RDONLY | O_DIRECTORY | O_CLOEXEC, &fd,
				    e) != 0)
			return -1;
		if (made.n > 0 && (fchown(fd, h->uid, h->gid) != 0 || fsync(fd) != 0))
			return err_sys(e, "make %s", h->path);
		return 0;
	}
	return 0;
}

/* One that was just made has what its image has; of others the engine is asked. */
static int has_path(const struct furnish *f, int tree, const char *path, bool *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	struct err why = ERR_INIT;

	if (tree < 0)
		return engine_has_path(f->st->en, f->one->container, path, ret, e);
	*ret = fs_open_in_root(tree, path, O_PATH | O_NOFOLLOW, &fd, &why) == 0;
	if (*ret || errno == ENOENT || errno == ENOTDIR)
		return 0;
	*e = why;
	return err_in(e, "the image");
}

static int put_homes(struct furnish *f, const struct account_homes *homes, struct err *e)
{
	bool made = homes->n > 0 && digest_equal(&f->st->noted, &f->one->generation);
	int tree SCOPED(fd_closep) = made ? stage_image_tree(f->st) : -1;

	for (size_t i = 0; i < homes->n; i++) {
		const struct account_home *h = &homes->v[i];
		char *path SCOPED(mem_freep) = keeps_data(f->st->s, f->st->dir, h->path);
		struct small_file dir = {h->path + 1, S_IFDIR | 0700, h->uid, h->gid, NULL, 0};

		bool there = false;

		/* whose it is there, and for whom it is open, is the image's or people's */
		if (path == NULL && has_path(f, tree, h->path, &there, e) != 0)
			return -1;
		if (path == NULL && !there)
			files_put(&f->put, &dir);
		else if (path != NULL && f->rehearsal)
			f->left_out = true;
		else if (path != NULL && make_on_host(f->st, h, e) != 0)
			return -1;
	}
	return 0;
}

static int put_accounts(struct furnish *f, struct err *e)
{
	struct account_files image SCOPED(account_files_release) = {0};
	struct account_files was_image SCOPED(account_files_release) = {0};
	struct account_files was SCOPED(account_files_release) = {0};
	struct accounts_made made SCOPED(accounts_made_release) = {0};
	const struct accounts_from from = {.image = &image,
					   .was_image = &was_image,
					   .was = f->kept.n > 0 ? &was : NULL,
					   .site = f->st->s,
					   .today = (unsigned)(clock_wall_s() / 86400),
					   .was_site = &f->users,
					   .shells = text_of(&f->image, "etc/shells"),
					   .login_defs = text_of(&f->image, "etc/login.defs"),
					   .useradd = text_of(&f->image, "etc/default/useradd")};

	if (keeps_accounts(&f->image, "", "the image", &image, e) != 0 ||
	    keeps_accounts(&f->kept, "image/", "the image before", &was_image, e) != 0 ||
	    keeps_accounts(&f->kept, "was/", "the instance before", &was, e) != 0 ||
	    accounts_make(&from, &made, e) != 0 || put_tables(f, &made.files, e) != 0 ||
	    put_homes(f, &made.homes, e) != 0)
		return -1;
	for (size_t i = 0; i < made.did.n; i++)
		if (!strv_has(&f->st->out.did, made.did.v[i]))
			stage_did(f->st, "%s", made.did.v[i]);
	return 0;
}

static int put_kept(struct furnish *f, struct err *e)
{
	static const char below[] = "was/";
	struct account_files now SCOPED(account_files_release) = {0};
	struct account_files was SCOPED(account_files_release) = {0};

	if (keeps_accounts(&f->image, "", "the image", &now, e) != 0 ||
	    keeps_accounts(&f->kept, "image/", "the image before", &was, e) != 0)
		return -1;
	for (size_t i = 0; i < f->kept.n; i++) {
		struct small_file one = f->kept.v[i];
		bool account = false;

		if (strncmp(one.path, below, strlen(below)) != 0)
			continue;
		one.path += strlen(below);
		one.uid = account_moved_id(&was.t[ACCOUNT_PASSWD], &now.t[ACCOUNT_PASSWD], one.uid);
		one.gid = account_moved_id(&was.t[ACCOUNT_GROUP], &now.t[ACCOUNT_GROUP], one.gid);
		for (size_t t = 0; t < ACCOUNT_TABLES; t++)
			account = account || strcmp(one.path, account_paths[t]) == 0;
		if (!account && keeps_wants(f->st->s, one.path))
			files_put(&f->put, &one);
	}
	return 0;
}

/* An instance that had keys of its own has brought them. */
static int put_host_keys(struct furnish *f, struct err *e)
{
	char *data SCOPED(mem_freep) = keeps_data(f->st->s, f->st->dir, "/etc/ssh");

	if (data != NULL || files_find(&f->image, "etc/ssh/sshd_config") == NULL)
		return 0;
	for (size_t i = 0; i < f->put.n; i++)
		if (strncmp(f->put.v[i].path, "etc/ssh/ssh_host_", 17) == 0)
			return 0;
	return keeps_host_keys(f->st, &f->put, e);
}

/* The keys are where every instance is shown them; whether they are looked for is the image's. */
static void check_keys(const struct furnish *f)
{
	static const char sshd[] = "etc/ssh/sshd_config";
	bool keys = false;

	for (size_t i = 0; i < f->st->s->users_n; i++)
		keys = keys || f->st->s->users[i].keys.n > 0;
	if (!keys || files_find(&f->image, sshd) == NULL)
		return;
	for (size_t i = 0; i < f->image.n; i++)
		if (strncmp(f->image.v[i].path, sshd, strlen(sshd)) == 0 &&
		    strstr(f->image.v[i].data, "/run/posmedia/keys/%u") != NULL)
			return;
	log_warn("the image's sshd does not look for keys in /run/posmedia/keys/%%u: "
		 "the site's keys open nothing");
}

static int send(struct furnish *f, struct err *e)
{
	struct buf tar SCOPED(buf_release) = BUF_INIT(TAR_MAX);
	int tree, rc;

	if (f->put.n == 0)
		return 0;
	tree = stage_still_tree(f->st, f->one);
	if (tree >= 0) {
		rc = files_lay(tree, &f->put, e);
		stage_still_done(f->st, f->one, &tree);
		return rc == 0 ? 0 : err_in(e, "%s", f->one->container);
	}
	if (files_tar(&f->put, &tar, e) != 0)
		return -1;
	return engine_put(f->st->en, f->one->container, "/", &tar, e);
}

static int furnish(struct stage *st, const struct stage_one *one, bool rehearsal, struct err *e)
{
	struct furnish f SCOPED(furnish_release) = {.st = st, .one = one, .rehearsal = rehearsal};
	const struct printers p = {st, one->container, &f.image, &f.kept, &f.printers, rehearsal};
	char *cups SCOPED(mem_freep) = keeps_data(st->s, st->dir, "/etc/cups");

	if (keeps_mounts(st, st->s, one, e) != 0 || stage_image_of(st, one, &f.image, e) != 0 ||
	    keeps_load(st, KEPT, &f.kept, e) != 0)
		return -1;
	read_names(&f.kept, "site/users", &f.users);
	read_names(&f.kept, "site/printers", &f.printers);
	check_keys(&f);
	if (put_kept(&f, e) != 0 || put_host_keys(&f, e) != 0 || put_accounts(&f, e) != 0 ||
	    printers_put(&p, &f.put, e) != 0)
		return err_in(e, "%s", one->container);
	if (send(&f, e) != 0)
		return -1;
	if (!rehearsal || (cups == NULL && !f.left_out))
		st->furnished = one->generation;
	return 0;
}

/* Each generation has the users and printers of the site that it was made from. */
static int furnish_as_then(struct stage *st, const struct stage_one *one, bool rehearsal,
			   struct err *e)
{
	const struct site *now = st->s;
	struct site *then SCOPED(site_freep) = NULL;
	int rc;

	if (digest_equal(&now->digest, &one->site))
		return furnish(st, one, rehearsal, e);
	if (stage_site_of(st, one, &then, e) != 0)
		return -1;
	st->s = then;
	rc = furnish(st, one, rehearsal, e);
	st->s = now;
	return rc;
}

static int bring_over(struct stage *st, const struct stage_one *from, const struct stage_one *to,
		      bool rehearsal, struct err *e)
{
	bool changed = false, read_only = false;

	if (stage_keep(st, from, &changed, e) != 0)
		return -1;
	if (!changed && digest_equal(&st->furnished, &to->generation))
		return 0;
	if (stage_is_read_only(st, to, &read_only, e) != 0)
		return -1;
	if (read_only)
		return 0;
	if (!stage_image_noted(st, to)) {
		log_warn("%s is of an older version: its accounts stay as they are", to->container);
		return 0;
	}
	if (furnish_as_then(st, to, rehearsal, e) != 0)
		return -1;
	return 0;
}

int stage_rehearse(struct stage *st, const struct stage_one *from, const struct stage_one *to,
		   struct err *e)
{
	return bring_over(st, from, to, true, e);
}

int stage_bring_over(struct stage *st, const struct stage_one *from, const struct stage_one *to,
		     struct err *e)
{
	return bring_over(st, from, to, false, e);
}

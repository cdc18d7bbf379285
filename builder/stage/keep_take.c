/* keep_take.c - out of an instance: what its image has of its own, and what it was when it ended.
 *
 * GENERATION.image.tar is what stands in a container before its first start. kept.tar is what the
 * instance had that ran last: "was/", what its image had of that: "image/", and what its site had
 * made: "site/". The container is not believed: sizes are limited, and what is no plain file of its
 * own is left out. */
#include "stage/keeps.h"

#include "base/log.h"
#include "stage/accounts.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARCHIVE_MAX = 64 << 20, ENTRIES_MAX = 20000 };

/* Of an image beside its accounts: which shells there are, whether it prints, and where its sshd
 * looks for keys. */
static const char *const more[] = {
    "etc/shells",          "etc/login.defs",         "etc/default/useradd",
    "etc/cups/cupsd.conf", "etc/cups/printers.conf", "etc/ssh/sshd_config"};
static const char drop_ins[] = "etc/ssh/sshd_config.d/";

static bool wants_image(void *ctx, const char *path)
{
	(void)ctx;
	for (size_t t = 0; t < ACCOUNT_TABLES; t++)
		if (strcmp(path, account_paths[t]) == 0)
			return true;
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		if (strcmp(path, more[i]) == 0)
			return true;
	return strncmp(path, drop_ins, strlen(drop_ins)) == 0;
}

static bool enters_image(void *ctx, const char *path)
{
	size_t n = strlen(path);

	(void)ctx;
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		if (strncmp(more[i], path, n) == 0 && more[i][n] == '/')
			return true;
	return strncmp(path, drop_ins, strlen(drop_ins) - 1) == 0;
}

static bool wants_kept(void *ctx, const char *path)
{
	return keeps_wants(ctx, path);
}

static bool enters_kept(void *ctx, const char *path)
{
	return keeps_enters(ctx, path);
}

struct roots {
	const struct strv *at;
	const struct files_want *w;
	int tree; /* -1 = it is not to be seen */
};

static uint64_t bytes_of(const struct files *f)
{
	uint64_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->v[i].n;
	return n;
}

static int get_archive(struct stage *st, const struct stage_one *one, const char *root,
		       const struct files_want *w, struct files *ret, struct err *e)
{
	char *parent SCOPED(mem_freep) = fs_dirname(root);
	int fd SCOPED(fd_closep) = memfd_create("archive", MFD_CLOEXEC);
	const struct engine_files f = {root, fd, ARCHIVE_MAX};
	struct files_want want = *w;
	bool there = false;

	if (fd < 0)
		return err_sys(e, "make a file");
	want.below = parent + 1;
	if (engine_get(st->en, one->container, &f, &there, e) != 0)
		return -1;
	if (there && files_read(fd, &want, ret, e) != 0)
		return err_in(e, "%s of %s", root, one->container);
	return 0;
}

static int look_at_owners(const char *path, struct files *f, struct err *e)
{
	int root SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, path, &root, e) != 0)
		return -1;
	for (size_t i = 0; i < f->n; i++) {
		struct err gone = ERR_INIT;
		int fd SCOPED(fd_closep) = -1;
		struct stat st;

		/* one that is no longer there was there a moment ago */
		if (fs_open_in_root(root, f->v[i].path, O_PATH | O_NOFOLLOW | O_CLOEXEC, &fd,
				    &gone) != 0)
			continue;
		if (fstat(fd, &st) != 0)
			return err_sys(e, "look at /%s", f->v[i].path);
		f->v[i].uid = st.st_uid;
		f->v[i].gid = st.st_gid;
	}
	return 0;
}

/* Whose the files are, where their archive does not say. */
static int find_owners(struct stage *st, const struct stage_one *one, struct files *f,
		       struct err *e)
{
	char *path SCOPED(mem_freep) = NULL;
	struct err why = ERR_INIT;
	int rc;

	if (engine_mount(st->en, one->container, &path, e) != 0)
		return -1;
	if (path == NULL)
		return 0;
	rc = look_at_owners(path, f, e);
	if (engine_unmount(st->en, one->container, &why) != 0)
		log_warn("%s", why.msg);
	return rc;
}

/* Of each of the roots what is wanted: of the tree, or else of archives. w->bytes_max and files_max
 * are of all that *ret has. */
static int get_roots(struct stage *st, const struct stage_one *one, const struct roots *r,
		     struct files *ret, struct err *e)
{
	struct files_want want = *r->w;

	want.entries_max = ENTRIES_MAX;
	for (size_t i = 0; i < r->at->n; i++) {
		want.bytes_max = r->w->bytes_max - bytes_of(ret);
		if (r->tree < 0) {
			if (get_archive(st, one, r->at->v[i], &want, ret, e) != 0)
				return -1;
		} else if (files_look(r->tree, r->at->v[i], &want, ret, e) != 0)
			return err_in(e, "%s of %s", r->at->v[i], one->container);
	}
	return r->tree < 0 ? find_owners(st, one, ret, e) : 0;
}

/* Of one that runs or not, as this machine sees it, or else by its engine. */
static int get_now(struct stage *st, const struct stage_one *one, const struct engine_state *now,
		   const struct roots *r, struct files *ret, struct err *e)
{
	int tree = now->running ? stage_instance_tree(now) : stage_still_tree(st, one);
	struct roots here = *r;
	int rc;

	here.tree = tree;
	rc = get_roots(st, one, &here, ret, e);
	if (now->running)
		fd_closep(&tree);
	else
		stage_still_done(st, one, &tree);
	return rc;
}

static char *image_name(const struct stage_one *one)
{
	return mem_format("%.16s.image.tar", digest_hex(&one->generation).s);
}

bool stage_image_noted(const struct stage *st, const struct stage_one *one)
{
	char *name SCOPED(mem_freep) = image_name(one);

	return faccessat(st->ownfd, name, F_OK, 0) == 0;
}

int stage_note_image(struct stage *st, const struct stage_one *one, struct err *e)
{
	char *name SCOPED(mem_freep) = image_name(one);
	const struct files_want w = {.wants = wants_image,
				     .enters = enters_image,
				     .bytes_max = KEEPS_IMAGE_MAX,
				     .files_max = KEEPS_IMAGE_FILES};
	int tree SCOPED(fd_closep) = stage_image_tree(st);
	struct strv at SCOPED(strv_release) = {0};
	const struct roots r = {&at, &w, tree};
	struct files f SCOPED(files_release) = {0};
	bool changed;

	strv_add(&at, "/etc");
	if (get_roots(st, one, &r, &f, e) != 0 || keeps_save(st, name, &f, &changed, e) != 0)
		return -1;
	SWAP(st->image, f);
	st->noted = one->generation;
	return 0;
}

int stage_image_of(const struct stage *st, const struct stage_one *one, struct files *ret,
		   struct err *e)
{
	char *name SCOPED(mem_freep) = image_name(one);

	if (!digest_equal(&st->noted, &one->generation))
		return keeps_load(st, name, ret, e);
	for (size_t i = 0; i < st->image.n; i++)
		files_put(ret, &st->image.v[i]);
	return 0;
}

int stage_forget_image(const struct stage *st, const struct stage_one *one, struct err *e)
{
	char *name SCOPED(mem_freep) = image_name(one);

	return fs_rmtree(st->ownfd, name, e);
}

/* Copies all of one set into another, below a directory. */
static void put_below(struct files *to, const char *below, const struct files *from)
{
	for (size_t i = 0; i < from->n; i++) {
		char *path SCOPED(mem_freep) = mem_format("%s/%s", below, from->v[i].path);
		struct small_file one = from->v[i];

		one.path = path;
		files_put(to, &one);
	}
}

static void put_site(struct files *to, const struct site *s)
{
	static char users[] = "site/users", printers[] = "site/printers";
	struct small_file like = {.mode = S_IFREG | 0600};
	struct buf u SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct buf p SCOPED(buf_release) = BUF_INIT(1 << 20);

	for (size_t i = 0; i < s->users_n; i++) {
		buf_addf(&u, "%s\n", s->users[i].name);
		for (size_t k = 0; k < s->users[i].groups.n; k++)
			buf_addf(&u, "%s:%s\n", s->users[i].name, s->users[i].groups.v[k]);
	}
	for (size_t i = 0; i < s->printers_n; i++)
		buf_addf(&p, "%s\n", s->printers[i].name);
	like.path = users;
	files_put_text(to, &like, u.data);
	like.path = printers;
	files_put_text(to, &like, p.data);
}

/* Before what was kept is replaced. */
static int check_whole(const struct stage_one *one, const struct files *image,
		       const struct files *was, struct err *e)
{
	struct account_files own SCOPED(account_files_release) = {0};
	struct account_files now SCOPED(account_files_release) = {0};

	return keeps_accounts(image, "", "the image", &own, e) != 0 ||
		       keeps_accounts(was, "", one->container, &now, e) != 0
		   ? -1
		   : account_files_whole(&own, &now, one->container, e);
}

int keeps_mounts(const struct stage *st, const struct site *s, const struct stage_one *one,
		 struct err *e)
{
	char *dir SCOPED(mem_freep) = stage_secret_dir(st, one);
	char *licence SCOPED(mem_freep) = mem_format("%s.licence", dir);
	int fd SCOPED(fd_closep) = -1;

	if (fs_mkdirs(AT_FDCWD, dir, 0700, e) != 0)
		return -1;
	if (s->licence.at == NULL)
		return 0;
	fd = open(licence, O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0400);
	return fd >= 0 ? 0 : err_sys(e, "make %s", licence);
}

static int take(struct stage *st, const struct stage_one *one, const struct engine_state *now,
		bool *ret_changed, struct err *e)
{
	struct site *s SCOPED(site_freep) = NULL;
	struct files image SCOPED(files_release) = {0}, was SCOPED(files_release) = {0};
	struct files all SCOPED(files_release) = {0};
	struct strv roots SCOPED(strv_release) = {0};
	struct files_want w = {.wants = wants_kept,
			       .enters = enters_kept,
			       .bytes_max = KEEPS_MAX,
			       .files_max = KEEPS_FILES};
	const struct roots r = {&roots, &w, -1};

	if (stage_site_of(st, one, &s, e) != 0)
		return -1;
	w.ctx = s;
	keeps_roots(s, &roots);
	if (keeps_mounts(st, s, one, e) != 0 || stage_image_of(st, one, &image, e) != 0)
		return -1;
	if (get_now(st, one, now, &r, &was, e) != 0 || check_whole(one, &image, &was, e) != 0)
		return -1;
	put_below(&all, "image", &image);
	put_below(&all, "was", &was);
	put_site(&all, s);
	return keeps_save(st, KEPT, &all, ret_changed, e);
}

int stage_keep(struct stage *st, const struct stage_one *one, bool *ret_changed, struct err *e)
{
	struct engine_state s SCOPED(engine_state_release) = {0};

	*ret_changed = false;
	if (one->container == NULL)
		return 0;
	if (stage_look(st, one, &s, e) != 0)
		return -1;
	/* what was kept stays as it was, for one that is not */
	if (!s.there || s.read_only)
		return 0;
	if (!stage_image_noted(st, one)) {
		log_warn("%s is of an older version: what people changed in it is not known",
			 one->container);
		return 0;
	}
	return take(st, one, &s, ret_changed, e);
}

void stage_keep_first(struct stage *st, const struct stage_one *one)
{
	struct err why = ERR_INIT;
	bool changed;

	if (stage_keep(st, one, &changed, &why) != 0)
		log_warn("%s: what it made of its own is not kept yet: %s", one->container,
			 why.msg);
}

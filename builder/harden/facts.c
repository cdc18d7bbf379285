#include "harden/facts.h"

#include "harden/accounts.h"
#include "harden/dpkgdb.h"
#include "harden/root.h"
#include "package/rpmdb.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 8 << 20 };

struct facts {
	int rootfd; /* borrowed */
	bool have_accounts, have_files, have_packages;
	struct accounts accounts;
	struct facts_files files;
	struct strv packages;
	void *kept;
	void (*free_kept)(void *);
	bool stay;                         /* a walk does not enter mounts */
	const struct facts_source *source; /* borrowed */
};

struct facts *facts_new(int rootfd)
{
	struct facts *f = mem_zalloc(sizeof(*f));

	f->rootfd = rootfd;
	return f;
}

static void files_release(struct facts_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		free(files->v[i].path);
	free(files->v);
	*files = (struct facts_files){0};
}

void facts_drop(struct facts *f)
{
	struct facts fresh = {.rootfd = f->rootfd, .source = f->source};

	accounts_release(&f->accounts);
	files_release(&f->files);
	strv_release(&f->packages);
	if (f->kept != NULL)
		f->free_kept(f->kept);
	*f = fresh;
}

void facts_use_source(struct facts *f, const struct facts_source *s)
{
	f->source = s;
}

void facts_known(struct facts *f, size_t i)
{
	f->files.v[i].known = true;
	if (f->source != NULL && f->source->known != NULL)
		f->source->known(f->source->ctx, i);
}

void facts_found(struct facts *f, const char *path)
{
	if (f->source != NULL && f->source->found != NULL)
		f->source->found(f->source->ctx, path);
}

void facts_keep(struct facts *f, void *p, void (*free_p)(void *))
{
	f->kept = p;
	f->free_kept = free_p;
}

void *facts_kept(const struct facts *f)
{
	return f->kept;
}

void facts_free(struct facts *f)
{
	if (f == NULL)
		return;
	facts_drop(f);
	free(f);
}

void facts_freep(struct facts **f)
{
	facts_free(*f);
	*f = NULL;
}

int facts_accounts(struct facts *f, const struct accounts **ret, struct err *e)
{
	if (!f->have_accounts && accounts_load(f->rootfd, &f->accounts, e) != 0) {
		accounts_release(&f->accounts);
		return -1;
	}
	f->have_accounts = true;
	*ret = &f->accounts;
	return 0;
}

int facts_files_add(struct facts_files *files, const char *path, struct facts_file **ret,
		    struct err *e)
{
	if (files->n >= FILES_MAX)
		return err_set(e, ERR_FAIL, "more than %d files", FILES_MAX);
	if (files->n == files->cap) {
		files->cap = files->cap == 0 ? 4096 : files->cap * 2;
		files->v = mem_resize(files->v, files->cap, sizeof(*files->v));
	}
	*ret = &files->v[files->n++];
	**ret = (struct facts_file){.path = mem_strdup(path)};
	return 0;
}

void facts_stay(struct facts *f)
{
	f->stay = true;
}

/* On an overlay the device of a file says nothing. */
static bool is_mounted(const struct fs_entry *en)
{
	struct statx sx;

	return S_ISDIR(en->st.st_mode) &&
	       statx(en->parent_fd, en->name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &sx) == 0 &&
	       (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

static int take_file(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct facts *all = ctx;
	struct facts_file *f = NULL;

	if (all->stay && is_mounted(en))
		return 1;
	if (facts_files_add(&all->files, en->path, &f, e) != 0)
		return -1;
	f->st = (struct facts_stat){en->st.st_mode, en->st.st_uid, en->st.st_gid, en->st.st_size,
				    en->st.st_mtim.tv_sec};
	return 0;
}

static int list_files(struct facts *f, struct err *e)
{
	if (f->source != NULL)
		return f->source->list(f->source->ctx, &f->files, e);
	return fs_walk(f->rootfd, take_file, f, e);
}

int facts_files(struct facts *f, const struct facts_files **ret, struct err *e)
{
	if (!f->have_files && list_files(f, e) != 0) {
		files_release(&f->files);
		return -1;
	}
	f->have_files = true;
	*ret = &f->files;
	return 0;
}

static int take_rpms(int rootfd, struct strv *ret, struct err *e)
{
	struct rpmdb db SCOPED(rpmdb_release) = {0};

	if (rpmdb_read(rootfd, RPMDB_NAMES, &db, e) != 0)
		return -1;
	if (db.older)
		return err_set(e, ERR_FAIL, "databases of rpm before 4.16 cannot be read");
	for (size_t i = 0; i < db.n; i++)
		strv_add(ret, db.v[i].name);
	return 0;
}

int facts_packages(struct facts *f, const struct strv **ret, struct err *e)
{
	struct dpkgdb db SCOPED(dpkgdb_release) = {0};

	if (f->have_packages) {
		*ret = &f->packages;
		return 0;
	}
	if (dpkgdb_read(f->rootfd, &db, e) != 0)
		return -1;
	for (size_t i = 0; i < db.n; i++)
		strv_add(&f->packages, db.v[i].name);
	if (take_rpms(f->rootfd, &f->packages, e) != 0)
		return -1;
	strv_sort(&f->packages);
	strv_uniq(&f->packages);
	f->have_packages = true;
	*ret = &f->packages;
	return 0;
}

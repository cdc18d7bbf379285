/* seed.c - the directories of data of a new site, with what the image has in those places.
 *
 * The engine has the image unpacked and says where: only what is needed is copied. That it has this
 * image was asked by its config's digest, and what lies there is what would run. Where that is not
 * to be seen, the image is unpacked once more; an archive of the engine's has no user.* attributes.
 */
#include "stage/parts.h"

#include "archive/copy.h"
#include "base/fault.h"
#include "base/log.h"
#include "oci/unpack.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct seed {
	struct stage *st;
	const struct stage_image *i;
	const struct oci_manifest *m;
	char *temp;
};

static void seed_release(struct seed *s)
{
	free(s->temp);
}

/* Another may write to the layout that the image comes from: what is unpacked are copies, hashed
 * while they were made. */
static int copy_layers(const struct seed *s, struct oci_layout *to, struct err *e)
{
	for (size_t i = 0; i < s->m->layers_n; i++) {
		const struct oci_desc *d = &s->m->layers[i];
		int fd SCOPED(fd_closep) = -1;

		if (oci_layout_blob(s->i->layout, &d->digest, &fd, NULL, e) != 0 ||
		    oci_layout_add_fd(to, fd, &d->digest, d->size, e) != 0)
			return err_in(e, "layer %zu", i + 1);
	}
	return 0;
}

/* The tree of the image, TEMP/root. */
static int unpack_image(const struct seed *s, int *ret_rootfd, struct err *e)
{
	struct oci_layout *copy SCOPED(oci_layout_freep) = NULL;
	char *layers SCOPED(mem_freep) = fs_join(s->temp, "layers");
	char *root SCOPED(mem_freep) = fs_join(s->temp, "root");
	bool hidden;

	return fs_mkdirs(AT_FDCWD, root, 0755, e) != 0 ||
		       oci_layout_scratch(layers, &copy, e) != 0 || copy_layers(s, copy, e) != 0 ||
		       oci_unpack_layers(copy, s->m, root, &hidden, e) != 0 ||
		       fs_open_dir(AT_FDCWD, root, ret_rootfd, e) != 0
		   ? -1
		   : 0;
}

/* The directory `at` of the image's tree; *ret_fd stays -1 when there is none. */
static int open_data(int rootfd, const char *at, int *ret_fd, struct err *e)
{
	char *parent SCOPED(mem_freep) = fs_dirname(at), *base SCOPED(mem_freep) = fs_basename(at);
	int dir SCOPED(fd_closep) = -1, fd;
	struct err why = ERR_INIT;
	struct stat st;

	if (fs_open_in_root(rootfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC, &dir, &why) != 0) {
		if (errno == ENOENT)
			return 0;
		*e = why;
		return err_in(e, "data");
	}
	if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "data: look at %s", at);
	fd = S_ISDIR(st.st_mode)
		 ? openat(dir, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
		 : -1;
	if (fd < 0)
		return err_set(e, ERR_FAIL, "data: %s is no directory in the image", at);
	*ret_fd = fd;
	return 0;
}

static char *made_path(const struct seed *s, const struct site_data *d)
{
	return mem_format("%s/made/%s", s->temp, d->name);
}

/* What the image does not have is made empty. */
static int make_one(const struct seed *s, int rootfd, const struct site_data *d, struct err *e)
{
	static const struct copy_limits usual = {0};
	char *path SCOPED(mem_freep) = made_path(s, d);
	int from SCOPED(fd_closep) = -1, to SCOPED(fd_closep) = -1;

	if (open_data(rootfd, d->at, &from, e) != 0 || fs_mkdirs(AT_FDCWD, path, 0755, e) != 0 ||
	    fs_open_dir(AT_FDCWD, path, &to, e) != 0)
		return -1;
	if (from >= 0)
		return copy_tree(from, to, &usual, e) == 0 ? 0 : err_in(e, "data: %s", d->at);
	return fchmod(to, 0755) == 0 ? 0 : err_sys(e, "chmod %s", path);
}

static bool is_there(const struct stage *st, const struct site_data *d)
{
	char *path SCOPED(mem_freep) = fs_join(st->dir, d->name);

	return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Copies of all that is not there, on the disk. */
static int make_all(const struct seed *s, int rootfd, struct err *e)
{
	const struct site *site = s->st->s;
	int fd SCOPED(fd_closep) = -1;

	for (size_t k = 0; k < site->data_n; k++)
		if (!is_there(s->st, &site->data[k]) && make_one(s, rootfd, &site->data[k], e) != 0)
			return -1;
	if (fs_open_dir(AT_FDCWD, s->temp, &fd, e) != 0)
		return -1;
	return syncfs(fd) == 0 ? 0 : err_sys(e, "sync %s", s->temp);
}

/* Each by one rename, that replaces nothing. */
static int put_all(const struct seed *s, struct err *e)
{
	const struct site *site = s->st->s;
	int dirfd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, s->st->dir, &dirfd, e) != 0)
		return -1;
	for (size_t k = 0; k < site->data_n; k++) {
		const struct site_data *d = &site->data[k];
		char *path SCOPED(mem_freep) = made_path(s, d);

		if (is_there(s->st, d))
			continue;
		if (renameat2(AT_FDCWD, path, dirfd, d->name, RENAME_NOREPLACE) != 0)
			return err_sys(e, "make %s/%s", s->st->dir, d->name);
		stage_did(s->st, "made %s/%s", s->st->dir, d->name);
		fault_point("seed: put");
	}
	return fsync(dirfd) == 0 ? 0 : err_sys(e, "sync %s", s->st->dir);
}

static int seed_all(const struct seed *s, struct err *e)
{
	int rootfd SCOPED(fd_closep) = stage_image_tree(s->st);

	if (fs_mkdirs(AT_FDCWD, s->temp, 0700, e) != 0)
		return -1;
	fault_point("seed: begun");
	if (rootfd < 0 && unpack_image(s, &rootfd, e) != 0)
		return -1;
	if (make_all(s, rootfd, e) != 0)
		return -1;
	fault_point("seed: made");
	return put_all(s, e);
}

static bool all_there(const struct stage *st)
{
	for (size_t i = 0; i < st->s->data_n; i++)
		if (!is_there(st, &st->s->data[i]))
			return false;
	return true;
}

int stage_seed(struct stage *st, const struct stage_image *i, const struct oci_manifest *m,
	       struct err *e)
{
	struct seed s SCOPED(seed_release) = {
	    .st = st, .i = i, .m = m, .temp = fs_join(st->own, "seed")};
	struct err why = ERR_INIT;
	int rc;

	/* of one that died here */
	if (fs_rmtree(AT_FDCWD, s.temp, e) != 0)
		return -1;
	if (all_there(st))
		return 0;
	rc = seed_all(&s, e);
	fault_point("seed: done");
	if (fs_rmtree(AT_FDCWD, s.temp, &why) != 0)
		log_warn("%s", why.msg);
	return rc;
}

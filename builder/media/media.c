#include "media/media.h"

#include "base/log.h"
#include "media/entry.h"
#include "media/parts.h"
#include "oci/unpack.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int (*const makers[MEDIA_FORMATS])(const struct making *m, struct err *e) = {
    [MEDIA_TAR] = media_tar,
    [MEDIA_SQUASHFS] = media_squashfs,
    [MEDIA_EROFS] = media_erofs,
    [MEDIA_RAW] = media_raw,
    [MEDIA_QCOW2] = media_qcow2,
    [MEDIA_ISO] = media_iso,
    [MEDIA_INSTALLER] = media_installer,
};

struct uuid_text media_id(const struct making *m, const char *part)
{
	char *name SCOPED(mem_freep) = mem_format("%s/%s", digest_hex(&m->image).s, part);

	return uuid_of(name, strlen(name));
}

static void making_release(struct making *m)
{
	struct err e = ERR_INIT;

	if (m->dir != NULL && store_scratch_drop(m->o->store, m->dir, &e) != 0)
		log_warn("%s", e.msg);
	oci_manifest_release(&m->manifest);
	free(m->arch);
	free(m->dir);
	free(m->tree);
	free(m->to);
	free(m->finished);
}

/* When the image was made and for what, by its config. */
static int read_config(const struct oci_layout *l, struct making *m, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct jval *config SCOPED(jval_freep) = NULL;
	const char *created, *arch;

	if (oci_layout_read(l, &m->manifest.config.digest, &text, e) != 0 ||
	    jval_parse(text.data, text.len, "image config", &config, e) != 0)
		return -1;
	arch = jval_get_str(config, "architecture");
	m->arch = mem_strdup(arch != NULL ? arch : "");
	created = jval_get_str(config, "created");
	if (created != NULL && clock_parse(created, &m->epoch) == 0 && m->epoch >= 0)
		return 0;
	m->epoch = 0;
	return 0;
}

/* The tree with the time of the image for the root's own, which no layer has. */
static int unpack(const struct oci_layout *l, struct making *m, struct err *e)
{
	const struct timespec at[2] = {{.tv_sec = m->epoch}, {.tv_sec = m->epoch}};
	bool hidden;

	if (mkdir(m->tree, 0755) != 0 || mkdir(m->to, 0755) != 0)
		return err_sys(e, "make a directory in %s", m->dir);
	if (oci_unpack_layers(l, &m->manifest, m->tree, &hidden, e) != 0)
		return -1;
	if (utimensat(AT_FDCWD, m->tree, at, 0) != 0)
		return err_sys(e, "set the time of %s", m->tree);
	return 0;
}

static int prepare(const struct oci_layout *l, const struct oci_desc *manifest, struct making *m,
		   struct err *e)
{
	if (oci_read_verified(l, manifest, &m->manifest, &m->image, e) != 0 ||
	    read_config(l, m, e) != 0 || store_scratch(m->o->store, "media", &m->dir, e) != 0)
		return -1;
	m->tree = fs_join(m->dir, "tree");
	m->to = fs_join(m->dir, "to");
	m->finished = fs_join(m->to, "finished");
	return unpack(l, m, e);
}

static int copy(void *ctx, int fd, struct err *e)
{
	return media_copy_holes(*(const int *)ctx, fd, e);
}

static int put_manifest(int to, const char *name, const struct medium *m, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(MEDIUM_TEXT_MAX);

	medium_write(m, &text);
	if (buf_over(&text))
		return err_set(e, ERR_FAIL, "the medium is too large");
	return fs_put(to, name, text.data, text.len, 0644, e);
}

/* What an earlier medium of that name was is gone before the file is another. */
static int put_all(const struct making *m, int fd, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(m->o->out);
	char *name SCOPED(mem_freep) = fs_basename(m->o->out);
	char *manifest SCOPED(mem_freep) = mem_format("%s" MEDIUM_SUFFIX, name);
	char *disk SCOPED(mem_freep) = mem_format("%s" MEDIUM_DISK, name);
	int to SCOPED(fd_closep) = -1;
	const struct fs_filler f = {copy, &fd};

	if (fs_open_dir(AT_FDCWD, dir, &to, e) != 0)
		return -1;
	if ((unlinkat(to, manifest, 0) != 0 && errno != ENOENT) ||
	    (unlinkat(to, disk, 0) != 0 && errno != ENOENT))
		return err_sys(e, "remove %s/%s", dir, manifest);
	if (fs_put_with(to, name, 0644, &f, e) != 0 ||
	    put_manifest(to, manifest, m->medium, e) != 0)
		return -1;
	return m->disk->format != NULL ? put_manifest(to, disk, m->disk, e) : 0;
}

static void say_whose(const struct making *m, struct medium *ret)
{
	ret->identity = m->o->identity != NULL ? mem_strdup(m->o->identity) : NULL;
	ret->image = m->image;
}

/* Hashes what was made, and puts it where it shall be, with what it is beside it. */
static int put(const struct making *m, struct err *e)
{
	int fd SCOPED(fd_closep) = open(m->finished, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", m->finished);
	m->medium->format = mem_strdup(media_format_name(m->o->format));
	say_whose(m, m->medium);
	say_whose(m, m->disk);
	if (medium_hash(m->medium, fd, e) != 0)
		return err_in(e, "%s", m->finished);
	return put_all(m, fd, e);
}

/* A name that cannot be written to is known before the work. */
static int look(const char *out, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(out);
	struct stat st;

	if (lstat(out, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(e, ERR_FAIL, "%s is no file", out);
	if (access(dir, W_OK) != 0)
		return err_sys(e, "write into %s", dir);
	return 0;
}

int media_make(const struct oci_layout *l, const struct oci_desc *manifest,
	       const struct media_opts *o, struct media_made *ret, struct err *e)
{
	struct medium medium SCOPED(medium_release) = {0}, disk SCOPED(medium_release) = {0};
	struct making m SCOPED(making_release) = {.o = o, .medium = &medium, .disk = &disk};

	if (look(o->out, e) != 0 || entry_check(o, e) != 0 || prepare(l, manifest, &m, e) != 0 ||
	    makers[o->format](&m, e) != 0 || put(&m, e) != 0)
		return -1;
	*ret = (struct media_made){m.image, medium.whole, medium.size};
	return 0;
}

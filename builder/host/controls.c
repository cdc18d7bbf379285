/* controls.c - the controls of a profile that the host holds, judged on its own files. */
#include "host/parts.h"

#include "harden/facts.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

enum { TEXT_MAX = 4 << 20 };

/* What is not the host's own: images and data of instances, and what the kernel and systemd keep
 * there while the machine runs. */
static const char *const strange[] = {
    "proc",
    "sys",
    "dev",
    "run",
    "var/lib/containerd",
    "srv/pos",
    "var/lib/docker",
    "var/lib/containers",
};

struct files {
	const struct host *h;
	dev_t dev; /* of the root */
	struct facts_files *ret;
};

static bool is_strange(const struct files *f, const char *path)
{
	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
		if (strcmp(path, strange[i]) == 0)
			return true;
	return strcmp(path, f->h->o->state + 1) == 0;
}

/* Whether programs of the file system have no set-uid bit here, or it is not this machine's. */
static bool is_aside(int fd)
{
	static const unsigned foreign[] = {
	    NFS_SUPER_MAGIC, SMB_SUPER_MAGIC,  SMB2_SUPER_MAGIC, CIFS_SUPER_MAGIC, V9FS_MAGIC,
	    AFS_SUPER_MAGIC, CEPH_SUPER_MAGIC, CODA_SUPER_MAGIC, FUSE_SUPER_MAGIC,
	};
	struct statfs s;

	if (fd < 0 || fstatfs(fd, &s) != 0)
		return false;
	if ((s.f_flags & (ST_NOSUID | ST_NOEXEC)) != 0)
		return true;
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if ((unsigned)s.f_type == foreign[i])
			return true;
	return false;
}

static bool is_skipped(const struct files *f, const struct fs_entry *en)
{
	int fd SCOPED(fd_closep) = -1;

	if (is_strange(f, en->path))
		return true;
	if (en->st.st_dev == f->dev || !S_ISDIR(en->st.st_mode))
		return false;
	fd = openat(en->parent_fd, en->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return is_aside(fd);
}

static int add_file(void *ctx, const struct fs_entry *en, struct err *e)
{
	const struct files *f = ctx;
	struct facts_file *file;

	if (is_skipped(f, en))
		return 1;
	if (facts_files_add(f->ret, en->path, &file, e) != 0)
		return -1;
	file->st = (struct facts_stat){
	    .st_mode = en->st.st_mode,
	    .st_uid = en->st.st_uid,
	    .st_gid = en->st.st_gid,
	    .st_size = en->st.st_size,
	};
	return 0;
}

static void forget_files(struct facts_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		free(files->v[i].path);
	free(files->v);
	*files = (struct facts_files){0};
}

static int list_files(void *ctx, struct facts_files *ret, struct err *e)
{
	const struct host *h = ctx;
	struct facts_files all = {0};
	struct files f = {.h = h, .ret = &all};
	struct stat st;

	if (fstat(h->rootfd, &st) != 0)
		return err_sys(e, "stat %s", h->o->root);
	f.dev = st.st_dev;
	if (fs_walk_living(h->rootfd, add_file, &f, e) != 0) {
		forget_files(&all);
		return -1;
	}
	*ret = all;
	return 0;
}

static int live_swaps(void *ctx, struct strv *ret, struct err *e)
{
	struct buf swaps SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	struct buf mounts SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	int sys SCOPED(fd_closep) = -1;
	struct err none = ERR_INIT;

	(void)ctx;
	if (fs_get(AT_FDCWD, "/proc/swaps", &swaps, &none) != 0) {
		/* a kernel that cannot swap */
		if (none.sys == ENOENT)
			return 0;
		*e = none;
		return -1;
	}
	if (fs_get(AT_FDCWD, "/proc/self/mountinfo", &mounts, e) != 0 ||
	    fs_open_dir(AT_FDCWD, "/sys", &sys, e) != 0)
		return -1;
	const struct host_swaps s = {sys, swaps.data, mounts.data};

	return host_swaps_in_clear(&s, ret, e);
}

int host_controls(const struct host *h, struct host_report *ret, struct err *e)
{
	const struct facts_source files = {.list = list_files, .ctx = (void *)(uintptr_t)h};
	const struct harden_live live = {.swaps = live_swaps};
	const struct harden_context c = {
	    .recipe = h->o->recipe,
	    .target = "machine",
	    .today = h->o->today,
	    .files = &files,
	    .live = h->live ? &live : NULL,
	    .held_by = "host",
	};

	if (harden_profile_load(h->o->profile, &ret->profile, e) != 0)
		return -1;
	return harden_check(ret->profile, h->o->root, &c, &ret->controls, e);
}

const char *host_undecided(const struct harden_result *r)
{
	static const char own[] = "host: ";

	/* a control of the host for which there is nothing to look at has this for a reason */
	if (r->status != HARDEN_NOT_APPLICABLE || strcmp(r->place, "host") != 0)
		return NULL;
	return strncmp(r->detail, own, strlen(own)) == 0 ? r->detail + strlen(own) : r->detail;
}

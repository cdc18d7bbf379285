/* installer.c - a disc that writes a disk: the disk's blocks, one after another, and what writes
 * them. */
#include "media/disc.h"
#include "media/initramfs.h"
#include "media/loader.h"

#include "installer/blocklist.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

_Static_assert((int)BLOCKLIST_BLOCK == (int)MEDIUM_BLOCK, "blocks");

/* What the disk is, as a list; of its blocks those that are not zeros into an open file. */
static int copy_blocks(const struct medium *m, int disk, int to, struct blocklist *ret,
		       struct err *e)
{
	char *p SCOPED(mem_freep) = mem_zalloc(BLOCKLIST_BLOCK);
	const struct sha256 zeros = sha256_of(p, BLOCKLIST_BLOCK);

	for (size_t i = 0; i < ret->n; i++) {
		memcpy(ret->block[i].b, m->blocks[i].b, SHA256_BYTES);
		ret->zero[i] = memcmp(zeros.b, m->blocks[i].b, SHA256_BYTES) == 0;
		if (ret->zero[i])
			continue;
		if (pread(disk, p, BLOCKLIST_BLOCK, (off_t)i * BLOCKLIST_BLOCK) != BLOCKLIST_BLOCK)
			return err_sys(e, "read the disk");
		if (fs_write_all(to, p, BLOCKLIST_BLOCK, e) != 0)
			return -1;
	}
	return 0;
}

static int list_blocks(const struct medium *m, struct blocklist *ret, struct err *e)
{
	const struct medium_part *site = medium_part_named(m, "site");

	if (site == NULL || m->size % BLOCKLIST_BLOCK != 0)
		return err_set(e, ERR_FAIL, "the disk has no place for what a site is");
	ret->n = m->blocks_n;
	ret->site = (size_t)(site->at / BLOCKLIST_BLOCK);
	ret->block = mem_zalloc((ret->n + 1) * sizeof(*ret->block));
	ret->zero = mem_zalloc((ret->n + 1) * sizeof(*ret->zero));
	return 0;
}

/* The disc has an ESP of its own, and in that a signed entry. */
static int remove_disk(const struct making *m, struct err *e)
{
	static const char *const names[] = {"disk", "esp", "entry"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path SCOPED(mem_freep) = fs_join(m->to, names[i]);

		if (unlink(path) != 0 && errno != ENOENT)
			return err_sys(e, "remove %s", path);
	}
	return 0;
}

/* Makes m->to/payload and the list of it; what the disk is, is m->disk. */
static int make_payload(const struct making *m, struct buf *ret_list, struct err *e)
{
	struct blocklist c SCOPED(blocklist_release) = {0};
	char *disk SCOPED(mem_freep) = fs_join(m->to, "disk"),
		   *path SCOPED(mem_freep) = fs_join(m->to, "payload");
	int from SCOPED(fd_closep) = -1, to SCOPED(fd_closep) = -1;

	if (media_disk(m, "disk", e) != 0)
		return -1;
	from = open(disk, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (from < 0 || to < 0)
		return err_sys(e, "open the disk in %s", m->to);
	if (medium_hash(m->medium, from, e) != 0 || list_blocks(m->medium, &c, e) != 0 ||
	    copy_blocks(m->medium, from, to, &c, e) != 0)
		return -1;
	blocklist_write(&c, ret_list);
	m->medium->format = mem_strdup(media_format_name(MEDIA_RAW));
	*m->disk = *m->medium;
	*m->medium = (struct medium){0};
	return remove_disk(m, e);
}

static int payload_where(const struct disc *d, int fd, char **ret, struct err *e)
{
	char *at SCOPED(mem_freep) = NULL;

	if (disc_place(d, fd, "PAYLOAD.;1", &at, e) != 0)
		return -1;
	*ret = mem_format("posmedia.payload=%s", at);
	return 0;
}

int media_installer(const struct making *m, struct err *e)
{
	static const char *const files[] = {"/payload=/to/payload", NULL};
	struct disc d SCOPED(disc_release) = {.m = m, .files = files, .where = payload_where};
	struct buf more SCOPED(buf_release) = BUF_INIT(INITRAMFS_MAX);
	struct buf list SCOPED(buf_release) = BUF_INIT(BLOCKLIST_TEXT_MAX);

	if (disc_read(&d, "POSINST", e) != 0 || make_payload(m, &list, e) != 0 ||
	    initramfs_installer(m->tree, &d.b, &list, &more, e) != 0)
		return -1;
	return disc_make(&d, &more, e);
}

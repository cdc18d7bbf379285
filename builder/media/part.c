#include "media/part.h"

#include "base/num.h"
#include "media/tool.h"
#include "sys/fs.h"
#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
	BLOCK = 4096,
	/* Documentation/filesystems/ext4/super.rst of Linux; the block counts' lower halves are
	 * all there is up to 16 TiB */
	SUPER_AT = 1024,
	SUPER_FREE_BLOCKS = 0x0c,
	SUPER_FREE_INODES = 0x10,
	SUPER_BLOCK_LOG = 0x18,
	SUPER_MAGIC = 0x38,
	SUPER_LEN = 0x40,
};

/* What there is room for, or what wants room. */
struct room {
	uint64_t bytes, files;
};

char *part_name(const struct boot_part *p)
{
	return mem_format("part-%s", p->label);
}

static int make(const struct making *m, const struct boot_part *p, struct err *e)
{
	char *name SCOPED(mem_freep) = part_name(p), *path SCOPED(mem_freep) = fs_join(m->to, name);
	char *at SCOPED(mem_freep) = fs_join("/to", name);
	const struct uuid_text id = media_id(m, name);
	char *more SCOPED(mem_freep) = mem_format("hash_seed=%s,root_owner=0:0", id.s);
	const char *const argv[] = {"mke2fs", "-q", "-t", "ext4", "-L", p->label,
				    "-U",     id.s, "-E", more,   at,   NULL};
	const struct tool t = {
	    .package = "e2fsprogs", .argv = argv, .dest = m->to, .epoch = m->epoch};
	int fd SCOPED(fd_closep) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || ftruncate(fd, (off_t)p->size) != 0)
		return err_sys(e, "make %s", path);
	/* what swaps there makes its own of it */
	return p->swap ? 0 : tool_run(&t, e);
}

static uint32_t super_field(const uint8_t *super, size_t at)
{
	uint32_t v;

	memcpy(&v, super + at, sizeof(v));
	return le32toh(v);
}

/* What was left of it when it was made: how many files it takes is mke2fs's own rule, which is
 * another for small ones. */
static int free_of(const struct making *m, const struct boot_part *p, struct room *ret,
		   struct err *e)
{
	char *name SCOPED(mem_freep) = part_name(p), *path SCOPED(mem_freep) = fs_join(m->to, name);
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	uint8_t super[SUPER_LEN];
	uint32_t log;

	if (fd < 0 || pread(fd, super, sizeof(super), SUPER_AT) != (ssize_t)sizeof(super))
		return err_sys(e, "read %s", path);
	log = super_field(super, SUPER_BLOCK_LOG);
	if (super[SUPER_MAGIC] != 0x53 || super[SUPER_MAGIC + 1] != 0xef || log > 6)
		return err_set(e, ERR_FAIL, "mke2fs made no file system for %s", p->at);
	*ret = (struct room){(uint64_t)super_field(super, SUPER_FREE_BLOCKS) << (10 + log),
			     super_field(super, SUPER_FREE_INODES)};
	return 0;
}

static int add(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct room *r = ctx;

	(void)e;
	r->bytes += ((uint64_t)en->st.st_size + BLOCK - 1) / BLOCK * BLOCK;
	r->files++;
	return 0;
}

static int wanted_by(const struct making *m, const struct boot_part *p, struct room *ret,
		     struct err *e)
{
	struct err quiet = ERR_INIT;
	int root SCOPED(fd_closep) = -1, fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, m->tree, &root, e) != 0)
		return -1;
	if (fs_open_in_root(root, p->at, O_RDONLY | O_DIRECTORY, &fd, &quiet) != 0)
		return 0;
	return fs_walk(fd, add, ret, e);
}

/* Whether what the image has there goes into it, with a tenth left for the first sales. */
static int check(const struct making *m, const struct boot_part *p, struct err *e)
{
	char *has SCOPED(mem_freep) = NULL, *is SCOPED(mem_freep) = num_human(p->size);
	struct room there = {0}, wants = {0};

	if (p->swap)
		return 0;
	if (free_of(m, p, &there, e) != 0 || wanted_by(m, p, &wants, e) != 0)
		return -1;
	if (wants.bytes <= there.bytes / 10 * 9 && wants.files <= there.files / 10 * 9)
		return 0;
	has = num_human(wants.bytes);
	(void)err_set(e, ERR_RECIPE,
		      "the partition %s of %s is too small: %s in the image has %s, %llu files",
		      p->label, is, p->at, has, (unsigned long long)wants.files);
	return err_hint(e, "Give it x-posmedia.size= in /etc/fstab.");
}

int part_make_all(const struct making *m, const struct boot *b, struct err *e)
{
	for (size_t i = 0; i < b->parts_n; i++)
		if (make(m, &b->parts[i], e) != 0 || check(m, &b->parts[i], e) != 0)
			return -1;
	return 0;
}

/* disk.c - a disk that a machine starts from. */
#include "media/initramfs.h"
#include "media/loader.h"
#include "media/parts.h"
#include "media/tool.h"

#include "base/log.h"
#include "base/num.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MIB = 1 << 20,
	BLOCK = 4096,
	CORE_AT = 1, /* MiB: where the loader of the BIOS is, */
	ESP_AT = 2,
	PIECES_MAX = 24,
	INITRAMFS_MAX = 64 << 20,
};

/* Types of partitions (UEFI specification, table 5.7; Discoverable Partitions). */
#define TYPE_BIOS  "21686148-6449-6E6F-744E-656564454649"
#define TYPE_ESP   "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
#define TYPE_LINUX "0FC63DAF-8483-4772-8E79-3D69D8477DE4"

struct piece {
	char *file;          /* in m->to */
	const char *type;    /* of its partition */
	char *label;         /* of its partition */
	struct uuid_text id; /* of its partition */
	uint64_t at, size;   /* MiB */
};

struct disk {
	const struct making *m;
	struct boot b;
	struct piece v[PIECES_MAX];
	size_t n;
	uint64_t end; /* MiB, of the last piece */
};

static void disk_release(struct disk *d)
{
	boot_release(&d->b);
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].file);
		free(d->v[i].label);
	}
}

static int stat_in(const struct making *m, const char *file, uint64_t *ret, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(m->to, file);
	struct stat st;

	if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_FAIL, "%s was not made", file);
	*ret = (uint64_t)st.st_size;
	return 0;
}

/* The partition of a file that is there, behind those before it. */
static int add_piece(struct disk *d, const char *file, const char *type, const char *label,
		     struct err *e)
{
	struct piece *p = &d->v[d->n];
	char *name SCOPED(mem_freep) = mem_format("partition/%s", label);
	uint64_t size;

	if (stat_in(d->m, file, &size, e) != 0)
		return -1;
	*p = (struct piece){.file = mem_strdup(file),
			    .type = type,
			    .label = mem_strdup(label),
			    .id = media_id(d->m, name),
			    .at = d->end,
			    .size = (size + MIB - 1) / MIB};
	d->end += p->size;
	d->n++;
	return 0;
}

/* The tree and the hashes of its blocks; *ret_arg is what the kernel is told of them. */
static int make_root(const struct disk *d, char **ret_arg, struct err *e)
{
	const struct making *m = d->m;
	const struct uuid_text id = media_id(m, "verity"), root = media_id(m, "partition/root"),
			       hash = media_id(m, "partition/verity");
	char *seed SCOPED(mem_freep) = mem_format("%s/salt", digest_hex(&m->image).s);
	const struct digest salt = digest_of(seed, strlen(seed));
	const struct digest_hex hex = digest_hex(&salt);
	const char *const argv[] = {
	    "veritysetup",      "format",       "--salt",   hex.s,      "--uuid", id.s,
	    "--root-hash-file", "/to/roothash", "/to/root", "/to/hash", NULL};
	const struct tool t = {
	    .package = "cryptsetup-bin", .argv = argv, .dest = m->to, .epoch = m->epoch};
	char *path SCOPED(mem_freep) = fs_join(m->to, "roothash");
	struct buf text SCOPED(buf_release) = BUF_INIT(2 * DIGEST_HEX);
	struct digest top;
	uint64_t size;

	if (media_erofs_as(m, "root", e) != 0 || tool_run(&t, e) != 0 ||
	    fs_get_file(AT_FDCWD, path, &text, e) != 0 || stat_in(m, "root", &size, e) != 0)
		return -1;
	if (digest_parse_hex(text.data, &top) != 0)
		return err_set(e, ERR_FAIL, "veritysetup gave no root hash");
	*ret_arg = mem_format("posmedia.verity=%s:%s:%llu:%s:%s", root.s, hash.s,
			      (unsigned long long)(size / BLOCK), text.data, hex.s);
	return 0;
}

static char *part_name(const struct boot_part *p)
{
	return mem_format("part-%s", p->label);
}

/* A file system with nothing in it: what belongs there comes at the first start. */
static int make_part(const struct making *m, const struct boot_part *p, struct err *e)
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
	return tool_run(&t, e);
}

static int sum(void *ctx, const struct fs_entry *en, struct err *e)
{
	(void)e;
	*(uint64_t *)ctx += BLOCK + (uint64_t)en->st.st_size;
	return 0;
}

/* Whether what the image has there goes into it, with a tenth left for the file system. */
static int check_part(int root, const struct boot_part *p, struct err *e)
{
	char *has SCOPED(mem_freep) = NULL, *is SCOPED(mem_freep) = NULL;
	struct err quiet = ERR_INIT;
	uint64_t bytes = 0;
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_in_root(root, p->at, O_RDONLY | O_DIRECTORY, &fd, &quiet) != 0)
		return 0;
	if (fs_walk(fd, sum, &bytes, e) != 0)
		return -1;
	if (bytes <= p->size / 10 * 9)
		return 0;
	has = num_human(bytes);
	is = num_human(p->size);
	(void)err_set(e, ERR_RECIPE, "the partition %s of %s is too small: %s in the image has %s",
		      p->label, is, p->at, has);
	return err_hint(e, "Give it x-posmedia.size= in /etc/fstab.");
}

static int make_parts(struct disk *d, struct err *e)
{
	int root SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, d->m->tree, &root, e) != 0)
		return -1;
	for (size_t i = 0; i < d->b.parts_n; i++)
		if (check_part(root, &d->b.parts[i], e) != 0)
			return -1;
	for (size_t i = 0; i < d->b.parts_n; i++)
		if (make_part(d->m, &d->b.parts[i], e) != 0)
			return -1;
	return 0;
}

static int make_loaders(struct disk *d, const char *verity, struct err *e)
{
	struct buf more SCOPED(buf_release) = BUF_INIT(INITRAMFS_MAX);
	struct uuid_text ids[PIECES_MAX];
	const char *append = d->m->o->append;
	char *args SCOPED(mem_freep) =
	    mem_format("boot=posmedia ro %s%s%s%s", verity, d->b.args, append != NULL ? " " : "",
		       append != NULL ? append : "");
	const struct loader l = {.b = &d->b, .args = args, .more = &more};

	for (size_t i = 0; i < d->b.parts_n; i++) {
		char *name SCOPED(mem_freep) = mem_format("partition/%s", d->b.parts[i].label);

		ids[i] = media_id(d->m, name);
	}
	if (initramfs_make(d->m->tree, &d->b, ids, &more, e) != 0 || loader_esp(d->m, &l, e) != 0)
		return -1;
	return d->b.bios ? loader_core(d->m, e) : 0;
}

static int place(struct disk *d, struct err *e)
{
	d->end = ESP_AT;
	if (add_piece(d, "esp", TYPE_ESP, "esp", e) != 0 ||
	    add_piece(d, "root", TYPE_LINUX, "root", e) != 0 ||
	    add_piece(d, "hash", TYPE_LINUX, "verity", e) != 0)
		return -1;
	for (size_t i = 0; i < d->b.parts_n; i++) {
		char *name SCOPED(mem_freep) = part_name(&d->b.parts[i]);

		if (add_piece(d, name, TYPE_LINUX, d->b.parts[i].label, e) != 0)
			return -1;
	}
	return 0;
}

static int write_table(const struct disk *d, const char *name, struct err *e)
{
	struct buf script SCOPED(buf_release) = BUF_INIT(1 << 16);
	const struct uuid_text disk = media_id(d->m, "disk"), bios = media_id(d->m, "bios");
	char *at SCOPED(mem_freep) = fs_join("/to", name);
	const char *const argv[] = {"sfdisk", "--quiet", at, NULL};
	struct tool t = {.package = "fdisk", .argv = argv, .dest = d->m->to, .epoch = d->m->epoch};

	buf_addf(&script, "label: gpt\nlabel-id: %s\n", disk.s);
	buf_addf(&script, "start=%dMiB,size=1MiB,type=" TYPE_BIOS ",uuid=%s,name=bios\n", CORE_AT,
		 bios.s);
	for (size_t i = 0; i < d->n; i++)
		buf_addf(&script, "start=%lluMiB,size=%lluMiB,type=%s,uuid=%s,name=%s\n",
			 (unsigned long long)d->v[i].at, (unsigned long long)d->v[i].size,
			 d->v[i].type, d->v[i].id.s, d->v[i].label);
	t.input = script.data;
	return tool_run(&t, e);
}

static bool is_zero(const char *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* What is not zero: the rest of the disk is a hole. */
static int copy_in(const struct disk *d, const char *file, uint64_t at, int disk, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(d->m->to, file), *block SCOPED(mem_freep) = NULL;
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;

	block = mem_zalloc(MIB);
	while (n > 0) {
		n = read(fd, block, MIB);
		if (n > 0 && !is_zero(block, (size_t)n) &&
		    pwrite(disk, block, (size_t)n, (off_t)at) != n)
			n = -1;
		at += n > 0 ? (uint64_t)n : 0;
	}
	return n == 0 ? 0 : err_sys(e, "put %s into the disk", file);
}

static int assemble(struct disk *d, const char *name, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(d->m->to, name);
	uint64_t core;
	int fd SCOPED(fd_closep) = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	/* one MiB more, for the second table */
	if (fd < 0 || ftruncate(fd, (off_t)((d->end + 1) * MIB)) != 0)
		return err_sys(e, "make %s", path);
	if (write_table(d, name, e) != 0)
		return -1;
	for (size_t i = 0; i < d->n; i++)
		if (copy_in(d, d->v[i].file, d->v[i].at * MIB, fd, e) != 0)
			return -1;
	if (!d->b.bios)
		return 0;
	if (stat_in(d->m, "core", &core, e) != 0)
		return -1;
	if (core > MIB)
		return err_set(e, ERR_FAIL, "the loader for the BIOS is larger than its partition");
	if (copy_in(d, "core", (uint64_t)CORE_AT * MIB, fd, e) != 0)
		return -1;
	return loader_sector(d->m, fd, (uint64_t)CORE_AT * MIB / 512, e);
}

static int make_disk(const struct making *m, const char *name, struct err *e)
{
	struct disk d SCOPED(disk_release) = {.m = m};
	char *verity SCOPED(mem_freep) = NULL;

	if (strcmp(m->arch, "amd64") != 0)
		return err_set(e, ERR_RECIPE, "disks are made of images for amd64, this is for %s",
			       m->arch);
	if (boot_read(m->tree, &d.b, e) != 0 || make_root(&d, &verity, e) != 0 ||
	    make_loaders(&d, verity, e) != 0 || make_parts(&d, e) != 0 || place(&d, e) != 0)
		return -1;
	if (!d.b.uefi || !d.b.bios)
		log_warn("the disk starts by %s only: the image has no other loader",
			 d.b.uefi ? "UEFI" : "BIOS");
	return assemble(&d, name, e);
}

int media_raw(const struct making *m, struct err *e)
{
	return make_disk(m, "finished", e);
}

int media_qcow2(const struct making *m, struct err *e)
{
	static const char *const argv[] = {"qemu-img", "convert",  "-f",           "raw", "-O",
					   "qcow2",    "/to/disk", "/to/finished", NULL};
	const struct tool t = {
	    .package = "qemu-utils", .argv = argv, .dest = m->to, .epoch = m->epoch};

	return make_disk(m, "disk", e) != 0 ? -1 : tool_run(&t, e);
}

/* disk.c - a disk that a machine starts from. */
#include "media/initramfs.h"
#include "media/loader.h"
#include "media/part.h"
#include "media/slot.h"
#include "media/slot_make.h"
#include "media/tool.h"

#include "base/log.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MIB = 1 << 20,
	CORE_AT = 1, /* MiB: where the loader of the BIOS is, */
	ESP_AT = 2,
	PIECES_MAX = 28,
};

/* Types of partitions (UEFI specification, table 5.7; Discoverable Partitions). */
#define TYPE_BIOS  "21686148-6449-6E6F-744E-656564454649"
#define TYPE_ESP   "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
#define TYPE_LINUX "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
#define SITE       "site" /* who the machine is, by its installer */
#define TYPE_CRYPT "7FFEC5C9-2D00-49B7-8941-3EA10A5586B7"

struct piece {
	char *file;          /* in m->to; NULL for nothing */
	const char *type;    /* of its partition */
	char *label;         /* of its partition */
	struct uuid_text id; /* of its partition */
	uint64_t at, size;   /* MiB */
	bool data;           /* a machine writes to it */
};

struct disk {
	const struct making *m;
	struct boot b;
	struct slot_room room; /* of each of two slots */
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

/* A partition of that many bytes, behind those before it. */
static struct piece *add_room(struct disk *d, const char *file, const char *label, uint64_t size)
{
	struct piece *p = &d->v[d->n++];
	char *name SCOPED(mem_freep) = mem_format("partition/%s", label);

	*p = (struct piece){.file = file != NULL ? mem_strdup(file) : NULL,
			    .type = TYPE_LINUX,
			    .label = mem_strdup(label),
			    .id = media_id(d->m, name),
			    .at = d->end,
			    .size = (size + MIB - 1) / MIB};
	d->end += p->size;
	return p;
}

/* The partition of a file that is there. */
static int add_piece(struct disk *d, const char *file, const char *type, const char *label,
		     struct err *e)
{
	uint64_t size;

	if (media_size(d->m, file, &size, e) != 0)
		return -1;
	add_room(d, file, label, size)->type = type;
	return 0;
}

static char *verity_arg(const struct making *m)
{
	const struct uuid_text root = media_id(m, "partition/root"),
			       hash = media_id(m, "partition/verity");

	return loader_verity(m, root.s, hash.s);
}

static int make_loaders(struct disk *d, struct err *e)
{
	struct buf more SCOPED(buf_release) = BUF_INIT(INITRAMFS_MAX);
	struct uuid_text ids[PIECES_MAX];
	char *verity SCOPED(mem_freep) = verity_arg(d->m);
	char *args SCOPED(mem_freep) = loader_args(d->m, &d->b, verity);
	const struct loader l = {.b = &d->b, .args = args, .more = &more};

	if (d->b.made_for.slots)
		return slot_make(d->m, &d->b, &d->room, e);
	for (size_t i = 0; i < d->b.parts_n; i++) {
		char *name SCOPED(mem_freep) = mem_format("partition/%s", d->b.parts[i].label);

		ids[i] = media_id(d->m, name);
	}
	ids[d->b.parts_n] = media_id(d->m, "partition/" SITE); /* of an installer's */
	if (initramfs_make(d->m->tree, &d->b, ids, &more, e) != 0 || loader_esp(d->m, &l, e) != 0)
		return -1;
	return d->b.bios ? loader_core(d->m, e) : 0;
}

static void place_slots(struct disk *d)
{
	const char *const what[SLOT_PARTS] = {"boot", "root", "verity"};
	const char *const files[SLOT_PARTS] = {"boot", "root", "hash"};
	const uint64_t room[SLOT_PARTS] = {d->room.boot, d->room.root, d->room.hash};

	add_room(d, "state", "state", SLOT_STATE_SIZE)->data = true;
	for (int slot = 0; slot < SLOTS; slot++)
		for (size_t i = 0; i < SLOT_PARTS; i++) {
			char *label SCOPED(mem_freep) = slot_part(what[i], slot);
			const char *file = slot == SLOT_A ? files[i] : NULL;

			add_room(d, file, label, room[i])->data = slot != SLOT_A;
		}
}

static int place_roots(struct disk *d, struct err *e)
{
	d->end = ESP_AT;
	if (add_piece(d, "esp", TYPE_ESP, "esp", e) != 0)
		return -1;
	if (d->b.made_for.slots) {
		place_slots(d);
		return 0;
	}
	return add_piece(d, "root", TYPE_LINUX, "root", e) != 0
		   ? -1
		   : add_piece(d, "hash", TYPE_LINUX, "verity", e);
}

static int place(struct disk *d, struct err *e)
{
	if (place_roots(d, e) != 0)
		return -1;
	if (d->b.made_for.site)
		add_room(d, NULL, SITE, MIB)->data = true;
	for (size_t i = 0; i < d->b.parts_n; i++) {
		const struct boot_part *p = &d->b.parts[i];
		char *name SCOPED(mem_freep) = part_name(p);

		if (add_piece(d, name, p->swap ? TYPE_CRYPT : TYPE_LINUX, p->label, e) != 0)
			return -1;
		d->v[d->n - 1].data = true;
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

/* What is where, from the first byte to the last. */
static void tell(const struct disk *d)
{
	struct medium *m = d->m->medium;

	medium_add(m, "table", (uint64_t)CORE_AT * MIB, false);
	medium_add(m, "bios", (uint64_t)(ESP_AT - CORE_AT) * MIB, false);
	for (size_t i = 0; i < d->n; i++)
		medium_add(m, d->v[i].label, d->v[i].size * MIB, d->v[i].data);
	medium_add(m, "second table", MIB, false);
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
		if (d->v[i].file != NULL &&
		    media_copy_in(d->m, d->v[i].file, d->v[i].at * MIB, fd, e) != 0)
			return -1;
	if (!d->b.bios)
		return 0;
	if (media_size(d->m, "core", &core, e) != 0)
		return -1;
	if (core > MIB)
		return err_set(e, ERR_FAIL, "the loader for the BIOS is larger than its partition");
	if (media_copy_in(d->m, "core", (uint64_t)CORE_AT * MIB, fd, e) != 0)
		return -1;
	return loader_sector(d->m, fd, (uint64_t)CORE_AT * MIB / 512, e);
}

int media_disk(const struct making *m, const char *name, struct err *e)
{
	struct disk d SCOPED(disk_release) = {.m = m};

	if (loader_read(m, &d.b, e) != 0)
		return -1;
	if (media_root(m, e) != 0 || make_loaders(&d, e) != 0 || part_make_all(m, &d.b, e) != 0 ||
	    place(&d, e) != 0)
		return -1;
	if (!d.b.uefi || !d.b.bios)
		log_warn("the disk starts by %s only: the image has no other loader",
			 d.b.uefi ? "UEFI" : "BIOS");
	if (assemble(&d, name, e) != 0)
		return -1;
	tell(&d);
	return 0;
}

int media_raw(const struct making *m, struct err *e)
{
	return media_disk(m, "finished", e);
}

int media_qcow2(const struct making *m, struct err *e)
{
	static const char *const argv[] = {"qemu-img", "convert",  "-f",           "raw", "-O",
					   "qcow2",    "/to/disk", "/to/finished", NULL};
	const struct tool t = {
	    .package = "qemu-utils", .argv = argv, .dest = m->to, .epoch = m->epoch};

	if (media_disk(m, "disk", e) != 0)
		return -1;
	/* its partitions are at other places of the file */
	medium_release(m->medium);
	*m->medium = (struct medium){0};
	return tool_run(&t, e);
}

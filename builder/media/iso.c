/* iso.c - a disc that a machine starts from, or a stick that it was written to: the root lies on it
 * as a file, and the machine maps the sectors that it lies in. */
#include "media/disc.h"

#include "media/initramfs.h"
#include "media/iso9660.h"
#include "media/loader.h"

#include "base/log.h"
#include "base/strv.h"
#include "harden/root.h"
#include "media/tool.h"
#include "sys/fs.h"
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LABEL_DIGITS = 16, SECTORS = ISO_SECTOR / 512 };

/* Of another image it is another: what a machine starts from is what its loader came from. */
static void name_disc(struct disc *d, const char *prefix)
{
	(void)snprintf(d->label, sizeof(d->label), "%s_%.*s", prefix, LABEL_DIGITS,
		       digest_hex(&d->m->image).s);
	for (char *c = d->label; *c != '\0'; c++)
		*c = (char)toupper((unsigned char)*c);
}

/* The loaders for discs, which is more than those for disks. */
static int read_boot(struct disc *d, struct err *e)
{
	int root SCOPED(fd_closep) = -1;

	if (loader_read(d->m, &d->b, e) != 0 || fs_open_dir(AT_FDCWD, d->m->tree, &root, e) != 0)
		return -1;
	d->b.bios = d->b.bios && root_has(root, "usr/lib/grub/i386-pc/cdboot.img") &&
		    root_has(root, "usr/lib/grub/i386-pc/boot_hybrid.img");
	if (!d->b.uefi || !d->b.bios)
		log_warn("the disc starts by %s only: the image has no other loader",
			 d->b.uefi ? "UEFI" : "BIOS");
	return 0;
}

/* What xorriso is told of times: those of the image. */
static void add_times(const struct making *m, struct strv *ret)
{
	const time_t epoch = (time_t)m->epoch;
	struct tm t = {0};

	(void)gmtime_r(&epoch, &t);
	strv_addf(ret, "--modification-date=%04d%02d%02d%02d%02d%02d00", t.tm_year + 1900,
		  t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
	strv_add(ret, "--set_all_file_dates");
	strv_addf(ret, "=%lld", (long long)m->epoch);
}

static void add_bios(struct strv *ret)
{
	static const char *const words[] = {"-b",
					    "core",
					    "-no-emul-boot",
					    "-boot-load-size",
					    "4",
					    "-boot-info-table",
					    "--grub2-boot-info",
					    "--grub2-mbr",
					    "/tree/usr/lib/grub/i386-pc/boot_hybrid.img"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		strv_add(ret, words[i]);
}

static void add_words(struct strv *ret, const char *const *words)
{
	for (; *words != NULL; words++)
		strv_add(ret, *words);
}

static int write_disc(const struct disc *d, struct err *e)
{
	static const char *const first[] = {"xorriso",    "-as", "mkisofs",       "-quiet", "-r",
					    "-iso-level", "3",   "-graft-points", NULL};
	static const char *const uefi[] = {
	    "--efi-boot", "esp", "-efi-boot-part", "--efi-boot-image", "--protective-msdos-label",
	    NULL};
	static const char *const files[] = {"-o", "/to/finished", "/esp=/to/esp",
					    "/EFI/debian/grub.cfg=/to/disc.cfg", NULL};
	const struct uuid_text id = media_id(d->m, "disc");
	struct strv argv SCOPED(strv_release) = {0};
	struct tool t = {
	    .package = "xorriso", .tree = d->m->tree, .dest = d->m->to, .epoch = d->m->epoch};

	add_words(&argv, first);
	strv_add(&argv, "-volid");
	strv_add(&argv, d->label);
	strv_add(&argv, "--gpt_disk_guid");
	strv_add(&argv, id.s);
	add_times(d->m, &argv);
	if (d->b.bios)
		add_bios(&argv);
	if (d->b.uefi)
		add_words(&argv, uefi);
	add_words(&argv, files);
	add_words(&argv, d->files);
	if (d->b.bios)
		strv_add(&argv, "/core=/to/core");
	t.argv = (const char *const *)argv.v;
	return tool_run(&t, e);
}

int disc_place(const struct disc *d, int fd, const char *name, char **ret, struct err *e)
{
	struct iso_extent x;

	if (iso_find(fd, name, &x, e) != 0)
		return -1;
	*ret = mem_format("%s@%llu+%llu", d->label, (unsigned long long)x.sector * SECTORS,
			  ((unsigned long long)x.size + 511) / 512);
	return 0;
}

/* What it starts with, now that is known where what it reads lies. */
static int fill_esp(const struct disc *d, struct loader *l, struct err *e)
{
	struct iso_extent esp;
	char *path SCOPED(mem_freep) = fs_join(d->m->to, "esp");
	int fd SCOPED(fd_closep) = open(d->m->finished, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	char *where SCOPED(mem_freep) = NULL, *args SCOPED(mem_freep) = NULL;

	if (fd < 0)
		return err_sys(e, "open %s", d->m->finished);
	if (d->where(d, fd, &where, e) != 0 || iso_find(fd, "ESP.;1", &esp, e) != 0)
		return -1;
	args = loader_args(d->m, &d->b, where);
	l->args = args;
	if (unlink(path) != 0)
		return err_sys(e, "remove %s", path);
	if (loader_esp(d->m, l, e) != 0)
		return -1;
	return media_copy_in(d->m, "esp", (uint64_t)esp.sector * ISO_SECTOR, fd, e);
}

int disc_read(struct disc *d, const char *prefix, struct err *e)
{
	name_disc(d, prefix);
	return read_boot(d, e);
}

int disc_make(const struct disc *d, const struct buf *more, struct err *e)
{
	struct loader l = {.b = &d->b, .more = more};

	if (loader_esp_room(d->m, &l, e) != 0 || loader_disc(d->m, d->label, d->b.bios, e) != 0 ||
	    write_disc(d, e) != 0)
		return -1;
	return fill_esp(d, &l, e);
}

void disc_release(struct disc *d)
{
	boot_release(&d->b);
}

/* Where the root lies, and its hashes. */
static int root_where(const struct disc *d, int fd, char **ret, struct err *e)
{
	char *root SCOPED(mem_freep) = NULL, *hash SCOPED(mem_freep) = NULL;

	if (disc_place(d, fd, "ROOT.;1", &root, e) != 0 ||
	    disc_place(d, fd, "HASH.;1", &hash, e) != 0)
		return -1;
	*ret = loader_verity(d->m, root, hash);
	return 0;
}

int media_iso(const struct making *m, struct err *e)
{
	static const char *const files[] = {"/root=/to/root", "/hash=/to/hash", NULL};
	struct disc d SCOPED(disc_release) = {.m = m, .files = files, .where = root_where};
	struct buf more SCOPED(buf_release) = BUF_INIT(INITRAMFS_MAX);
	struct boot without;

	if (disc_read(&d, "POSMEDIA", e) != 0)
		return -1;
	without = d.b;
	without.parts_n = 0;
	if (media_root(m, e) != 0 || initramfs_make(m->tree, &without, NULL, &more, e) != 0)
		return -1;
	return disc_make(&d, &more, e);
}

/* iso.c - a disc that a machine starts from, or a stick that it was written to: the root lies on it
 * as a file, and the machine maps the sectors that it lies in. */
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

struct disc {
	const struct making *m;
	struct boot b;
	char label[sizeof("POSMEDIA_") + LABEL_DIGITS];
};

/* Of another image it is another: what a machine starts from is what its loader came from. */
static void name_disc(struct disc *d)
{
	(void)snprintf(d->label, sizeof(d->label), "POSMEDIA_%.*s", LABEL_DIGITS,
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
	static const char *const files[] = {"-o",
					    "/to/finished",
					    "/root=/to/root",
					    "/hash=/to/hash",
					    "/esp=/to/esp",
					    "/EFI/debian/grub.cfg=/to/disc.cfg",
					    NULL};
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
	if (d->b.bios)
		strv_add(&argv, "/core=/to/core");
	t.argv = (const char *const *)argv.v;
	return tool_run(&t, e);
}

static char *place(const struct disc *d, const struct iso_extent *x)
{
	return mem_format("%s@%llu+%llu", d->label, (unsigned long long)x->sector * SECTORS,
			  ((unsigned long long)x->size + 511) / 512);
}

/* What it starts with, now that is known where the root lies. */
static int fill_esp(const struct disc *d, struct loader *l, struct err *e)
{
	struct iso_extent root, hash, esp;
	char *path SCOPED(mem_freep) = fs_join(d->m->to, "esp");
	int fd SCOPED(fd_closep) = open(d->m->finished, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	char *a SCOPED(mem_freep) = NULL, *b SCOPED(mem_freep) = NULL;
	char *verity SCOPED(mem_freep) = NULL, *args SCOPED(mem_freep) = NULL;

	if (fd < 0)
		return err_sys(e, "open %s", d->m->finished);
	if (iso_find(fd, "ROOT.;1", &root, e) != 0 || iso_find(fd, "HASH.;1", &hash, e) != 0 ||
	    iso_find(fd, "ESP.;1", &esp, e) != 0)
		return -1;
	a = place(d, &root);
	b = place(d, &hash);
	verity = loader_verity(d->m, a, b);
	args = loader_args(d->m, &d->b, verity);
	l->args = args;
	if (unlink(path) != 0)
		return err_sys(e, "remove %s", path);
	if (loader_esp(d->m, l, e) != 0)
		return -1;
	return media_copy_in(d->m, "esp", (uint64_t)esp.sector * ISO_SECTOR, fd, e);
}

static int make(struct disc *d, struct err *e)
{
	struct buf more SCOPED(buf_release) = BUF_INIT(INITRAMFS_MAX);
	struct boot without = d->b;
	struct loader l = {.b = &d->b, .more = &more};

	without.parts_n = 0;
	if (media_root(d->m, e) != 0 || initramfs_make(d->m->tree, &without, NULL, &more, e) != 0 ||
	    loader_esp_room(d->m, &l, e) != 0)
		return -1;
	if (loader_disc(d->m, d->label, d->b.bios, e) != 0)
		return -1;
	return write_disc(d, e) != 0 ? -1 : fill_esp(d, &l, e);
}

int media_iso(const struct making *m, struct err *e)
{
	struct disc d = {.m = m};
	int rc;

	name_disc(&d);
	rc = read_boot(&d, e) != 0 ? -1 : make(&d, e);
	boot_release(&d.b);
	return rc;
}

#include "media/loader.h"

#include "harden/root.h"
#include "media/entry.h"
#include "media/tool.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MIB = 1 << 20,
	ESP_LEAST = 64 * MIB, /* less is no FAT32 */
	SECTOR = 512,
	CODE = 440, /* of a boot sector: behind it are the disk's id and its table */
	/* grub's include/grub/i386/pc/boot.h */
	KERNEL_SECTOR = 0x5c, /* where the sector of core is in boot.img */
	DRIVE_CHECK = 0x66,   /* a jump that is for floppies only */
	CORE_REST = 0x1f4,    /* where core has the sector of the rest of itself */
};

static int write_file(const struct making *m, const char *name, const void *p, size_t n,
		      struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(m->to, name);

	return fs_put_unsynced(path, p, n, 0644, e);
}

static int mtools(const struct making *m, const char *const *argv, struct err *e)
{
	const struct tool t = {
	    .package = "mtools", .argv = argv, .tree = m->tree, .dest = m->to, .epoch = m->epoch};

	return tool_run(&t, e);
}

/* A file of the image, or of ours, to its place in the ESP. */
static int add(const struct making *m, const char *from, const char *to, struct err *e)
{
	char *at SCOPED(mem_freep) = mem_format("::%s", to);
	const char *const argv[] = {"mcopy", "-i", "/to/esp", from, at, NULL};

	return mtools(m, argv, e);
}

static int add_all(const struct making *m, const struct loader *l, struct err *e)
{
	char *kernel SCOPED(mem_freep) = fs_join("/tree", l->b->kernel);
	char *initrd SCOPED(mem_freep) = fs_join("/tree", l->b->initrd);
	/* who starts it: GRUB, by UEFI and BIOS, shim and its GRUB, the firmware itself */
	enum { GRUB = 1, SHIM = 2, OWN = 4 };
	const bool own = m->o->boot != NULL;
	const unsigned who = own ? OWN | (l->b->bios ? GRUB : 0) : GRUB | (l->b->uefi ? SHIM : 0);
	const struct {
		unsigned of;
		const char *from, *to;
	} files[] = {
	    {GRUB, kernel, "/vmlinuz"},
	    {GRUB, initrd, "/initrd.img"},
	    {GRUB, "/to/posmedia.img", "/posmedia.img"},
	    {GRUB, "/to/grub.cfg", "/EFI/debian/grub.cfg"}, /* where the signed loader looks */
	    {SHIM, "/tree/usr/lib/shim/shimx64.efi.signed", "/EFI/BOOT/BOOTX64.EFI"},
	    {SHIM, "/tree/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
	     "/EFI/BOOT/grubx64.efi"},
	    {OWN, "/to/entry", "/EFI/BOOT/BOOTX64.EFI"},
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if ((files[i].of & who) != 0 && add(m, files[i].from, files[i].to, e) != 0)
			return -1;
	return 0;
}

static uint64_t size_of(int root, const char *path)
{
	struct stat st;

	return root_stat(root, path, true, &st) == 1 ? (uint64_t)st.st_size : 0;
}

/* So that all has room, in whole MiB. */
static int make_esp(const struct making *m, const struct loader *l, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(m->to, "esp");
	int root SCOPED(fd_closep) = -1;
	int fd SCOPED(fd_closep) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	uint64_t size = l->more->len;

	if (fs_open_dir(AT_FDCWD, m->tree, &root, e) != 0)
		return -1;
	size += size_of(root, l->b->kernel) + size_of(root, l->b->initrd);
	size += 8 * (uint64_t)MIB + entry_room(m, size);
	size = (size + MIB - 1) / MIB * MIB;
	if (size < ESP_LEAST)
		size = ESP_LEAST;
	if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
		return err_sys(e, "make %s", path);
	return 0;
}

static char *grub_cfg(const struct loader *l)
{
	/* superusers of whom there is none: no entry can be changed at the till, and there is no
	 * shell of grub's */
	return mem_format("set timeout=0\n"
			  "set superusers=\"\"\n"
			  "export superusers\n"
			  "menuentry posmedia --unrestricted {\n"
			  "	linux /vmlinuz %s\n"
			  "	initrd /initrd.img /posmedia.img\n"
			  "}\n",
			  l->args);
}

int loader_read(const struct making *m, struct boot *ret, struct err *e)
{
	if (strcmp(m->arch, "amd64") != 0)
		return err_set(e, ERR_RECIPE, "disks are made of images for amd64, this is for %s",
			       m->arch);
	return boot_read(m->tree,
			 (struct boot_for){.own = m->o->boot != NULL,
					   .slots = m->o->slots > 1,
					   .site = m->o->format == MEDIA_INSTALLER},
			 ret, e);
}

char *loader_verity(const struct making *m, const char *root, const char *hash)
{
	const struct medium_verity *v = &m->medium->verity;

	return mem_format("posmedia.verity=%s:%s:%llu:%s:%s", root, hash,
			  (unsigned long long)v->blocks, digest_hex(&v->top).s,
			  digest_hex(&v->salt).s);
}

char *loader_args(const struct making *m, const struct boot *b, const char *verity)
{
	const char *append = m->o->append;

	return mem_format("boot=posmedia ro %s%s%s%s", verity, b->args, append != NULL ? " " : "",
			  append != NULL ? append : "");
}

int loader_esp_room(const struct making *m, const struct loader *l, struct err *e)
{
	return make_esp(m, l, e);
}

/* The serial number of the ESP, by which the BIOS's loader finds it. */
static struct uuid_text esp_id(const struct making *m)
{
	struct uuid_text id = media_id(m, "esp");

	id.s[8] = '\0';
	return id;
}

int loader_esp(const struct making *m, const struct loader *l, struct err *e)
{
	const struct uuid_text id = esp_id(m);
	const char *const format[] = {"mformat", "-i", "/to/esp",  "-F", "-N",
				      id.s,      "-v", "POSMEDIA", "::", NULL};
	static const char *const dirs[] = {
	    "mmd", "-i", "/to/esp", "::/EFI", "::/EFI/BOOT", "::/EFI/debian", NULL};
	char *cfg SCOPED(mem_freep) = grub_cfg(l);

	if (write_file(m, "grub.cfg", cfg, strlen(cfg), e) != 0 ||
	    write_file(m, "posmedia.img", l->more->data, l->more->len, e) != 0 ||
	    make_esp(m, l, e) != 0 || mtools(m, format, e) != 0 || mtools(m, dirs, e) != 0)
		return -1;
	if (m->o->boot != NULL && entry_make(m, l, e) != 0)
		return -1;
	return add_all(m, l, e);
}

/* The distribution's own linker of GRUB's modules, out of the image; `early` is in m->to. */
static int link_core(const struct making *m, const char *const *argv, struct err *e)
{
	const struct tool t = {.argv = argv, .root = m->tree, .dest = m->to, .epoch = m->epoch};

	return tool_run(&t, e);
}

int loader_core(const struct making *m, struct err *e)
{
	static const char *const argv[] = {"grub-mkimage",  "-O",
					   "i386-pc",       "-o",
					   "/run/to/core",  "-c",
					   "/run/to/early", "-p",
					   "/grub",         "biosdisk",
					   "part_gpt",      "fat",
					   "search",        "search_fs_uuid",
					   "configfile",    "normal",
					   "linux",         NULL};
	/* what chooses among slots wants more */
	static const char *const with_slots[] = {"grub-mkimage",
						 "-O",
						 "i386-pc",
						 "-o",
						 "/run/to/core",
						 "-c",
						 "/run/to/early",
						 "-p",
						 "/grub",
						 "biosdisk",
						 "part_gpt",
						 "fat",
						 "search",
						 "search_fs_uuid",
						 "configfile",
						 "normal",
						 "linux",
						 "loadenv",
						 "regexp",
						 "test",
						 NULL};
	const struct uuid_text id = esp_id(m);
	char *early SCOPED(mem_freep) = NULL;

	/* grub writes the number as ABCD-EF01 */
	early = mem_format("set superusers=\n"
			   "search --no-floppy --fs-uuid --set=root %.4s-%s\n"
			   "configfile ($root)/EFI/debian/grub.cfg\n",
			   id.s, id.s + 4);
	for (char *c = strstr(early, "--set=root ") + strlen("--set=root "); *c != '\n'; c++)
		if (*c >= 'a' && *c <= 'f')
			*c = (char)(*c - 'a' + 'A');
	return write_file(m, "early", early, strlen(early), e) != 0
		   ? -1
		   : link_core(m, m->o->slots > 1 ? with_slots : argv, e);
}

int loader_disc(const struct making *m, const char *label, bool bios, struct err *e)
{
	static const char *const argv[] = {"grub-mkimage",
					   "-O",
					   "i386-pc-eltorito",
					   "-o",
					   "/run/to/core",
					   "-c",
					   "/run/to/disc.cfg",
					   "-p",
					   "/grub",
					   "biosdisk",
					   "iso9660",
					   "fat",
					   "loopback",
					   "search",
					   "search_label",
					   "configfile",
					   "normal",
					   "linux",
					   NULL};
	char *cfg SCOPED(mem_freep) = mem_format("set superusers=\n"
						 "search --no-floppy --label --set=root %s\n"
						 "loopback esp ($root)/esp\n"
						 "set root=esp\n"
						 "configfile (esp)/EFI/debian/grub.cfg\n",
						 label);

	if (write_file(m, "disc.cfg", cfg, strlen(cfg), e) != 0)
		return -1;
	return bios ? link_core(m, argv, e) : 0;
}

static void put_le(uint8_t *to, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		to[i] = (uint8_t)(v >> (8 * i));
}

static int put_at(int fd, const void *p, size_t n, uint64_t at, struct err *e)
{
	if (pwrite(fd, p, n, (off_t)at) != (ssize_t)n)
		return err_sys(e, "write the disk");
	return 0;
}

int loader_sector(const struct making *m, int disk, uint64_t at, struct err *e)
{
	int root SCOPED(fd_closep) = -1;
	struct buf boot SCOPED(buf_release) = BUF_INIT(SECTOR);
	uint8_t code[SECTOR], rest[8];

	if (fs_open_dir(AT_FDCWD, m->tree, &root, e) != 0 ||
	    root_read(root, "usr/lib/grub/i386-pc/boot.img", &boot, NULL, e) != 0)
		return -1;
	if (boot.len != SECTOR)
		return err_set(e, ERR_RECIPE, "usr/lib/grub/i386-pc/boot.img is no boot sector");
	memcpy(code, boot.data, SECTOR);
	put_le(code + KERNEL_SECTOR, at);
	memset(code + DRIVE_CHECK, 0x90, 2);
	put_le(rest, at + 1);
	return put_at(disk, code, CODE, 0, e) != 0
		   ? -1
		   : put_at(disk, rest, sizeof(rest), at * SECTOR + CORE_REST, e);
}

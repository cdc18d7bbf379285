#include "media/slot_make.h"

#include "base/num.h"
#include "harden/root.h"
#include "media/initramfs.h"
#include "media/loader.h"
#include "media/slot_what.h"
#include "media/tool.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MIB = 1 << 20,
	ESP_SIZE = 64 * MIB,
	ROOM_STEP = 64 * MIB,
	BOOT_LEAST = 16 * MIB,
};

/* Once a disk is a machine's, its identifiers are those of its first image, and partitions of
 * another's have others: what a machine writes to is found by its name beside the root. Here is
 * neither grep nor sed. */
const char slot_script[] = "\n"
			   "posmedia_beside()\n"
			   "{\n"
			   "	local x line name found\n"
			   "	x=$(readlink -f \"$posmedia_on\")\n"
			   "	for x in /sys/class/block/${x##*/}/../*/uevent; do\n"
			   "		name= found=\n"
			   "		while read -r line; do\n"
			   "			case $line in\n"
			   "			DEVNAME=*) found=/dev/${line#*=} ;;\n"
			   "			PARTNAME=*) name=${line#*=} ;;\n"
			   "			esac\n"
			   "		done <\"$x\"\n"
			   "		[ \"$name\" != \"$1\" ] || device=$found\n"
			   "	done\n"
			   "}\n"
			   "\n"
			   "posmedia_find()\n"
			   "{\n"
			   "	device=\n"
			   "	case $1 in\n"
			   "	=*) posmedia_beside \"${1#=}\" ;;\n"
			   "	*) device=/dev/disk/by-partuuid/$1 ;;\n"
			   "	esac\n"
			   "	[ -b \"$device\" ] || return 1\n"
			   "	posmedia_on=${posmedia_on:-$device}\n"
			   "}\n";

static int put(const struct making *m, const char *name, const void *p, size_t n, struct err *e)
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

/* An empty FAT file system; what is more than 64 MiB could be FAT32, and the ESP has to be. */
struct fat {
	const char *name; /* in m->to */
	const char *label, *kind;
	uint64_t size; /* bytes */
};

static int format(const struct making *m, const struct fat *f, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(m->to, f->name),
		   *at SCOPED(mem_freep) = fs_join("/to", f->name);
	struct uuid_text id = media_id(m, f->name);
	const char *const argv[] = {"mformat", "-i",     at,   "-N",    id.s,
				    "-v",      f->label, "::", f->kind, NULL};
	int fd SCOPED(fd_closep) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	id.s[8] = '\0';
	if (fd < 0 || ftruncate(fd, (off_t)f->size) != 0)
		return err_sys(e, "make %s", path);
	return mtools(m, argv, e);
}

static int add(const struct making *m, const char *image, const char *const (*files)[2],
	       struct err *e)
{
	char *at SCOPED(mem_freep) = fs_join("/to", image);

	for (; (*files)[0] != NULL; files++) {
		const char *const argv[] = {"mcopy", "-i", at, (*files)[0], (*files)[1], NULL};

		if (mtools(m, argv, e) != 0)
			return -1;
	}
	return 0;
}

/* What comes behind the kernel is last, so that the kernel of another image is at the same place
 * when it is the same. */
static int make_boot(const struct making *m, const struct boot *b, struct slot_room *room,
		     struct err *e)
{
	char *kernel SCOPED(mem_freep) = fs_join("/tree", b->kernel);
	char *initrd SCOPED(mem_freep) = fs_join("/tree", b->initrd);
	const char *const files[][2] = {{kernel, "::/vmlinuz"},
					{initrd, "::/initrd.img"},
					{"/to/posmedia.img", "::/posmedia.img"},
					{"/to/entry.cfg", "::/entry.cfg"},
					{NULL, NULL}};
	struct fat f = {.name = "boot", .label = "POSBOOT"};
	int root SCOPED(fd_closep) = -1;
	struct stat k, i;
	uint64_t more;

	if (fs_open_dir(AT_FDCWD, m->tree, &root, e) != 0 ||
	    media_size(m, "posmedia.img", &more, e) != 0)
		return -1;
	if (root_stat(root, b->kernel, true, &k) != 1 || root_stat(root, b->initrd, true, &i) != 1)
		return err_set(e, ERR_FAIL, "the kernel is not there any more");
	f.size = more + (uint64_t)k.st_size + (uint64_t)i.st_size + 4 * (uint64_t)MIB;
	f.size = f.size < BOOT_LEAST ? BOOT_LEAST : (f.size + MIB - 1) / MIB * MIB;
	room->boot = (f.size * 3 / 2 + MIB - 1) / MIB * MIB;
	return format(m, &f, e) != 0 ? -1 : add(m, "boot", files, e);
}

/* A system on trial that stands still starts anew instead, and the try was counted: PID 1 that has
 * given up, systemd(1), and a kernel that goes on after a fault, kernel-parameters. */
#define CARE "systemd.crash_reboot=1 oops=panic softlockup_panic=1"

/* Of a slot by the names that grub.cfg gives it, so that it is the same in either. */
static int write_entry(const struct making *m, const struct boot *b, struct err *e)
{
	char *verity SCOPED(mem_freep) = loader_verity(m, "${posmedia_root}", "${posmedia_hash}");
	char *where SCOPED(mem_freep) = mem_format("posmedia.slot=$slot $trial $care %s", verity);
	char *args SCOPED(mem_freep) = loader_args(m, b, where);
	char *text SCOPED(mem_freep) =
	    mem_format("set failed=1\n"
		       "if [ -f /vmlinuz -a -f /initrd.img -a -f /posmedia.img ]; then\n"
		       "	if linux /vmlinuz %s; then\n"
		       "		set failed=2\n"
		       "		if initrd /initrd.img /posmedia.img; then\n"
		       "			set failed=\n"
		       "		fi\n"
		       "	fi\n"
		       "fi\n",
		       args);

	return put(m, "entry.cfg", text, strlen(text), e);
}

/* From here on that slot is what is started. */
static void turn_to(const struct making *m, int slot, struct buf *b)
{
	const char *word = slot_word(slot);
	char *root SCOPED(mem_freep) = mem_format("partition/root-%s", word),
		   *hash SCOPED(mem_freep) = mem_format("partition/verity-%s", word);

	buf_addf(b,
		 "	if [ \"$slot\" != %s ]; then\n"
		 "		set slot=%s\n"
		 "		set trial=\n"
		 "		set care=\n"
		 "	fi\n"
		 "	set posmedia_root=%s\n"
		 "	set posmedia_hash=%s\n"
		 "	set root=$disk,gpt%d\n"
		 "	set failed=\n"
		 "	source /entry.cfg\n",
		 word, word, media_id(m, root).s, media_id(m, hash).s,
		 SLOT_FIRST_PART + slot * SLOT_PARTS);
}

/* Where nothing was loaded the entry turns to the other slot. A kernel that was, without its
 * initial file systems, would be started, and only panic; another in its place ends Debian's GRUB
 * for UEFI by an exception: the machine begins anew, once without a slot that is not on trial. */
static void entry(const struct making *m, int slot, struct buf *b)
{
	buf_addf(b, "menuentry %s --unrestricted {\n", slot_word(slot));
	turn_to(m, slot, b);
	buf_addf(b, "	if [ \"$failed\" = 1 ]; then\n");
	turn_to(m, slot_other(slot), b);
	buf_addf(b, "	fi\n"
		    "	if [ -n \"$failed\" ]; then\n"
		    "		echo \"This cannot be started.\"\n"
		    "		if [ -z \"$trial\" ]; then\n"
		    "			set skip=$slot\n"
		    "			save_env -f ($disk,gpt3)/state.env skip\n"
		    "		fi\n"
		    "		sleep 10\n"
		    "		reboot\n"
		    "	fi\n"
		    "}\n");
}

/* SLOT_SECOND_AT in sectors, as a list of blocks is written. */
#define SECOND "1536"
_Static_assert(SLOT_SECOND_AT / SLOT_SECTOR == 1536, "GRUB reads it there");

/* A slot that is tried is started only when it could be counted; one whose kernel cannot be
 * started is followed by the other. The second place of which slot is good is read where the first
 * says neither. What could not be loaded is passed over for one start, and then asked again: it is
 * the good one still, and a disk may read what it once did not. */
static const char chooser[] = "set timeout=0\n"
			      "set superusers=\"\"\n"
			      "export superusers\n"
			      "regexp --set=1:disk '^([^,]*),' \"$root\"\n"
			      "set good=\n"
			      "set try=\n"
			      "set tries=\n"
			      "set left=\n"
			      "set trial=\n"
			      "set care=\n"
			      "set skip=\n"
			      "load_env -f ($disk,gpt3)/state.env good try tries skip\n"
			      "if [ \"$good\" != a -a \"$good\" != b ]; then\n"
			      "	set tries=\n"
			      "	load_env -f ($disk,gpt3)" SECOND "+1 good\n"
			      "fi\n"
			      "if [ \"$good\" != b ]; then set good=a; fi\n"
			      "set slot=$good\n"
			      "if [ \"$tries\" = 3 ]; then set left=2; fi\n"
			      "if [ \"$tries\" = 2 ]; then set left=1; fi\n"
			      "if [ \"$tries\" = 1 ]; then set left=0; fi\n"
			      "if [ -n \"$left\" ]; then\n"
			      "	set tries=$left\n"
			      "	if save_env -f ($disk,gpt3)/state.env tries; then\n"
			      "		set slot=$try\n"
			      "		set trial=posmedia.try=$left\n"
			      "		set care=\"" CARE "\"\n"
			      "	fi\n"
			      "fi\n"
			      "if [ -n \"$skip\" ]; then\n"
			      "	if [ \"$skip\" = \"$slot\" -a -z \"$trial\" ]; then\n"
			      "		set slot=a\n"
			      "		if [ \"$skip\" = a ]; then set slot=b; fi\n"
			      "	fi\n"
			      "	unset skip\n"
			      "	save_env -f ($disk,gpt3)/state.env skip\n"
			      "fi\n"
			      "set default=0\n"
			      "set fallback=1\n"
			      "if [ \"$slot\" = b ]; then\n"
			      "	set default=1\n"
			      "	set fallback=0\n"
			      "fi\n";

static int make_esp(const struct making *m, const struct boot *b, struct err *e)
{
	static const char *const dirs[] = {
	    "mmd", "-i", "/to/esp", "::/EFI", "::/EFI/BOOT", "::/EFI/debian", NULL};
	static const char *const cfg[][2] = {{"/to/grub.cfg", "::/EFI/debian/grub.cfg"},
					     {NULL, NULL}};
	static const char *const uefi[][2] = {
	    {"/tree/usr/lib/shim/shimx64.efi.signed", "::/EFI/BOOT/BOOTX64.EFI"},
	    {"/tree/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "::/EFI/BOOT/grubx64.efi"},
	    {NULL, NULL}};
	const struct fat f = {"esp", "POSMEDIA", "-F", ESP_SIZE};
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 16);

	buf_addf(&text, "%s", chooser);
	for (int i = 0; i < SLOTS; i++)
		entry(m, i, &text);
	if (put(m, "grub.cfg", text.data, text.len, e) != 0 || format(m, &f, e) != 0 ||
	    mtools(m, dirs, e) != 0 || add(m, "esp", cfg, e) != 0)
		return -1;
	return b->uefi ? add(m, "esp", uefi, e) : 0;
}

/* Whoever writes it later does so without the file system. */
static int check_place(const struct making *m, int fd, const char *sector, struct err *e)
{
	char is[SLOT_SECTOR];

	if (pread(fd, is, sizeof(is), SLOT_SECTOR_AT) != (ssize_t)sizeof(is))
		return err_sys(e, "read %s/state", m->to);
	return memcmp(is, sector, sizeof(is)) == 0
		   ? 0
		   : err_set(e, ERR_FAIL, "mtools has put state.env elsewhere");
}

static int make_state(const struct making *m, struct err *e)
{
	static const char *const env[][2] = {{"/to/state.env", "::/state.env"}, {NULL, NULL}};
	const struct fat f = {"state", "POSSTATE", NULL, SLOT_FAT_SIZE};
	const struct medium_verity *v = &m->medium->verity;
	const struct slot_state s = {.good = SLOT_A, .tried = SLOT_NONE};
	struct slot_record r = {
	    .image = m->image, .top = v->top, .salt = v->salt, .blocks = v->blocks};
	char *path SCOPED(mem_freep) = fs_join(m->to, "state");
	char sector[SLOT_SECTOR], block[SLOT_RECORD];
	int fd SCOPED(fd_closep) = -1;

	(void)snprintf(r.arch, sizeof(r.arch), "%s", m->arch);
	slot_name(m->o->identity, r.name);
	r.created = m->epoch;
	slot_state_write(&s, sector);
	if (media_size(m, "boot", &r.boot, e) != 0 ||
	    slot_kernel_of(m, "boot", &r.kernel, e) != 0 ||
	    put(m, "state.env", sector, sizeof(sector), e) != 0 || format(m, &f, e) != 0 ||
	    add(m, "state", env, e) != 0)
		return -1;
	slot_record_write(&r, block);
	fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || ftruncate(fd, SLOT_STATE_SIZE) != 0 ||
	    pwrite(fd, sector, sizeof(sector), SLOT_SECOND_AT) != (ssize_t)sizeof(sector) ||
	    pwrite(fd, block, sizeof(block), (off_t)slot_record_at(SLOT_A)) !=
		(ssize_t)sizeof(block))
		return err_sys(e, "write %s", path);
	return check_place(m, fd, sector, e);
}

/* Half as much again as there is now, or what the image's fstab says of "/". */
static int make_room(const struct making *m, const struct boot *b, struct slot_room *room,
		     struct err *e)
{
	uint64_t is;
	char *has SCOPED(mem_freep) = NULL;

	if (media_size(m, "root", &is, e) != 0)
		return -1;
	room->root = b->root_size;
	if (room->root == 0)
		room->root = (is * 3 / 2 + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
	room->hash = (slot_hash_size(room->root / VERITY_BLOCK) + MIB - 1) / MIB * MIB;
	if (is <= room->root)
		return 0;
	has = num_human(is);
	(void)err_set(e, ERR_RECIPE, "/etc/fstab: the root has %s, more than its slot", has);
	return err_hint(e, "Give / a larger x-posmedia.size=.");
}

/* The partitions of data by their names, which are the same on every disk. */
static int make_more(const struct making *m, const struct boot *b, struct err *e)
{
	struct buf more SCOPED(buf_release) = BUF_INIT(INITRAMFS_MAX);
	struct uuid_text *ids SCOPED(mem_freep) = mem_zalloc((b->parts_n + 1) * sizeof(*ids));

	for (size_t i = 0; i < b->parts_n; i++) {
		char *name SCOPED(mem_freep) = mem_format("=%.30s", b->parts[i].label);

		memcpy(ids[i].s, name, strlen(name) + 1);
	}
	return initramfs_make(m->tree, b, ids, &more, e) != 0
		   ? -1
		   : put(m, "posmedia.img", more.data, more.len, e);
}

int slot_make(const struct making *m, const struct boot *b, struct slot_room *ret, struct err *e)
{
	struct slot_room room = {0};

	if (make_room(m, b, &room, e) != 0 || make_more(m, b, e) != 0 ||
	    write_entry(m, b, e) != 0 || make_boot(m, b, &room, e) != 0 || make_esp(m, b, e) != 0 ||
	    make_state(m, e) != 0)
		return -1;
	if (b->bios && loader_core(m, e) != 0)
		return -1;
	*ret = room;
	return 0;
}

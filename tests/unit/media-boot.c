/* media/boot: what of a tree starts a machine, and why another cannot; media/initramfs: modules in
 * the order of their needs, and an archive that cpio takes. */
#include "harden-lib.h"

#include "media/boot.h"
#include "media/cpio.h"
#include "media/initramfs.h"

#define MODULES "usr/lib/modules/6.1-x/"

static struct rootfs dir;

static const struct {
	const char *name, *text;
} good[] = {
    {"boot/vmlinuz-6.1-x", "kernel"},
    {"boot/initrd.img-6.1-x", "initrd"},
    {"boot/grub/grub.cfg", "menuentry x {\n\tlinux /vmlinuz root=LABEL=root ro audit=1 "
			   "apparmor=1\n}\n\tlinux /other second\n"},
    {"usr/bin/grub-mkimage", "x"},
    {"usr/lib/grub/i386-pc/boot.img", "x"},
    {"usr/lib/shim/shimx64.efi.signed", "x"},
    {"usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "x"},
    {"etc/fstab", "overlay / overlay defaults 0 0\n"
		  "LABEL=var /var ext4 nodev,x-posmedia.size=1G 0 2\n"
		  "LABEL=log /var/log ext4 nodev 0 2\n"
		  "LABEL=home /home ext4 x-posmedia.size=32M,nodev 0 2\n"
		  "/dev/mapper/paged none swap nofail,x-posmedia.size=64M 0 0\n"
		  "tmpfs /tmp tmpfs nodev 0 0\n"},
    {"etc/crypttab", "# name device key options\n"
		     "paged PARTLABEL=swap /dev/urandom swap,nofail\n"},
    {"usr/lib/systemd/systemd-cryptsetup", "x"},
    {MODULES "modules.dep", "kernel/b/dm-verity.ko: kernel/b/dm-bufio.ko kernel/b/dm-mod.ko\n"
			    "kernel/b/dm-bufio.ko: kernel/b/dm-mod.ko\n"
			    "kernel/b/dm-mod.ko:\n"
			    "kernel/c/not-erofs.ko:\n"
			    "kernel/c/erofs.ko:\n"
			    "kernel/b/md-mod.ko:\n"
			    "kernel/b/raid1.ko: kernel/b/md-mod.ko\n"},
    {MODULES "modules.builtin", "kernel/fs/overlayfs/overlay.ko\n"},
    {MODULES "kernel/b/dm-verity.ko", "verity"},
    {MODULES "kernel/b/dm-bufio.ko", "bufio"},
    {MODULES "kernel/b/dm-mod.ko", "mod"},
    {MODULES "kernel/c/erofs.ko", "erofs"},
    {MODULES "kernel/b/md-mod.ko", "md"},
    {MODULES "kernel/b/raid1.ko", "raid1"},
};

static int set_up(void **state)
{
	(void)state;
	dir = rootfs_make();
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		put(&dir, good[i].name, good[i].text, 0644);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rootfs_drop(&dir);
	return 0;
}

static const struct boot_for of_one = {.own = false};

static void reads_what_starts_it(void **state)
{
	struct boot b SCOPED(boot_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot_read(dir.path, of_one, &b, &e), 0);
	assert_string_equal(b.kernel, "boot/vmlinuz-6.1-x");
	assert_string_equal(b.initrd, "boot/initrd.img-6.1-x");
	assert_string_equal(b.release, "6.1-x");
	assert_string_equal(b.args, " audit=1 apparmor=1");
	assert_true(b.bios && b.uefi);
	assert_int_equal(b.parts_n, 4);
	assert_string_equal(b.parts[0].at, "/home");
	assert_int_equal(b.parts[0].size, 32 << 20);
	assert_string_equal(b.parts[1].label, "var");
	assert_int_equal(b.parts[1].size, 1 << 30);
	assert_string_equal(b.parts[2].at, "/var/log");
	assert_int_equal(b.parts[2].size, 256 << 20);
	assert_string_equal(b.parts[3].label, "swap");
	assert_true(b.parts[3].swap && !b.parts[2].swap);
	assert_int_equal(b.parts[3].size, 64 << 20);
}

/* file: what is written there, or what is removed when there is no text. */
static const struct {
	const char *file, *text, *says;
} bad[] = {
    {"boot/vmlinuz-6.1-x", NULL, "there is no kernel in it"},
    {"boot/vmlinuz-6.2-x", "k", "there are two kernels in it"},
    {"boot/initrd.img-6.1-x", NULL, "its kernel has no initial file system"},
    {"boot/grub/grub.cfg", "linux /vmlinuz root=x \"a b\"\n", "arguments that cannot be carried"},
    {"boot/grub/grub.cfg", "linux /vmlinuz root=x $more\n", "arguments that cannot be carried"},
    {"boot/grub/grub.cfg", NULL, "no entry that starts a kernel"},
    {"boot/grub/grub.cfg", "menuentry x {\n}\n", "no entry that starts a kernel"},
    {"etc/fstab", "LABEL=root /a ext4 defaults 0 0\n", "line 1: the label root is taken"},
    {"etc/fstab", "LABEL=a /a ext4 nodev 0 0\nLABEL=a /b ext4 nodev 0 0\n", "line 2: the label"},
    {"etc/fstab", "LABEL=a /a xfs defaults 0 0\n", "/etc/fstab, line 1: no partition"},
    {"etc/fstab", "LABEL=a;b /a ext4 defaults 0 0\n", "/etc/fstab, line 1: no partition"},
    {"etc/fstab", "LABEL=a123456789abcdefg /a ext4 defaults 0 0\n", "no partition"},
    {"etc/fstab", "\nLABEL=a /a ext4 x-posmedia.size=1 0 0\n", "/etc/fstab, line 2: its size"},
    {"etc/fstab", "LABEL=a /a ext4 x-posmedia.size=9999999T 0 0\n", "its size"},
    {"etc/fstab", "LABEL=a /a ext4 x-posmedia.size=, 0 0\n", "its size"},
    {"etc/fstab", "LABEL=swap none swap sw 0 0\n", "line 1: no swap with a new key"},
    {"etc/fstab", "/dev/mapper/other none swap sw 0 0\n", "no swap with a new key"},
    {"etc/fstab", "/dev/mapper/paged none swap x-posmedia.size=1 0 0\n", "line 1: its size"},
    {"etc/crypttab", NULL, "no swap with a new key"},
    {"etc/crypttab", "paged PARTLABEL=swap /etc/key swap\n", "no swap with a new key"},
    {"etc/crypttab", "paged PARTLABEL=swap /dev/urandom luks\n", "no swap with a new key"},
    {"etc/crypttab", "paged /dev/sda2 /dev/urandom swap\n", "no swap with a new key"},
    {"etc/crypttab", "paged PARTLABEL=var /dev/urandom swap\n", "the label var is taken"},
    {"usr/lib/systemd/systemd-cryptsetup", NULL, "no systemd-cryptsetup for its swap"},
};

static void refuses_what_cannot_start(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rootfs t = rootfs_make();
		struct boot b SCOPED(boot_release) = {0};
		struct err e = ERR_INIT;

		rootfs_copy(&dir, &t);
		if (bad[i].text != NULL)
			put(&t, bad[i].file, bad[i].text, 0644);
		else
			assert_int_equal(unlinkat(t.fd, bad[i].file, 0), 0);
		assert_int_equal(boot_read(t.path, of_one, &b, &e), -1);
		assert_int_equal(e.kind, ERR_RECIPE);
		if (strstr(e.msg, bad[i].says) == NULL)
			fail_msg("row %zu: %s", i, e.msg);
		rootfs_drop(&t);
	}
}

static void needs_a_loader(void **state)
{
	struct rootfs t = rootfs_make();
	struct boot b SCOPED(boot_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	rootfs_copy(&dir, &t);
	assert_int_equal(unlinkat(t.fd, "usr/lib/grub/i386-pc/boot.img", 0), 0);
	assert_int_equal(boot_read(t.path, of_one, &b, &e), 0);
	assert_true(!b.bios && b.uefi);
	boot_release(&b);
	b = (struct boot){0};
	assert_int_equal(unlinkat(t.fd, "usr/lib/shim/shimx64.efi.signed", 0), 0);
	assert_int_equal(boot_read(t.path, of_one, &b, &e), -1);
	assert_non_null(strstr(e.msg, "there is no boot loader in it"));
	rootfs_drop(&t);
}

/* Where a text begins in bytes; -1 for nowhere. */
static long find(const struct buf *b, const char *text)
{
	const char *at = memmem(b->data, b->len, text, strlen(text));

	return at != NULL ? at - b->data : -1;
}

/* A name is taken only where there is such a partition. */
static const struct {
	const char *label;
	struct boot_for made_for;
	bool taken;
} labels[] = {
    {"esp", {.slots = true}, true},     {"root", {.slots = false}, true},
    {"root", {.slots = true}, false},   {"state", {.slots = true}, true},
    {"state", {.slots = false}, false}, {"root-b", {.slots = true}, true},
    {"root-b", {.site = true}, false},  {"site", {.site = true}, true},
    {"site", {.site = false}, false},
};

static void a_label_is_taken_where_it_is_made(void **state)
{
	struct rootfs t = rootfs_make();

	(void)state;
	rootfs_copy(&dir, &t);
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		char *text SCOPED(mem_freep) =
		    mem_format("LABEL=%s /a ext4 nodev 0 0\n", labels[i].label);
		struct boot b SCOPED(boot_release) = {0};
		struct err e = ERR_INIT;

		put(&t, "etc/fstab", text, 0644);
		if ((boot_read(t.path, labels[i].made_for, &b, &e) != 0) != labels[i].taken)
			fail_msg("row %zu", i);
		assert_true(!labels[i].taken || strstr(e.msg, "is taken") != NULL);
	}
	rootfs_drop(&t);
}

static void packs_modules_by_their_needs(void **state)
{
	struct boot b SCOPED(boot_release) = {0};
	struct uuid_text ids[5] = {{"id-0"}, {"id-1"}, {"id-2"}, {"id-3"}, {"id-4"}};
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot_read(dir.path, of_one, &b, &e), 0);
	assert_int_equal(initramfs_make(dir.path, &b, ids, &out, &e), 0);
	assert_int_equal(out.len % 4, 0);
	assert_true(find(&out, "dm-mod.ko\ndm-bufio.ko\ndm-verity.ko\nerofs.ko\n") > 0);
	assert_int_equal(find(&out, "raid1.ko"), -1);
	assert_int_equal(find(&out, "overlay.ko"), -1);
	assert_true(find(&out, "id-0 /home\nid-1 /var\nid-2 /var/log\n") > 0);
	assert_int_equal(find(&out, "id-3"), -1);
	assert_true(find(&out, "scripts/posmedia") > 0);
	assert_int_equal(find(&out, "posmedia/machine"), -1);
}

static void an_installers_disk_has_more(void **state)
{
	struct boot b SCOPED(boot_release) = {0};
	struct uuid_text ids[5] = {{"id-0"}, {"id-1"}, {"id-2"}, {"id-3"}, {"id-4"}};
	struct buf out SCOPED(buf_release) = BUF_INIT(4 << 20);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot_read(dir.path, (struct boot_for){.site = true}, &b, &e), 0);
	assert_int_equal(initramfs_make(dir.path, &b, ids, &out, &e), 0);
	assert_true(find(&out, "erofs.ko\nmd-mod.ko\nraid1.ko\n") > 0);
	assert_true(find(&out, "posmedia/identity") > 0 && find(&out, "id-4\n") > 0);
	assert_true(find(&out, "posmedia/machine") > 0 && find(&out, "raid.rules") > 0);
	assert_true(find(&out, "machine assemble") > 0);
}

static void misses_a_module(void **state)
{
	struct rootfs t = rootfs_make();
	struct boot b SCOPED(boot_release) = {0};
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	(void)state;
	rootfs_copy(&dir, &t);
	edit(&t, MODULES "modules.dep", "kernel/c/erofs.ko:\n", "");
	assert_int_equal(boot_read(t.path, of_one, &b, &e), 0);
	assert_int_equal(initramfs_make(t.path, &b, NULL, &out, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_non_null(strstr(e.msg, "its kernel has no erofs"));
	rootfs_drop(&t);
}

static void writes_newc(void **state)
{
	struct cpio c = {.out = BUF_INIT(1000)};

	(void)state;
	cpio_add(&c, "d", 0755, NULL, 0);
	cpio_add(&c, "d/f", 0644, "abc", 3);
	cpio_end(&c);
	assert_memory_equal(c.out.data,
			    "070701"
			    "00000001000041ed0000000000000000000000020000000000000000"
			    "0000000000000000000000000000000000000002"
			    "00000000d\0",
			    112);
	assert_memory_equal(c.out.data + 112, "07070100000002000081a4", 22);
	assert_memory_equal(c.out.data + 112 + 110, "d/f\0\0\0abc\0", 10);
	buf_release(&c.out);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_what_starts_it),
	    cmocka_unit_test(refuses_what_cannot_start),
	    cmocka_unit_test(needs_a_loader),
	    cmocka_unit_test(packs_modules_by_their_needs),
	    cmocka_unit_test(a_label_is_taken_where_it_is_made),
	    cmocka_unit_test(an_installers_disk_has_more),
	    cmocka_unit_test(misses_a_module),
	    cmocka_unit_test(writes_newc),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

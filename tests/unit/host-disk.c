/* host: what a disk lies on, in trees as the kernel's /sys has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/parts.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char root[] = "/tmp/posmedia-sys.XXXXXX";
static int sysfd = -1;

/* A device's directory below devices/, with files "NAME=TEXT" and links of dev/block. */
static void put(const char *dir, const char *name, const char *text)
{
	struct err e = ERR_INIT;
	char *at SCOPED(mem_freep) = mem_format("%s/devices/%s/%s", root, dir, name);
	char *above SCOPED(mem_freep) = fs_dirname(at);

	assert_int_equal(fs_mkdirs(AT_FDCWD, above, 0755, &e), 0);
	assert_int_equal(fs_put_path(at, text, strlen(text), 0644, &e), 0);
}

static void named(const char *device, const char *dir)
{
	char *at SCOPED(mem_freep) = mem_format("%s/dev/block/%s", root, device);
	char *to SCOPED(mem_freep) = mem_format("../../devices/%s", dir);

	assert_int_equal(symlink(to, at), 0);
}

/* The device lies on the other one. */
static void on(const char *dir, const char *slave, const char *slave_dir)
{
	struct err e = ERR_INIT;
	char *slaves SCOPED(mem_freep) = mem_format("%s/devices/%s/slaves", root, dir);
	char *at SCOPED(mem_freep) = mem_format("%s/%s", slaves, slave);
	char *to SCOPED(mem_freep) = mem_format("%s/devices/%s", root, slave_dir);

	assert_int_equal(fs_mkdirs(AT_FDCWD, slaves, 0755, &e), 0);
	assert_int_equal(symlink(to, at), 0);
}

static int make_tree(void **state)
{
	struct err e = ERR_INIT;
	char *links SCOPED(mem_freep) = NULL;

	(void)state;
	assert_non_null(mkdtemp(root));
	links = mem_format("%s/dev/block", root);
	assert_int_equal(fs_mkdirs(AT_FDCWD, links, 0755, &e), 0);
	put("pci/sda", "dev", "8:0\n");
	put("pci/sda", "sda1/partition", "1\n");
	put("pci/sda", "sda2/partition", "2\n");
	put("pci/nvme1n1", "device/model", "Amazon Elastic Block Store              \n");
	put("virtual/dm-0", "dm/uuid", "CRYPT-LUKS2-0123-luks\n");
	put("virtual/dm-1", "dm/uuid", "LVM-abcdef\n");
	put("virtual/dm-2", "dm/uuid", "LVM-both\n");
	put("virtual/dm-3", "dm/uuid", "LVM-cloud\n");
	put("virtual/dm-4", "dm/uuid", "LVM-itself\n");
	on("virtual/dm-0", "sda2", "pci/sda/sda2");
	on("virtual/dm-1", "dm-0", "virtual/dm-0");
	on("virtual/dm-2", "dm-0", "virtual/dm-0");
	on("virtual/dm-2", "sda1", "pci/sda/sda1");
	on("virtual/dm-3", "dm-0", "virtual/dm-0");
	on("virtual/dm-3", "nvme1n1", "pci/nvme1n1");
	on("virtual/dm-4", "dm-4", "virtual/dm-4");
	put("virtual/dm-5", "dm/uuid", "CRYPT-INTEGRITY-both\n");
	put("virtual/dm-6", "dm/uuid", "CRYPT-VERITY-0123-v\n");
	put("virtual/dm-7", "dm/uuid", "CRYPT-LUKS1-0123-one\n");
	put("virtual/dm-8", "dm/uuid", "CRYPT-PLAIN-two\n");
	on("virtual/dm-5", "sda1", "pci/sda/sda1");
	on("virtual/dm-6", "dm-7", "virtual/dm-7");
	named("253:5", "virtual/dm-5");
	named("253:6", "virtual/dm-6");
	named("253:7", "virtual/dm-7");
	named("253:8", "virtual/dm-8");
	put("../fs/btrfs/features", "raid56", "0\n");
	put("../fs/btrfs/0123/devices", "dm-7", "");
	put("../fs/btrfs/0123/devices", "sdb", "");
	put("../fs/btrfs/4567/devices", "dm-8", "");
	named("8:1", "pci/sda/sda1");
	named("259:1", "pci/nvme1n1");
	named("253:1", "virtual/dm-1");
	named("253:2", "virtual/dm-2");
	named("253:3", "virtual/dm-3");
	named("253:4", "virtual/dm-4");
	return fs_open_dir(AT_FDCWD, root, &sysfd, &e);
}

static int drop_tree(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)close(sysfd);
	return fs_rmtree(AT_FDCWD, root, &e);
}

static void look(const char *device, enum host_crypt want, const char *way)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 12);
	struct err e = ERR_INIT;
	enum host_crypt c;

	if (host_crypt_of(sysfd, device, &c, &b, &e) != 0)
		fail_msg("%s: %s", device, e.msg);
	assert_string_equal(b.data, way);
	assert_int_equal(c, want);
}

static void a_volume_on_dm_crypt_is_encrypted(void **state)
{
	(void)state;
	look("253:1", HOST_CRYPT_YES, "dm-1, dm-0 (dm-crypt)");
}

static void a_volume_of_which_a_part_is_in_the_clear_is_not(void **state)
{
	(void)state;
	look("253:2", HOST_CRYPT_NO, "dm-2, dm-0 (dm-crypt), sda1, its disk");
}

static void a_partition_is_what_its_disk_is(void **state)
{
	(void)state;
	look("8:1", HOST_CRYPT_NO, "sda1, its disk");
}

static void of_a_volume_of_aws_it_cannot_be_told(void **state)
{
	(void)state;
	look("259:1", HOST_CRYPT_CLOUD, "nvme1n1");
	look("253:3", HOST_CRYPT_CLOUD, "dm-3, dm-0 (dm-crypt), nvme1n1");
	look("1:2", HOST_CRYPT_UNKNOWN, "device 1:2");
}

static void what_only_checks_is_looked_through(void **state)
{
	(void)state;
	look("253:5", HOST_CRYPT_NO, "dm-5, sda1, its disk");
	look("253:6", HOST_CRYPT_YES, "dm-6, dm-7 (dm-crypt)");
}

static void a_file_system_on_several_disks_cannot_be_told(void **state)
{
	(void)state;
	look("253:7", HOST_CRYPT_UNKNOWN, "btrfs on dm-7, sdb");
	look("253:8", HOST_CRYPT_YES, "dm-8 (dm-crypt)");
}

static void disks_in_a_loop_are_an_error(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 12);
	struct err e = ERR_INIT;
	enum host_crypt c;

	(void)state;
	assert_int_equal(host_crypt_of(sysfd, "253:4", &c, &b, &e), -1);
	assert_non_null(strstr(e.msg, "without end"));
}

static void a_mount_without_a_number_has_its_sources(void **state)
{
	static const char mounts[] = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
				     "23 22 0:41 / /srv rw shared:1 - btrfs /dev/null rw\n"
				     "24 22 0:42 / /home rw - btrfs\n"
				     "25 22 0:43 / /run rw - tmpfs tmpfs rw\n"
				     "26";
	char *one SCOPED(mem_freep) = host_mount_source(mounts, 8, 1);

	(void)state;
	assert_string_equal(one, "8:1");
	/* of a character device, of a line that ends too early, of none */
	assert_null(host_mount_source(mounts, 0, 41));
	assert_null(host_mount_source(mounts, 0, 42));
	assert_null(host_mount_source(mounts, 0, 43));
	assert_null(host_mount_source(mounts, 0, 44));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_volume_on_dm_crypt_is_encrypted),
	    cmocka_unit_test(a_volume_of_which_a_part_is_in_the_clear_is_not),
	    cmocka_unit_test(a_partition_is_what_its_disk_is),
	    cmocka_unit_test(of_a_volume_of_aws_it_cannot_be_told),
	    cmocka_unit_test(what_only_checks_is_looked_through),
	    cmocka_unit_test(a_file_system_on_several_disks_cannot_be_told),
	    cmocka_unit_test(disks_in_a_loop_are_an_error),
	    cmocka_unit_test(a_mount_without_a_number_has_its_sources),
	};

	return cmocka_run_group_tests_name("host-disk", tests, make_tree, drop_tree);
}

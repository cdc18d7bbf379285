/* host: swap that is in use, as the kernel lists it, on disks of a tree as its /sys has them. */
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
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define HEAD "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

static char root[] = "/tmp/posmedia-swap.XXXXXX";
static int sysfd = -1;

static void put(const char *path, const char *text)
{
	struct err e = ERR_INIT;
	char *at SCOPED(mem_freep) = mem_format("%s/%s", root, path);
	char *above SCOPED(mem_freep) = fs_dirname(at);

	assert_int_equal(fs_mkdirs(AT_FDCWD, above, 0755, &e), 0);
	assert_int_equal(fs_put_path(at, text, strlen(text), 0644, &e), 0);
}

/* A device of major number 240, which no other test has, with its directory. */
static void disk(const char *name, unsigned number, const char *uuid)
{
	char *node SCOPED(mem_freep) = mem_format("%s/%s", root, name);
	char *dir SCOPED(mem_freep) = mem_format("devices/%s/dm/uuid", name);
	char *at SCOPED(mem_freep) = mem_format("%s/dev/block/240:%u", root, number);
	char *to SCOPED(mem_freep) = mem_format("../../devices/%s", name);

	put(dir, uuid);
	assert_int_equal(symlink(to, at), 0);
	if (mknod(node, S_IFBLK | 0600, makedev(240, number)) != 0)
		skip();
}

static int make_tree(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(mkdtemp(root));
	put("dev/block/README", "");
	put("block/zram1/backing_dev", "none\n");
	put("swapfile", "");
	return fs_open_dir(AT_FDCWD, root, &sysfd, &e);
}

static int drop_tree(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)close(sysfd);
	return fs_rmtree(AT_FDCWD, root, &e);
}

/* What is said of swap on a file of the tree, joined. "%s" of lines is the tree. */
static void look(const char *line, const char *want)
{
	char *swaps SCOPED(mem_freep) = mem_format(HEAD "%s", line);
	const struct host_swaps s = {sysfd, swaps, ""};
	struct strv found SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	if (host_swaps_in_clear(&s, &found, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(found.n, *want != '\0');
	if (found.n > 0 && strstr(found.v[0], want) == NULL)
		fail_msg("%s", found.v[0]);
}

static void no_swap_is_none_in_the_clear(void **state)
{
	const struct host_swaps s = {sysfd, "", ""};
	struct strv found SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	look("", "");
	assert_int_equal(host_swaps_in_clear(&s, &found, &e), 0);
	assert_int_equal(found.n, 0);
}

static void what_swap_lies_on_decides(void **state)
{
	char *crypt SCOPED(mem_freep) = mem_format("%s/dm-0 partition 1 0 -2\n", root);
	char *clear SCOPED(mem_freep) = mem_format("%s/my\\040disk\tpartition 1 0 -2\n", root);
	char *both SCOPED(mem_freep) = mem_format("%s%s", crypt, clear);

	(void)state;
	disk("dm-0", 1, "CRYPT-LUKS2-0123-swap\n");
	disk("my disk", 2, "LVM-0123\n");
	look(crypt, "");
	look(clear, "/my disk is not encrypted");
	look(both, "/my disk is not encrypted");
}

static void what_cannot_be_told_is_not_passed(void **state)
{
	char *gone SCOPED(mem_freep) = mem_format("%s/none partition 1 0 -2\n", root);
	char *file SCOPED(mem_freep) = mem_format("%s/swapfile file 1 0 -2\n", root);

	(void)state;
	look(gone, "cannot be told");
	look(file, "cannot be told");
}

static void memory_is_no_disk_but_for_what_is_behind_it(void **state)
{
	(void)state;
	look("/dev/zram0 partition 1 0 100\n", "");
	look("/dev/zram1 partition 1 0 100\n", "");
	put("block/zram1/backing_dev", "/nowhere/sda1\n");
	look("/dev/zram1 partition 1 0 100\n", "/dev/zram1: whether it is encrypted cannot be");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_swap_is_none_in_the_clear),
	    cmocka_unit_test(what_swap_lies_on_decides),
	    cmocka_unit_test(what_cannot_be_told_is_not_passed),
	    cmocka_unit_test(memory_is_no_disk_but_for_what_is_behind_it),
	};

	return cmocka_run_group_tests_name("host-swap", tests, make_tree, drop_tree);
}

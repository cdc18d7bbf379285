/* sys/disk: which number is a stick's own. */
#include "harden-lib.h"

#include "sys/disk.h"

static struct rootfs dir;

static int set_up(void **state)
{
	(void)state;
	dir = rootfs_make();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rootfs_drop(&dir);
	return 0;
}

/* A directory of sysfs below a USB device, which is below a hub. */
static char *stick(const char *name, const char *serial)
{
	char *at = mem_format("%s/usb1/%s/1-1:1.0/host0/block", dir.path, name);
	char *number SCOPED(mem_freep) = mem_format("usb1/%s/serial", name),
		     *vendor SCOPED(mem_freep) = mem_format("usb1/%s/idVendor", name),
		     *in SCOPED(mem_freep) = mem_format("usb1/%s/1-1:1.0/host0/block/size", name);

	put(&dir, "usb1/idVendor", "1d6b\n", 0644);
	put(&dir, "usb1/serial", "0000:00:14.0\n", 0644);
	put(&dir, vendor, "0781\n", 0644);
	put(&dir, in, "1\n", 0644);
	if (serial != NULL)
		put(&dir, number, serial, 0644);
	return at;
}

static void a_stick_has_its_own_number(void **state)
{
	char *with SCOPED(mem_freep) = stick("1-1", " 4C53\n");
	char *without SCOPED(mem_freep) = stick("1-2", NULL);
	char *a SCOPED(mem_freep) = disk_usb_serial(with);
	char *b SCOPED(mem_freep) = disk_usb_serial(without);
	char *c SCOPED(mem_freep) = disk_usb_serial(dir.path);

	(void)state;
	assert_string_equal(a, "4C53");
	assert_string_equal(b, "");
	assert_string_equal(c, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_stick_has_its_own_number),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

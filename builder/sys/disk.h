/* disk.h - what the kernel says of a disk in its tree /sys. */
#ifndef SYS_DISK_H
#define SYS_DISK_H

#include "base/mem.h"
#include <sys/types.h>

/* A file of the device in sysfs without its first bytes, one line without what a terminal would
 * obey; "" when there is none. The first of some files, ended by NULL, that says something. The
 * caller owns them. */
char *disk_text(dev_t id, const char *name, size_t skip) MUST_CHECK;
char *disk_first(dev_t id, const char *const *names) MUST_CHECK;

/* Its serial number; of a stick that of the USB device, of a loop device the file behind it; "" for
 * none. The caller owns it. */
char *disk_serial(dev_t id) MUST_CHECK;

/* The serial number of the USB device that a directory of sysfs belongs to, not of a hub above it;
 * "" for none. The caller owns it. */
char *disk_usb_serial(const char *dir) MUST_CHECK;

#endif

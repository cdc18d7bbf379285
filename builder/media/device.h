/* device.h - a disk of this machine that a medium is written to, and what tells it from others. */
#ifndef MEDIA_DEVICE_H
#define MEDIA_DEVICE_H

#include "media/check.h"

struct device {
	char *path;
	char *model;  /* "" when it does not say */
	char *serial; /* the same; of a loop device the file behind it */
	char *turn;   /* which of all disks since the machine started; "" when the kernel is old */
	uint64_t size;
	size_t parts; /* partitions on it */
};

/* Looks at a whole disk: ERR_USAGE for what is none. The caller releases *ret. */
int device_look(const char *path, struct device *ret, struct err *e) MUST_CHECK;
void device_release(struct device *d);

/* Writes the file of the medium to the device, which nobody uses, and reads it back: ERR_BUSY when
 * somebody does, or when it is no more the disk that was looked at; ERR_VERIFY, and nothing is
 * written, when the file is not as the medium says. The last MiB of a larger device is cleared:
 * nothing of a RAID or of a table that was there is found again. The device has no table, so that
 * it does not start, until all else has been read back. What is not there is in the report, which
 * the caller releases. */
int device_write(const struct device *d, const struct medium *m, int file, struct check_report *ret,
		 struct err *e) MUST_CHECK;

#endif

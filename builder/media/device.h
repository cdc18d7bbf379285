/* device.h - a disk of this machine that a medium is written to, and what tells it from others. */
#ifndef MEDIA_DEVICE_H
#define MEDIA_DEVICE_H

#include "media/check.h"

struct device {
	char *path;
	char *model;  /* "" when it does not say */
	char *serial; /* the same; of a loop device the file behind it */
	uint64_t size;
	size_t parts; /* partitions on it */
};

/* Looks at a whole disk: ERR_USAGE for what is none. The caller releases *ret. */
int device_look(const char *path, struct device *ret, struct err *e) MUST_CHECK;
void device_release(struct device *d);

/* Writes the file of the medium to the device, which nobody uses, and reads it back: ERR_BUSY when
 * somebody does. Until the last the device has no table, so that what is half written does not
 * start. What is not there afterwards is in the report, which the caller releases. */
int device_write(const struct device *d, const struct medium *m, int file, struct check_report *ret,
		 struct err *e) MUST_CHECK;

#endif

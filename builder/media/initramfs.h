/* initramfs.h - what the kernel gets beside the image's own initial file system, which stays as it
 * is: the modules and the script that find the root of a medium and check it. */
#ifndef MEDIA_INITRAMFS_H
#define MEDIA_INITRAMFS_H

#include "base/buf.h"
#include "form/uuid.h"
#include "media/boot.h"

/* Of the image's tree: an archive for the kernel, into an initialised buffer. ids: of part i's
 * partition, and behind these, of a disk that an installer writes, of the one that says who the
 * machine is; or NULL for a disc, which has none. A module that the tree has not got is
 * ERR_RECIPE. */
int initramfs_make(const char *tree, const struct boot *b, const struct uuid_text *ids,
		   struct buf *ret, struct err *e) MUST_CHECK;

/* The same of an installer, with the list of what it writes (installer/blocklist.h). */
int initramfs_installer(const char *tree, const struct boot *b, const struct buf *list,
			struct buf *ret, struct err *e) MUST_CHECK;

/* The texts of the scripts; the others follow the first, and say some of its functions anew. */
extern const char initramfs_script[], installer_script[], installed_script[];

/* Rules of udev(7) for a pair of disks. */
extern const char installed_rules[];

#endif

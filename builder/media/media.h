/* media.h - one file of an image's root tree, for machines that no container engine runs on. Every
 * file in it is the image's; what else a format wants (ids, times) is derived from the image's
 * digest, so that the same image is the same bytes. */
#ifndef MEDIA_MEDIA_H
#define MEDIA_MEDIA_H

#include "oci/oci.h"
#include "store/store.h"

enum media_format {
	MEDIA_TAR,      /* POSIX pax, not compressed */
	MEDIA_SQUASHFS, /* read-only file systems */
	MEDIA_EROFS,
	MEDIA_RAW, /* a disk that starts: boot loaders, the tree as erofs with dm-verity, and the */
	MEDIA_QCOW2,     /* partitions of its fstab; and the same for QEMU */
	MEDIA_ISO,       /* a disc or a stick that starts, with nothing to write to */
	MEDIA_INSTALLER, /* one that writes the disk of MEDIA_RAW to a machine's own */
	MEDIA_FORMATS,
};

/* "tar"; and the format of a name: ERR_USAGE, whose hint lists them. */
const char *media_format_name(enum media_format f);
int media_format_parse(const char *name, enum media_format *ret, struct err *e) MUST_CHECK;

struct media_made {
	struct digest image;  /* its manifest */
	struct digest digest; /* of the file */
	uint64_t size;
};

/* What firmware shall know the entry of a disk by (sign/authenticode.h). */
struct media_boot {
	const char *key, *cert; /* files */
	const char *passphrase; /* of the key; or NULL */
};

struct media_opts {
	enum media_format format;
	struct store *store;  /* the image is unpacked in a scratch of it */
	const char *out;      /* the file, which is there whole or not at all; what it is, block by
				 block, is beside it (media/medium.h) */
	const char *identity; /* HOST/REPO:TAG, what the image is called; or NULL */
	const char *append;   /* more arguments for the kernel of a disk; or NULL */
	const struct media_boot *boot; /* who signs the entry of a disk; NULL = the distribution's
					  loaders start it */
	unsigned slots;                /* of a disk, for its root: 2 for updates in place; 0 = 1 */
};

/* Hashes every blob of the image, unpacks it and writes the file. sandbox_enter was called. A tool
 * that is not installed is ERR_FAIL with a hint. */
int media_make(const struct oci_layout *l, const struct oci_desc *manifest,
	       const struct media_opts *o, struct media_made *ret, struct err *e) MUST_CHECK;

#endif

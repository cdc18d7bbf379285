/* parts.h - what the files of media/ share. */
#ifndef MEDIA_PARTS_H
#define MEDIA_PARTS_H

#include "form/uuid.h"
#include "media/media.h"
#include "media/medium.h"

struct making {
	const struct media_opts *o;
	struct oci_manifest manifest;
	struct digest image;
	char *arch;            /* of the image, by its config: "amd64" */
	int64_t epoch;         /* when the image was made, by what it says: no file is younger */
	char *dir;             /* the scratch, absolute, and in it: */
	char *tree;            /* the root tree of the image */
	char *to;              /* what tools write to, */
	char *finished;        /* and in that the file as it shall be */
	struct medium *medium; /* of its bytes, whoever makes it adds the parts */
	struct medium *disk;   /* the same of what an installer writes */
};

/* The name of a part of the medium as an id: of another image it is another. */
struct uuid_text media_id(const struct making *m, const char *part);

/* Each writes m->finished. */
int media_tar(const struct making *m, struct err *e) MUST_CHECK;
int media_squashfs(const struct making *m, struct err *e) MUST_CHECK;
int media_raw(const struct making *m, struct err *e) MUST_CHECK;
int media_qcow2(const struct making *m, struct err *e) MUST_CHECK;
int media_erofs(const struct making *m, struct err *e) MUST_CHECK;
int media_iso(const struct making *m, struct err *e) MUST_CHECK;
int media_installer(const struct making *m, struct err *e) MUST_CHECK;

/* The disk of MEDIA_RAW as a file of that name in m->to, and its parts in m->medium. */
int media_disk(const struct making *m, const char *name, struct err *e) MUST_CHECK;

/* Writes the tree as m->to/root, the hashes of its blocks as m->to/hash, and what is known of them
 * into m->medium. */
int media_root(const struct making *m, struct err *e) MUST_CHECK;

/* Bytes of a file in m->to; one that is not there was not made. */
int media_size(const struct making *m, const char *file, uint64_t *ret, struct err *e) MUST_CHECK;

/* Writes what of such a file is not zero into an open one with holes, from byte `at` on. */
int media_copy_in(const struct making *m, const char *file, uint64_t at, int to,
		  struct err *e) MUST_CHECK;

/* Copies a file into an empty one, with its holes: a disk is mostly room. */
int media_copy_holes(int from, int to, struct err *e) MUST_CHECK;

/* The tree as erofs, as a file of that name in m->to. */
int media_erofs_as(const struct making *m, const char *name, struct err *e) MUST_CHECK;

#endif

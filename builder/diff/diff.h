/* diff.h - what is different between two images or root trees, in the words of an operator:
 * packages, accounts, services and controls first, files after them. Changes nothing. */
#ifndef DIFF_DIFF_H
#define DIFF_DIFF_H

#include "audit/audit.h"
#include "form/inventory.h"
#include "oci/oci.h"
#include "store/store.h"
#include <sys/types.h>

enum diff_topic {
	DIFF_PACKAGES,
	DIFF_PRIVILEGED,   /* set-uid and set-gid files */
	DIFF_CAPABILITIES, /* of files */
	DIFF_USERS,
	DIFF_GROUPS,
	DIFF_PORTS,
	DIFF_SERVICES,
	DIFF_CONTROLS,
	DIFF_RUN, /* the image's configuration: what is run, environment, volumes, labels */
	DIFF_TOPICS,
};

/* Something by name that only one side has (the other text is NULL), or that differs. */
struct diff_item {
	char *name, *was, *is;
	/* a control's title, what a text cannot show; against a list of packages what the other
	 * side is: "missing", "extra", "older" or "newer"; or NULL */
	char *note;
	/* packages: their files that changed with them */
	size_t files;
};

struct diff_list {
	struct diff_item *v; /* in byte order of the names */
	size_t n;
	bool unknown; /* a side does not say: a tree has no configuration */
};

enum diff_how {
	DIFF_ADDED = 1,
	DIFF_REMOVED = 2,
	DIFF_TYPE = 4,
	DIFF_CONTENT = 8,
	DIFF_LINK = 16,
	DIFF_OWNER = 32,
	DIFF_MODE = 64,
	DIFF_XATTRS = 128, /* file capabilities and user attributes */
};

struct diff_meta {
	mode_t mode; /* type and permission bits; 0 = not there */
	uint32_t uid, gid;
	uint64_t size;
	char *link; /* a symlink's target, or NULL */
};

struct diff_file {
	char *path;    /* without leading slash */
	unsigned how;  /* bits of enum diff_how */
	char *package; /* its owner, or NULL */
	bool folded;   /* the owner came, went or has another version: part of that change */
	struct diff_meta was, is;
};

struct diff_layer {
	char *name; /* org.posmedia.layer, or NULL */
	struct digest digest;
	uint64_t size; /* compressed */
	bool shared;   /* the other side has it too */
};

struct diff_side {
	char *object; /* as it was named */
	bool is_image;
	bool only_packages;  /* one side is the list of a server */
	size_t packages;     /* of which there are so many */
	struct digest image; /* images only, as the layers are */
	struct diff_layer *layers;
	size_t layers_n;
	uint64_t files, bytes; /* of the tree: regular files and what they hold */
};

struct diff {
	struct diff_side was, is;
	struct diff_list lists[DIFF_TOPICS];
	struct diff_file *files; /* in byte order of the paths */
	size_t files_n;
};

/* One side: an image of a layout, the tree below a directory, or a server's list of packages. */
struct diff_input {
	const char *object;
	const struct oci_layout *layout; /* NULL = a tree */
	const struct oci_desc *manifest;
	const char *dir;
	const struct inventory *list; /* NULL = an image or a tree */
	bool only_packages;           /* nothing else is looked at, as against a list */
};

struct diff_opts {
	struct store *store; /* images only: layers are unpacked in a scratch of it */
	const char *profile; /* both sides are checked with it; NULL = controls are left out */
	int64_t today;       /* seconds, for that */
};

/* Compares; with a list of packages on one side, packages alone. Images are verified, unpacked with
 * their owners, and dropped again in any case; an ordinary user has been through sandbox_enter
 * before the store was opened. Times of files do not count, nor do devices, sockets and pipes. A
 * damaged blob is ERR_VERIFY. The caller releases *ret. */
int diff_run(const struct diff_input *was, const struct diff_input *is, const struct diff_opts *o,
	     struct diff *ret, struct err *e) MUST_CHECK;

/* Whether anything is different; two images of different digests always are. */
bool diff_any(const struct diff *d) MUST_CHECK;

enum diff_format {
	DIFF_TEXT,
	DIFF_MARKDOWN, /* as a section of release notes */
};

/* The differences for people. Of files the largest few of each kind, none that belong to a package
 * that changed; all_files: every one. Names that could harm a terminal are escaped. */
void diff_report(const struct diff *d, enum diff_format format, bool all_files, struct buf *out);

/* All of it, sorted, without times or host names. The caller owns it. */
struct jval *diff_json(const struct diff *d) MUST_CHECK;

/* Accepts a zeroed struct. */
void diff_release(struct diff *d);

#endif

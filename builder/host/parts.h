/* parts.h - what the files of host/ share. */
#ifndef HOST_PARTS_H
#define HOST_PARTS_H

#include "host/host.h"

struct host {
	const struct host_opts *o;
	int rootfd;
	bool live;    /* the root is this machine's own */
	bool systemd; /* and systemd runs it */
	bool dnf;     /* packages come by dnf, not by apt-get */
};

/* A thing to look at, and to set. On failure the item is wanted, with the error for what was found;
 * what was not said of it until then is not. */
struct host_check {
	const char *id;
	const char *wanted;
	int (*run)(const struct host *h, struct host_item *ret, struct err *e);
};

/* Ended by one without an id. */
extern const struct host_check host_engine_checks[], host_kernel_checks[], host_unit_checks[],
    host_file_checks[], host_machine_checks[];

/* Notes what was found, and how that is. Returns 0. */
int host_found(struct host_item *i, enum host_status s, const char *fmt, ...) PRINTF(3, 4);
/* Notes that it is of a running machine, which a tree is not. Returns 0. */
int host_not_here(struct host_item *i);

/* Whether one of the programs (ended by NULL) is in the tree: its path, or NULL. */
const char *host_program(const struct host *h, const char *const *paths);

/* The command that installs packages, as a hint. */
void host_install_hint(const struct host *h, struct host_item *i, const char *debian,
		       const char *el);

/* What is written to the tree: DIR/NAME with this text and mode 0644. */
struct host_text {
	const char *dir, *name; /* "/etc/sysctl.d" */
	const void *p;
	size_t n;
};

/* What came of several: what was not as wanted and is written, or would be, and what somebody has
 * decided otherwise, which stays. */
struct host_put {
	struct buf wrote, left;
};
enum { HOST_PUT_MAX = 1 << 14 };
#define HOST_PUT_INIT                                                                              \
	((struct host_put){.wrote = BUF_INIT(HOST_PUT_MAX), .left = BUF_INIT(HOST_PUT_MAX)})
void host_put_release(struct host_put *p);

/* Makes it so, unless o->check. What has another text is kept beside it, as NAME.old, or as
 * NAME.old-DIGITS of its digest where that is another one still. A link and an empty file, by
 * which systemd(1) is told to do without, are left alone. */
int host_put(const struct host *h, const struct host_text *t, struct host_put *ret,
	     struct err *e) MUST_CHECK;

/* Adds one more that was not as wanted, or that stays. */
void host_add(struct buf *list, const char *fmt, ...) PRINTF(2, 3);

/* Ends an item: `all` is what it is when nothing differs. verb: "wrote". */
void host_put_end(const struct host *h, struct host_item *i, const struct host_put *p,
		  const char *all, const char *verb);

/* Whether a file system that belongs at the place of the data is not mounted: then the item is
 * wanted. */
int host_unmounted(const struct host *h, struct host_item *i, bool *ret, struct err *e) MUST_CHECK;

enum host_crypt {
	HOST_CRYPT_NO,
	HOST_CRYPT_YES,
	HOST_CRYPT_CLOUD, /* a volume of AWS, which are encrypted outside or not at all */
	HOST_CRYPT_UNKNOWN,
};

/* Whether all that a block device ("253:0") lies on is encrypted by dm-crypt, by the kernel's tree
 * /sys, open as sysfd; unknown when it is one of several of a btrfs. Appends the names on the way
 * to *ret_way: "dm-1 (crypt), sda2". */
int host_crypt_of(int sysfd, const char *device, enum host_crypt *ret, struct buf *ret_way,
		  struct err *e) MUST_CHECK;

/* The block device that a mount of this root and device number has, of /proc/self/mountinfo's text:
 * "253:0", of what has a number of its own its source's. The caller owns *ret; NULL = none. */
char *host_mount_source(const char *mountinfo, unsigned maj, unsigned min) MUST_CHECK;

/* Swap that is in use (/proc/swaps' text), with the kernel's tree /sys and /proc/self/mountinfo's
 * text. */
struct host_swaps {
	int sysfd;
	const char *swaps, *mountinfo;
};
/* Appends what is written in the clear to a disk, or may be for all that can be told. */
int host_swaps_in_clear(const struct host_swaps *s, struct strv *ret, struct err *e) MUST_CHECK;

/* Judges the controls. */
int host_controls(const struct host *h, struct host_report *ret, struct err *e) MUST_CHECK;

#endif

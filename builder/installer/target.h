/* target.h - a disk that may be written to: which one is meant, and what is on it. */
#ifndef INSTALLER_TARGET_H
#define INSTALLER_TARGET_H

#include "installer/blocklist.h"
#include "installer/sheet.h"

struct target {
	char *name;   /* "sda" */
	char *path;   /* "/dev/sda" */
	char *serial; /* "" when it does not say */
	uint64_t size;
	uint64_t sector; /* bytes, by which it is addressed; 0 when it does not say */
	bool own;        /* the medium that the installer started from */
	bool site;       /* the second medium */
};

struct targets {
	struct target *v;
	size_t n;
};

/* Appends one; the strings are copied. */
void targets_add(struct targets *t, const struct target *one);
void targets_release(struct targets *t); /* accepts a zeroed struct */

/* The whole disks of this machine; of the devices named own and site ("sr0", "sdb1") it is noted
 * on which disk they are. The caller releases *ret. */
int targets_find(const char *own, const char *site, struct targets *ret, struct err *e) MUST_CHECK;

/* The only one of that serial number, which has `need` bytes in sectors of TARGET_SECTOR and is no
 * medium of the installation: ERR_USAGE says why not. */
int targets_choose(const struct targets *t, const char *serial, uint64_t need, size_t *ret,
		   struct err *e) MUST_CHECK;

enum { TARGET_SECTOR = 512 }; /* what a disk writes as a whole, or not */

enum target_state {
	TARGET_BLANK,    /* zeros where the system goes, and wherever one looks behind it */
	TARGET_DATA,     /* something */
	TARGET_BEGUN,    /* what an installation for this shop has not come to the end of */
	TARGET_WRITTEN,  /* the same: all is there but the first block */
	TARGET_FINISHED, /* what is to be installed, for this shop */
};

struct target_look {
	enum target_state state;
	const char *found;      /* of data, what it seems to be; a constant */
	char run[SHEET_ID + 1]; /* of written and finished: which installation it was */
	char shop[sizeof(((struct sheet *)NULL)->shop)]; /* whose, where that is known; or "" */
	struct sheet sheet;                              /* of finished */
};

/* Looks at an open disk of that size. */
int target_look(int fd, uint64_t size, const struct blocklist *c, const char *shop,
		struct target_look *ret, struct err *e) MUST_CHECK;

/* Whether the first block says that an installation has not come to its end there. */
bool target_is_unfinished(int fd);

/* Makes the first block of an open disk say that an installation has begun, or that all is written
 * but this block: nothing starts from it. Waits for the disk. */
int target_mark(int fd, enum target_state state, const struct blocklist *c, const struct sheet *s,
		struct err *e) MUST_CHECK;

/* Puts the first block of the system in the place of a mark, and waits for the disk: the sector
 * with the mark comes last, so that what is cut off here is still marked. */
int target_put_first(int fd, const char *block, struct err *e) MUST_CHECK;

#endif

/* sheet.h - what an installation is told: lines KEY=VALUE of a file that a person brings on a
 * second medium, or that is on the machine's own disk afterwards. See posmedia-installer(5). */
#ifndef INSTALLER_SHEET_H
#define INSTALLER_SHEET_H

#include "base/buf.h"
#include "base/err.h"

#define SHEET_FILE  "install.txt" /* its name on the second medium, */
#define SHEET_LABEL "POSSITE"     /* and the label of that */

enum {
	SHEET_MAX = 4096, /* bytes of the text */
	SHEET_DISKS = 2,
	SHEET_DNS = 3,
	SHEET_SERIAL = 200,
	SHEET_ID = 32, /* hex digits */
};

struct sheet {
	char shop[32 + 1];
	char hostname[64 + 1];
	char interface[15 + 1]; /* "" = any card */
	char address[18 + 1];   /* "192.0.2.10/24"; "" = the network says it */
	char gateway[15 + 1];   /* or "" */
	char dns[SHEET_DNS][15 + 1];
	char disks[SHEET_DISKS][SHEET_SERIAL + 1]; /* serial numbers; two are a RAID 1 */
	size_t dns_n, disks_n;
	char erase[32 + 1]; /* the shop whose disks may have data that is lost; or "" */
	/* of the sheet on a machine's own disk: */
	char machine_id[SHEET_ID + 1];
	char run[SHEET_ID + 1];          /* which installation wrote it */
	char contents[2 * SHEET_ID + 1]; /* of what: the digest of its list (blocklist.h) */
};

enum sheet_kind {
	SHEET_WANTED,    /* as a person brings it */
	SHEET_INSTALLED, /* as it is on the disk */
};

/* Reads a text, strictly: ERR_RECIPE with the line, and a hint. */
int sheet_parse(const char *text, size_t n, enum sheet_kind kind, struct sheet *ret,
		struct err *e) MUST_CHECK;

/* Appends its text, as sheet_parse reads it. */
void sheet_write(const struct sheet *s, enum sheet_kind kind, struct buf *ret);

/* Appends how what a machine has differs from what it is told now, as "hostname=a, here b; ..." and
 * nothing when it does not. What only an installed one has, and what may be erased, do not count.
 */
void sheet_differs(const struct sheet *has, const struct sheet *told, struct buf *ret);

#endif

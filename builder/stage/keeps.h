/* keeps.h - what of an instance survives its container beside the directories of data: accounts,
 * host keys, passwords of shares, queues of printers, tables of cron. */
#ifndef STAGE_KEEPS_H
#define STAGE_KEEPS_H

#include "archive/files.h"
#include "stage/accounts.h"
#include "stage/parts.h"

/* What kept.tar has at most: of the image, of the instance in all, and with what we add, which can
 * be loaded again whatever it is. */
enum {
	KEEPS_IMAGE_MAX = 8 << 20,
	KEEPS_IMAGE_FILES = 500,
	KEEPS_MAX = 16 << 20,
	KEEPS_FILES = 3000,
	KEEPS_ALL_MAX = 32 << 20
};

/* The path of the host where a path of the instance lies, when it is in a directory of data; else
 * NULL. The caller owns it. `dir` is STATE/SHOP/ENV. */
char *keeps_data(const struct site *s, const char *dir, const char *at) MUST_CHECK;

/* Whether a file, without its leading "/", is one that is kept. */
bool keeps_wants(const struct site *s, const char *path) MUST_CHECK;

/* Whether a directory, without its leading "/", may have such a file in it, or below it. */
bool keeps_enters(const struct site *s, const char *path) MUST_CHECK;

/* What to ask an engine for, to have all that is kept: absolute paths. */
void keeps_roots(const struct site *s, struct strv *ret);

/* Makes what a generation of that site has mounted of RUNTIME where a reboot took it, empty:
 * without that dockerd does not show the files of a container that does not run. A start fills it.
 */
int keeps_mounts(const struct stage *st, const struct site *s, const struct stage_one *one,
		 struct err *e) MUST_CHECK;

/* The accounts among files, their paths behind `below` ("was/" or ""); `whose` names them in
 * errors. account_files_release accepts a zeroed struct. */
int keeps_accounts(const struct files *f, const char *below, const char *whose,
		   struct account_files *ret, struct err *e) MUST_CHECK;

/* A file of that name in the site's own directory, as files_tar made it; none is no file. */
int keeps_load(const struct stage *st, const char *name, struct files *ret,
	       struct err *e) MUST_CHECK;
/* Writes it, mode 0600; *ret_changed says whether it is another than before. */
int keeps_save(const struct stage *st, const char *name, const struct files *f, bool *ret_changed,
	       struct err *e) MUST_CHECK;

/* The keys that the site's sshd proves itself with, made when there are none: etc/ssh/ssh_host_*.
 * They are the site's as long as no instance has others of its own. */
int keeps_host_keys(struct stage *st, struct files *ret, struct err *e) MUST_CHECK;

/* The queues of the site's printers: /etc/cups/printers.conf and what they need, into *put, or into
 * the directory of data where they are. `image` is what the image has of it, `kept` what the
 * instance before had. What that directory holds is the instance's: no link is followed in it. */
struct printers {
	const struct stage *st;
	const char *container;
	const struct files *image, *kept;
	const struct strv *was; /* names of the printers of the former's site */
	bool rehearsal;         /* another instance has the directory: nothing is written there */
};
int printers_put(const struct printers *p, struct files *put, struct err *e) MUST_CHECK;

/* The text of printers.conf(5) with the queues of the site, and without those of `was` that it has
 * no more; the others are left as they are. */
void printers_merge(const char *text, const struct site *s, const struct strv *was,
		    struct buf *ret);

#endif

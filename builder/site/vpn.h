/* vpn.h - the tunnels between a site and its stores: strongSwan's configuration of this end, and
 * for each store the sheet from which its router is set up. Both come from one table, so that the
 * two ends agree. */
#ifndef SITE_VPN_H
#define SITE_VPN_H

#include "site/site.h"

/* What the connection to a peer is called, SHOP-ENV_PEER: no other site has it. The caller owns it.
 */
char *vpn_name(const struct site *s, const struct site_peer *p) MUST_CHECK;

/* The connections of all peers, as swanctl.conf(5) reads them, without secrets; include: the file
 * that has those, as it stands there. */
void vpn_config(const struct site *s, const char *include, struct buf *ret);

/* Appends the secret of one peer to the text of that file. The first line of psk counts; what is
 * shorter than 20 bytes, longer than 256 or not printable ASCII is ERR_VERIFY, since the router's
 * end has to be typed. ret must have room for 1 KiB: what grows leaves copies behind. */
int vpn_secret(const struct site *s, const struct site_peer *p, const struct buf *psk,
	       struct buf *ret, struct err *e) MUST_CHECK;

enum vpn_form {
	VPN_TEXT,
	VPN_MARKDOWN,
	VPN_HTML,
	VPN_FORMS,
};

/* "txt", "md" or "html". */
const char *vpn_form_suffix(enum vpn_form form);

/* The sheet of a store's router, from its side; the secret is not on it. */
void vpn_sheet(const struct site *s, const struct site_peer *p, enum vpn_form form,
	       struct buf *ret);

struct vpn_place {
	const char *dir;    /* of swanctl.conf: conf.d/posmedia-SHOP-ENV.conf is written there, and
			       posmedia/SHOP-ENV.secrets, which only its owner may read */
	const char *sheets; /* the sheets: SHOP-ENV/PEER.txt, .md and .html */
	bool dry_run;       /* write nothing */
};

struct vpn_file {
	char *path;
	bool changed; /* or it would be */
};
struct vpn_files {
	struct vpn_file *v;
	size_t n;
};

/* Reads the secrets and writes all of it; what is there already, the same, stays untouched. The
 * secrets come first and the connections after them. Sheets of peers that are gone are removed,
 * and of a site without tunnels all of it. */
int vpn_write(const struct site *s, const struct vpn_place *at, struct vpn_files *ret,
	      struct err *e) MUST_CHECK;
void vpn_files_release(struct vpn_files *f);

#endif

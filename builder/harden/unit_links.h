/* unit_links.h - what starts systemd's units beside packages: links, units and drop-ins of them,
 * below /etc and /usr/local/lib (systemd.unit(5)). */
#ifndef HARDEN_UNIT_LINKS_H
#define HARDEN_UNIT_LINKS_H

#include "harden/root.h"

/* Appends the links that start a unit, or units of a pattern: TARGET.wants/UNIT and its like. */
int unit_links(int rootfd, const char *unit, struct strv *ret, struct err *e) MUST_CHECK;

/* Appends the units that drop-ins start, and whole units that no package brought, as they are
 * written there, and for each its "PATH:LINE" in *ret_where. Any may want the base of a system, and
 * what its package's namesake does. */
int unit_pulled(int rootfd, struct strv *ret, struct strv *ret_where, struct err *e) MUST_CHECK;

#endif

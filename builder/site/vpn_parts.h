/* vpn_parts.h - what both ends of a tunnel agree on. */
#ifndef SITE_VPN_PARTS_H
#define SITE_VPN_PARTS_H

#include "site/vpn.h"

/* What a version of IKE is set up with: as strongSwan and as the forms of routers write it. */
struct vpn_suite {
	unsigned ike;
	const char *proposals, *esp_proposals; /* of swanctl.conf, the best first */
	const char *ike_encryption, *ike_integrity, *ike_groups;
	const char *esp_encryption, *esp_integrity, *esp_groups;
};

enum {
	VPN_IKE_SECONDS = 4 * 3600,
	VPN_CHILD_SECONDS = 3600,
	VPN_DPD_SECONDS = 10,
	VPN_DPD_TIMEOUT = 60, /* IKEv1 only */
};

/* That of version 1 or 2. */
const struct vpn_suite *vpn_suite(unsigned ike);

#endif

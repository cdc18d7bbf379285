/* claims.c - what the sites of one host want, and how it is told apart. */
#include "network/parts.h"

#include "form/digest.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void net_mac(const struct site *s, char ret[NET_MAC])
{
	char *seed SCOPED(mem_freep) = NULL;
	struct digest d;

	if (s->network.mac != NULL) {
		for (size_t i = 0; i < NET_MAC; i++)
			ret[i] = (char)tolower((unsigned char)s->network.mac[i]);
		return;
	}
	seed = mem_format("posmedia network %s %s", s->shop, site_env_word(s->env));
	d = digest_of(seed, strlen(seed));
	/* of those that nobody is given by a maker (IEEE 802, U/L bit), and of one card */
	(void)snprintf(ret, NET_MAC, "02:%02x:%02x:%02x:%02x:%02x", d.b[0], d.b[1], d.b[2], d.b[3],
		       d.b[4]);
}

void net_claims_add(struct net_claims *l, const struct site *s)
{
	struct net_claim *c;

	if (s->network.interface == NULL)
		return;
	l->v = mem_resize(l->v, l->n + 1, sizeof(*l->v));
	c = &l->v[l->n++];
	*c = (struct net_claim){.shop = mem_strdup(s->shop),
				.env = s->env,
				.mode = s->network.mode,
				.addr = s->network.address.addr};
	(void)snprintf(c->interface, sizeof(c->interface), "%s", s->network.interface);
	if (s->network.mode == SITE_MACVLAN)
		net_mac(s, c->mac);
}

void net_claims_release(struct net_claims *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].shop);
	free(l->v);
	*l = (struct net_claims){0};
}

const char *net_inside(const struct site_network *n)
{
	return n->mode == SITE_MOVE ? n->interface : NET_CHILD;
}

void net_route_lines(const struct site_network *n, const char *dev, struct buf *ret)
{
	if (n->gateway != NULL)
		buf_addf(ret, "route replace default via %s dev %s\n", n->gateway, dev);
	for (size_t i = 0; i < n->routes_n; i++) {
		const struct site_route *r = &n->routes[i];

		buf_addf(ret, "route replace %s via %s dev %s\n", r->to.text,
			 r->via != NULL ? r->via : n->gateway, dev);
	}
}

/* network.h - an address of a shop's own for an instance: an interface of the host, behind a
 * filter, in the network namespace that the engine left empty. ip(8), nft(8), arping(8) of iputils
 * and nsenter(1) do the work.
 *
 * The filter is there before the interface, so that no packet meets an instance without it; the
 * instance has no CAP_NET_ADMIN and cannot take it away. macvlan and ipvlan make a child of the
 * interface, "eth0" in the instance, which ends with the namespace. A moved interface keeps its
 * name; what it had on the host is recorded before, and the namespace is held so that the interface
 * outlives the instance and can be brought back. */
#ifndef NETWORK_NETWORK_H
#define NETWORK_NETWORK_H

#include "form/json.h"
#include "site/site.h"

enum {
	NET_NAME = 16, /* of an interface, with the NUL */
	NET_MAC = 18,  /* "02:00:c0:00:02:01" and a NUL */
	NET_FILTER_MAX = 1 << 20,
};

/* The network of one instance. All is borrowed. */
struct net {
	const struct site *s;  /* s->network has an interface */
	const char *container; /* who has what was moved */
	const char *filter;    /* text of net_filter or net_filter_closed */
	const char *runtime;   /* of all sites; RUNTIME/SHOP-ENV.interface is ours */
	uint64_t until_ms;     /* clock_mono_ms when the kernel takes the address away; 0 = never */
};

/* What another site of this host has. */
struct net_claim {
	char *shop;
	enum site_env env;
	enum site_mode mode;
	char interface[NET_NAME];
	uint32_t addr;     /* in the host's order of bytes */
	char mac[NET_MAC]; /* "" = it has none of its own */
};
struct net_claims {
	struct net_claim *v;
	size_t n;
};

/* Appends what the site has, when it has a network. */
void net_claims_add(struct net_claims *l, const struct site *s);
void net_claims_release(struct net_claims *l);

/* The address of the card that macvlan makes: what the site says, or one made from shop and
 * environment, always the same. */
void net_mac(const struct site *s, char ret[NET_MAC]);

/* The rules of the instance: what comes in is dropped but for answers, loopback, ICMP that hosts
 * need, and the ports that the image's config declares (ExposedPorts); IPv6 has none of it. A port
 * that is none is ERR_VERIFY. ret: an empty buffer of NET_FILTER_MAX. */
int net_filter(const struct jval *config, struct buf *ret, struct err *e) MUST_CHECK;

/* The rules of an instance that nobody may reach: answers to what it asks itself, loopback and that
 * ICMP come in. Other TCP is refused at once, also that of connections from before. */
int net_filter_closed(struct buf *ret, struct err *e) MUST_CHECK;

/* Before anything is stopped: whether what the site wants can be had. A conflict with another site,
 * and an interface that is missing, down, wireless (macvlan), another's, or the host's only way
 * out (move), is ERR_RECIPE at the site's network. With `rehearse` filter and child are made in
 * an empty namespace that ends at once, and nothing of the host is touched without. */
int net_check(const struct net *n, const struct net_claims *others, bool rehearse,
	      struct err *e) MUST_CHECK;

/* Asks the interface's network whether somebody has the address; an answer is ERR_RECIPE at the
 * site's network. Takes two seconds. A network without a link is not asked, nor is one whose
 * interface is down. */
int net_probe(const struct net *n, struct err *e) MUST_CHECK;

/* Opens the network namespace of a process. While the descriptor is open it means this namespace,
 * whatever becomes of the number. The host's own is ERR_VERIFY. Of n only the container's name is
 * used. The caller closes it. */
int net_open(const struct net *n, int pid, int *ret_ns, struct err *e) MUST_CHECK;

/* Replaces the rules of a namespace by those of n, at once, and nothing else: a packet meets the
 * old ones or the new ones. Of n only the filter is used. */
int net_refilter(const struct net *n, int ns, struct err *e) MUST_CHECK;
/* Takes our rules away; none is success. */
int net_unfilter(int ns, struct err *e) MUST_CHECK;
/* Whether the rules of n are those that are there. */
int net_is_filtered(const struct net *n, int ns, bool *ret, struct err *e) MUST_CHECK;

/* Whether interface, address and routes are as they should be, whatever the filter is. */
int net_is_placed(const struct net *n, int ns, bool *ret, struct err *e) MUST_CHECK;

/* Whether an instance has the address, whatever else it has. */
int net_has_address(const struct net *n, int ns, bool *ret, struct err *e) MUST_CHECK;

/* Whether no interface of a namespace but loopback is up. */
int net_is_bare(int ns, bool *ret, struct err *e) MUST_CHECK;

/* Whether all is as it should be: filter, interface, address, routes. */
int net_is(const struct net *n, int ns, bool *ret, struct err *e) MUST_CHECK;

/* Makes it so, whatever is there of it; a namespace with another interface that is up is
 * ERR_VERIFY. The network of a moved interface that was down on the host is asked whether somebody
 * has the address, as by net_probe. */
int net_give(const struct net *n, int ns, struct err *e) MUST_CHECK;

/* Lets an instance that has its address keep it until n->until_ms, a second or so: who lends it an
 * address need not live to take it back. One that has it no more is left so. ERR_BUSY when that
 * moment is less than a second away. */
int net_lend(const struct net *n, int ns, struct err *e) MUST_CHECK;

/* Tells the neighbours once more whose address it is, when there is a link: takes one second, and
 * up to ten more for the link. */
int net_announce(const struct net *n, int ns, struct err *e) MUST_CHECK;

/* Ends the child in the namespace of an instance that has ended, which an engine may keep for a
 * while: two of one card cannot be. A moved interface stays. */
int net_end_child(int ns, struct err *e) MUST_CHECK;

/* Brings a moved interface back to this namespace with the addresses and routes it had: what is
 * recorded in RUNTIME/SHOP-ENV.interface, when the container is that of the record or NULL. When
 * the record is lost, what is held comes back without, with a warning; with a container, only when
 * no process lives there. Nothing to bring is success. *ret is the name of what came back, or NULL;
 * the caller owns it. */
int net_return(const char *runtime, const struct site *s, const char *container, char **ret,
	       struct err *e) MUST_CHECK;

/* RUNTIME/SHOP-ENV.interface.failed: the record of an interface that came back without all that it
 * had. It stays until somebody removes it; the caller owns the path. */
char *net_failed_path(const char *runtime, const struct site *s) MUST_CHECK;

#endif

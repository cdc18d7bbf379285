/* parts.h - what the files of network/ share. */
#ifndef NETWORK_PARTS_H
#define NETWORK_PARTS_H

#include "network/network.h"

/* What the interface of a child is called in the instance. */
#define NET_CHILD "eth0"

/* A program, in a network namespace. */
struct net_run {
	const char *ns;          /* a file that is one; NULL = ours */
	const char *const *argv; /* ends with NULL */
	const struct buf *input; /* or NULL */
	struct buf *out;         /* or NULL */
};

/* Runs it; any end but 0 is an error with what it said. */
int net_run(const struct net_run *r, struct err *e) MUST_CHECK;

/* Runs it; *ret_status is how it ended, and what it said on both streams goes to r->out. */
int net_try(const struct net_run *r, int *ret_status, struct err *e) MUST_CHECK;

/* Runs ip(8) and reads what it prints as JSON; the caller owns *ret. */
int net_ip_json(const char *ns, const char *const *argv, struct jval **ret,
		struct err *e) MUST_CHECK;

/* One ip(8) for many lines, ended with the first that fails. */
int net_ip_batch(const char *ns, const struct buf *lines, struct err *e) MUST_CHECK;

/* The name of a namespace that is open here, for a program of ours; the caller owns it. */
char *net_path(int ns) MUST_CHECK;
/* That of this process. */
char *net_path_own(void) MUST_CHECK;

/* An interface. */
struct net_link {
	char name[NET_NAME];
	char mac[NET_MAC];     /* "" = it has none */
	char master[NET_NAME]; /* the bridge or bond that it is a port of, or "" */
	char lower[NET_NAME];  /* what it is a child of, in the same namespace, or "" */
	char kind[NET_NAME];   /* "macvlan", "veth", ...; "" = a card, or not asked for */
	char mode[NET_NAME];   /* of a macvlan or ipvlan */
	uint32_t mtu;
	bool up, carrier, ether;
	struct jval *addresses; /* list as ip(8) has it, borrowed from net_links */
};
struct net_links {
	struct net_link *v;
	size_t n;
	struct jval *json;
};

/* All interfaces of a namespace with their addresses. */
int net_links_read(const char *ns, struct net_links *ret, struct err *e) MUST_CHECK;
/* From what `ip -d -j address show` prints; takes v over, also on failure. */
int net_links_parse(struct jval *v, struct net_links *ret, struct err *e) MUST_CHECK;
void net_links_release(struct net_links *l);
const struct net_link *net_links_find(const struct net_links *l, const char *name);

/* Whether an interface has the IPv4 address; bits: also with that network, unless 0. */
bool net_link_has(const struct net_link *l, uint32_t addr, unsigned bits);

/* Whether a host of these default routes, as ip(8) prints those of IPv4 and of IPv6, is without one
 * that can be used when the interface goes. IPv6 alone counts where there is no other by IPv4. */
bool net_only_way(const struct jval *v4, const struct jval *v6, const char *name);

/* Loads the filter into a namespace; whatever of ours is there is replaced at once. */
int net_filter_load(const struct net *n, const char *ns, struct err *e) MUST_CHECK;

/* The ip(8) command that makes the child in a namespace; mac: "" = any. */
void net_child_words(const struct net *n, const char *ns, const char *mac, struct strv *ret);

/* The routes that a site wants, as lines for `ip -batch`. */
void net_route_lines(const struct site_network *n, const char *dev, struct buf *ret);

/* What the interface is called in the instance. */
const char *net_inside(const struct site_network *n);

/* The record of an interface that was moved, and where its namespace is held. */
struct net_moved {
	char *container;
	char name[NET_NAME];
	char mac[NET_MAC];
	bool up;
	uint32_t mtu;
	struct strv lines;    /* for `ip -batch`: addresses and routes that it had */
	struct strv settings; /* of net_settings_read */
};
void net_moved_release(struct net_moved *m);

/* RUNTIME/SHOP-ENV.interface, a directory; the caller owns it. */
char *net_moved_dir(const char *runtime, const struct site *s) MUST_CHECK;

/* Reads the record; *ret_there says whether there is one of this boot of the machine. */
int net_moved_read(const char *dir, struct net_moved *ret, bool *ret_there,
		   struct err *e) MUST_CHECK;

/* The file by which the namespace of a record is held, or NULL when it is not; the caller owns it.
 */
char *net_moved_held(const char *dir) MUST_CHECK;

/* The namespace in which the site's instance holds the interface, or NULL: it is in ours, if there
 * is one. The caller owns *ret. */
int net_where(const struct net *n, char **ret, struct err *e) MUST_CHECK;

/* Whether the record says that the instance has it, and its namespace is the one that is held. */
int net_is_held(const struct net *n, int ns, bool *ret, struct err *e) MUST_CHECK;

/* Which of the interfaces that are moved to instances of this host had an address before; "" =
 * none, or only the one that the site wants to move itself. */
int net_moved_has(const struct net *n, uint32_t addr, char ret[NET_NAME], struct err *e) MUST_CHECK;
/* Whether one of these lines gives an interface the IPv4 address. */
bool net_lines_have(const struct strv *lines, uint32_t addr) MUST_CHECK;

/* Moves the interface to the namespace: record, hold, move. When the record of one that is there
 * is lost, another is made, with a warning. */
int net_move(const struct net *n, int ns, struct err *e) MUST_CHECK;

/* The lines that give an interface what `link` and these routes (as ip(8) prints them, of one
 * family) say that it has. What the kernel or a router gave it comes by itself. */
void net_address_lines(const struct net_link *link, struct strv *ret);
void net_had_lines(const char *dev, bool ipv6, const struct jval *routes, struct strv *ret);

/* Of all routes of a family those of several ways of which one is the interface. The kernel drops
 * one of IPv4 as a whole when the interface goes, and of one of IPv6 that way. */
void net_had_ways(const char *dev, bool ipv6, const struct jval *routes, struct strv *ret);

/* What is set for an interface of ours in /proc/sys/net, a line each. */
int net_settings_read(const char *name, struct strv *ret, struct err *e) MUST_CHECK;
/* Sets it again, where it is another; all that can be, also on failure. */
int net_settings_restore(const char *name, const struct strv *settings, struct err *e) MUST_CHECK;

/* Asks the network of an interface of this name in a namespace (NULL = ours) whether somebody has
 * the site's address; an answer is ERR_RECIPE at the site's network. */
int net_ask(const struct net *n, const char *ns, const char *name, struct err *e) MUST_CHECK;

#endif

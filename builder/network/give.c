/* give.c - filter, interface, address and routes of an instance that runs. */
#include "network/parts.h"

#include "base/fault.h"
#include "sys/clock.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LIST_MAX = 4 << 20, FORMER_MS = 75000, LINK_MS = 10000, NAP_US = 100000 };

int net_filter_load(const struct net *n, const char *ns, struct err *e)
{
	static const char *const argv[] = {"nft", "-f", "-", NULL};
	struct buf rules SCOPED(buf_release) = BUF_INIT(NET_FILTER_MAX);
	const struct net_run r = {ns, argv, &rules, NULL};

	buf_addf(&rules, "%s", n->filter);
	return net_run(&r, e);
}

/* Children of one interface do not see each other: on a host of several customers each talks to
 * its own network, and to the others by way of a router, if at all. */
void net_child_words(const struct net *n, const char *ns, const char *mac, struct strv *ret)
{
	const struct site_network *w = &n->s->network;
	static const char *const add[] = {"ip", "link", "add", "link"};

	for (size_t i = 0; i < sizeof(add) / sizeof(add[0]); i++)
		strv_add(ret, add[i]);
	strv_add(ret, w->interface);
	strv_add(ret, "name");
	strv_add(ret, NET_CHILD);
	if (mac[0] != '\0') {
		strv_add(ret, "address");
		strv_add(ret, mac);
	}
	strv_add(ret, "netns");
	strv_add(ret, ns);
	strv_add(ret, "type");
	strv_add(ret, site_mode_word(w->mode));
	strv_add(ret, "mode");
	if (w->mode == SITE_IPVLAN)
		strv_add(ret, "l2");
	strv_add(ret, "private");
}

int net_open(const struct net *n, int pid, int *ret_ns, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("/proc/%d/ns/net", pid);
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
	struct stat there, here;

	if (fd < 0 || fstat(fd, &there) != 0 || stat("/proc/self/ns/net", &here) != 0)
		return err_sys(e, "open the network of %s", n->container);
	if (there.st_dev == here.st_dev && there.st_ino == here.st_ino)
		return err_set(e, ERR_VERIFY, "%s has the host's network", n->container);
	*ret_ns = STEAL_FD(fd);
	return 0;
}

/* Whether the very rules are there: the comment of the last is their digest. */
static int filter_is(const struct net *n, const char *ns, bool *ret, struct err *e)
{
	static const char *const argv[] = {"nft",      "list",  "chain", "inet",
					   "posmedia", "input", NULL};
	struct buf out SCOPED(buf_release) = BUF_INIT(LIST_MAX);
	const struct net_run r = {ns, argv, NULL, &out};
	const char *mark = strstr(n->filter, "comment \"");
	char *text SCOPED(mem_freep) = NULL;
	int status;

	if (mark == NULL)
		return err_set(e, ERR_VERIFY, "the filter of %s is damaged", n->container);
	text = mem_strndup(mark, strcspn(mark, "\n"));
	if (net_try(&r, &status, e) != 0)
		return -1;
	*ret = status == 0 && strstr(out.data, text) != NULL;
	return 0;
}

/* Whether what has the name of an instance's interface was given by us: the card is that of the
 * site, or the rules are those of the instance, or it has no more than a name yet. */
static int is_own(const struct net *n, const char *at, const struct net_link *l, bool *ret,
		  struct err *e)
{
	const struct site_network *w = &n->s->network;
	char mac[NET_MAC];

	if (w->mode != SITE_MACVLAN) {
		*ret = !l->up || net_link_has(l, w->address.addr, 0);
		return *ret ? 0 : filter_is(n, at, ret, e);
	}
	net_mac(n->s, mac);
	*ret = strcmp(l->kind, "macvlan") == 0 && strcmp(l->mac, mac) == 0;
	return 0;
}

/* What has a network already is another's, or has one that nobody knows of. */
static int check_empty(const struct net *n, const char *at, struct err *e)
{
	struct net_links all SCOPED(net_links_release) = {0};
	const char *own = net_inside(&n->s->network);

	if (net_links_read(at, &all, e) != 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		const struct net_link *l = &all.v[i];
		bool ours = strcmp(l->name, "lo") == 0;

		if (!ours && strcmp(l->name, own) == 0 && is_own(n, at, l, &ours, e) != 0)
			return -1;
		if (!ours && (l->up || strcmp(l->name, own) == 0))
			return err_set(e, ERR_VERIFY, "%s has an interface %s that nobody gave it",
				       n->container, l->name);
	}
	return 0;
}

/* Whether ip's list has a route to `to` ("default", a network or an address) by way of `via`. */
static bool has_route(const struct jval *list, const char *to, const char *via)
{
	size_t n = strlen(to);

	/* that is how it prints one host */
	if (n > 3 && strcmp(to + n - 3, "/32") == 0)
		n -= 3;
	for (size_t i = 0; i < jval_len(list); i++) {
		const char *dst = jval_get_str(jval_at(list, i), "dst");
		const char *gateway = jval_get_str(jval_at(list, i), "gateway");

		if (dst != NULL && gateway != NULL && strlen(dst) == n &&
		    strncmp(dst, to, n) == 0 && strcmp(gateway, via) == 0)
			return true;
	}
	return false;
}

static int routes_are(const struct net *n, const char *ns, bool *ret, struct err *e)
{
	static const char *const argv[] = {"ip", "-j", "-4", "route", "show", NULL};
	const struct site_network *w = &n->s->network;
	struct jval *list SCOPED(jval_freep) = NULL;
	bool all;

	if (net_ip_json(ns, argv, &list, e) != 0)
		return -1;
	all = w->gateway == NULL || has_route(list, "default", w->gateway);
	for (size_t i = 0; i < w->routes_n && all; i++)
		all = has_route(list, w->routes[i].to.text,
				w->routes[i].via != NULL ? w->routes[i].via : w->gateway);
	*ret = all;
	return 0;
}

static bool link_is(const struct net *n, const struct net_link *l)
{
	const struct site_network *w = &n->s->network;
	char mac[NET_MAC];

	if (l == NULL || !l->up || !net_link_has(l, w->address.addr, w->address.bits))
		return false;
	if (w->mode == SITE_MOVE)
		return strcmp(l->kind, "macvlan") != 0 && strcmp(l->kind, "ipvlan") != 0;
	if (strcmp(l->kind, site_mode_word(w->mode)) != 0)
		return false;
	net_mac(n->s, mac);
	return w->mode != SITE_MACVLAN ||
	       (strcmp(l->mac, mac) == 0 && strcmp(l->mode, "private") == 0);
}

int net_is_placed(const struct net *n, int ns, bool *ret, struct err *e)
{
	struct net_links all SCOPED(net_links_release) = {0};
	char *at SCOPED(mem_freep) = net_path(ns);
	bool yes;

	if (net_links_read(at, &all, e) != 0)
		return -1;
	yes = link_is(n, net_links_find(&all, net_inside(&n->s->network)));
	if ((yes && routes_are(n, at, &yes, e) != 0) ||
	    (yes && n->s->network.mode == SITE_MOVE && net_is_held(n, ns, &yes, e) != 0))
		return -1;
	*ret = yes;
	return 0;
}

int net_is_filtered(const struct net *n, int ns, bool *ret, struct err *e)
{
	char *at SCOPED(mem_freep) = net_path(ns);

	return filter_is(n, at, ret, e);
}

int net_is(const struct net *n, int ns, bool *ret, struct err *e)
{
	bool yes = false;

	if (net_is_placed(n, ns, &yes, e) != 0 || (yes && net_is_filtered(n, ns, &yes, e) != 0))
		return -1;
	*ret = yes;
	return 0;
}

int net_has_address(const struct net *n, int ns, bool *ret, struct err *e)
{
	struct net_links all SCOPED(net_links_release) = {0};
	char *at SCOPED(mem_freep) = net_path(ns);
	const struct net_link *l;

	if (net_links_read(at, &all, e) != 0)
		return -1;
	l = net_links_find(&all, net_inside(&n->s->network));
	*ret = l != NULL && net_link_has(l, n->s->network.address.addr, 0);
	return 0;
}

int net_is_bare(int ns, bool *ret, struct err *e)
{
	struct net_links all SCOPED(net_links_release) = {0};
	char *at SCOPED(mem_freep) = net_path(ns);

	if (net_links_read(at, &all, e) != 0)
		return -1;
	*ret = true;
	for (size_t i = 0; i < all.n; i++)
		*ret = *ret && (!all.v[i].up || strcmp(all.v[i].name, "lo") == 0);
	return 0;
}

int net_refilter(const struct net *n, int ns, struct err *e)
{
	char *at SCOPED(mem_freep) = net_path(ns);

	return net_filter_load(n, at, e);
}

int net_unfilter(int ns, struct err *e)
{
	static const char *const argv[] = {"nft", "-f", "-", NULL};
	char *at SCOPED(mem_freep) = net_path(ns);
	struct buf rules SCOPED(buf_release) = BUF_INIT(256);
	const struct net_run r = {at, argv, &rules, NULL};

	buf_addf(&rules, "table inet posmedia\ndelete table inet posmedia\n");
	return net_run(&r, e);
}

static int end_child(const char *ns, struct err *e)
{
	static const char *const del[] = {"ip", "link", "del", NET_CHILD, NULL};
	const struct net_run away = {ns, del, NULL, NULL};
	struct net_links all SCOPED(net_links_release) = {0};
	const struct net_link *l;

	if (net_links_read(ns, &all, e) != 0)
		return -1;
	l = net_links_find(&all, NET_CHILD);
	return l != NULL && (strcmp(l->kind, "macvlan") == 0 || strcmp(l->kind, "ipvlan") == 0)
		   ? net_run(&away, e)
		   : 0;
}

int net_end_child(int ns, struct err *e)
{
	char *at SCOPED(mem_freep) = net_path(ns);

	return end_child(at, e);
}

/* A child of before may have half of what it needs: it is made anew. */
static int make_child(const struct net *n, const char *ns, struct err *e)
{
	struct strv words SCOPED(strv_release) = {0};
	char mac[NET_MAC] = "";

	if (end_child(ns, e) != 0)
		return -1;
	if (n->s->network.mode == SITE_MACVLAN)
		net_mac(n->s, mac);
	net_child_words(n, ns, mac, &words);
	const struct net_run add = {NULL, (const char *const *)words.v, NULL, NULL};

	return net_run(&add, e);
}

#define SYS "/proc/sys/net/ipv4/"

/* What a namespace takes over from the host, which may be a router, and the instance cannot set
 * itself: it is none, and believes none that it was not told of. With arp_notify the kernel tells
 * the neighbours when the address comes up: they may know it with another card, and would look for
 * it there for half a minute and more. */
static int set_kernel(const char *ns, const char *dev, struct err *e)
{
	char *own[] = {mem_format(SYS "conf/%s/accept_redirects", dev),
		       mem_format(SYS "conf/%s/arp_notify", dev)};
	const char *const no[] = {"tee",
				  SYS "ip_forward",
				  SYS "conf/all/accept_redirects",
				  SYS "conf/all/accept_source_route",
				  SYS "conf/all/send_redirects",
				  own[0],
				  NULL};
	const char *const yes[] = {"tee", own[1], SYS "conf/all/rp_filter", NULL};
	struct buf zero SCOPED(buf_release) = BUF_INIT(8), one SCOPED(buf_release) = BUF_INIT(8);
	const struct net_run off = {ns, no, &zero, NULL}, on = {ns, yes, &one, NULL};
	int rc;

	buf_addf(&zero, "0\n");
	buf_addf(&one, "1\n");
	rc = net_run(&off, e) != 0 ? -1 : net_run(&on, e);
	mem_freep(&own[0]);
	mem_freep(&own[1]);
	return rc;
}

/* What ip(8) is told of how long an address stays. */
static int put_lifetime(const struct net *n, struct buf *ret, struct err *e)
{
	uint64_t now = clock_mono_ms();

	if (n->until_ms == 0) {
		buf_addf(ret, "valid_lft forever preferred_lft forever");
		return 0;
	}
	if (n->until_ms < now + 1000)
		return err_set(e, ERR_BUSY, "%s may have %s no longer", n->container,
			       n->s->network.address.text);
	buf_addf(ret, "valid_lft %llu preferred_lft %llu",
		 (unsigned long long)((n->until_ms - now) / 1000),
		 (unsigned long long)((n->until_ms - now) / 1000));
	return 0;
}

static int put_address(const struct net *n, const char *verb, struct buf *ret, struct err *e)
{
	const struct site_network *w = &n->s->network;
	struct buf life SCOPED(buf_release) = BUF_INIT(128);

	if (put_lifetime(n, &life, e) != 0)
		return -1;
	buf_addf(ret, "address %s %s brd + dev %s %s\n", verb, w->address.text, net_inside(w),
		 life.data);
	return 0;
}

int net_lend(const struct net *n, int ns, struct err *e)
{
	char *at SCOPED(mem_freep) = net_path(ns);
	struct buf line SCOPED(buf_release) = BUF_INIT(4096);
	bool has = false;

	if (net_has_address(n, ns, &has, e) != 0)
		return -1;
	if (!has)
		return 0;
	return put_address(n, "change", &line, e) != 0 ? -1 : net_ip_batch(at, &line, e);
}

static int give_address(const struct net *n, const char *ns, struct err *e)
{
	const struct site_network *w = &n->s->network;
	const char *dev = net_inside(w);
	struct buf lines SCOPED(buf_release) = BUF_INIT(64 << 10);

	buf_addf(&lines, "address flush dev %s\n", dev);
	if (put_address(n, "add", &lines, e) != 0)
		return -1;
	buf_addf(&lines, "link set dev %s up\n", dev);
	net_route_lines(w, dev, &lines);
	return set_kernel(ns, dev, e) != 0 ? -1 : net_ip_batch(ns, &lines, e);
}

/* A former instance's child with the same card ends a moment after its instance, unless somebody on
 * the host has made a mount namespace meanwhile: a copy of the file by which dockerd holds a
 * network is in it, and goes when dockerd removes the file, once a minute. */
static int give_child(const struct net *n, const char *ns, struct err *e)
{
	uint64_t end = clock_mono_ms() + FORMER_MS;

	for (;;) {
		if (make_child(n, ns, e) == 0) {
			fault_point("network: there");
			if (give_address(n, ns, e) == 0)
				return 0;
		}
		if ((strstr(e->msg, "in use") == NULL && strstr(e->msg, "busy") == NULL) ||
		    clock_mono_ms() >= end)
			return -1;
		if (intr_pending())
			return intr_err(e);
		(void)usleep(NAP_US);
	}
}

/* A card that was moved needs seconds until it has a link. */
static int wait_link(const struct net *n, const char *ns, struct err *e)
{
	uint64_t end = clock_mono_ms() + LINK_MS;

	for (;;) {
		struct net_links all SCOPED(net_links_release) = {0};
		const struct net_link *l;

		if (net_links_read(ns, &all, e) != 0)
			return -1;
		l = net_links_find(&all, net_inside(&n->s->network));
		if (l != NULL && l->up && l->carrier)
			return 0;
		if (l == NULL || clock_mono_ms() >= end)
			return err_set(e, ERR_FAIL, "%s has no link", net_inside(&n->s->network));
		if (intr_pending())
			return intr_err(e);
		(void)usleep(NAP_US);
	}
}

/* One that is down on the host is not brought up there, where others would set it up: its network
 * is asked from the instance, before the address is there. Without a link there is nobody to ask.
 */
static int ask_late(const struct net *n, const char *at, struct err *e)
{
	const char *name = n->s->network.interface;
	const char *const up[] = {"ip", "link", "set", "dev", name, "up", NULL};
	const struct net_run r = {at, up, NULL, NULL};
	char *dir SCOPED(mem_freep) = net_moved_dir(n->runtime, n->s);
	struct net_moved m SCOPED(net_moved_release) = {0};
	struct err none = ERR_INIT;
	bool there;

	if (net_moved_read(dir, &m, &there, e) != 0)
		return -1;
	if (!there || m.up)
		return 0;
	if (net_run(&r, e) != 0)
		return -1;
	return wait_link(n, at, &none) == 0 ? net_ask(n, at, name, e) : 0;
}

static int give_moved(const struct net *n, int ns, const char *at, struct err *e)
{
	if (net_move(n, ns, e) != 0)
		return -1;
	fault_point("network: there");
	return ask_late(n, at, e) != 0 ? -1 : give_address(n, at, e);
}

int net_give(const struct net *n, int ns, struct err *e)
{
	char *at SCOPED(mem_freep) = net_path(ns);

	if (check_empty(n, at, e) != 0 || net_filter_load(n, at, e) != 0)
		return -1;
	fault_point("network: filtered");
	return (n->s->network.mode == SITE_MOVE ? give_moved(n, ns, at, e)
						: give_child(n, at, e)) == 0
		   ? 0
		   : err_in(e, "network of %s", n->container);
}

int net_announce(const struct net *n, int ns, struct err *e)
{
	const struct site_network *w = &n->s->network;
	char *address SCOPED(mem_freep) =
	    mem_strndup(w->address.text, strcspn(w->address.text, "/"));
	char *at SCOPED(mem_freep) = net_path(ns);
	const char *const argv[] = {"arping", "-A", "-c", "1", "-I", net_inside(w), address, NULL};
	const struct net_run r = {at, argv, NULL, NULL};

	if (wait_link(n, at, e) != 0 || net_run(&r, e) != 0)
		return err_in(e, "%s is not announced", address);
	return 0;
}

/* check.c - whether a site can have the network that it wants, asked before anything is stopped. */
#include "network/parts.h"

#include "sandbox/sandbox.h"
#include "sys/proc.h"
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static int refuse(const struct net *n, struct err *e, const char *hint, const char *fmt, ...)
    PRINTF(4, 5);

static int refuse(const struct net *n, struct err *e, const char *hint, const char *fmt, ...)
{
	char *what SCOPED(mem_freep) = NULL;
	va_list ap;

	va_start(ap, fmt);
	what = mem_vformat(fmt, ap);
	va_end(ap);
	(void)recipe_err(&n->s->network.pos, e, "network: %s", what);
	return err_hint(e, "%s", hint);
}

static int check_programs(struct err *e)
{
	static const char *const needed[][2] = {{"ip", "iproute2"},
						{"nft", "nftables"},
						{"nsenter", "util-linux"},
						{"arping", "iputils-arping"}};
	static const char *const version[] = {"arping", "-V", NULL};
	struct buf said SCOPED(buf_release) = BUF_INIT(4096);
	const struct net_run r = {NULL, version, NULL, &said};
	int status;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!proc_has(needed[i][0])) {
			(void)err_set(e, ERR_FAIL, "there is no program %s", needed[i][0]);
			return err_hint(e, "install the package %s", needed[i][1]);
		}
	if (net_try(&r, &status, e) != 0)
		return -1;
	if (strstr(said.data, "iputils") != NULL)
		return 0;
	(void)err_set(e, ERR_FAIL, "arping is not that of iputils");
	return err_hint(e, "install the package iputils-arping in place of the other");
}

static int check_claim(const struct net *n, const struct net_claim *c, struct err *e)
{
	const struct site_network *w = &n->s->network;
	const char *env = site_env_word(c->env);
	char mac[NET_MAC] = "";

	if (w->mode == SITE_MACVLAN)
		net_mac(n->s, mac);
	if (mac[0] != '\0' && strcmp(mac, c->mac) == 0)
		return refuse(n, e, "Give one of them another \"mac\".",
			      "%s is the card of shop %s in %s", mac, c->shop, env);
	if (strcmp(w->interface, c->interface) != 0)
		return 0;
	if (w->mode == SITE_MOVE || c->mode == SITE_MOVE)
		return refuse(n, e, "An interface that is moved is one instance's alone.",
			      "%s belongs to shop %s in %s", w->interface, c->shop, env);
	if (w->mode != c->mode)
		return refuse(n, e, "An interface has children of one kind.",
			      "%s has %s for shop %s in %s", w->interface, site_mode_word(c->mode),
			      c->shop, env);
	if (w->address.addr == c->addr)
		return refuse(n, e, "Give one of them another address.",
			      "%s is the address of shop %s in %s", w->address.text, c->shop, env);
	return 0;
}

/* One card of its own is all that an access point lets a station have. */
static bool is_wireless(const char *name)
{
	char *path SCOPED(mem_freep) = mem_format("/sys/class/net/%s/phy80211", name);
	char *old SCOPED(mem_freep) = mem_format("/sys/class/net/%s/wireless", name);

	return access(path, F_OK) == 0 || access(old, F_OK) == 0;
}

/* What the kernel lets nobody move. */
static bool stays(const struct net_link *l)
{
	static const char *const kinds[] = {"bridge", "bond", "team"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(l->kind, kinds[i]) == 0)
			return true;
	return false;
}

static int check_parent(const struct net *n, const struct net_link *l, struct err *e)
{
	const struct site_network *w = &n->s->network;

	if (!l->ether)
		return refuse(n, e, "Name an Ethernet interface, as ip(8) shows it.",
			      "%s is no Ethernet interface", l->name);
	if (l->master[0] != '\0')
		return refuse(n, e, "Name that one, or take this out of it.", "%s is a port of %s",
			      l->name, l->master);
	if (is_wireless(l->name) && w->mode != SITE_IPVLAN)
		return refuse(n, e, "Use ipvlan, or an interface with a cable.",
			      "%s is wireless: it stays where it is, and has one card for all",
			      l->name);
	if (w->mode == SITE_MOVE)
		return !stays(l) ? 0
				 : refuse(n, e, "Use macvlan.", "%s is a %s, which does not move",
					  l->name, l->kind);
	if (!l->up)
		return refuse(n, e, "Bring it up with ip(8), and see that the host does so itself.",
			      "%s is down", l->name);
	if (!l->carrier)
		return refuse(n, e, "See whether its cable is in.", "%s has no link", l->name);
	return 0;
}

/* Whether the host would have no way out any more, and nobody a way in to mend it. */
static int check_way_out(const struct net *n, struct err *e)
{
	static const char *const argv[][7] = {{"ip", "-j", "-4", "route", "show", "default", NULL},
					      {"ip", "-j", "-6", "route", "show", "default", NULL}};
	struct jval *v4 SCOPED(jval_freep) = NULL, *v6 SCOPED(jval_freep) = NULL;
	const char *name = n->s->network.interface;

	if (net_ip_json(NULL, argv[0], &v4, e) != 0 || net_ip_json(NULL, argv[1], &v6, e) != 0)
		return -1;
	return !net_only_way(v4, v6, name)
		   ? 0
		   : refuse(n, e, "Use macvlan, or an interface that the host does not need.",
			    "%s is the host's only way out", name);
}

/* What stands on an interface does not go with it. */
static int check_moved(const struct net *n, const struct net_links *all, struct err *e)
{
	const char *name = n->s->network.interface;

	for (size_t i = 0; i < all->n; i++) {
		const struct net_link *l = &all->v[i];

		if (strcmp(l->master, name) == 0 || strcmp(l->lower, name) == 0)
			return refuse(n, e, "Use macvlan, or name an interface of its own.",
				      "%s stands on %s", l->name, name);
	}
	return check_way_out(n, e);
}

/* What the host has, or will have when an interface comes back; here: the interface that the site
 * wants, when it is on the host. */
static int check_host(const struct net *n, const struct net_links *host,
		      const struct net_link *here, struct err *e)
{
	const struct site_network *w = &n->s->network;
	const char *hint = "Give the instance one of its own.";
	char mac[NET_MAC] = "", of[NET_NAME];

	if (w->mode == SITE_MACVLAN)
		net_mac(n->s, mac);
	for (size_t i = 0; i < host->n; i++) {
		const struct net_link *l = &host->v[i];

		if (!(w->mode == SITE_MOVE && l == here) && net_link_has(l, w->address.addr, 0))
			return refuse(n, e, hint, "%s is the host's own address, of %s",
				      w->address.text, l->name);
		if (mac[0] != '\0' && strcmp(l->mac, mac) == 0)
			return refuse(n, e, hint, "%s is the card of %s", mac, l->name);
	}
	if (net_moved_has(n, w->address.addr, of, e) != 0)
		return -1;
	return of[0] == '\0'
		   ? 0
		   : refuse(n, e, hint, "%s is the host's own address, of %s", w->address.text, of);
}

/* One that is to come back from an instance is up if the record says so. */
static int check_held(const struct net *n, const struct net_link *held,
		      const struct net_links *host, struct err *e)
{
	char *dir SCOPED(mem_freep) = net_moved_dir(n->runtime, n->s);
	struct net_moved m SCOPED(net_moved_release) = {0};
	struct net_link then = *held;
	struct err quiet = ERR_INIT;
	bool there;

	if (net_links_find(host, held->name) != NULL)
		return refuse(n, e, "Give that one another name, with ip(8).",
			      "the host has another %s: what was moved could not come back",
			      held->name);
	if (n->s->network.mode != SITE_MOVE && net_moved_read(dir, &m, &there, &quiet) == 0 &&
	    there)
		then.up = m.up;
	return check_parent(n, &then, e);
}

/* ns: where the interface is, when it is ours already. */
static int check_interface(const struct net *n, const char *ns, struct err *e)
{
	const char *name = n->s->network.interface;
	struct net_links host SCOPED(net_links_release) = {0};
	struct net_links there SCOPED(net_links_release) = {0};
	const struct net_link *l;

	if (net_links_read(NULL, &host, e) != 0 ||
	    (ns != NULL && net_links_read(ns, &there, e) != 0))
		return -1;
	l = net_links_find(ns != NULL ? &there : &host, name);
	if (l == NULL)
		return refuse(n, e, "ip(8) shows which there are.", "there is no interface %s",
			      name);
	if (check_host(n, &host, ns == NULL ? l : NULL, e) != 0)
		return -1;
	if (ns != NULL)
		return check_held(n, l, &host, e);
	return check_parent(n, l, e) != 0 ||
		       (n->s->network.mode == SITE_MOVE && check_moved(n, &host, e) != 0)
		   ? -1
		   : 0;
}

/* What this kernel cannot do is seen here, in a namespace that ends with its descriptor. */
static int check_makes(const struct net *n, const char *ns, struct err *e)
{
	const char *kind = site_mode_word(n->s->network.mode);
	struct strv words SCOPED(strv_release) = {0};
	int fd SCOPED(fd_closep) = -1;
	char *at SCOPED(mem_freep) = NULL;

	if (sandbox_net_empty(&fd, e) != 0)
		return -1;
	at = net_path(fd);
	if (net_filter_load(n, at, e) != 0)
		return err_hint(e, "the host's kernel wants nf_tables and nf_conntrack");
	if (n->s->network.mode == SITE_MOVE)
		return 0;
	net_child_words(n, at, "", &words);
	const struct net_run child = {ns, (const char *const *)words.v, NULL, NULL};

	if (net_run(&child, e) == 0)
		return 0;
	(void)err_in(e, "network: no %s of %s", kind, n->s->network.interface);
	return err_hint(e, "load the kernel's module: modprobe %s", kind);
}

int net_check(const struct net *n, const struct net_claims *others, bool rehearse, struct err *e)
{
	char *ns SCOPED(mem_freep) = NULL;

	for (size_t i = 0; i < others->n; i++)
		if (check_claim(n, &others->v[i], e) != 0)
			return -1;
	if (check_programs(e) != 0 || net_where(n, &ns, e) != 0 || check_interface(n, ns, e) != 0)
		return -1;
	return rehearse ? check_makes(n, ns, e) : 0;
}

/* "Unicast reply from 192.0.2.9 [02:00:C0:00:02:09]  0.6ms" */
static char *who_answers(const char *said)
{
	const char *from = strchr(said, '[');
	size_t n = from != NULL ? strspn(from + 1, "0123456789abcdefABCDEF:") : 0;

	return n > 0 && n < NET_MAC ? mem_strndup(from + 1, n) : mem_strdup("another");
}

int net_ask(const struct net *n, const char *ns, const char *name, struct err *e)
{
	const struct site_network *w = &n->s->network;
	size_t bare = strcspn(w->address.text, "/");
	char *address SCOPED(mem_freep) = mem_strndup(w->address.text, bare);
	char *who SCOPED(mem_freep) = NULL;
	/* RFC 5227: twice, with no address of the sender, so that nobody learns one from it */
	const char *const argv[] = {"arping", "-D", "-c", "2",     "-w",
				    "2",      "-I", name, address, NULL};
	struct buf said SCOPED(buf_release) = BUF_INIT(64 << 10);
	const struct net_run r = {ns, argv, NULL, &said};
	int status = 0;

	if (net_try(&r, &status, e) != 0)
		return -1;
	if (status == 0)
		return 0;
	if (status != 1)
		return err_set(e, ERR_FAIL, "arping: exit %d: %.200s", status, said.data);
	who = who_answers(said.data);
	return refuse(n, e, "End the one that has it, or give the instance another.",
		      "the address %s is in use: %s answers on %s", address, who, w->interface);
}

int net_probe(const struct net *n, struct err *e)
{
	const char *name = n->s->network.interface;
	struct net_links all SCOPED(net_links_release) = {0};
	char *ns SCOPED(mem_freep) = NULL;
	const struct net_link *l;

	if (net_where(n, &ns, e) != 0 || net_links_read(ns, &all, e) != 0)
		return -1;
	l = net_links_find(&all, name);
	return l != NULL && l->up && l->carrier ? net_ask(n, ns, name, e) : 0;
}

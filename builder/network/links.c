/* links.c - the interfaces of a namespace, as ip(8) prints them. */
#include "network/parts.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { LINKS_MAX = 20000 };

/* A name that fits, or "". */
static void take_name(char *to, size_t size, const char *from)
{
	size_t n = from != NULL ? strlen(from) : size;

	if (n < size)
		memcpy(to, from, n + 1);
}

static bool has_flag(const struct jval *v, const char *flag)
{
	const struct jval *flags = jval_get(v, "flags");

	for (size_t i = 0; i < jval_len(flags); i++) {
		const char *one = jval_str(jval_at(flags, i));

		if (one != NULL && strcmp(one, flag) == 0)
			return true;
	}
	return false;
}

static bool read_link(const struct jval *v, struct net_link *ret)
{
	const char *name = jval_get_str(v, "ifname"), *type = jval_get_str(v, "link_type");
	const struct jval *info = jval_get(v, "linkinfo");
	int64_t mtu = 0;

	if (name == NULL || name[0] == '\0' || strlen(name) >= NET_NAME || type == NULL ||
	    jval_get_int(v, "mtu", &mtu) != 0 || mtu < 0 || mtu > UINT32_MAX)
		return false;
	take_name(ret->name, sizeof(ret->name), name);
	take_name(ret->mac, sizeof(ret->mac), jval_get_str(v, "address"));
	take_name(ret->master, sizeof(ret->master), jval_get_str(v, "master"));
	take_name(ret->lower, sizeof(ret->lower), jval_get_str(v, "link"));
	take_name(ret->kind, sizeof(ret->kind), jval_get_str(info, "info_kind"));
	take_name(ret->mode, sizeof(ret->mode), jval_get_str(jval_get(info, "info_data"), "mode"));
	ret->mtu = (uint32_t)mtu;
	ret->up = has_flag(v, "UP");
	ret->carrier = has_flag(v, "LOWER_UP");
	ret->ether = strcmp(type, "ether") == 0;
	ret->addresses = jval_get(v, "addr_info");
	return true;
}

int net_links_parse(struct jval *v, struct net_links *ret, struct err *e)
{
	struct net_links l SCOPED(net_links_release) = {.json = v};
	size_t n = jval_len(v);

	if (!jval_is_array(v) || n > LINKS_MAX)
		return err_set(e, ERR_FAIL, "ip does not say what interfaces there are");
	l.v = mem_zalloc((n + 1) * sizeof(*l.v));
	for (size_t i = 0; i < n; i++) {
		const struct jval *one = jval_at(v, i);

		/* some versions print an empty one for each that they leave out */
		if (jval_is_object(one) && jval_len(one) == 0)
			continue;
		if (!read_link(one, &l.v[l.n++]))
			return err_set(e, ERR_FAIL, "ip does not say what an interface is");
	}
	*ret = l;
	l = (struct net_links){0};
	return 0;
}

int net_links_read(const char *ns, struct net_links *ret, struct err *e)
{
	static const char *const argv[] = {"ip", "-d", "-j", "address", "show", NULL};
	struct jval *v = NULL;

	return net_ip_json(ns, argv, &v, e) == 0 ? net_links_parse(v, ret, e) : -1;
}

void net_links_release(struct net_links *l)
{
	free(l->v);
	jval_free(l->json);
	*l = (struct net_links){0};
}

const struct net_link *net_links_find(const struct net_links *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i].name, name) == 0)
			return &l->v[i];
	return NULL;
}

bool net_link_has(const struct net_link *l, uint32_t addr, unsigned bits)
{
	for (size_t i = 0; i < jval_len(l->addresses); i++) {
		const struct jval *one = jval_at(l->addresses, i);
		const char *local = jval_get_str(one, "local");
		struct in_addr in;
		int64_t have = 0;

		if (local == NULL || inet_pton(AF_INET, local, &in) != 1 ||
		    ntohl(in.s_addr) != addr)
			continue;
		if (bits == 0 ||
		    (jval_get_int(one, "prefixlen", &have) == 0 && have == (int64_t)bits))
			return true;
	}
	return false;
}

/* A way that a packet can take: by the interface of that name, or by another. */
static void count_way(const struct jval *v, const char *name, bool *ret_ours, bool *ret_other)
{
	const char *dev = jval_get_str(v, "dev");

	if (dev == NULL || has_flag(v, "linkdown") || has_flag(v, "dead"))
		return;
	*(strcmp(dev, name) == 0 ? ret_ours : ret_other) = true;
}

/* whole: one of several ways is no way at all without one of them. */
static void count_ways(const struct jval *list, const char *name, bool whole, bool *ret_ours,
		       bool *ret_other)
{
	for (size_t i = 0; i < jval_len(list); i++) {
		const struct jval *v = jval_at(list, i), *hops = jval_get(v, "nexthops");
		const char *type = jval_get_str(v, "type");

		if (type != NULL && strcmp(type, "unicast") != 0)
			continue;
		count_way(v, name, ret_ours, ret_other);
		bool ours = false, other = false;

		for (size_t k = 0; k < jval_len(hops); k++)
			count_way(jval_at(hops, k), name, &ours, &other);
		*ret_ours |= ours;
		*ret_other |= other && !(whole && ours);
	}
}

bool net_only_way(const struct jval *v4, const struct jval *v6, const char *name)
{
	bool ours4 = false, other4 = false, ours6 = false, other6 = false;

	count_ways(v4, name, true, &ours4, &other4);
	count_ways(v6, name, false, &ours6, &other6);
	return (ours4 && !other4) || (ours6 && !other6 && !other4);
}

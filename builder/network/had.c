/* had.c - what an interface had, as lines for `ip -batch` that give it back.
 *
 * Words come from what ip(8) printed and go to ip(8): those that could be more than one word are
 * left out with their line. */
#include "network/parts.h"

#include <arpa/inet.h>
#include <string.h>

enum { LINE_MAX_BYTES = 4096 };

#define FOREVER UINT32_MAX /* of a lifetime */

static bool is_word(const char *s)
{
	return s != NULL && s[0] != '\0' && strlen(s) <= 64 &&
	       s[strspn(s,
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:_/@%-")] ==
		   '\0';
}

/* " KEY VALUE" when the value is there; false when it is no word. */
static bool put_word(const struct jval *v, const char *key, const char *as, struct buf *ret)
{
	const char *word = jval_get_str(v, key);

	if (word == NULL)
		return jval_get(v, key) == NULL;
	if (!is_word(word))
		return false;
	buf_addf(ret, " %s %s", as, word);
	return true;
}

static void put_number(const struct jval *v, const char *key, const char *as, struct buf *ret)
{
	int64_t n = 0;

	if (jval_get_int(v, key, &n) == 0 && n >= 0 && n < FOREVER)
		buf_addf(ret, " %s %lld", as, (long long)n);
}

static void add_line(struct buf *line, struct strv *ret)
{
	if (!buf_over(line))
		strv_add(ret, line->data);
}

/* Of an address with a peer the bits are the peer's. */
static bool put_local(const struct jval *v, const char *local, int64_t bits, struct buf *ret)
{
	const char *peer = jval_get_str(v, "address");

	buf_addf(ret, "address replace %s", local);
	if (jval_get(v, "address") == NULL)
		buf_addf(ret, "/%lld", (long long)bits);
	else if (is_word(peer))
		buf_addf(ret, " peer %s/%lld", peer, (long long)bits);
	else
		return false;
	return true;
}

static void address_line(const char *dev, const struct jval *v, struct strv *ret)
{
	struct buf line SCOPED(buf_release) = BUF_INIT(LINE_MAX_BYTES);
	const char *family = jval_get_str(v, "family"), *local = jval_get_str(v, "local");
	const char *scope = jval_get_str(v, "scope");
	int64_t bits = 0;

	if (family == NULL || !is_word(local) || jval_get_int(v, "prefixlen", &bits) != 0)
		return;
	/* link-local addresses are the kernel's, temporary ones and those of advertisements too */
	if (strcmp(family, "inet6") == 0 &&
	    (jval_get_bool(v, "dynamic") || jval_get_bool(v, "temporary") ||
	     (scope != NULL && strcmp(scope, "link") == 0)))
		return;
	if (!put_local(v, local, bits, &line))
		return;
	if (!put_word(v, "broadcast", "broadcast", &line) ||
	    !put_word(v, "label", "label", &line) || !put_word(v, "scope", "scope", &line))
		return;
	put_number(v, "metric", "metric", &line);
	buf_addf(&line, " dev %s", dev);
	put_number(v, "valid_life_time", "valid_lft", &line);
	put_number(v, "preferred_life_time", "preferred_lft", &line);
	if (jval_get_bool(v, "noprefixroute"))
		buf_addf(&line, " noprefixroute");
	if (jval_get_bool(v, "nodad"))
		buf_addf(&line, " nodad");
	add_line(&line, ret);
}

void net_address_lines(const struct net_link *link, struct strv *ret)
{
	for (size_t i = 0; i < jval_len(link->addresses); i++)
		address_line(link->name, jval_at(link->addresses, i), ret);
}

bool net_lines_have(const struct strv *lines, uint32_t addr)
{
	static const char before[] = "address replace ";

	for (size_t i = 0; i < lines->n; i++) {
		const char *at = lines->v[i];
		char *text SCOPED(mem_freep) = NULL;
		struct in_addr in;

		if (strncmp(at, before, strlen(before)) != 0)
			continue;
		at += strlen(before);
		text = mem_strndup(at, strcspn(at, "/ "));
		if (inet_pton(AF_INET, text, &in) == 1 && ntohl(in.s_addr) == addr)
			return true;
	}
	return false;
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

/* What the kernel makes with the addresses, and what a router sends again. */
static bool is_left_out(const struct jval *v)
{
	const char *protocol = jval_get_str(v, "protocol");

	return protocol != NULL && (strcmp(protocol, "kernel") == 0 || strcmp(protocol, "ra") == 0);
}

/* By way of which gateway, which may be one of IPv6. */
static bool put_gateway(const struct jval *v, struct buf *ret)
{
	const struct jval *via = jval_get(v, "via");
	const char *family = jval_get_str(via, "family"), *host = jval_get_str(via, "host");

	if (via == NULL)
		return put_word(v, "gateway", "via", ret);
	if (!is_word(family) || !is_word(host))
		return false;
	buf_addf(ret, " via %s %s", family, host);
	return true;
}

static void put_metrics(const struct jval *v, struct buf *ret)
{
	static const char *const keys[] = {"mtu", "advmss", "window", "initcwnd", "initrwnd"};
	const struct jval *all = jval_get(v, "metrics");

	for (size_t i = 0; i < jval_len(all); i++)
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			put_number(jval_at(all, i), keys[k], keys[k], ret);
}

/* "route add unicast 10.0.0.0/8 tos 0x10"; one that somebody has set meanwhile stays. */
static bool put_route(const struct jval *v, bool ipv6, const char *verb, struct buf *ret)
{
	const char *dst = jval_get_str(v, "dst"), *type = jval_get_str(v, "type");

	if (!is_word(dst) || (type != NULL && !is_word(type)) || is_left_out(v))
		return false;
	/* in a batch only the words say which family it is */
	if (ipv6 && strcmp(dst, "default") == 0)
		dst = "::/0";
	buf_addf(ret, "route %s ", verb);
	if (type != NULL)
		buf_addf(ret, "%s ", type);
	buf_addf(ret, "%s", dst);
	return put_word(v, "tos", "tos", ret);
}

static bool put_rest(const struct jval *v, struct buf *ret)
{
	if (!put_word(v, "table", "table", ret) || !put_word(v, "protocol", "proto", ret) ||
	    !put_word(v, "scope", "scope", ret) || !put_word(v, "prefsrc", "src", ret))
		return false;
	put_number(v, "metric", "metric", ret);
	put_metrics(v, ret);
	return true;
}

static void route_line(const char *dev, bool ipv6, const struct jval *v, struct strv *ret)
{
	struct buf line SCOPED(buf_release) = BUF_INIT(LINE_MAX_BYTES);

	if (jval_get(v, "nexthops") != NULL || !put_route(v, ipv6, "add", &line) ||
	    !put_gateway(v, &line))
		return;
	buf_addf(&line, " dev %s", dev);
	if (!put_rest(v, &line))
		return;
	if (has_flag(v, "onlink"))
		buf_addf(&line, " onlink");
	add_line(&line, ret);
}

static bool put_way(const struct jval *way, struct buf *ret)
{
	buf_addf(ret, " nexthop");
	if (!put_gateway(way, ret) || !put_word(way, "dev", "dev", ret))
		return false;
	put_number(way, "weight", "weight", ret);
	if (has_flag(way, "onlink"))
		buf_addf(ret, " onlink");
	return true;
}

static bool is_way_of(const struct jval *way, const char *dev)
{
	const char *by = jval_get_str(way, "dev");

	return by != NULL && strcmp(by, dev) == 0;
}

static void ways_line(const char *dev, bool ipv6, const struct jval *v, struct strv *ret)
{
	const struct jval *ways = jval_get(v, "nexthops");
	struct buf line SCOPED(buf_release) = BUF_INIT(LINE_MAX_BYTES);
	size_t own = 0, put = 0;

	if (!put_route(v, ipv6, ipv6 ? "append" : "add", &line) || !put_rest(v, &line))
		return;
	for (size_t i = 0; i < jval_len(ways); i++) {
		const struct jval *way = jval_at(ways, i);
		bool is_own = is_way_of(way, dev);

		own += is_own ? 1 : 0;
		/* nobody can set one by an interface that is down */
		if (has_flag(way, "dead") || (ipv6 && !is_own))
			continue;
		if (!put_way(way, &line))
			return;
		put++;
	}
	if (own > 0 && put > 0)
		add_line(&line, ret);
}

void net_had_ways(const char *dev, bool ipv6, const struct jval *routes, struct strv *ret)
{
	for (size_t i = 0; i < jval_len(routes); i++)
		ways_line(dev, ipv6, jval_at(routes, i), ret);
}

void net_had_lines(const char *dev, bool ipv6, const struct jval *routes, struct strv *ret)
{
	/* what others go by way of comes first */
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < jval_len(routes); i++) {
			const struct jval *v = jval_at(routes, i);

			bool by_way = jval_get(v, "gateway") != NULL || jval_get(v, "via") != NULL;

			if (by_way == (round == 1))
				route_line(dev, ipv6, v, ret);
		}
}

/* network: rules from ports, the card's address, what ip(8) is told, and what it says. */
#include "network/parts.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct jval *json(const char *text)
{
	struct jval *v = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(jval_parse(text, strlen(text), "test", &v, &e), 0);
	return v;
}

static int filter(const char *ports, struct buf *ret)
{
	char *text SCOPED(mem_freep) = mem_format("{\"config\":{\"ExposedPorts\":%s}}", ports);
	struct jval *v SCOPED(jval_freep) = json(text);
	struct err e = ERR_INIT;
	int rc = net_filter(v, ret, &e);

	assert_true(rc == 0 || e.kind == ERR_VERIFY);
	return rc;
}

static void rules(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(NET_FILTER_MAX);
	struct buf again SCOPED(buf_release) = BUF_INIT(NET_FILTER_MAX);
	struct buf none SCOPED(buf_release) = BUF_INIT(NET_FILTER_MAX);
	const char *a, *c;

	(void)state;
	assert_int_equal(filter("{\"22/tcp\":{},\"2001/tcp\":{},\"2000/tcp\":{},\"137-138/udp\":{},"
				"\"80\":{},\"65535/udp\":{}}",
				&b),
			 0);
	assert_non_null(strstr(b.data, "\t\ttcp dport { 22, 80, 2000-2001 } accept\n"));
	assert_non_null(strstr(b.data, "\t\tudp dport { 137-138, 65535 } accept\n"));
	/* the same ports are the same rules, and others are not */
	assert_int_equal(filter("{\"80/tcp\":{},\"22/tcp\":{},\"2000-2001/tcp\":{},\"137/udp\":{},"
				"\"138/udp\":{},\"65535/udp\":{}}",
				&again),
			 0);
	assert_string_equal(b.data, again.data);
	assert_non_null(strstr(b.data, "\t\tip daddr { 169.254.169.254, 169.254.170.2 } drop\n"));
	/* what says that it is of this machine, or for it, and did not come from it */
	assert_non_null(strstr(b.data, "\t\tiifname \"lo\" accept\n\t\tmeta nfproto ipv6 drop\n"
				       "\t\tip saddr 127.0.0.0/8 drop\n"
				       "\t\tip daddr 127.0.0.0/8 drop\n"));
	assert_int_equal(filter("{}", &none), 0);
	assert_null(strstr(none.data, "dport"));
	a = strstr(b.data, "comment \"sha256:");
	c = strstr(none.data, "comment \"sha256:");
	assert_non_null(a);
	assert_non_null(c);
	assert_int_not_equal(strncmp(a, c, 40), 0);
}

/* Nobody who was let in stays, and TCP is refused rather than left to wait. */
static void closed(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(NET_FILTER_MAX);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(net_filter_closed(&b, &e), 0);
	assert_null(strstr(b.data, "dport"));
	assert_null(strstr(b.data, "established,related"));
	assert_non_null(strstr(b.data, "\t\tct state established ct direction reply accept\n"));
	assert_non_null(strstr(b.data, "\t\tmeta l4proto tcp counter reject with tcp reset\n"
				       "\t\tcounter drop comment \"sha256:"));
}

static void no_ports(void **state)
{
	static const char *const bad[] = {"0/tcp",       "65536/tcp", "22/sctp",  "22/",
					  "/tcp",        "9-8/tcp",   "1-/tcp",   "-1/tcp",
					  "22/tcp }\\n", "22 accept", "0x16/tcp", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf b SCOPED(buf_release) = BUF_INIT(NET_FILTER_MAX);
		char *ports SCOPED(mem_freep) = mem_format("{\"%s\":{}}", bad[i]);

		assert_int_equal(filter(ports, &b), -1);
	}
}

static struct site site_of(const char *shop, enum site_mode mode, const char *mac)
{
	struct site s = {.shop = mem_strdup(shop), .env = SITE_QA};

	s.network = (struct site_network){.interface = mem_strdup("eth1"),
					  .mode = mode,
					  .address = {mem_strdup("192.0.2.9/24"), 0xc0000209, 24},
					  .mac = mac != NULL ? mem_strdup(mac) : NULL,
					  .pos = {"s.yaml", 7, 10}};
	return s;
}

static void site_end(struct site *s)
{
	free(s->shop);
	free(s->network.interface);
	free(s->network.address.text);
	free(s->network.mac);
}

static void cards(void **state)
{
	struct site a SCOPED(site_end) = site_of("123", SITE_MACVLAN, NULL);
	struct site b SCOPED(site_end) = site_of("124", SITE_MACVLAN, NULL);
	struct site given SCOPED(site_end) = site_of("123", SITE_MACVLAN, "02:00:C0:00:02:01");
	char mac[NET_MAC], other[NET_MAC];

	(void)state;
	/* what a licence may be bound to: it must be this for ever */
	net_mac(&a, mac);
	assert_string_equal(mac, "02:69:fd:2a:2f:f0");
	net_mac(&b, other);
	assert_string_not_equal(mac, other);
	a.env = SITE_PROD;
	net_mac(&a, other);
	assert_string_not_equal(mac, other);
	net_mac(&given, mac);
	assert_string_equal(mac, "02:00:c0:00:02:01");
}

static char *words(const struct site *s, const char *mac)
{
	const struct net n = {.s = s};
	struct strv v SCOPED(strv_release) = {0};
	struct buf b = BUF_INIT(4096);

	net_child_words(&n, "/ns", mac, &v);
	for (size_t i = 0; i < v.n; i++)
		buf_addf(&b, i > 0 ? " %s" : "%s", v.v[i]);
	return buf_take(&b);
}

static void children(void **state)
{
	struct site mac SCOPED(site_end) = site_of("1", SITE_MACVLAN, NULL);
	struct site ip SCOPED(site_end) = site_of("1", SITE_IPVLAN, NULL);
	char *a SCOPED(mem_freep) = words(&mac, "02:00:00:00:00:01");
	char *b SCOPED(mem_freep) = words(&ip, "");

	(void)state;
	assert_string_equal(a, "ip link add link eth1 name eth0 address 02:00:00:00:00:01 netns "
			       "/ns type macvlan mode private");
	assert_string_equal(
	    b, "ip link add link eth1 name eth0 netns /ns type ipvlan mode l2 private");
}

/* What another site of the host has: the message begins with the place in this one. */
static void conflict(const struct site *mine, const struct site *theirs, const char *what)
{
	const struct net n = {.s = mine, .container = "c", .filter = "", .runtime = "/nowhere"};
	struct net_claims l SCOPED(net_claims_release) = {0};
	struct err e = ERR_INIT;

	net_claims_add(&l, theirs);
	assert_int_equal(net_check(&n, &l, false, &e), -1);
	if (strncmp(e.msg, "s.yaml:7:10: network: ", 22) != 0 || strstr(e.msg, what) == NULL)
		fail_msg("wanted \"%s\", got \"%s\"", what, e.msg);
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_true(e.hint[0] != '\0');
}

static void conflicts(void **state)
{
	struct site a SCOPED(site_end) = site_of("1", SITE_MACVLAN, NULL);
	struct site b SCOPED(site_end) = site_of("2", SITE_MACVLAN, NULL);
	struct site moves SCOPED(site_end) = site_of("3", SITE_MOVE, NULL);
	struct site ip SCOPED(site_end) = site_of("4", SITE_IPVLAN, NULL);
	struct site card SCOPED(site_end) = site_of("5", SITE_MACVLAN, "02:00:00:00:00:01");
	struct site again SCOPED(site_end) = site_of("6", SITE_MACVLAN, "02:00:00:00:00:01");

	(void)state;
	conflict(&a, &b, "192.0.2.9/24 is the address of shop 2 in qa");
	conflict(&moves, &a, "eth1 belongs to shop 1 in qa");
	conflict(&a, &moves, "eth1 belongs to shop 3 in qa");
	conflict(&ip, &a, "eth1 has macvlan for shop 1 in qa");
	/* a card is told apart on every interface */
	again.network.interface[3] = '2';
	conflict(&card, &again, "02:00:00:00:00:01 is the card of shop 6 in qa");
	/* the same address in a network of its own is none: the next question is about interfaces
	 */
	a.network.interface[0] = 'q';
	conflict(&a, &b, "there is no interface qth1");
}

static void links(void **state)
{
	static const char *const bad[] = {
	    "{}",
	    "[{\"ifname\":\"eth0\"}]",
	    "[{\"ifname\":\"a-name-that-is-too-long\",\"link_type\":\"ether\",\"mtu\":1}]",
	    "[{\"ifname\":\"eth0\",\"link_type\":\"ether\",\"mtu\":-1}]",
	    "[7]",
	};
	struct net_links l SCOPED(net_links_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(
	    net_links_parse(
		json("[{},{\"ifname\":\"eth0\",\"link\":\"eth9\",\"flags\":[\"UP\"],\"mtu\":1500,"
		     "\"link_type\":\"ether\",\"address\":\"02:00:00:00:00:01\",\"linkinfo\":"
		     "{\"info_kind\":\"macvlan\",\"info_data\":{\"mode\":\"private\"}},"
		     "\"addr_info\":[{\"family\":\"inet\",\"local\":\"192.0.2.9\","
		     "\"prefixlen\":24},{\"family\":\"inet6\",\"local\":\"::1\"}]}]"),
		&l, &e),
	    0);
	assert_int_equal(l.n, 1);
	assert_true(l.v[0].up && !l.v[0].carrier && l.v[0].ether);
	assert_string_equal(l.v[0].kind, "macvlan");
	assert_string_equal(l.v[0].mode, "private");
	assert_string_equal(l.v[0].lower, "eth9");
	assert_true(net_link_has(&l.v[0], 0xc0000209, 24));
	assert_false(net_link_has(&l.v[0], 0xc0000209, 25));
	assert_true(net_link_has(&l.v[0], 0xc0000209, 0));
	assert_false(net_link_has(&l.v[0], 0xc000020a, 0));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct net_links none = {0};

		assert_int_equal(net_links_parse(json(bad[i]), &none, &e), -1);
	}
}

static bool only_way(const char *v4, const char *v6)
{
	struct jval *a SCOPED(jval_freep) = json(v4), *b SCOPED(jval_freep) = json(v6);

	return net_only_way(a, b, "card0");
}

#define BY(dev)    "{\"dst\":\"default\",\"gateway\":\"192.0.2.1\",\"dev\":\"" dev "\",\"flags\":["
#define ROUTE(dev) BY(dev) "]}"

static void settings_of_records(void **state)
{
	static const char *const bad[] = {"ipv4/conf ../../kernel/panic 1",
					  "ipv4/conf/x y 1",
					  "kernel panic 1",
					  "ipv4/conf rp_filter",
					  "",
					  " "};
	struct strv all SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct strv one SCOPED(strv_release) = {0};

		strv_add(&one, bad[i]);
		assert_int_equal(net_settings_restore("lo", &one, &e), -1);
		assert_int_equal(e.kind, ERR_VERIFY);
	}
	/* what is right already is not written */
	assert_int_equal(net_settings_read("lo", &all, &e), 0);
	assert_true(all.n > 10);
	assert_int_equal(net_settings_restore("lo", &all, &e), 0);
}

static void gives_ways_back(void **state)
{
	static const char text[] =
	    "[{\"dst\":\"10.7.0.0/16\",\"metric\":7,\"nexthops\":[{\"gateway\":\"192.0.2.1\","
	    "\"dev\":\"eth1\",\"weight\":3,\"flags\":[\"onlink\"]},{\"via\":{\"family\":\"inet6\","
	    "\"host\":\"fe80::1\"},\"dev\":\"eth0\",\"weight\":1,\"flags\":[]}]},"
	    "{\"dst\":\"10.8.0.0/16\",\"nexthops\":[{\"dev\":\"eth0\"}]},"
	    "{\"dst\":\"10.9.0.0/16\",\"nexthops\":[{\"dev\":\"eth1\"},{\"dev\":\"eth0 up\"}]},"
	    "{\"dst\":\"10.10.0.0/16\",\"dev\":\"eth1\"},"
	    "{\"dst\":\"10.11.0.0/16\",\"nexthops\":[{\"dev\":\"eth1\",\"flags\":[\"dead\"]},"
	    "{\"dev\":\"eth0\"}]}]";
	struct jval *v SCOPED(jval_freep) = json(text);
	struct strv got SCOPED(strv_release) = {0};

	(void)state;
	net_had_ways("eth1", false, v, &got);
	assert_int_equal(got.n, 2);
	assert_string_equal(
	    got.v[0], "route add 10.7.0.0/16 metric 7 nexthop via 192.0.2.1 dev eth1 weight 3 "
		      "onlink nexthop via inet6 fe80::1 dev eth0 weight 1");
	assert_string_equal(got.v[1], "route add 10.11.0.0/16 nexthop dev eth0");
	net_had_ways("eth1", true, v, &got);
	assert_int_equal(got.n, 4);
	assert_string_equal(got.v[2], "route append 10.7.0.0/16 metric 7 nexthop via 192.0.2.1 dev "
				      "eth1 weight 3 onlink");
	assert_string_equal(got.v[3], "route append 10.9.0.0/16 nexthop dev eth1");
}

static void ways_out(void **state)
{
	(void)state;
	assert_false(only_way("[]", "[]"));
	assert_true(only_way("[" ROUTE("card0") "]", "[]"));
	assert_false(only_way("[" ROUTE("lan0") "]", "[]"));
	assert_false(only_way("[" ROUTE("card0") "," ROUTE("lan0") "]", "[]"));
	/* what leads nowhere is no other way */
	assert_true(only_way("[" ROUTE("card0") ",{\"type\":\"unreachable\",\"dst\":\"default\","
						"\"dev\":\"lo\"}]",
			     "[]"));
	assert_true(only_way("[" ROUTE("card0") "," BY("lan0") "\"linkdown\"]}]", "[]"));
	assert_true(only_way(
	    "[{\"dst\":\"default\",\"nexthops\":[" ROUTE("card0") "," ROUTE("card0") "]}]", "[]"));
	/* a kernel drops it with one of its ways, of IPv4 */
	assert_true(only_way(
	    "[{\"dst\":\"default\",\"nexthops\":[" ROUTE("card0") "," ROUTE("lan0") "]}]", "[]"));
	assert_false(only_way(
	    "[]", "[{\"dst\":\"default\",\"nexthops\":[" ROUTE("card0") "," ROUTE("lan0") "]}]"));
	assert_false(only_way(
	    "[{\"dst\":\"default\",\"nexthops\":[" ROUTE("lan1") "," ROUTE("lan0") "]}]", "[]"));
	assert_true(only_way("[]", "[" ROUTE("card0") "]"));
	assert_true(only_way("[" ROUTE("card0") "]", "[" ROUTE("lan0") "]"));
	assert_false(only_way("[" ROUTE("lan0") "]", "[" ROUTE("card0") "]"));
}

static void gives_back(void **state)
{
	struct net_links l SCOPED(net_links_release) = {0};
	struct jval *v4 SCOPED(jval_freep) = json(
	    "[{\"dst\":\"default\",\"gateway\":\"192.0.2.1\",\"protocol\":\"dhcp\",\"prefsrc\":"
	    "\"192.0.2.9\",\"metric\":100,\"flags\":[\"onlink\",\"linkdown\"]},"
	    "{\"dst\":\"192.0.2.0/24\",\"protocol\":\"kernel\",\"scope\":\"link\"},"
	    "{\"type\":\"blackhole\",\"dst\":\"10.0.0.0/8\",\"table\":\"200\"},"
	    "{\"dst\":\"10.5.0.0/16\",\"tos\":\"0x10\",\"gateway\":\"192.0.2.2\",\"metrics\":"
	    "[{\"mtu\":1300}]},"
	    "{\"dst\":\"10.6.0.0/16\",\"via\":{\"family\":\"inet6\",\"host\":\"fe80::1\"}},"
	    "{\"dst\":\"10.7.0.0/16\",\"nexthops\":[]},"
	    "{\"dst\":\"10.1.0.0/16 dev lo\",\"protocol\":\"boot\"}]");
	struct jval *v6 SCOPED(jval_freep) =
	    json("[{\"dst\":\"default\",\"gateway\":\"2001:db8::1\",\"protocol\":\"static\"},"
		 "{\"dst\":\"default\",\"gateway\":\"fe80::1\",\"protocol\":\"ra\"}]");
	static const char *const want[] = {
	    "address replace 192.0.2.9/24 broadcast 192.0.2.255 label eth1:0 scope global dev "
	    "eth1 valid_lft 600 preferred_lft 300",
	    "address replace 192.0.2.7 peer 192.0.2.6/32 dev eth1",
	    "address replace 2001:db8::9/64 scope global dev eth1",
	    "route add blackhole 10.0.0.0/8 dev eth1 table 200",
	    "route add default via 192.0.2.1 dev eth1 proto dhcp src 192.0.2.9 metric 100 "
	    "onlink",
	    "route add 10.5.0.0/16 tos 0x10 via 192.0.2.2 dev eth1 mtu 1300",
	    "route add 10.6.0.0/16 via inet6 fe80::1 dev eth1",
	    "route add ::/0 via 2001:db8::1 dev eth1 proto static",
	};
	struct strv got SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(
	    net_links_parse(
		json("[{\"ifname\":\"eth1\",\"mtu\":1500,\"link_type\":\"ether\",\"addr_info\":["
		     "{\"family\":\"inet\",\"local\":\"192.0.2.9\",\"prefixlen\":24,\"broadcast\":"
		     "\"192.0.2.255\",\"scope\":\"global\",\"label\":\"eth1:0\","
		     "\"valid_life_time\":600,\"preferred_life_time\":300},"
		     "{\"family\":\"inet\",\"local\":\"192.0.2.7\",\"address\":\"192.0.2.6\","
		     "\"prefixlen\":32},"
		     "{\"family\":\"inet6\",\"local\":\"2001:db8::9\",\"prefixlen\":64,\"scope\":"
		     "\"global\",\"valid_life_time\":4294967295},"
		     "{\"family\":\"inet6\",\"local\":\"2001:db8::8\",\"prefixlen\":64,\"dynamic\":"
		     "true},"
		     "{\"family\":\"inet6\",\"local\":\"fe80::1\",\"prefixlen\":64,\"scope\":"
		     "\"link\"},"
		     "{\"family\":\"inet\",\"local\":\"192.0.2.8\\nlink del lo\",\"prefixlen\":24}"
		     "]}]"),
		&l, &e),
	    0);
	net_address_lines(&l.v[0], &got);
	assert_true(net_lines_have(&got, 0xc0000209));
	assert_true(net_lines_have(&got, 0xc0000207));
	assert_false(net_lines_have(&got, 0xc000020a));
	net_had_lines("eth1", false, v4, &got);
	net_had_lines("eth1", true, v6, &got);
	for (size_t i = 0; i < got.n && i < sizeof(want) / sizeof(want[0]); i++)
		assert_string_equal(got.v[i], want[i]);
	assert_int_equal(got.n, sizeof(want) / sizeof(want[0]));
}

static void records(void **state)
{
	static const char *const bad[] = {"", "{", "[]", "{\"boot\":7}"};
	char dir[] = "/tmp/posmedia-network-XXXXXX";
	char *path SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;
	struct site s SCOPED(site_end) = site_of("1", SITE_MOVE, NULL);
	char *moved SCOPED(mem_freep) = NULL, *back SCOPED(mem_freep) = NULL;
	struct net_moved m SCOPED(net_moved_release) = {0};
	bool there = true;

	(void)state;
	assert_non_null(mkdtemp(dir));
	moved = net_moved_dir(dir, &s);
	path = fs_join(moved, "record.json");
	assert_int_equal(net_moved_read(moved, &m, &there, &e), 0);
	assert_false(there);
	assert_int_equal(fs_mkdirs(AT_FDCWD, moved, 0700, &e), 0);
	/* of another boot of the machine: it is gone with the first who asks */
	assert_int_equal(fs_put_path(path, "{\"boot\":\"x\"}", 12, 0600, &e), 0);
	assert_int_equal(net_moved_read(moved, &m, &there, &e), 0);
	assert_false(there);
	assert_null(net_moved_held(moved));
	assert_int_equal(net_return(dir, &s, "c", &back, &e), 0);
	assert_null(back);
	assert_int_not_equal(access(moved, F_OK), 0);
	assert_int_equal(fs_mkdirs(AT_FDCWD, moved, 0700, &e), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(fs_put_path(path, bad[i], strlen(bad[i]), 0600, &e), 0);
		there = true;
		assert_true(net_moved_read(moved, &m, &there, &e) != 0 || !there);
	}
	assert_int_equal(fs_rmtree(AT_FDCWD, dir, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rules),           cmocka_unit_test(closed),
	    cmocka_unit_test(no_ports),        cmocka_unit_test(cards),
	    cmocka_unit_test(children),        cmocka_unit_test(conflicts),
	    cmocka_unit_test(links),           cmocka_unit_test(gives_back),
	    cmocka_unit_test(gives_ways_back), cmocka_unit_test(settings_of_records),
	    cmocka_unit_test(records),         cmocka_unit_test(ways_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* site: what is read from a site file, and what is refused, with the position and the words. */
#include "site/site.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	char dir[32];
	char *back;
};

static void put(const char *name, const char *text)
{
	char *dir SCOPED(mem_freep) = fs_dirname(name);
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(AT_FDCWD, dir, 0755, &e), 0);
	assert_int_equal(fs_put_path(name, text, strlen(text), 0644, &e), 0);
}

static int enter(void **state)
{
	struct place *p = mem_zalloc(sizeof(*p));

	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/posmedia-site-XXXXXX");
	p->back = realpath(".", NULL);
	if (mkdtemp(p->dir) == NULL || chdir(p->dir) != 0)
		return -1;
	put("policy.yaml", "posmedia: 1\n");
	*state = p;
	return 0;
}

static int leave(void **state)
{
	struct place *p = *state;
	struct err e = ERR_INIT;
	int rc = chdir(p->back) | fs_rmtree(AT_FDCWD, p->dir, &e);

	free(p->back);
	free(p);
	return rc;
}

#define FILE_NAME "recipes/sites/s.yaml"
#define KEY       "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
#define TOP                                                                                        \
	"posmedia: 1\nshop: \"123\"\nenvironment: qa\nimage: {reference: \"oci:d:t\", policy: "    \
	"policy.yaml}\nhostname: h\n"
#define HEAD TOP "data: [{name: d, at: /d}]\n"

static struct site *load(const char *text)
{
	struct site *s = NULL;
	struct err e = ERR_INIT;

	put(FILE_NAME, text);
	if (site_load(FILE_NAME, &s, &e) != 0)
		fail_msg("%s\n%s", e.msg, text);
	return s;
}

static void refused(const char *want, const char *text)
{
	struct site *s = NULL;
	struct err e = ERR_INIT;

	put(FILE_NAME, text);
	if (site_load(FILE_NAME, &s, &e) == 0)
		fail_msg("accepted:\n%s", text);
	assert_null(s);
	if (strcmp(e.msg, want) != 0)
		fail_msg("\n got %s\nwant %s\n%s", e.msg, want, text);
	assert_int_equal(e.kind, ERR_RECIPE);
	if (e.hint[0] == '\0')
		fail_msg("no hint: %s", e.msg);
}

struct bad {
	const char *text; /* follows HEAD, so it begins on line 7 */
	const char *want; /* follows FILE_NAME":" */
};

static void refuse_all(const char *head, const struct bad *bad, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *text SCOPED(mem_freep) = mem_format("%s%s", head, bad[i].text);
		char *want SCOPED(mem_freep) = mem_format(FILE_NAME ":%s", bad[i].want);

		refused(want, text);
	}
}

#define VPN                                                                                        \
	"secrets: [{name: p, file: /p}]\n"                                                         \
	"vpn: {id: us, networks: [10.0.0.0/24], peers: [\n"
#define PEER(name, id, net)                                                                        \
	" {name: " name ", address: 192.0.2.1, id: " id ", networks: [" net "], secret: p}"

static void a_whole_site(void **state)
{
	struct site *s SCOPED(site_freep) = load(
	    HEAD "network: {interface: eth1, address: 192.0.2.9/24, gateway: 192.0.2.1,\n"
		 "  routes: [{to: 198.51.100.0/24}], dns: [192.0.2.1], mac: 02:00:00:00:00:01}\n"
		 "printers: [{name: p, uri: \"socket://192.0.2.31:9100\"}]\n"
		 "users: [{name: u, uid: 1500, groups: [g], keys: [\"" KEY " me\"]}]\n"
		 "licence: {at: /d/lic, command: [/bin/lic, x]}\n" VPN PEER(
		     "a", "them",
		     "10.1.0.0/24") "]}\n"
				    "backup: {from: \"s3://b/x\", secret: p}\n"
				    "health: [{name: h, tcp: 22}, {name: r, run: [/bin/true], "
				    "within: 5s}]\n"
				    "limits: {memory: 1G, cpus: 1.5, processes: 100, files: 200}\n"
				    "shared: true\n");

	(void)state;
	assert_string_equal(s->shop, "123");
	assert_int_equal(s->env, SITE_QA);
	assert_int_equal(s->network.address.addr, 0xc0000209);
	assert_int_equal(s->network.mode, SITE_MACVLAN);
	assert_int_equal(s->network.routes[0].to.bits, 24);
	assert_int_equal(s->users[0].uid, 1500);
	assert_string_equal(s->licence.from.command.v[1], "x");
	assert_int_equal(s->vpn.peers[0].ike, 2);
	assert_false(s->vpn.peers[0].wait);
	assert_string_equal(site_secret_find(s, "p")->from.file, "/p");
	assert_int_equal(s->health[0].within_ms, 120000);
	assert_int_equal(s->health[1].within_ms, 5000);
	assert_int_equal(s->limits.cpu_milli, 1500);
	assert_int_equal(s->limits.memory, 1 << 30);
	assert_true(s->shared);
	assert_true(site_shop_ok("0-a"));
	assert_false(site_shop_ok(""));
	assert_false(site_shop_ok("../x"));
}

/* What `resolved` says is a site again, and the same one. */
static void resolved_again(void **state)
{
	struct site *s SCOPED(site_freep) =
	    load(HEAD VPN PEER("a", "them", "10.1.0.0/24") "]}\nlimits: {cpus: 0.5}\n"
							   "users: [{name: u}]\nshared: true\n");
	struct site *again SCOPED(site_freep) = NULL;
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);

	(void)state;
	jval_write(s->resolved, &text);
	again = load(text.data);
	assert_true(digest_equal(&s->digest, &again->digest));
	assert_true(again->shared);
	assert_non_null(strstr(text.data, "\"policy\":\"policy.yaml\""));
}

static void extends_merge(void **state)
{
	struct site *s SCOPED(site_freep) = NULL;

	(void)state;
	put("recipes/sites/base.yaml",
	    "posmedia: 1\nimage: {policy: policy.yaml}\ndata: [{name: a, at: /a}]\n"
	    "limits: {memory: 1G, files: 100}\n");
	s = load(
	    "posmedia: 1\nextends: [base.yaml]\nshop: s\nenvironment: dev\nhostname: h\n"
	    "image: {reference: \"oci:d\"}\ndata: [{name: b, at: /b}]\nlimits: {memory: 2G}\n");
	assert_int_equal(s->data_n, 2);
	assert_string_equal(s->data[0].at, "/a");
	assert_int_equal(s->limits.memory, UINT64_C(2) << 30);
	assert_int_equal(s->limits.files, 100);
	assert_string_equal(s->image.reference, "oci:d");
	refused(FILE_NAME ":7:8: data: /a/b lies in /a, of line 3",
		"posmedia: 1\nextends: [base.yaml]\nshop: s\nenvironment: dev\nhostname: h\n"
		"image: {reference: \"oci:d\"}\ndata: [{name: b, at: /a/b}]\n");
}

static void shops(void **state)
{
	static const struct bad bad[] = {
	    {"shop: \"\"\n", "2:7: \"shop\" wants a value, not nothing"},
	    {"shop:\n", "2:6: \"shop\" wants a value, not nothing"},
	    {"shop: \"..\"\n", "2:7: \"shop\" wants the code of a shop, not \"..\""},
	    {"shop: \"1/2\"\n", "2:7: \"shop\" wants the code of a shop, not \"1/2\""},
	    {"shop: \"*\"\n", "2:7: \"shop\" wants the code of a shop, not \"*\""},
	    {"shop: \"-a\"\n", "2:7: \"shop\" wants the code of a shop, not \"-a\""},
	    {"hostname: h\n", "1:1: missing key \"shop\""},
	    {"shpo: a\n", "2:1: unknown key \"shpo\""},
	    {"shop: a\nenvironment: production\n",
	     "3:14: \"environment\" cannot be \"production\""},
	    {"shop: a\nenvironment: qa\nimage: {reference: \"dir:x\", policy: policy.yaml}\n",
	     "4:20: \"reference\" wants an image, not \"dir:x\""},
	    {"shop: a\nenvironment: qa\nimage: {reference: \"oci:x\", policy: p.yaml}\n",
	     "4:37: \"policy\": no file \"p.yaml\""},
	    {"shop: a\nenvironment: qa\nimage: {reference: \"oci:x\"}\n",
	     "4:8: missing key \"policy\""},
	};

	(void)state;
	refuse_all("posmedia: 1\n", bad, sizeof(bad) / sizeof(bad[0]));
}

static void values(void **state)
{
	static const struct bad bad[] = {
	    {"licence: AAAA\n", "7:10: \"licence\" wants a map, not text"},
	    {"licence: {at: /l, value: AAAA}\n",
	     "7:26: \"value\": a site file must not hold a secret"},
	    {"licence: {at: /proc/l, file: /f}\n",
	     "7:10: licence: /proc/l cannot be a file of the host"},
	    {"licence: {at: /etc, file: /f}\n", "7:10: licence: /etc cannot be a file of the host"},
	    {"licence: {at: /d, file: /f}\n",
	     "7:10: licence: /d is a directory of \"data\", of line 6"},
	    {"licence: {at: /l}\n", "7:10: the licence has no place that it comes from"},
	    {"licence: {at: /l, file: AAAA}\n", "7:25: \"file\" wants an absolute path"},
	    {"secrets: [{name: x, file: /a, credential: b}]\n",
	     "7:11: the secret has more than one place"},
	    {"secrets: [{name: x, password: hush}]\n",
	     "7:31: \"password\": a site file must not hold a secret"},
	    {"secrets: [{name: x, command: [cat, /x]}]\n",
	     "7:30: \"command\" wants a list that begins with an absolute path"},
	    {"secrets: [{name: x, file: /a}, {name: x, file: /b}]\n",
	     "7:39: secrets: duplicate name \"x\", first at " FILE_NAME ":7:18"},
	    {"backup: {from: /b, secret: x}\n", "7:9: there is no secret \"x\""},
	    {"backup: {from: \"http://x/\"}\n",
	     "7:16: \"from\" wants where backups are, not \"http://x/\""},
	    {"users: [{name: u, keys: [\"-----BEGIN OPENSSH PRIVATE KEY-----\"]}]\n",
	     "7:26: \"keys\" wants public keys of OpenSSH without options"},
	    {"users: [{name: u, keys: [\"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA\"]}]\n",
	     "7:26: \"keys\" wants public keys of OpenSSH without options"},
	    {"users: [{name: u, keys: [\"ecdsa-sha2-nistp384 "
	     "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTZ4eHh4\"]}]\n",
	     "7:26: \"keys\" wants public keys of OpenSSH without options"},
	    {"users: [{name: u, uid: 5}, {name: v, uid: 5}]\n", "7:28: users: u and v are both 5"},
	    {"printers: [{name: p, uri: \"socket://\"}]\n",
	     "7:27: \"uri\" wants where a printer is, not \"socket://\""},
	    {"printers: [{name: p, uri: \"ipp://300.1.1.1/\"}]\n",
	     "7:27: \"uri\" wants where a printer is, not \"ipp://300.1.1.1/\""},
	    {"health: [{name: h}]\n", "7:10: health: \"h\" wants run or tcp"},
	    {"health: [{name: h, tcp: 0}]\n", "7:25: \"tcp\" wants a port, not \"0\""},
	    {"limits: {cpus: 0}\n", "7:16: \"cpus\" wants a number of processors, not \"0\""},
	    {"limits: {cpus: 1.25}\n", "7:16: \"cpus\" wants a number of processors, not \"1.25\""},
	    {"limits: {processes: 1}\n", "7:21: \"processes\" wants a number, not \"1\""},
	};

	(void)state;
	refuse_all(HEAD, bad, sizeof(bad) / sizeof(bad[0]));
}

static void places(void **state)
{
	static const struct bad bad[] = {
	    {"data: []\n", "4:8: \"data\" is empty"},
	    {"data: [{name: x, at: /}]\n", "6:8: data: / cannot be a directory of the host"},
	    {"data: [{name: x, at: /run/x}]\n",
	     "6:8: data: /run/x cannot be a directory of the host"},
	    {"data: [{name: x, at: /d/../e}]\n",
	     "6:22: \"at\" wants an absolute path, not \"/d/../e\""},
	    {"data: [{name: .., at: /d}]\n", "6:15: \"name\" wants a name, not \"..\""},
	    {"data: [{name: x, at: /d}, {name: y, at: /d}]\n",
	     "6:41: data: duplicate at \"/d\", first at " FILE_NAME ":6:22"},
	};

	(void)state;
	refuse_all(TOP, bad, sizeof(bad) / sizeof(bad[0]));
}

#define NET "network: {interface: e, address: "
static void networks(void **state)
{
	static const struct bad bad[] = {
	    {NET "10.0.0.0/24}\n", "7:34: \"address\": 10.0.0.0/24 is the network itself"},
	    {NET "10.0.0.255/24}\n", "7:34: \"address\": 10.0.0.255/24 is the network itself"},
	    {NET "10.0.0.1}\n",
	     "7:34: \"address\" wants an address with its network, not \"10.0.0.1\""},
	    {NET "10.0.0.1/024}\n", "7:34: \"address\" wants an address with its network"},
	    {NET "10.0.0.1/24, gateway: 10.0.1.1}\n",
	     "7:10: network: gateway 10.0.1.1 is not in 10.0.0.1/24"},
	    {NET "10.0.0.1/24, gateway: 10.0.0.1}\n",
	     "7:10: network: gateway is the instance's own address"},
	    {NET "10.0.0.1/24, routes: [{to: 10.1.0.0/16}]}\n",
	     "7:56: network: the route to 10.1.0.0/16 leads nowhere"},
	    {NET "10.0.0.1/24, routes: [{to: 10.1.0.1/16, via: 10.0.0.2}]}\n",
	     "7:61: \"to\" wants a network, not \"10.1.0.1/16\""},
	    {NET "10.0.0.1/24, mode: move, mac: 02:00:00:00:00:01}\n",
	     "7:10: network: \"mac\" goes with macvlan, not move"},
	    {NET "10.0.0.1/24, mac: 01:00:00:00:00:01}\n",
	     "7:52: \"mac\" wants the address of a network card, not \"01:00:00:00:00:01\""},
	    {"network: {interface: aaaaaaaaaaaaaaaa, address: 10.0.0.1/24}\n",
	     "7:22: \"interface\" wants the name of an interface, not \"aaaaaaaaaaaaaaaa\""},
	};

	(void)state;
	refuse_all(HEAD, bad, sizeof(bad) / sizeof(bad[0]));
}

static void tunnels(void **state)
{
	static const struct bad bad[] = {
	    {VPN "]}\n", "8:6: vpn: no peers"},
	    {VPN PEER("a", "us", "10.1.0.0/24") "]}\n", "9:2: vpn: a has the identity of this end"},
	    {VPN PEER("a", "them", "10.0.0.0/16") "]}\n",
	     "9:2: vpn: 10.0.0.0/16 of a is also at this end"},
	    {VPN PEER("a", "x", "10.1.0.0/24") ",\n" PEER("b", "y", "10.1.0.128/25") "]}\n",
	     "10:2: vpn: 10.1.0.128/25 of b is also behind a, of line 9"},
	    {VPN PEER("a", "x", "10.1.0.0/24") ",\n" PEER("b", "x", "10.2.0.0/24") "]}\n",
	     "10:2: vpn: a and b have one identity"},
	    {VPN " {name: a, id: x, networks: [10.1.0.0/24], secret: q}]}\n",
	     "9:2: there is no secret \"q\""},
	    {VPN " {name: a, id: x, networks: [10.1.0.0/24], secret: p, ike: 1}]}\n",
	     "9:2: vpn: a is found by its address in IKEv1"},
	    {VPN " {name: a.b, id: x, networks: [10.1.0.0/24], secret: p}]}\n",
	     "9:9: \"name\" wants a name, not \"a.b\""},
	    {VPN " {name: a, id: \"x {\", networks: [10.1.0.0/24], secret: p}]}\n",
	     "9:16: \"id\" wants an identity, not \"x {\""},
	    {VPN " {name: a, id: x, networks: [], secret: p}]}\n",
	     "9:29: \"networks\" wants 1 to 50 networks"},
	};

	(void)state;
	refuse_all(HEAD, bad, sizeof(bad) / sizeof(bad[0]));
}

static void limits_hold(void **state)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);

	(void)state;
	buf_addf(&text, "%sprinters:\n", HEAD);
	for (int i = 0; i <= SITE_PRINTERS_MAX; i++)
		buf_addf(&text, "  - {name: p%d, uri: \"socket://192.0.2.1:%d\"}\n", i, i + 1);
	refused(FILE_NAME ":8:3: \"printers\" has more than 200 items", text.data);
	buf_cut(&text, 0);
	buf_addf(&text, "%susers:\n - name: u\n   keys:\n", HEAD);
	for (int i = 0; i <= SITE_KEYS_MAX; i++)
		buf_addf(&text, "    - \"" KEY "\"\n");
	refused(FILE_NAME ":10:5: \"keys\" has more than 50 items", text.data);
}

static void findings_are_told(void **state)
{
	struct strv found SCOPED(strv_release) = {0};
	struct site *s SCOPED(site_freep) =
	    load("posmedia: 1\nshop: a\nenvironment: prod\nhostname: h\n"
		 "image: {reference: \"oci:d\", policy: policy.yaml}\n"
		 "data: [{name: d, at: /d}]\n" VPN PEER(
		     "a", "x", "10.1.0.0/24") ",\n"
					      " {name: b, address: 192.0.2.2, id: y, networks: "
					      "[10.2.0.0/24], secret: p, "
					      "ike: 1}]}\n");

	(void)state;
	site_findings(s, &found);
	assert_int_equal(found.n, 5);
	assert_non_null(strstr(found.v[0], FILE_NAME ":10:2: IKEv1"));
	assert_non_null(strstr(found.v[1], FILE_NAME ":10:2: two stores share a secret"));
	assert_non_null(strstr(found.v[2], FILE_NAME ":5:8: production without a source"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_whole_site),  cmocka_unit_test(resolved_again),
	    cmocka_unit_test(extends_merge), cmocka_unit_test(shops),
	    cmocka_unit_test(values),        cmocka_unit_test(places),
	    cmocka_unit_test(networks),      cmocka_unit_test(tunnels),
	    cmocka_unit_test(limits_hold),   cmocka_unit_test(findings_are_told),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}

/* site: the connections, secrets and sheets of tunnels. */
#include "site/secret.h"
#include "site/vpn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char net_text[] = "10.1.0.0/24", here_text[] = "10.0.0.0/24";
static struct site_net there = {net_text, 0x0a010000, 24}, here = {here_text, 0x0a000000, 24};
static char name[] = "a", id[] = "them", us[] = "us", address[] = "192.0.2.1", secret[] = "p",
	    shop[] = "1-qa";

static struct site_peer peer(unsigned ike)
{
	return (struct site_peer){.name = name,
				  .address = address,
				  .id = id,
				  .networks = &there,
				  .networks_n = 1,
				  .secret = secret,
				  .ike = ike};
}

static struct site site_of(struct site_peer *p)
{
	return (struct site){
	    .shop = shop,
	    .env = SITE_DEV,
	    .vpn = {.id = us, .networks = &here, .networks_n = 1, .peers = p, .peers_n = 1}};
}

static void connections(void **state)
{
	struct site_peer p = peer(2);
	struct site s = site_of(&p);
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	char *called SCOPED(mem_freep) = vpn_name(&s, &p);

	(void)state;
	assert_string_equal(called, "1-qa-dev_a");
	vpn_config(&s, "x.secrets", &b);
	assert_non_null(strstr(b.data, "\t1-qa-dev_a {\n\t\tversion = 2\n"));
	assert_non_null(strstr(b.data, "\t\tremote_addrs = 192.0.2.1\n"));
	assert_non_null(strstr(b.data, "local_ts = 10.0.0.0/24\n"));
	assert_non_null(strstr(b.data, "start_action = start\n"));
	assert_null(strstr(b.data, "local_addrs"));
	assert_non_null(strstr(b.data, "}\ninclude x.secrets\n"));
	p.ike = 1;
	p.wait = true;
	p.address = NULL;
	buf_cut(&b, 0);
	vpn_config(&s, "x.secrets", &b);
	assert_non_null(strstr(b.data, "version = 1\n"));
	assert_non_null(strstr(b.data, "remote_addrs = %any\n"));
	assert_non_null(strstr(b.data, "start_action = none\n"));
	assert_non_null(strstr(b.data, "aggressive = no\n"));
}

static int put_secret(const char *psk, size_t n, struct buf *ret, struct err *e)
{
	struct site_peer p = peer(2);
	struct site s = site_of(&p);
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);

	buf_add(&b, psk, n);
	return vpn_secret(&s, &p, &b, ret, e);
}

static void secrets(void **state)
{
	static const char good[] = "a \"#{}' 20 bytes long\r\nmore";
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);
	struct err e = ERR_INIT;
	char big[300];

	(void)state;
	assert_int_equal(put_secret(good, strlen(good), &b, &e), 0);
	assert_non_null(strstr(b.data, "\t\tid-local = us\n\t\tid-remote = them\n"
				       "\t\tsecret = 0sYSAiI3t9JyAyMCBieXRlcyBsb25n\n"));
	memset(big, 'x', sizeof(big));
	assert_int_equal(put_secret(big, 256, &b, &e), 0);
	assert_int_equal(put_secret(big, 257, &b, &e), -1);
	assert_int_equal(put_secret(big, 19, &b, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_int_equal(put_secret("", 0, &b, &e), -1);
	assert_int_equal(put_secret("\r\n", 2, &b, &e), -1);
	assert_int_equal(put_secret("twenty bytes and a \0 in", 23, &b, &e), -1);
	assert_int_equal(put_secret("twenty bytes and \xc3\xa4 in", 22, &b, &e), -1);
}

/* No byte of a secret stays where the buffer was, and it never moved. */
static void one_copy(void **state)
{
	char path[] = "/tmp/posmedia-secret-XXXXXX";
	int fd = mkstemp(path);
	struct site_source from = {.file = path};
	struct buf b = BUF_INIT(SITE_SECRET_MAX);
	struct err e = ERR_INIT;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "hush", 4), 4);
	assert_int_equal(site_secret_read(&from, &b, &e), 0);
	assert_string_equal(b.data, "hush");
	assert_true(b.cap > SITE_SECRET_MAX);
	site_secret_release(&b);
	assert_int_equal(fchmod(fd, 0604), 0);
	assert_int_equal(site_secret_read(&from, &b, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_int_equal(ftruncate(fd, SITE_SECRET_MAX + 1), 0);
	assert_int_equal(site_secret_read(&from, &b, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	(void)close(fd);
	(void)unlink(path);
}

static void sheets(void **state)
{
	static char odd[] = "<b>|&\"_`*";
	struct site_peer p = peer(2);
	struct site s = site_of(&p);
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	p.id = odd; /* no site has it; a sheet must not depend on that */
	vpn_sheet(&s, &p, VPN_HTML, &b);
	assert_non_null(strstr(b.data, "<td>&lt;b&gt;&#124;&amp;&quot;&#95;&#96;&#42;</td>"));
	buf_cut(&b, 0);
	vpn_sheet(&s, &p, VPN_MARKDOWN, &b);
	assert_non_null(strstr(b.data, "| &lt;b&gt;&#124;&amp;&quot;&#95;&#96;&#42; |"));
	buf_cut(&b, 0);
	vpn_sheet(&s, &p, VPN_TEXT, &b);
	assert_non_null(strstr(b.data, "Who calls                        the POS"));
	assert_non_null(strstr(b.data, "14400 s"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(connections),
	    cmocka_unit_test(secrets),
	    cmocka_unit_test(one_copy),
	    cmocka_unit_test(sheets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

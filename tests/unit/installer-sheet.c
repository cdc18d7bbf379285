/* installer: what a sheet may say, what a list is, who the machine becomes by it, and which disks
 * of a pair are used. */
#include "harden-lib.h"

#include "installer/blocklist.h"
#include "installer/md.h"
#include "installer/program.h"

#define GOOD                                                                                       \
	"\xef\xbb\xbf# till 1\r\nshop=12345600\r\n\r\n hostname = till1.example \r\n"              \
	"interface=eth0\naddress=192.0.2.10/24\ngateway=192.0.2.1\ndns=192.0.2.53\n"               \
	"dns=192.0.2.54\ndisk=WD-1 2=3\ndisk=B\nerase=12345600"
#define LEAST "shop=1\nhostname=a\ndisk=A\n"
#define ID    "00112233445566778899aabbccddeeff"

static void takes_what_is_right(void **state)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(SHEET_MAX);
	struct sheet s, again;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(sheet_parse(GOOD, strlen(GOOD), SHEET_WANTED, &s, &e), 0);
	assert_string_equal(s.shop, "12345600");
	assert_string_equal(s.hostname, "till1.example");
	assert_string_equal(s.address, "192.0.2.10/24");
	assert_int_equal(s.dns_n, 2);
	assert_string_equal(s.dns[1], "192.0.2.54");
	assert_int_equal(s.disks_n, 2);
	assert_string_equal(s.disks[0], "WD-1 2=3");
	sheet_write(&s, SHEET_WANTED, &text);
	assert_int_equal(sheet_parse(text.data, text.len, SHEET_WANTED, &again, &e), 0);
	assert_memory_equal(&s, &again, sizeof(s));
	assert_int_equal(sheet_parse(LEAST, strlen(LEAST), SHEET_WANTED, &s, &e), 0);
}

static const struct {
	const char *text, *says;
} bad[] = {
    {"", "shop= is missing"},
    {"shop=1\ndisk=A\n", "hostname= is missing"},
    {"shop=1\nhostname=a\n", "disk= is missing"},
    {LEAST "shop=2\n", ":4:1: one more of this key"},
    {LEAST "disk=B\ndisk=C\n", ":5:1: one more of this key"},
    {LEAST "disk=A\n", "it names one disk twice"},
    {LEAST "Shop=2\n", ":4:1: no such key"},
    {LEAST "run=" ID "\n", ":4:1: no such key"},
    {LEAST "yes\n", ":4:1: no KEY=VALUE"},
    {LEAST "erase=2\n", "erase= names another shop"},
    {LEAST "erase=\n", ":4:7: its value"},
    {LEAST "erase=yes please\n", ":4:7: its value"},
    {LEAST "gateway=192.0.2.1\n", "gateway= and dns= are for address="},
    {LEAST "dns=192.0.2.1\n", "gateway= and dns= are for address="},
    {LEAST "address=192.0.2.7/24\ngateway=192.0.3.1\n", "is not in the network"},
    {LEAST "address=192.0.2.7\n", ":4:9: its value"},
    {LEAST "address=192.0.2.7/31\n", ":4:9: its value"},
    {LEAST "address=192.0.2.7/024\n", ":4:9: its value"},
    {LEAST "address=192.0.2.256/24\n", ":4:9: its value"},
    {LEAST "address=192.0.2.10.100.1/24\n", ":4:9: its value"},
    {LEAST "interface=../eth0\n", ":4:11: its value"},
    {LEAST "interface=..\n", ":4:11: its value"},
    {LEAST "interface=abcdefghijklmnop\n", ":4:11: its value"},
    {"shop=-1\n", ":1:6: its value"},
    {"shop=a;b\n", ":1:6: its value"},
    {"shop=123456789012345678901234567890123\n", ":1:6: its value"},
    {"hostname=a..b\n", ":1:10: its value"},
    {"hostname=-a\n", ":1:10: its value"},
    {"hostname=a.-b\n", ":1:10: its value"},
    {"hostname=a/b\n", ":1:10: its value"},
    {"hostname=a b\n", ":1:10: its value"},
    {"disk=\n", ":1:6: its value"},
    {"disk=\x1b[2J\n", ":1:6: a character that may not be there"},
    {"disk=\xc3\xa4\n", ":1:6: a character that may not be there"},
};

static void refuses_what_is_wrong(void **state)
{
	char *long_one SCOPED(mem_freep) = mem_zalloc(SHEET_MAX + 2);
	struct err e = ERR_INIT;
	struct sheet s;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int rc = sheet_parse(bad[i].text, strlen(bad[i].text), SHEET_WANTED, &s, &e);

		if (rc == 0 || e.kind != ERR_RECIPE || strstr(e.msg, bad[i].says) == NULL)
			fail_msg("row %zu: %s", i, e.msg);
	}
	assert_int_equal(sheet_parse(LEAST, strlen(LEAST) + 1, SHEET_WANTED, &s, &e), -1);
	assert_non_null(strstr(e.msg, "is no text"));
	memset(long_one, '\n', SHEET_MAX + 1);
	assert_int_equal(sheet_parse(long_one, SHEET_MAX + 1, SHEET_WANTED, &s, &e), -1);
	assert_non_null(strstr(e.msg, "longer than"));
	assert_int_equal(sheet_parse(LEAST, strlen(LEAST), SHEET_INSTALLED, &s, &e), -1);
	assert_non_null(strstr(e.msg, "it is not whole"));
}

static void says_how_two_differ(void **state)
{
	static const char has[] = "shop=1\nhostname=a\ndisk=A\ndisk=B\naddress=192.0.2.1/24\n",
			  told[] = "shop=1\nhostname=b\ndisk=A\ndisk=B\nerase=1\n";
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 12);
	struct sheet one, other;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(sheet_parse(has, strlen(has), SHEET_WANTED, &one, &e), 0);
	assert_int_equal(sheet_parse(told, strlen(told), SHEET_WANTED, &other, &e), 0);
	sheet_differs(&one, &one, &b);
	assert_int_equal(b.len, 0);
	sheet_differs(&one, &other, &b);
	assert_string_equal(b.data, "hostname=a, here b; address=192.0.2.1/24, here nothing");
}

static void refuses_damaged_lists(void **state)
{
	static const char hex[] = ID ID;
	static const char *const rows[] = {
	    "",
	    "posmedia-contents 1\nsite 1\nblocks 2\n" ID ID "\nzeros 1",
	    "posmedia-contents 2\nsite 1\nblocks 2\n" ID ID "\nzeros 1\n",
	    "posmedia-contents 1\nsite 0\nblocks 2\n" ID ID "\nzeros 1\n",
	    "posmedia-contents 1\nsite 2\nblocks 2\n" ID ID "\nzeros 1\n",
	    "posmedia-contents 1\nsite 1\nblocks 2\n" ID ID "\nzeros 2\n",
	    "posmedia-contents 1\nsite 1\nblocks 2\n" ID ID "\nzeros 0\nzeros 1\n",
	    "posmedia-contents 1\nsite 1\nblocks 2\n" ID ID "\n" ID ID "\n",
	    "posmedia-contents 1\nsite 1\nblocks 2\nzeros 2\n",
	    "posmedia-contents 1\nsite 1\nblocks 2\n" ID "\nzeros 1\n",
	    "posmedia-contents 1\nsite 1\nblocks 2\n" ID ID "\nzeros 1\nzeros 1\n",
	    "posmedia-contents 1\nsite 1\nblocks 99999999999\n" ID ID "\nzeros 1\n",
	};
	static const char good[] = "posmedia-contents 1\nsite 1\nblocks 2\n" ID ID "\nzeros 1\n";
	struct buf text SCOPED(buf_release) = BUF_INIT(1000);
	struct blocklist b SCOPED(blocklist_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (blocklist_parse(rows[i], strlen(rows[i]), &b, &e) == 0)
			fail_msg("row %zu", i);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_int_equal(blocklist_parse(good, strlen(good), &b, &e), 0);
	assert_true(b.zero[1] && !b.zero[0]);
	assert_int_equal(b.block[0].b[1], 0x11);
	blocklist_write(&b, &text);
	assert_string_equal(text.data, good);
	assert_int_equal(strlen(hex), 64);
}

static void assert_file(const struct rootfs *t, const char *name, const char *text)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(10000);
	struct err e = ERR_INIT;

	assert_int_equal(fs_get(t->fd, name, &b, &e), 0);
	assert_string_equal(b.data, text);
}

static void the_machine_is_who_the_sheet_says(void **state)
{
	static const char more[] = "machine-id=" ID "\nrun=" ID "\ncontents=" ID ID "\n";
	char *text SCOPED(mem_freep) = mem_format("%s\n%s", GOOD, more);
	struct rootfs t = rootfs_make();
	struct sheet s;
	struct err e = ERR_INIT;

	(void)state;
	put(&t, "etc/hosts", "127.0.0.1 localhost\n", 0644);
	put(&t, "etc/kept", "x", 0644);
	assert_int_equal(symlinkat("kept", t.fd, "etc/resolv.conf"), 0);
	assert_int_equal(sheet_parse(text, strlen(text), SHEET_INSTALLED, &s, &e), 0);
	if (identity_put(t.fd, &s, &e) != 0)
		fail_msg("%s", e.msg);
	assert_file(&t, "etc/hostname", "till1.example\n");
	assert_file(&t, "etc/machine-id", ID "\n");
	assert_file(&t, "etc/hosts", "127.0.0.1 localhost\n127.0.1.1 till1.example till1\n");
	assert_file(&t, "etc/resolv.conf", "nameserver 192.0.2.53\nnameserver 192.0.2.54\n");
	assert_file(&t, "etc/kept", "x");
	assert_file(&t, "etc/systemd/network/05-site.network",
		    "[Match]\nName=eth0\n\n[Network]\nAddress=192.0.2.10/24\nGateway=192.0.2.1\n"
		    "DNS=192.0.2.53\nDNS=192.0.2.54\n");
	rootfs_drop(&t);
}

/* Of two members the events, and whom they hold for good: bit 0 place 0, bit 1 place 1. */
static const struct {
	uint64_t events[2];
	unsigned active[2];
	enum md_use use[2];
} pairs[] = {
    {{5, 5}, {3, 3}, {MD_USE, MD_USE}},
    /* the first was away while the second was used */
    {{5, 9}, {3, 2}, {MD_BEHIND, MD_USE}},
    {{9, 5}, {1, 3}, {MD_USE, MD_BEHIND}},
    /* away, and back for a moment by its own */
    {{9, 5}, {1, 2}, {MD_USE, MD_STRANGE}},
    {{7, 7}, {1, 2}, {MD_USE, MD_STRANGE}},
    {{7, 7}, {1, 3}, {MD_USE, MD_BEHIND}},
    /* one power cut between two writes */
    {{6, 5}, {3, 3}, {MD_USE, MD_BEHIND}},
};

/* A copy of a disk beside it, and one that has no place yet. */
static void judges_others(void **state)
{
	const struct md_member place = {.events = 5, .active = {true, true}};
	struct md_member m[2] = {place, place};
	enum md_use use[2];

	(void)state;
	md_judge(m, 2, use);
	assert_true(use[0] == MD_USE && use[1] == MD_STRANGE);
	m[0].number = MD_DISKS;
	m[0].events = 9;
	md_judge(m, 2, use);
	assert_true(use[0] == MD_BEHIND && use[1] == MD_USE);
	m[1].number = MD_DISKS;
	md_judge(m, 2, use);
	assert_true(use[0] == MD_USE && use[1] == MD_BEHIND);
}

static void judges_a_pair(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct md_member m[2] = {{.number = 0}, {.number = 1}};
		enum md_use use[2];

		for (size_t k = 0; k < 2; k++) {
			m[k].events = pairs[i].events[k];
			m[k].active[0] = (pairs[i].active[k] & 1) != 0;
			m[k].active[1] = (pairs[i].active[k] & 2) != 0;
		}
		md_judge(m, 2, use);
		if (use[0] != pairs[i].use[0] || use[1] != pairs[i].use[1])
			fail_msg("row %zu: %d %d", i, (int)use[0], (int)use[1]);
		md_judge(m, 1, use);
		assert_int_equal(use[0], MD_USE);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(takes_what_is_right),
	    cmocka_unit_test(refuses_what_is_wrong),
	    cmocka_unit_test(says_how_two_differ),
	    cmocka_unit_test(refuses_damaged_lists),
	    cmocka_unit_test(the_machine_is_who_the_sheet_says),
	    cmocka_unit_test(judges_a_pair),
	    cmocka_unit_test(judges_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* scan/content and scan/found: what is packed, what is too much, what is damaged; names; counts. */
#include "scan/content.h"

#include "scan/sqlite.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

struct bytes {
	const char *p;
	size_t n;
};

static int give(void *ctx, void *p, size_t room, size_t *ret_n, struct err *e)
{
	struct bytes *b = ctx;
	size_t n = b->n < room ? b->n : room;

	(void)e;
	if (n > 0)
		memcpy(p, b->p, n);
	b->p += n;
	b->n -= n;
	*ret_n = n;
	return 0;
}

/* A Visa number with that many hundreds in it. */
static const char *card(unsigned i)
{
	static char d[CARD_MAX + 1];

	(void)snprintf(d, sizeof(d), "45397%05u82%03u0", i * 37 % 100000, i % 1000);
	while (!issuer_luhn(d, 16))
		d[15] = (char)('0' + (d[15] - '0' + 1) % 10);
	return d;
}

static struct found look(const char *path, const void *p, size_t n)
{
	struct content *c = mem_zalloc(sizeof(*c));
	struct bytes b = {p, n};
	const struct input in = {give, &b};
	struct found f = {0};
	struct err e = ERR_INIT;

	assert_int_equal(content_scan(c, path, n, &in, &f, &e), 0);
	content_release(c);
	free(c);
	return f;
}

static void pack(const void *p, size_t n, struct buf *ret)
{
	z_stream z = {.next_in = (void *)(uintptr_t)p, .avail_in = (uInt)n};
	char out[65536];
	int rc;

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	do {
		z.next_out = (Bytef *)out;
		z.avail_out = sizeof(out);
		rc = deflate(&z, Z_FINISH);
		buf_add(ret, out, sizeof(out) - z.avail_out);
	} while (rc == Z_OK);
	assert_int_equal(rc, Z_STREAM_END);
	(void)deflateEnd(&z);
}

/* Packed so many times, one number is found as long as that is allowed. */
static void packed_again_and_again(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

	(void)state;
	buf_addf(&b, "number %s", card(1));
	for (unsigned i = 1; i <= CONTENT_DEPTH + 1; i++) {
		struct buf packed = BUF_INIT(1 << 20);
		struct found f;

		pack(b.data, b.len, &packed);
		buf_release(&b);
		b = packed;
		f = look("a.gz", b.data, b.len);
		assert_int_equal(f.count[SCAN_PAN], i <= CONTENT_DEPTH ? 1 : 0);
		if (i <= CONTENT_DEPTH)
			assert_null(f.incomplete);
		else
			assert_non_null(strstr(f.incomplete, "more than 6 times"));
		found_release(&f);
	}
}

/* A gigabyte of zeros in a megabyte: it is left at the limit, which is said. */
static void bombs_end(void **state)
{
	struct buf one SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct buf b SCOPED(buf_release) = BUF_INIT(8 << 20);
	char *zeros SCOPED(mem_freep) = mem_zalloc(64 << 20);
	struct found f;

	(void)state;
	/* members one after the other are one file (RFC 1952) */
	pack(zeros, 64 << 20, &one);
	for (int i = 0; i < 11; i++)
		buf_add(&b, one.data, one.len);
	f = look("a.gz", b.data, b.len);
	assert_non_null(f.incomplete);
	assert_non_null(strstr(f.incomplete, "more than it may"));
	found_release(&f);
}

static void damage_is_noted_and_the_rest_found(void **state)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(4 << 20),
			b SCOPED(buf_release) = BUF_INIT(4 << 20);
	struct found f;

	(void)state;
	for (unsigned i = 0; i < 20000; i++)
		buf_addf(&text, "number %s,\n", card(i));
	pack(text.data, text.len, &b);
	f = look("a.gz", b.data, b.len / 2);
	assert_non_null(strstr(f.incomplete, "damaged"));
	assert_true(f.count[SCAN_PAN] > 2000);
	assert_int_equal(f.n, FOUND_PLACES);
	found_release(&f);
	f = look("a.txt", text.data, text.len);
	assert_int_equal(f.count[SCAN_PAN], 20000);
	assert_null(f.incomplete);
	found_release(&f);
}

/* What only begins as something packed is looked at as it is; that it is damaged is said. */
static void what_is_no_archive_is_plain(void **state)
{
	static const struct bytes magic[] = {
	    {"PK\003\004", 4}, {"070701", 6}, {"\x1f\x8b\x08", 3}, {"\x28\xb5\x2f\xfd", 4}};

	(void)state;
	for (size_t i = 0; i < sizeof(magic) / sizeof(magic[0]); i++) {
		struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
		struct found f;

		buf_add(&b, magic[i].p, magic[i].n);
		buf_addf(&b, " card %s\n", card(1));
		for (int k = 0; k < 40000; k++)
			buf_addf(&b, "%s", "tulip, ");
		buf_addf(&b, "card %s\n", card(2));
		f = look("a", b.data, b.len);
		if (f.count[SCAN_PAN] != 2)
			fail_msg("%zu: %zu", i, (size_t)f.count[SCAN_PAN]);
		found_release(&f);
	}
}

/* A secret far behind in a text, also where two windows meet; one of each kind is named. */
static void secrets_stand_anywhere(void **state)
{
	static const char key[] =
	    "-----BEGIN PRIVATE KEY-----\n"
	    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n";

	(void)state;
	for (size_t at = 60 << 10; at < 400 << 10; at += 4093) {
		struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
		struct found f;

		while (b.len < at)
			buf_addf(&b, "%s", "tulips\n");
		buf_addf(&b, "%s%s", key, key);
		f = look("srv/a", b.data, b.len);
		if (f.count[SCAN_PRIVATE_KEY] != 1 ||
		    memcmp(b.data + f.v[0].m.at, "-----BEGIN", 10) != 0)
			fail_msg("%zu: %zu", at, (size_t)f.count[SCAN_PRIVATE_KEY]);
		found_release(&f);
	}
}

static void names_are_masked(void **state)
{
	struct found f = {0};
	char *name SCOPED(mem_freep) = mem_format("old/card %s.txt", card(2));
	char *masked SCOPED(mem_freep) = found_name(name, &f);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);

	(void)state;
	assert_int_equal(strlen(masked), strlen(name));
	assert_null(strstr(masked, card(2)));
	assert_non_null(strstr(masked, "******"));
	assert_int_equal(f.count[SCAN_PAN], 1);
	found_note(&f, name, "is damaged");
	v = found_json(&f, &(struct found_of){.path = name, .places = 9});
	jval_write(v, &b);
	assert_null(strstr(b.data, card(2)));
	assert_non_null(strstr(b.data, "its name"));
	found_release(&f);
}

/* Where no number would be sought in a text, none is shown in a name. */
static void odd_names_are_masked(void **state)
{
	static const char *const names[] = {
	    "a/4539578763621486",
	    "4539578763621486.1",
	    "d/4539-5787-6362-1486",
	    "x4539578763621486y",
	    "1.4539 5787 6362 1486-20260101",
	    "4539.5787.6362.1486",
	    "v2-4539578763621486-3",
	    "0004539578763621486",
	};
	struct buf many SCOPED(buf_release) = BUF_INIT(4096);
	char *masked;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		masked = found_name(names[i], NULL);
		if (strlen(masked) != strlen(names[i]) || strstr(masked, "**") == NULL ||
		    strstr(masked, "578763") != NULL || strstr(masked, "6362") != NULL)
			fail_msg("%s: %s", names[i], masked);
		free(masked);
	}
	for (int i = 0; i < 500; i++)
		buf_addf(&many, "%s", "0");
	for (size_t at = 200; at < 300; at++) {
		memset(many.data, '0', many.len);
		memcpy(many.data + at, "4539578763621486", 16);
		masked = found_name(many.data, NULL);
		assert_null(strstr(masked, "4539578763621486"));
		free(masked);
	}
	masked = found_name("lib/x-1.2.3-20260101.so.0", NULL);
	assert_string_equal(masked, "lib/x-1.2.3-20260101.so.0");
	free(masked);
}

static void count(void *ctx, const struct match *m)
{
	(void)m;
	(*(size_t *)ctx)++;
}

/* One cell that all pointers of a page name, of numbers of cards: it is looked at only so often. */
static void pages_do_not_trap(void **state)
{
	const size_t size = 65536, cell = 60000;
	uint8_t *page SCOPED(mem_freep) = mem_zalloc(size);
	size_t n = 0;
	struct matcher m = {.fn = count, .ctx = &n};
	unsigned long long number = strtoull(card(3), NULL, 10);

	(void)state;
	page[0] = 13;
	page[3] = page[4] = 0xff;
	for (size_t i = 8; i < cell; i += 2) {
		page[i] = (uint8_t)(cell >> 8);
		page[i + 1] = (uint8_t)cell;
	}
	page[cell] = page[cell + 1] = 1;
	page[cell + 2] = 0x82; /* a head of 256 bytes: 254 integers of eight bytes */
	memset(page + cell + 4, 6, 254);
	for (size_t i = 0; i < 254 * 8; i++)
		page[cell + 2 + 256 + i] = (uint8_t)(number >> (56 - i % 8 * 8));
	sqlite_page(&m, page, size, 4096);
	match_end(&m);
	assert_in_range(n, 254, size);
	/* pointers, numbers and heads beyond the page */
	memset(page, 0xff, size);
	page[0] = 13;
	sqlite_page(&m, page, 512, 0);
	sqlite_page(&m, page, size, 4096);
	match_end(&m);
}

static void has_hash(const char *path, const char *text, const char *words)
{
	struct found f = look(path, text, strlen(text));

	if (words == NULL) {
		assert_int_equal(f.n, 0);
	} else {
		assert_int_equal(f.count[SCAN_HASH], 1);
		assert_non_null(strstr(f.v[0].m.what, words));
	}
	found_release(&f);
}

static void hashes_have_a_strength(void **state)
{
	(void)state;
	has_hash("etc/shadow", "root:!*:1::::::\ntill:abJnggxhB/yWI:1::::::\n", "DES: broken");
	has_hash("etc/shadow", "till:$1$abcdefgh$0123456789012345678901:1::::::\n", "MD5: weak");
	has_hash("etc/shadow", "till:!$6$abcdefgh$01234567890123456789012345:1::::::\n",
		 "SHA-512: fair");
	has_hash("etc/shadow", "till:$y$j9T$abcdefgh$01234567890123456789:1::::::\n",
		 "yescrypt: strong");
	has_hash("etc/shadow", "root:*:1::::::\ndaemon:!:1::::::\n", NULL);
}

static void one_of(const char *path, const char *text, enum scan_class cls)
{
	struct found f = look(path, text, strlen(text));

	if (f.count[cls] != 1)
		fail_msg("%s: %zu", path, f.n);
	found_release(&f);
}

static void secrets_by_name_and_mark(void **state)
{
	char *token SCOPED(mem_freep) =
	    mem_format("t = 'gh%s%s'\n", "p_", "0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX");
	char *key SCOPED(mem_freep) = mem_format("id: AK%s\n", "IAQ2W3E4R5T6Y7U2I3");

	(void)state;
	one_of("home/till/.rhosts", "+ +\n", SCAN_TRUST);
	one_of("root/.ssh/authorized_keys", "ssh-ed25519 AAAA x\n", SCAN_TRUST);
	one_of("etc/ipsec.secrets", "# none\n: PSK \"0123456789\"\n", SCAN_CREDENTIAL);
	one_of("etc/wpa_supplicant.conf", "network={\n\tpsk=\"tulips and roses\"\n}\n",
	       SCAN_CREDENTIAL);
	one_of("srv/a.py", token, SCAN_CREDENTIAL);
	one_of("srv/a.yaml", key, SCAN_CREDENTIAL);
	has_hash("etc/ipsec.secrets", "# none\ninclude /etc/x\n", NULL);
	has_hash("srv/a.conf", "psk=$PSK\n psk=short\n", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(packed_again_and_again),
	    cmocka_unit_test(bombs_end),
	    cmocka_unit_test(damage_is_noted_and_the_rest_found),
	    cmocka_unit_test(what_is_no_archive_is_plain),
	    cmocka_unit_test(secrets_stand_anywhere),
	    cmocka_unit_test(names_are_masked),
	    cmocka_unit_test(odd_names_are_masked),
	    cmocka_unit_test(pages_do_not_trap),
	    cmocka_unit_test(hashes_have_a_strength),
	    cmocka_unit_test(secrets_by_name_and_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "sign-fixture.h"

static const char payload[] = "{\"critical\":{},\"optional\":{}}";
enum { PAYLOAD = sizeof(payload) - 1, ONE_PASS = 15, LITERAL_AT = ONE_PASS };
static struct sign_key *key, *other;

static int set_up(void **state)
{
	if (enter_scratch(state) != 0)
		return -1;
	key = make_key("key");
	other = make_key("other");
	return 0;
}

static int tear_down(void **state)
{
	sign_key_free(key);
	sign_key_free(other);
	return leave_scratch(state);
}

static void sign_to(const char *p, size_t n, struct buf *msg)
{
	msg->len = 0;
	assert_done(sign_openpgp(key, p, n, NOW + 60, msg, &e));
}

static int open_msg(const void *msg, size_t n)
{
	struct buf got SCOPED(buf_release) = BUF_INIT(1 << 20);
	int rc = sign_openpgp_open(sign_key_public(key), msg, n, &got, &e);

	if (rc != 0)
		assert_int_equal(got.len, 0);
	return rc;
}

static void test_there_and_back(void **state)
{
	struct buf msg SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct buf got SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	sign_to(payload, PAYLOAD, &msg);
	assert_done(sign_openpgp_open(sign_key_public(key), msg.data, msg.len, &got, &e));
	assert_string_equal(got.data, payload);
	assert_refused(sign_openpgp_open(sign_key_public(other), msg.data, msg.len, &got, &e),
		       ERR_VERIFY, "does not fit");
}

/* The layout of the three packets, byte by byte. */
static void test_exact_bytes(void **state)
{
	static const uint8_t one_pass[] = {0xc4, 13, 3, 0, 8, 19};
	static const uint8_t literal[] = {0xcb, 6 + PAYLOAD, 'b', 0, 0, 0, 0, 0};
	static const uint8_t sig_head[] = {4, 0, 19, 8, 0, 29, 22, 33, 4};
	struct buf msg SCOPED(buf_release) = BUF_INIT(1 << 16);
	char *fpr SCOPED(mem_freep) = sign_openpgp_fingerprint(sign_key_public(key), NOW);
	const char *sig;

	(void)state;
	sign_to(payload, PAYLOAD, &msg);
	assert_int_equal(strlen(fpr), 40);
	assert_memory_equal(msg.data, one_pass, sizeof(one_pass));
	assert_int_equal(msg.data[14], 1);
	assert_memory_equal(msg.data + LITERAL_AT, literal, sizeof(literal));
	assert_memory_equal(msg.data + LITERAL_AT + sizeof(literal), payload, PAYLOAD);
	sig = msg.data + LITERAL_AT + sizeof(literal) + PAYLOAD;
	assert_int_equal((uint8_t)sig[0], 0xc2);
	assert_int_equal((uint8_t)sig[1], (uint8_t)(msg.data + msg.len - sig - 2));
	assert_memory_equal(sig + 2, sig_head, sizeof(sig_head));
	for (size_t i = 0; i < 20; i++) {
		char *hex SCOPED(mem_freep) = mem_format("%02X", (uint8_t)sig[11 + i]);

		assert_memory_equal(hex, fpr + 2 * i, 2);
	}
	assert_memory_equal(msg.data + 6, sig + 11 + 12, 8); /* key id of the one-pass packet */
	assert_memory_equal(sig + 2 + 39, sig + 11 + 12, 8); /* and of the unhashed subpacket */
}

static void test_flip_every_bit(void **state)
{
	struct buf msg SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	sign_to(payload, PAYLOAD, &msg);
	for (size_t bit = 0; bit < msg.len * 8; bit++) {
		msg.data[bit / 8] ^= (char)(1 << bit % 8);
		assert_refused(open_msg(msg.data, msg.len), ERR_VERIFY, "OpenPGP message");
		msg.data[bit / 8] ^= (char)(1 << bit % 8);
	}
}

static void test_cut_at_every_length(void **state)
{
	struct buf msg SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	sign_to(payload, PAYLOAD, &msg);
	for (size_t n = 0; n < msg.len; n++) {
		char *exact SCOPED(mem_freep) = mem_strndup(msg.data, n);

		assert_refused(open_msg(exact, n), ERR_VERIFY, "OpenPGP message");
	}
	buf_add(&msg, "", 1);
	assert_refused(open_msg(msg.data, msg.len), ERR_VERIFY, "bytes after");
}

/* A byte more in the signature packet, counted by its length. */
static void test_longer_signature(void **state)
{
	enum { SIG_AT = LITERAL_AT + 8 + PAYLOAD };
	struct buf msg SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	sign_to(payload, PAYLOAD, &msg);
	buf_add(&msg, "", 1);
	msg.data[SIG_AT + 1]++;
	assert_refused(open_msg(msg.data, msg.len), ERR_VERIFY, "bytes after the numbers");
}

/* A zero byte in front of r or s: the MPI is shorter and its bit count smaller. */
static void test_short_numbers(void **state)
{
	struct buf msg SCOPED(buf_release) = BUF_INIT(1 << 16);
	size_t full = 0;
	int short_ones = 0;

	(void)state;
	for (int i = 0; i < 20000 && short_ones < 4; i++) {
		sign_to(payload, PAYLOAD, &msg);
		if (msg.len > full)
			full = msg.len;
		if (msg.len == full)
			continue;
		short_ones++;
		assert_done(open_msg(msg.data, msg.len));
	}
	assert_int_equal(short_ones, 4);
}

/* Every border of the three forms of a packet length. */
static void test_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 185, 186, 187, 8377, 8378, 8379, 8400, 65535, 1 << 20};
	char *p SCOPED(mem_freep) = mem_zalloc(5 << 20);

	(void)state;
	memset(p, 'x', 5 << 20);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct buf msg SCOPED(buf_release) = BUF_INIT(2 << 20);

		sign_to(p, sizes[i], &msg);
		assert_done(open_msg(msg.data, msg.len));
	}
}

static void test_too_large(void **state)
{
	size_t n = (4 << 20) + 1;
	char *p SCOPED(mem_freep) = mem_zalloc(n);
	struct buf msg SCOPED(buf_release) = BUF_INIT(8 << 20);

	(void)state;
	assert_refused(sign_openpgp(key, p, n, NOW, &msg, &e), ERR_FAIL, "too large");
	assert_int_equal(msg.len, 0);
	assert_refused(open_msg(p, n), ERR_VERIFY, "larger than 4 MiB");
}

/* Framings that other programs use are refused by name, not misread. */
static void test_other_framings(void **state)
{
	struct buf msg SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct buf odd SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	sign_to(payload, PAYLOAD, &msg);

	buf_add(&odd, "\x90\x0d", 2); /* the one-pass packet, old format */
	buf_add(&odd, msg.data + 2, msg.len - 2);
	assert_refused(open_msg(odd.data, odd.len), ERR_VERIFY, "old-format");

	odd.len = 0;
	buf_add(&odd, msg.data, LITERAL_AT);
	buf_add(&odd, "\xcb\xe4", 2); /* a first part of 16 bytes */
	buf_add(&odd, msg.data + LITERAL_AT + 2, msg.len - LITERAL_AT - 2);
	assert_refused(open_msg(odd.data, odd.len), ERR_VERIFY, "partial");

	odd.len = 0;
	buf_add(&odd, msg.data, LITERAL_AT);
	buf_add(&odd, "\xcb\xff\0\0\0", 5); /* five bytes where one would do */
	buf_add(&odd, msg.data + LITERAL_AT + 1, msg.len - LITERAL_AT - 1);
	assert_refused(open_msg(odd.data, odd.len), ERR_VERIFY, "more bytes than it needs");

	odd.len = 0;
	buf_add(&odd, "\xc8\x01\x00", 3); /* compressed data */
	assert_refused(open_msg(odd.data, odd.len), ERR_VERIFY, "other packets");
	assert_refused(open_msg(msg.data + LITERAL_AT, msg.len - LITERAL_AT), ERR_VERIFY,
		       "other packets");
}

static void test_time_before_key(void **state)
{
	struct buf msg SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	assert_done(sign_openpgp(key, payload, PAYLOAD, NOW, &msg, &e));
	assert_refused(sign_openpgp(key, payload, PAYLOAD, NOW - 1, &msg, &e), ERR_FAIL, "before");
	assert_true(e.hint[0] != '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_exact_bytes),
	    cmocka_unit_test(test_flip_every_bit), cmocka_unit_test(test_cut_at_every_length),
	    cmocka_unit_test(test_short_numbers),  cmocka_unit_test(test_longer_signature),
	    cmocka_unit_test(test_sizes),          cmocka_unit_test(test_too_large),
	    cmocka_unit_test(test_other_framings), cmocka_unit_test(test_time_before_key),
	};

	return cmocka_run_group_tests_name("sign-openpgp", tests, set_up, tear_down);
}

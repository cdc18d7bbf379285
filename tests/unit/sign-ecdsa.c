#include "sign-fixture.h"

#include "form/hex.h"

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

static int verify(const void *der, size_t n)
{
	return sign_verify(sign_key_public(key), "message", 7, der, n, &e);
}

static void sign_to(struct buf *der)
{
	der->len = 0;
	assert_done(sign_bytes(key, "message", 7, der, &e));
}

static void test_sign_and_verify(void **state)
{
	struct buf der SCOPED(buf_release) = BUF_INIT(128);

	(void)state;
	sign_to(&der);
	assert_done(verify(der.data, der.len));
	assert_refused(sign_verify(sign_key_public(key), "messagf", 7, der.data, der.len, &e),
		       ERR_VERIFY, "does not fit");
	assert_refused(sign_verify(sign_key_public(other), "message", 7, der.data, der.len, &e),
		       ERR_VERIFY, "does not fit");
}

static void test_flip_and_cut(void **state)
{
	struct buf der SCOPED(buf_release) = BUF_INIT(128);

	(void)state;
	sign_to(&der);
	for (size_t bit = 0; bit < der.len * 8; bit++) {
		der.data[bit / 8] ^= (char)(1 << bit % 8);
		assert_refused(verify(der.data, der.len), ERR_VERIFY, "");
		der.data[bit / 8] ^= (char)(1 << bit % 8);
	}
	for (size_t n = 0; n < der.len; n++)
		assert_refused(verify(der.data, n), ERR_VERIFY, "");
	buf_add(&der, "", 1);
	assert_refused(verify(der.data, der.len), ERR_VERIFY, "not an ECDSA signature");
}

/* Numbers with leading zeros, which shorten the DER: about one in 128 signatures. */
static void test_short_numbers(void **state)
{
	struct buf der SCOPED(buf_release) = BUF_INIT(128);
	int short_ones = 0;

	(void)state;
	for (int i = 0; i < 20000 && short_ones < 4; i++) {
		sign_to(&der);
		if (der.len >= 70)
			continue;
		short_ones++;
		assert_done(verify(der.data, der.len));
	}
	assert_int_equal(short_ones, 4);
}

/* The same numbers in BER that is not DER. */
static void test_not_canonical(void **state)
{
	struct buf der SCOPED(buf_release) = BUF_INIT(128);
	struct buf longer SCOPED(buf_release) = BUF_INIT(128);
	size_t r_len;

	(void)state;
	do
		sign_to(&der);
	while (der.len > 70);
	r_len = (size_t)der.data[3];

	/* a zero too many before r */
	buf_addf(&longer, "0%c\x02%c", (int)der.data[1] + 1, (int)r_len + 1);
	buf_add(&longer, "", 1);
	buf_add(&longer, der.data + 4, der.len - 4);
	assert_refused(verify(longer.data, longer.len), ERR_VERIFY, "not an ECDSA signature");

	/* the outer length in two bytes */
	longer.len = 0;
	buf_addf(&longer, "0\x81%c", (int)der.data[1]);
	buf_add(&longer, der.data + 2, der.len - 2);
	assert_refused(verify(longer.data, longer.len), ERR_VERIFY, "canonical");

	/* indefinite length */
	longer.len = 0;
	buf_addf(&longer, "0\x80");
	buf_add(&longer, der.data + 2, der.len - 2);
	buf_add(&longer, "\0\0", 2);
	assert_refused(verify(longer.data, longer.len), ERR_VERIFY, "not an ECDSA");
}

static void test_out_of_range(void **state)
{
	static const char *const numbers[][2] = {
	    {"020100", "range"},
	    {"0201ff", "not an ECDSA"}, /* negative */
	    {"022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "range"},
	    {"022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550", "not fit"},
	    {"022100ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "range"},
	    {"0222010000000000000000000000000000000000000000000000000000000000000000000",
	     "not an ECDSA"}};

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		for (int second = 0; second < 2; second++) {
			char *body SCOPED(mem_freep) =
			    mem_format("%s%s", second ? "020101" : numbers[i][0],
				       second ? numbers[i][0] : "020101");
			char *hex SCOPED(mem_freep) =
			    mem_format("30%02zx%s", strlen(body) / 2, body);
			uint8_t der[128];

			assert_int_equal(hex_decode(hex, strlen(hex) & ~(size_t)1, der), 0);
			assert_refused(verify(der, strlen(hex) / 2), ERR_VERIFY, numbers[i][1]);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sign_and_verify), cmocka_unit_test(test_flip_and_cut),
	    cmocka_unit_test(test_short_numbers),   cmocka_unit_test(test_not_canonical),
	    cmocka_unit_test(test_out_of_range),
	};

	return cmocka_run_group_tests_name("sign-ecdsa", tests, set_up, tear_down);
}

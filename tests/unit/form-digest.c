/* Digests, hexadecimal and base64. */
#include "base/buf.h"
#include "form/digest.h"
#include "form/hex.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void known_answers(void **state)
{
	struct digest d = digest_of("abc", 3), e;
	struct hash *h = hash_new();

	(void)state;
	assert_string_equal(digest_hex(&d).s, ABC); /* FIPS 180-4 */
	assert_string_equal(digest_text(&d).s, "sha256:" ABC);
	e = digest_of("", 0);
	assert_string_equal(digest_hex(&e).s, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca4"
					      "95991b7852b855");
	hash_add(h, "a", 1);
	hash_add(h, "", 0);
	hash_add(h, "bc", 2);
	e = hash_final(h);
	assert_true(digest_equal(&d, &e));
	e = hash_final(h); /* usable again, from nothing */
	assert_int_equal(strncmp(digest_hex(&e).s, "e3b0c442", 8), 0);
	hash_free(h);
	hash_free(NULL);
}

static void only_exact_text_is_a_digest(void **state)
{
	static const char *const bad[] = {
	    "",
	    "sha256:",
	    ABC,
	    "sha512:" ABC,
	    "SHA256:" ABC,
	    "sha256:" ABC "0",
	    "sha256:" ABC "\n",
	    " sha256:" ABC,
	    "sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	    "sha256:../../../../../../../../../../../../../../../../../../../etc/pass",
	    "sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
	};
	struct digest d = digest_of("abc", 3), before = d;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(digest_parse(bad[i], &d), -1);
	assert_true(digest_equal(&d, &before));
	memset(&d, 0, sizeof(d));
	assert_int_equal(digest_parse("sha256:" ABC, &d), 0);
	assert_true(digest_equal(&d, &before));
	d.b[31] ^= 1;
	assert_false(digest_equal(&d, &before));
	assert_int_equal(digest_parse_hex("sha256:" ABC, &d), -1);
	assert_int_equal(digest_parse_hex(ABC, &d), 0);
}

static void descriptors_are_read_from_where_they_are(void **state)
{
	struct digest d, all = digest_of("abc", 3);
	struct err e = ERR_INIT;
	uint64_t size = 0;
	int p[2], dir;

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "xabc", 4), 4);
	assert_int_equal(read(p[0], (char[1]){0}, 1), 1);
	(void)close(p[1]);
	assert_int_equal(digest_fd(p[0], &d, &size, &e), 0);
	assert_int_equal(size, 3);
	assert_true(digest_equal(&d, &all));
	(void)close(p[0]);
	dir = open("/", O_RDONLY | O_DIRECTORY);
	assert_int_equal(digest_fd(dir, &d, NULL, &e), -1);
	assert_string_equal(e.msg, "read: Is a directory");
	(void)close(dir);
}

static void hex_is_lower_case_only(void **state)
{
	uint8_t b[4] = {0};
	char s[9];

	(void)state;
	assert_int_equal(hex_decode("00ff7f80", 8, b), 0);
	assert_memory_equal(b, "\x00\xff\x7f\x80", 4);
	hex_encode(b, 4, s);
	assert_string_equal(s, "00ff7f80");
	hex_encode(b, 0, s);
	assert_string_equal(s, "");
	assert_int_equal(hex_decode("0", 1, b), -1);
	assert_int_equal(hex_decode("0F", 2, b), -1);
	assert_int_equal(hex_decode("0:", 2, b), -1);
	assert_int_equal(hex_decode("0`", 2, b), -1);
	assert_int_equal(hex_decode("0", 2, b), -1); /* ends early */
}

/* RFC 4648, section 10, and both alphabets' last characters. */
static void base64_both_ways(void **state)
{
	static const char *const t[][3] = {{"", "", ""},
					   {"f", "Zg==", "Zg"},
					   {"fo", "Zm8=", "Zm8"},
					   {"foo", "Zm9v", "Zm9v"},
					   {"foob", "Zm9vYg==", "Zm9vYg"},
					   {"fooba", "Zm9vYmE=", "Zm9vYmE"},
					   {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
					   {"\xfb\xff\xbf", "+/+/", "-_-_"}};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char *a = base64_encode(t[i][0], strlen(t[i][0]));
		char *b = base64url_encode(t[i][0], strlen(t[i][0]));

		assert_string_equal(a, t[i][1]);
		assert_string_equal(b, t[i][2]);
		free(a);
		free(b);
		for (size_t k = 1; k < 3; k++) {
			struct buf out = BUF_INIT(100);

			assert_int_equal(base64_decode(t[i][k], &out), 0);
			assert_string_equal(out.data, t[i][0]);
			buf_release(&out);
		}
	}
}

static void base64_refuses_sloppiness(void **state)
{
	static const char *const bad[] = {
	    "Z",     "A",     "Zm9vA",  "Zg=",  "Zh==",  "Zm9=",   "Zg===",    "====", "=",
	    "Zm 9v", "Zm9v ", "Zm9v\n", "Z=m9", "Zm9v=", "Zg==Zg", "Zm9v\x80", "Zm9$", "Zm9vYmE=="};
	struct buf small = BUF_INIT(2);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf out = BUF_INIT(100);

		if (base64_decode(bad[i], &out) == 0)
			fail_msg("accepted \"%s\"", bad[i]);
		buf_release(&out);
	}
	assert_int_equal(base64_decode("Zm9v", &small), -1); /* past the limit */
	buf_release(&small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_answers),
	    cmocka_unit_test(only_exact_text_is_a_digest),
	    cmocka_unit_test(descriptors_are_read_from_where_they_are),
	    cmocka_unit_test(hex_is_lower_case_only),
	    cmocka_unit_test(base64_both_ways),
	    cmocka_unit_test(base64_refuses_sloppiness),
	};

	return cmocka_run_group_tests_name("form-digest", tests, NULL, NULL);
}

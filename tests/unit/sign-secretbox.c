/* sign: NaCl's secretbox by NaCl's own vector, and no changed byte opens. */
#include "sign-fixture.h"

#include "form/hex.h"
#include "sign/secretbox.h"

static const char key_hex[] = "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389";
static const char nonce_hex[] = "69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37";
static const char plain_hex[] =
    "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c"
    "61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f"
    "21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705";
static const char box_hex[] =
    "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1"
    "186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab9321645"
    "48e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b"
    "1f654cb45a74e355a5";

static void unhex(const char *s, struct buf *ret)
{
	uint8_t bytes[256];

	assert_int_equal(hex_decode(s, strlen(s), bytes), 0);
	buf_add(ret, bytes, strlen(s) / 2);
}

static void is_nacls(void **state)
{
	struct buf key SCOPED(buf_release) = BUF_INIT(256),
		       nonce SCOPED(buf_release) = BUF_INIT(256);
	struct buf plain SCOPED(buf_release) = BUF_INIT(256),
			 box SCOPED(buf_release) = BUF_INIT(256);
	struct buf got SCOPED(buf_release) = BUF_INIT(256),
		       back SCOPED(buf_release) = BUF_INIT(256);

	(void)state;
	unhex(key_hex, &key);
	unhex(nonce_hex, &nonce);
	unhex(plain_hex, &plain);
	unhex(box_hex, &box);
	assert_done(secretbox_seal((uint8_t *)key.data, (uint8_t *)nonce.data, &plain, &got, &e));
	assert_int_equal(got.len, box.len);
	assert_memory_equal(got.data, box.data, box.len);
	assert_done(secretbox_open((uint8_t *)key.data, (uint8_t *)nonce.data, &box, &back, &e));
	assert_memory_equal(back.data, plain.data, plain.len);
	for (size_t i = 0; i < box.len; i++) {
		box.data[i] ^= 1;
		assert_refused(
		    secretbox_open((uint8_t *)key.data, (uint8_t *)nonce.data, &box, &back, &e),
		    ERR_VERIFY, "damaged");
		box.data[i] ^= 1;
	}
	box.len = BOX_TAG_BYTES - 1;
	assert_refused(secretbox_open((uint8_t *)key.data, (uint8_t *)nonce.data, &box, &back, &e),
		       ERR_VERIFY, "cut short");
}

/* A file that asks for more memory than there is, is not asked again. */
static void costs_are_bounded(void **state)
{
	static const char *const costs[] = {
	    "\"N\":1073741824,\"r\":8,\"p\":1", "\"N\":65537,\"r\":8,\"p\":1",
	    "\"N\":1048576,\"r\":32,\"p\":1", "\"N\":65536,\"r\":8,\"p\":1000",
	    "\"N\":0,\"r\":0,\"p\":0"};
	char *path SCOPED(mem_freep) = at("cosign.key");
	char *to SCOPED(mem_freep) = at("to");

	(void)state;
	for (size_t i = 0; i < sizeof(costs) / sizeof(costs[0]); i++) {
		char *json SCOPED(mem_freep) = mem_format(
		    "{\"kdf\":{\"name\":\"scrypt\",\"params\":{%s},\"salt\":\"AAAA\"},\"cipher\":{"
		    "\"name\":\"nacl/secretbox\",\"nonce\":"
		    "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"},\"ciphertext\":\"AAAA\"}",
		    costs[i]);
		char *text SCOPED(mem_freep) = base64_encode(json, strlen(json));
		struct buf pem SCOPED(buf_release) = BUF_INIT(4096);

		buf_addf(&pem, "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n");
		for (size_t n = 0; n < strlen(text); n += 64)
			buf_addf(&pem, "%.64s\n", text + n);
		buf_addf(&pem, "-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n");
		put_file(path, pem.data, pem.len, 0600);
		assert_refused(sign_key_import(to, path, uid, "word", &e), ERR_VERIFY,
			       "more of scrypt than");
	}
	put_file(path, "x", 1, 0600);
	assert_refused(sign_key_import(to, path, uid, "word", &e), ERR_VERIFY, "no key file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(is_nacls),
	    cmocka_unit_test(costs_are_bounded),
	};

	return cmocka_run_group_tests_name("sign-secretbox", tests, enter_scratch, leave_scratch);
}

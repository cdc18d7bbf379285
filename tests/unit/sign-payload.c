#include "sign-fixture.h"

static const char id[] = "localhost:5000/pos/rti:16.1.5";
static struct digest manifest;

static const char openpgp[] =
    "{\"critical\":{\"identity\":{\"docker-reference\":\"localhost:5000/pos/rti:16.1.5\"},"
    "\"image\":{\"docker-manifest-digest\":\"sha256:"
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"},"
    "\"type\":\"atomic container signature\"},"
    "\"optional\":{\"creator\":\"posmedia " POSMEDIA_VERSION "\",\"timestamp\":1700000000}}";

static int check(enum sign_form form, const char *text)
{
	return sign_payload_check(form, text, strlen(text), id, &manifest, &e);
}

/* The OpenPGP payload with `from` replaced by `to`; the caller owns it. */
static char *with(const char *from, const char *to)
{
	const char *hit = strstr(openpgp, from);

	if (hit == NULL)
		fail_msg("no %s in the payload", from);
	return mem_format("%.*s%s%s", (int)(hit - openpgp), openpgp, to, hit + strlen(from));
}

static void test_exact_bytes(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);

	(void)state;
	sign_payload(SIGN_OPENPGP, id, &manifest, NOW, &b);
	assert_string_equal(b.data, openpgp);
	assert_done(check(SIGN_OPENPGP, b.data));
	b.len = 0;
	sign_payload(SIGN_COSIGN, id, &manifest, NOW, &b);
	assert_non_null(strstr(b.data, "\"type\":\"cosign container image signature\""));
	assert_done(check(SIGN_COSIGN, b.data));
}

static void test_other_forms_type(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);

	(void)state;
	assert_refused(check(SIGN_COSIGN, openpgp), ERR_VERIFY, "type is not");
	sign_payload(SIGN_COSIGN, id, &manifest, NOW, &b);
	assert_refused(check(SIGN_OPENPGP, b.data), ERR_VERIFY, "type is not");
}

static void test_identity(void **state)
{
	static const char *const others[] = {
	    "localhost:5000/pos/rti:16.1.6", "localhost:5000/pos/rti",
	    "localhost:5001/pos/rti:16.1.5", "localhost:5000/pos/rti:16.1.5 ", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_refused(sign_payload_check(SIGN_OPENPGP, openpgp, strlen(openpgp), others[i],
						  &manifest, &e),
			       ERR_VERIFY, "wanted");
	assert_done(
	    sign_payload_check(SIGN_OPENPGP, openpgp, strlen(openpgp), NULL, &manifest, &e));
}

static void test_other_digest(void **state)
{
	struct digest other = digest_of("abd", 3);

	(void)state;
	assert_refused(sign_payload_check(SIGN_OPENPGP, openpgp, strlen(openpgp), id, &other, &e),
		       ERR_VERIFY, "is for the manifest sha256:ba78");
}

static void test_members(void **state)
{
	static const char *const edits[][2] = {
	    {"\"critical\":{", "\"critical\":{\"more\":1,"},
	    {"\"type\":", "\"typ\":"},
	    {"{\"docker-reference\":", "{\"x\":1,\"docker-reference\":"},
	    {"\"docker-reference\":", "\"docker_reference\":"},
	    {"{\"docker-manifest-digest\":", "{\"x\":1,\"docker-manifest-digest\":"},
	    {"sha256:ba78", "sha256:BA78"},
	    {"sha256:ba78", "sha512:ba78"},
	    {"sha256:ba78", "sha256:ba7"},
	    {"\"optional\":", "\"Optional\":"},
	    {"\"optional\":", "\"more\":1,\"optional\":"},
	    {"\"optional\":{", "\"optional\":[],\"x\":{"},
	    {"\"timestamp\":1700000000", "\"timestamp\":\"1700000000\""},
	    {"\"timestamp\":1700000000", "\"timestamp\":1.5"},
	    {"\"creator\":\"", "\"timestamp\":1,\"creator\":\""},
	    {"\"creator\":\"", "\"creator\":[],\"y\":\""},
	    {"\"type\":", "\"type\":\"atomic container signature\",\"type\":"},
	    {"{\"critical\":", "{\"critical\":{},\"critical\":"},
	    {"16.1.5\"", "16.1.5\\u0000\""},
	    {"}}", "}} x"},
	    {"}}", "}}{}"},
	    {"{\"critical\":", "[{\"critical\":"}};

	(void)state;
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		char *text SCOPED(mem_freep) = with(edits[i][0], edits[i][1]);

		assert_refused(check(SIGN_OPENPGP, text), ERR_VERIFY, "signed payload");
	}
}

static void test_optional(void **state)
{
	const char *tail = strstr(openpgp, "\"optional\":") + strlen("\"optional\":");
	char *none SCOPED(mem_freep) = with(tail, "null}");
	char *empty SCOPED(mem_freep) = with(tail, "{}}");
	char *more SCOPED(mem_freep) = with("\"creator\":", "\"ci\":{\"run\":7},\"creator\":");
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);
	char *at_optional;

	(void)state;
	assert_refused(check(SIGN_OPENPGP, none), ERR_VERIFY, "optional");
	assert_done(check(SIGN_OPENPGP, empty));
	assert_done(check(SIGN_OPENPGP, more));

	sign_payload(SIGN_COSIGN, id, &manifest, NOW, &b);
	at_optional = strstr(b.data, ",\"optional\"");
	memcpy(at_optional, ",\"optional\":null}", 18);
	assert_done(check(SIGN_COSIGN, b.data));
	memcpy(at_optional, "}", 2);
	assert_refused(check(SIGN_COSIGN, b.data), ERR_VERIFY, "critical and optional");
}

static void test_truncated_and_large(void **state)
{
	size_t n = (4 << 20) + 1;
	char *big SCOPED(mem_freep) = mem_zalloc(n);

	(void)state;
	for (size_t i = 0; i < strlen(openpgp); i++)
		assert_refused(sign_payload_check(SIGN_OPENPGP, openpgp, i, id, &manifest, &e),
			       ERR_VERIFY, "signed payload");
	memset(big, ' ', n);
	memcpy(big, openpgp, strlen(openpgp));
	assert_done(sign_payload_check(SIGN_OPENPGP, big, n - 1, id, &manifest, &e));
	assert_refused(sign_payload_check(SIGN_OPENPGP, big, n, id, &manifest, &e), ERR_VERIFY,
		       "larger");
}

static int set_up(void **state)
{
	manifest = digest_of("abc", 3);
	return enter_scratch(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_exact_bytes),
	    cmocka_unit_test(test_other_forms_type),
	    cmocka_unit_test(test_identity),
	    cmocka_unit_test(test_other_digest),
	    cmocka_unit_test(test_members),
	    cmocka_unit_test(test_optional),
	    cmocka_unit_test(test_truncated_and_large),
	};

	return cmocka_run_group_tests_name("sign-payload", tests, set_up, leave_scratch);
}

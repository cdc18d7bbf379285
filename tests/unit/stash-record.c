/* stash: what a record and a claim say, and what is none. */
#include "stash/stash.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char dir[40];

static int enter(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/posmedia-stash-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int leave(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, dir, &e);
}

static struct sign_key *new_key(const char *name)
{
	char *path SCOPED(mem_freep) = fs_join(dir, name);
	struct sign_key *k = NULL;
	struct err e = ERR_INIT;

	if (sign_key_new(path, "test", NULL, &e) != 0 || sign_key_load(path, NULL, &k, &e) != 0)
		fail_msg("%s", e.msg);
	return k;
}

static struct stash_record record(void)
{
	struct stash_record r = {.key = digest_of("k", 1),
				 .output = digest_of("o", 1),
				 .blob = digest_of("b", 1),
				 .size = 7,
				 .raw = 1024,
				 .marks = jval_object()};
	struct jval *gone = jval_array();

	jval_push(gone, jval_text("etc/issue"));
	jval_put(r.marks, "gone", gone);
	jval_put(r.marks, "opaque", jval_array());
	return r;
}

static void test_sealed(void **state)
{
	struct sign_key *k SCOPED(sign_key_freep) = new_key("a");
	struct sign_key *other SCOPED(sign_key_freep) = new_key("b");
	struct stash_record r SCOPED(stash_record_release) = record();
	struct stash_record got SCOPED(stash_record_release) = {.marks = NULL};
	struct buf b SCOPED(buf_release) = BUF_INIT(STASH_RECORD_MAX);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(stash_record_seal(&r, k, &b, &e), 0);
	assert_int_equal(stash_record_open(&b, sign_key_public(other), &r.key, &got, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_int_equal(stash_record_open(&b, sign_key_public(k), &r.blob, &got, &e), -1);
	assert_non_null(strstr(e.msg, "another stage"));
	assert_int_equal(stash_record_open(&b, sign_key_public(k), &r.key, &got, &e), 0);
	assert_true(digest_equal(&got.output, &r.output) && digest_equal(&got.blob, &r.blob));
	assert_true(got.size == 7 && got.raw == 1024 && jval_equal(got.marks, r.marks));
}

/* The statement with one member as it may not be. */
static void refused(const char *from, const char *to)
{
	struct stash_record r SCOPED(stash_record_release) = record();
	struct stash_record got = {.marks = NULL};
	struct buf b SCOPED(buf_release) = BUF_INIT(STASH_RECORD_MAX);
	char *text SCOPED(mem_freep) = NULL, *at;
	struct err e = ERR_INIT;

	stash_record_write(&r, &b);
	at = strstr(b.data, from);
	assert_non_null(at);
	text = mem_format("%.*s%s%s", (int)(at - b.data), b.data, to, at + strlen(from));
	if (stash_record_parse(text, strlen(text), &got, &e) == 0)
		fail_msg("%s was taken", text);
	assert_int_equal(e.kind, ERR_VERIFY);
}

static void test_bad_records(void **state)
{
	(void)state;
	refused("urn:posmedia:stage:v1", "urn:posmedia:promotion:v1:qa");
	refused("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1");
	refused("\"subject\":[{", "\"subject\":[{\"digest\":{}},{");
	refused("\"size\":7", "\"size\":-7");
	refused("\"size\":7", "\"size\":\"7\"");
	refused("\"size\":7", "\"size\":68719476737");
	refused("\"raw\":1024", "\"raw\":9223372036854775807");
	refused("\"gone\":[\"etc/issue\"]", "\"gone\":[1]");
	refused("\"gone\":[\"etc/issue\"]", "\"gone\":{}");
	refused(",\"opaque\":[]", "");
	refused("\"blob\":\"sha256:", "\"blob\":\"sha512:");
	refused("\"sha256\":\"", "\"sha256\":\"../");
	refused("}", "");
}

static int claim_of(const char *text, struct stash_claim *ret)
{
	struct err e = ERR_INIT;

	return stash_claim_parse(text, strlen(text), ret, &e);
}

static void test_claims(void **state)
{
	struct stash_claim c = {.owner = "host.1.ab", .lease_s = 60, .renewed = 3}, got;
	struct buf b SCOPED(buf_release) = BUF_INIT(STASH_CLAIM_MAX);

	(void)state;
	stash_claim_write(&c, &b);
	assert_int_equal(claim_of(b.data, &got), 0);
	assert_string_equal(got.owner, "host.1.ab");
	assert_true(got.lease_s == 60 && got.renewed == 3);
	assert_int_equal(claim_of("", &got), -1);
	assert_int_equal(claim_of("{}", &got), -1);
	assert_int_equal(
	    claim_of("{\"claim\":1,\"owner\":\"a\",\"lease\":3601,\"renewed\":0}", &got), -1);
	assert_int_equal(claim_of("{\"claim\":1,\"owner\":\"a\",\"lease\":0,\"renewed\":0}", &got),
			 -1);
	assert_int_equal(claim_of("{\"claim\":2,\"owner\":\"a\",\"lease\":60,\"renewed\":0}", &got),
			 -1);
	assert_int_equal(
	    claim_of("{\"claim\":1,\"owner\":\"a b\",\"lease\":60,\"renewed\":0}", &got), -1);
	assert_int_equal(claim_of("{\"claim\":1,\"owner\":\"\",\"lease\":60,\"renewed\":0}", &got),
			 -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sealed),
	    cmocka_unit_test(test_bad_records),
	    cmocka_unit_test(test_claims),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}

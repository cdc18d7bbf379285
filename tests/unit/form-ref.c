/* Names of objects. */
#include "form/ref.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void good_names_come_back(void **state)
{
	static const struct {
		const char *text;
		enum ref_kind kind;
		const char *host, *path, *tag;
		bool digest;
	} t[] = {
	    {"oci:out/demo:1.0", REF_OCI, "", "out/demo", "1.0", false},
	    {"oci:out/demo", REF_OCI, "", "out/demo", "", false},
	    {"oci:/a:b/c d", REF_OCI, "", "/a:b/c d", "", false},
	    {"oci:/home/u@h/x:1", REF_OCI, "", "/home/u@h/x", "1", false},
	    {"oci:x@sha256:" HEX, REF_OCI, "", "x", "", true},
	    {"oci:/u@h/x@sha256:" HEX, REF_OCI, "", "/u@h/x", "", true},
	    {"docker://localhost:5000/a/b:t", REF_DOCKER, "localhost:5000", "a/b", "t", false},
	    {"docker://r.example/a:t@sha256:" HEX, REF_DOCKER, "r.example", "a", "t", true},
	    {"docker://127.0.0.1/a__b/c-d.e", REF_DOCKER, "127.0.0.1", "a__b/c-d.e", "", false},
	    {"docker://[::1]:5000/a:t", REF_DOCKER, "[::1]:5000", "a", "t", false},
	    {"docker://[2001:db8::1.2.3.4]/a", REF_DOCKER, "[2001:db8::1.2.3.4]", "a", "", false},
	    {"s3://bucket/pre/fix:t", REF_S3, "bucket", "pre/fix", "t", false},
	    {"dir:/some where:x@y", REF_DIR, "", "/some where:x@y", "", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct ref r = {0};
		struct err e = ERR_INIT;
		char *back;

		if (ref_parse(t[i].text, &r, &e) != 0)
			fail_msg("%s", e.msg);
		assert_int_equal(r.kind, t[i].kind);
		assert_string_equal(r.host, t[i].host);
		assert_string_equal(r.path, t[i].path);
		assert_string_equal(r.tag, t[i].tag);
		assert_int_equal(r.has_digest, t[i].digest);
		back = ref_text(&r);
		assert_string_equal(back, t[i].text);
		free(back);
		ref_release(&r);
		ref_release(&r);
	}
}

static void bad_names_are_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "demo",
	    "docker://[::1/a",
	    "docker://[::1]x/a",
	    "docker://[1:2]/a",
	    "docker://[::g]/a",
	    "docker://[]/a",
	    "oci:",
	    "oci::tag",
	    "oci:x:",
	    "oci:x:bad tag",
	    "oci:x:-t",
	    "oci:x@sha256:12",
	    "oci:x@md5:" HEX,
	    "dir:",
	    "DOCKER://h/r",
	    "docker:h/r",
	    "docker://",
	    "docker://host",
	    "docker://host/",
	    "docker:///repo",
	    "docker://host/Repo",
	    "docker://host/a//b",
	    "docker://host/a/",
	    "docker://host/../etc",
	    "docker://host/a..b",
	    "docker://host/a___b",
	    "docker://host/a-",
	    "docker://host/a b",
	    "docker://host/a?b",
	    "docker://host/a%2fb",
	    "docker://user@host/a",
	    "docker://host:/a",
	    "docker://host:port/a",
	    "docker://host:123456/a",
	    "docker://ho st/a",
	    "docker://-host/a",
	    "docker://.host/a",
	    "docker://ho\nst/a",
	    "docker://host/a@sha256:" HEX ":t",
	    "docker://host/a@sha256:" HEX "/b",
	    "docker://host/a:t:u",
	    "s3://bucket",
	    "s3://bucket/",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ref r = {.host = NULL};
		struct err e = ERR_INIT;

		if (ref_parse(bad[i], &r, &e) == 0)
			fail_msg("accepted %s", bad[i]);
		assert_int_equal(e.kind, ERR_USAGE);
		assert_null(r.host);
	}
}

static void tags_and_repositories(void **state)
{
	char tag[130], repo[258];

	(void)state;
	memset(tag, 'a', sizeof(tag));
	tag[128] = '\0';
	assert_true(ref_tag_ok(tag));
	tag[128] = 'a';
	tag[129] = '\0';
	assert_false(ref_tag_ok(tag));
	assert_true(ref_tag_ok("_x.y-Z"));
	assert_false(ref_tag_ok(""));
	assert_false(ref_tag_ok(".x"));
	assert_false(ref_tag_ok("a/b"));
	assert_false(ref_tag_ok("\xc3\xa4"));
	memset(repo, 'a', sizeof(repo));
	repo[255] = '\0';
	assert_true(ref_repo_ok(repo));
	repo[255] = 'a';
	repo[256] = '\0';
	assert_false(ref_repo_ok(repo));
	assert_true(ref_repo_ok("a--b"));
	assert_false(ref_repo_ok(""));
	assert_false(ref_repo_ok("/a"));
	assert_false(ref_repo_ok("_a"));
}

static void docker_references_have_no_transport(void **state)
{
	struct ref r = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(ref_parse_docker("h:5/a/b:t", &r, &e), 0);
	assert_string_equal(r.host, "h:5");
	assert_string_equal(r.tag, "t");
	ref_release(&r);
	assert_int_equal(ref_parse_docker("docker://h/a", &r, &e), -1);
	assert_int_equal(ref_parse("nonsense", &r, &e), -1);
	assert_non_null(strstr(e.hint, "docker://HOST/REPO:TAG"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_names_come_back),
	    cmocka_unit_test(bad_names_are_refused),
	    cmocka_unit_test(tags_and_repositories),
	    cmocka_unit_test(docker_references_have_no_transport),
	};

	return cmocka_run_group_tests_name("form-ref", tests, NULL, NULL);
}

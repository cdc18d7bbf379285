/* restore: what names a source, and the permfiles of an account. */
#include "restore/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void sources(void **state)
{
	struct source s = SOURCE_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(source_parse("ssh://rti@old.example:2222/usr2/a b", &s, &e), 0);
	assert_int_equal(s.kind, SOURCE_SSH);
	assert_string_equal(s.user, "rti");
	assert_string_equal(s.host, "old.example");
	assert_int_equal(s.port, 2222);
	assert_string_equal(s.path, "/usr2/a b");
	source_release(&s);
	assert_int_equal(source_parse("snapshot:dir:/b@SHOP", &s, &e), 0);
	assert_int_equal(s.kind, SOURCE_SNAPSHOT);
	assert_string_equal(s.path, "dir:/b@SHOP");
	source_release(&s);
	assert_int_equal(source_parse("s3://shops/123/usr2", &s, &e), 0);
	assert_int_equal(s.kind, SOURCE_S3);
	assert_string_equal(s.host, "shops");
	assert_string_equal(s.path, "123/usr2");
	source_release(&s);
	assert_int_equal(source_parse("/", &s, &e), 0);
	assert_int_equal(s.kind, SOURCE_DIR);
	source_release(&s);
}

/* Nothing of it may become an option of ssh or rsync, or another host than it seems. */
static void no_sources(void **state)
{
	static const char *const bad[] = {"",
					  "dir:",
					  "usr2",
					  "http://x/",
					  "s3://",
					  "s3://a?b/x",
					  "ssh://-oProxyCommand=x/usr2",
					  "ssh://a b/usr2",
					  "ssh://old.example",
					  "ssh://old.example/",
					  "ssh://old.example:0/x",
					  "ssh://old.example:70000/x",
					  "ssh://-l@old.example/x",
					  "ssh://a:b@old.example/x",
					  "ssh:///x"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct source s = SOURCE_INIT;
		struct err e = ERR_INIT;

		if (source_parse(bad[i], &s, &e) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.kind, ERR_USAGE);
	}
}

static const char text[] = "# file: usr2\n"
			   "# owner: tfsupport\n"
			   "# group: rti\n"
			   "user::rwx\n"
			   "group::r-x\n"
			   "other::r-x\n"
			   "\n"
			   "# file: usr2/a\\040b\\012\n"
			   "# owner: rti\n"
			   "# group: rtiadmins\n"
			   "# flags: ss-\n"
			   "user::rw-\n"
			   "user:zoe:r--\n"
			   "user:bob:rw-\n"
			   "group::rwx\t\t\t#effective:rw-\n"
			   "mask::rw-\n"
			   "other::---\n"
			   "default:user::rwx\n"
			   "default:group::r-x\n"
			   "default:other::---\n";

static void permfiles(void **state)
{
	char *copy SCOPED(mem_freep) = mem_strdup(text);
	struct source_perms *p = source_perms_new();
	char root[] = "", own[] = "a b\n", later[] = "later", link[] = "link";
	struct manifest_entry v[] = {{.path = root, .type = MANIFEST_DIR},
				     {.path = own, .type = MANIFEST_DIR},
				     {.path = later, .type = MANIFEST_FILE, .mode = 0600},
				     {.path = link, .type = MANIFEST_LINK, .mode = 0777}};
	struct manifest m = {.v = v, .n = 4};
	uint64_t without = 0;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(source_perms_parse(p, "usr2-perms.txt", copy, &e), 0);
	assert_int_equal(source_perms_apply(p, "usr2", &m, &without, &e), 0);
	assert_string_equal(v[0].user, "tfsupport");
	assert_int_equal(v[0].mode, 0755);
	assert_null(v[0].acl);
	assert_string_equal(v[1].group, "rtiadmins");
	assert_int_equal(v[1].mode, 06660);
	assert_string_equal(v[1].acl, "u::rw-,u:bob:rw-,u:zoe:r--,g::rwx,m::rw-,o::---");
	assert_string_equal(v[1].acl_default, "u::rwx,g::r-x,o::---");
	/* a file that came after the permfile was written */
	assert_string_equal(v[2].user, "tfsupport");
	assert_int_equal(v[2].mode, 0600);
	assert_string_equal(v[3].group, "rti");
	assert_int_equal(without, 1);
	assert_int_equal(source_perms_apply(p, "var", &m, &without, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	source_perms_free(p);
}

static void damaged_permfiles(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {{"# file: ../x\n", "p:1: "},
		   {"# file: a\n\n", "p:2: "},
		   {"user::rwx\n", "p:1: "},
		   {"# file: a\n# owner: x\n# owner: y\n", "p:3: "},
		   {"# file: a\nuser::rwx\nuser::rwx\n", "p:3: "},
		   {"# file: a\nuser:a/b:rwx\n", "p:2: "},
		   {"# file: a\nuser::rwz\n", "p:2: "},
		   {"# file: a\nmask:x:rwx\n", "p:2: "},
		   {"# file: a\\0\n", "p:1: "}};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct source_perms *p = source_perms_new();
		char *copy SCOPED(mem_freep) = mem_strdup(bad[i].text);
		struct err e = ERR_INIT;

		assert_int_equal(source_perms_parse(p, "p", copy, &e), -1);
		assert_int_equal(e.kind, ERR_RECIPE);
		if (strncmp(e.msg, bad[i].says, strlen(bad[i].says)) != 0)
			fail_msg("%s", e.msg);
		source_perms_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sources),
	    cmocka_unit_test(no_sources),
	    cmocka_unit_test(permfiles),
	    cmocka_unit_test(damaged_permfiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

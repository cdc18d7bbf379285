/* harden/profile: what a profile may say, and what is refused with its position. */
#include "harden-lib.h"

#define HEAD "posmedia-profile: 1\nid: t\nversion: 1.0.0\ntitle: t\n"
#define ONE(rest)                                                                                  \
	HEAD "controls:\n  - id: T-1\n    title: t\n    severity: high\n"                          \
	     "    sources: {cis: [\"1\"]}\n" rest
#define WANT(op) ONE("    want:\n      - " op "\n")

static struct rootfs dir;

static int set_up(void **state)
{
	(void)state;
	dir = rootfs_make();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rootfs_drop(&dir);
	return 0;
}

static const struct {
	const char *text, *where, *says;
} bad[] = {
    {"id: t\n", ":1:1: ", "\"posmedia-profile\" is missing"},
    {"posmedia-profile: 2\nid: t\nversion: 1\ntitle: t\ncontrols: []\n", ":1:19: ", "schema 2"},
    {HEAD "controls: []\nextra: 1\n", ":6:1: ", "unknown key \"extra\""},
    {HEAD "controls: x\n", ":5:11: ", "controls wants a list"},
    {HEAD "controls: [x]\n", ":5:12: ", "wants an id"},
    {HEAD "controls:\n  - {title: t}\n", ":6:5: ", "wants an id"},
    {HEAD "controls:\n  - {id: 'a\"b', title: t}\n", ":6:10: ", "an id has letters"},
    {"posmedia-profile: 1\nid: 'a\"><b'\nversion: 1\ntitle: t\ncontrols: []\n",
     ":2:5: ", "an id has letters"},
    {ONE(""), ":6:5: ", "wants nothing"},
    {ONE("    want: []\n"), ":10:11: ", "list of 1 to"},
    {ONE("    want: [{absent: {paths: [/x]}, mode: {paths: [/x]}}]\n"),
     ":10:12: ", "wants one operation"},
    {ONE("    reason: x\n    want: [{absent: {paths: [/x]}}]\n"), ":6:5: ", "no reason wanted"},
    {ONE("    applies: host\n"), ":6:5: ", "say the reason"},
    {ONE("    target: machine\n    want: [{absent: {paths: [/x]}}]\n"), ":6:5: ", "go together"},
    {ONE("    target: machine\n    held-by: host\n    want: [{absent: {paths: [/x]}}]\n"),
     ":6:5: ", "say the reason"},
    {ONE("    target: moon\n    held-by: host\n    reason: x\n"), ":10:13: ", "\"moon\""},
    {ONE("    target: machine\n    held-by: moon\n    reason: x\n"), ":11:14: ", "\"moon\""},
    {ONE("    target: machine\n    held-by: host\n    reason: x\n"), ":6:5: ", "wants nothing"},
    {ONE("    target: machine\n    held-by: host\n    applies: host\n    reason: x\n"),
     ":10:13: ", "image of any kind"},
    {ONE("    distribution: [debian twelve]\n    want: [{absent: {paths: [/x]}}]\n"),
     ":10:19: ", "\"debian twelve\" is no"},
    {ONE("    applies: moon\n    reason: x\n"), ":10:14: ", "\"moon\" is not known"},
    {ONE("    fix: maybe\n    want: [{absent: {paths: [/x]}}]\n"), ":10:10: ", "maybe"},
    {ONE("    when: {pakage: x}\n    want: [{absent: {paths: [/x]}}]\n"), ":10:12: ", "pakage"},
    {WANT("abscent: {paths: [/x]}"), ":11:9: ", "\"abscent\" is not known"},
    {WANT("absent: {}"), ":11:17: ", "\"paths\" is missing"},
    {WANT("absent: {paths: [x]}"), ":11:25: ", "not an absolute path"},
    {WANT("absent: {paths: {a: b}}"), ":11:25: ", "list of texts"},
    {WANT("mode: {paths: [/x], mode: \"0999\"}"), ":11:35: ", "octal"},
    {WANT("mode: {paths: [/x], mode: \"0644\", max: \"0644\"}"), ":11:15: ", "exclude"},
    {WANT("mode: {paths: [/x], required: yes}"), ":11:39: ", "true or false"},
    {WANT("keyvalue: {format: xml, keys: {a: b}}"), ":11:28: ", "\"xml\" is not known"},
    {WANT("keyvalue: {format: ini, keys: {a: b}}"), ":11:19: ", "wants a file"},
    {WANT("keyvalue: {format: sshd, file: /x, keys: {a: b}}"), ":11:19: ", "own file"},
    {WANT("keyvalue: {format: sshd, keys: {}}"), ":11:40: ", "keys wants a map"},
    {WANT("keyvalue: {format: sshd, keys: {a: {at-most: ten}}}"), ":11:54: ", "decimal"},
    {WANT("keyvalue: {format: sshd, keys: {a: {most: 1}}}"), ":11:45: ", "unknown key \"most\""},
    {WANT("line: {files: [/x], absent: \"(\"}"), ":11:15: ", "regular expression"},
    {WANT("confined: {capabilities: [sys_admn]}"), ":11:19: ", "\"sys_admn\" is not known"},
    {WANT("listening: {port: 1}"), ":11:21: ", "unknown key \"port\""},
    {WANT("gate: {arguments: [x]}"), ":11:15: ", "\"program\" is missing"},
    {WANT("gate: {program: x}"), ":11:25: ", "not an absolute path"},
    {WANT("gate: {program: /x, arguments: x}"), ":11:40: ", "list of at most 64 texts"},
    {WANT("gate: {program: /x, arguments: [[x]]}"), ":11:41: ", "wants a text"},
    {WANT("gate: {program: /x, says: \"(\"}"), ":11:15: ", "regular expression"},
    {WANT("line: {files: [/x]}"), ":11:15: ", "either absent or present"},
    {WANT("line: {files: [/x], present: a}"), ":11:15: ", "go together"},
    {WANT("line: {files: [/x], absent: a, cut: true}"), ":11:15: ", "group"},
    {WANT("line: {files: [/x], absent: a, instead: b}"), ":11:15: ", "instead wants cut"},
    {WANT("pam: {file: ../x, type: auth, module: m, forbid: [a]}"), ":11:14: ", "name in"},
    {WANT("pam: {file: x, type: auth, module: m}"), ":11:14: ", "control or forbid"},
    {WANT("accounts: {rule: unknown}"), ":11:26: ", "\"unknown\""},
    {WANT("secrets: {kinds: [keys]}"), ":11:26: ", "no kind of secret"},
    {WANT("secrets: {kinds: [trust], allow-digests: [abc]}"), ":11:50: ", "SHA-256"},
};

static void refuses_with_a_position(void **state)
{
	char *path SCOPED(mem_freep) = fs_join(dir.path, "p.yaml");

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct harden_profile *p = NULL;
		struct err e = ERR_INIT;
		char *at SCOPED(mem_freep) = mem_format("%s%s", path, bad[i].where);

		put(&dir, "p.yaml", bad[i].text, 0644);
		if (harden_profile_load(path, &p, &e) == 0)
			fail_msg("row %zu: loads", i);
		assert_null(p);
		assert_int_equal(e.kind, ERR_RECIPE);
		if (strncmp(e.msg, at, strlen(at)) != 0 || strstr(e.msg, bad[i].says) == NULL)
			fail_msg("row %zu: \"%s\", wants \"%s ... %s\"", i, e.msg, at, bad[i].says);
	}
}

static void hints_the_nearest_word(void **state)
{
	char *path SCOPED(mem_freep) = fs_join(dir.path, "p.yaml");
	struct harden_profile *p = NULL;
	struct err e = ERR_INIT;

	(void)state;
	put(&dir, "p.yaml", WANT("abscent: {paths: [/x]}"), 0644);
	assert_int_equal(harden_profile_load(path, &p, &e), -1);
	assert_string_equal(e.hint, "Did you mean \"absent\"?");
}

static void refuses_a_control_twice(void **state)
{
	char *path SCOPED(mem_freep) = fs_join(dir.path, "p.yaml");
	struct harden_profile *p = NULL;
	struct err e = ERR_INIT;

	(void)state;
	put(&dir, "p.yaml",
	    HEAD "controls:\n  - {id: A, title: t, severity: low, sources: {cis: [\"1\"]}, "
		 "applies: host, reason: r}\n"
		 "  - {id: A, title: t, severity: low, sources: {cis: [\"1\"]}, "
		 "applies: host, reason: r}\n",
	    0644);
	assert_int_equal(harden_profile_load(path, &p, &e), -1);
	assert_non_null(strstr(e.msg, ":7:10: control A is there twice (line 6)"));
}

static void refuses_a_cycle(void **state)
{
	char *path SCOPED(mem_freep) = fs_join(dir.path, "a.yaml");
	struct harden_profile *p = NULL;
	struct err e = ERR_INIT;

	(void)state;
	put(&dir, "a.yaml", HEAD "extends: [b.yaml]\ncontrols: []\n", 0644);
	put(&dir, "b.yaml", HEAD "extends: [a.yaml]\ncontrols: []\n", 0644);
	assert_int_equal(harden_profile_load(path, &p, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_non_null(strstr(e.msg, "extends itself"));
}

static void refuses_a_missing_file(void **state)
{
	struct harden_profile *p = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(harden_profile_load("/nonexistent/p.yaml", &p, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_true(e.hint[0] != '\0');
}

/* The later profile's control stands in the place of the earlier one. */
static void extends_by_id(void **state)
{
	struct harden_report r;
	struct harden_profile *p;
	char *path SCOPED(mem_freep) = fs_join(dir.path, "child.yaml");

	(void)state;
	put(&dir, "sub/base.yaml",
	    HEAD "controls:\n"
		 "  - {id: A, title: a, severity: low, sources: {cis: [\"1\"]},\n"
		 "     want: [{absent: {paths: [/sub]}}]}\n"
		 "  - {id: B, title: b, severity: low, sources: {cis: [\"1\"]},\n"
		 "     want: [{absent: {paths: [/sub]}}]}\n",
	    0644);
	put(&dir, "child.yaml",
	    "posmedia-profile: 1\nid: child\nversion: 2.0.0\ntitle: c\n"
	    "extends: [sub/base.yaml]\ncontrols:\n"
	    "  - {id: A, title: other, severity: high, sources: {cis: [\"1\"]},\n"
	    "     want: [{absent: {paths: [/nothing]}}]}\n",
	    0644);
	p = load(path);
	assert_string_equal(harden_profile_id(p), "child");
	assert_string_equal(harden_profile_version(p), "2.0.0");
	r = check(p, &dir, NULL);
	assert_int_equal(r.n, 2);
	assert_string_equal(r.v[0].title, "other");
	assert_int_equal(r.v[0].status, HARDEN_PASS);
	assert_int_equal(r.v[1].status, HARDEN_FAIL);
	harden_report_release(&r);
	harden_profile_free(p);
}

/* Comments, order of keys and quotes are no content; anything else is. */
static void digest_is_of_the_content(void **state)
{
	static const char *const same[] = {
	    HEAD "controls:\n  - {id: A, title: t, severity: low, sources: {cis: [\"1\"]}, "
		 "applies: host, reason: r}\n",
	    "# note\ntitle: \"t\"\nversion: 1.0.0\nid: t\nposmedia-profile: 1\ncontrols:\n"
	    "  - id: A\n    severity: low\n    title: t\n    applies: host\n    reason: r\n"
	    "    sources:\n      cis:\n        - '1'\n",
	};
	char *path SCOPED(mem_freep) = fs_join(dir.path, "p.yaml");
	struct digest d[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct harden_profile *p;

		put(&dir, "p.yaml", same[i % 2], 0644);
		if (i == 2)
			edit(&dir, "p.yaml", "reason: r", "reason: s");
		p = load(path);
		d[i] = harden_profile_digest(p);
		harden_profile_free(p);
	}
	assert_true(digest_equal(&d[0], &d[1]));
	assert_false(digest_equal(&d[0], &d[2]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refuses_with_a_position),  cmocka_unit_test(hints_the_nearest_word),
	    cmocka_unit_test(refuses_a_control_twice),  cmocka_unit_test(refuses_a_cycle),
	    cmocka_unit_test(refuses_a_missing_file),   cmocka_unit_test(extends_by_id),
	    cmocka_unit_test(digest_is_of_the_content),
	};

	return cmocka_run_group_tests_name("harden-profile", tests, set_up, tear_down);
}

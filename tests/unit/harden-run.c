/* harden: what a run decides - conditions, waivers, the gate - and the operations that pa-dss-3.2
 * uses in one way only. */
#include "harden-lib.h"

#define SIMPLE(id, severity, path)                                                                 \
	"  - {id: " id ", title: t, severity: " severity ", sources: {cis: [\"1\"]},\n"            \
	"     want: [{absent: {paths: [" path "]}}]}\n"

static struct rootfs t;

static int set_up(void **state)
{
	(void)state;
	t = rootfs_make();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rootfs_drop(&t);
	return 0;
}

static void says_why_it_does_not_apply(void **state)
{
	struct harden_profile *p = load_text(
	    &t,
	    "  - {id: A, title: t, severity: high, sources: {cis: [\"1\"]}, applies: host,\n"
	    "     reason: the kernel is the host's}\n"
	    "  - {id: B, title: t, severity: high, sources: {cis: [\"1\"]}, when: {package: "
	    "sshd},\n"
	    "     want: [{absent: {paths: [/f]}}]}\n"
	    "  - {id: C, title: t, severity: high, sources: {cis: [\"1\"]}, when: {path: /nope},\n"
	    "     want: [{absent: {paths: [/f]}}]}\n"
	    "  - {id: D, title: t, severity: high, sources: {cis: [\"1\"]},\n"
	    "     when: {package: cron, path: /f}, want: [{absent: {paths: [/f]}}]}\n");
	struct harden_report r;

	(void)state;
	put(&t, "f", "", 0644);
	put(&t, "var/lib/dpkg/status", "Package: sshd\nStatus: deinstall ok config-files\n", 0644);
	put(&t, "var/lib/dpkg/status.d/cron", "Package: cron\nVersion: 1\n", 0644);
	r = check(p, &t, NULL);
	assert_int_equal(r.count[HARDEN_NOT_APPLICABLE], 3);
	assert_string_equal(r.v[0].detail, "host: the kernel is the host's");
	assert_string_equal(r.v[1].detail, "package sshd is not installed");
	assert_string_equal(r.v[2].detail, "/nope is not there");
	assert_int_equal(r.v[3].status, HARDEN_FAIL);
	harden_report_release(&r);
	harden_profile_free(p);
}

/* A waived control is neither fixed nor failed, until its day is over. */
static void waivers_hold_to_their_day(void **state)
{
	static const struct {
		const char *until;
		enum harden_status status;
	} rows[] = {{"2026-11-24", HARDEN_WAIVED},
		    {"2026-11-23", HARDEN_WAIVED},
		    {"2026-11-22", HARDEN_FAIL}};
	struct harden_profile *p = load_text(&t, SIMPLE("A", "high", "/f"));

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct recipe_waiver w = {.control = (char *)(uintptr_t) "A",
					  .reason = (char *)(uintptr_t) "needed",
					  .by = (char *)(uintptr_t) "security",
					  .until = (char *)(uintptr_t)rows[i].until};
		const struct recipe rec = {.waivers = &w, .waivers_n = 1};
		struct harden_report r;

		put(&t, "f", "", 0644);
		r = check(p, &t, &rec);
		assert_int_equal(r.v[0].status, rows[i].status);
		assert_non_null(strstr(r.v[0].detail, rows[i].until));
		harden_report_release(&r);
		r = apply(p, &t, &rec);
		assert_int_equal(r.v[0].status,
				 rows[i].status == HARDEN_FAIL ? HARDEN_PASS : HARDEN_WAIVED);
		assert_int_equal(there(&t, "f"), rows[i].status == HARDEN_WAIVED);
		harden_report_release(&r);
	}
	harden_profile_free(p);
}

static void refuses_a_waiver_for_nothing(void **state)
{
	struct harden_profile *p = load_text(&t, SIMPLE("SSH-06", "high", "/f"));
	struct recipe_waiver w = {.control = (char *)(uintptr_t) "SSH-6",
				  .until = (char *)(uintptr_t) "2030-01-01",
				  .pos = {.file = "r.yaml", .line = 7, .col = 3}};
	const struct recipe rec = {.waivers = &w, .waivers_n = 1};
	const struct harden_context c = {.recipe = &rec, .today = TODAY};
	struct harden_report r = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(harden_check(p, t.path, &c, &r, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_non_null(strstr(e.msg, "r.yaml:7:3"));
	assert_string_equal(e.hint, "Did you mean \"SSH-06\"?");
	harden_profile_free(p);
}

static void gate_by_severity(void **state)
{
	static const struct {
		const char *fail_on, *ids;
	} rows[] = {{"low", "A, B"}, {"medium", "B"}, {"high", NULL}, {"never", NULL}};
	struct harden_profile *p =
	    load_text(&t, SIMPLE("A", "low", "/f") SIMPLE("B", "medium", "/f")
			      SIMPLE("C", "high", "/nothing"));
	struct harden_report r;
	struct err e = ERR_INIT;

	(void)state;
	put(&t, "f", "", 0644);
	r = check(p, &t, NULL);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(harden_gate(&r, rows[i].fail_on, &e),
				 rows[i].ids == NULL ? 0 : -1);
		if (rows[i].ids == NULL)
			continue;
		assert_int_equal(e.kind, ERR_VERIFY);
		assert_string_equal(strrchr(e.msg, ':') + 2, rows[i].ids);
	}
	assert_int_equal(harden_gate(&r, "High", &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	harden_report_release(&r);
	harden_profile_free(p);
}

static void json_is_sorted_and_complete(void **state)
{
	struct harden_profile *p =
	    load_text(&t, SIMPLE("B", "low", "/f") SIMPLE("A", "high", "/g"));
	struct harden_report r;
	struct digest d = harden_profile_digest(p);
	struct buf b = BUF_INIT(1 << 16);
	struct jval *j;
	char *want;

	(void)state;
	put(&t, "f", "", 0644);
	r = check(p, &t, NULL);
	j = harden_report_json(&r, p);
	jval_write(j, &b);
	want = mem_format(
	    "{\"profile\":{\"digest\":\"%s\",\"id\":\"test\",\"title\":\"a test\","
	    "\"version\":\"1.0.0\"},\"results\":[{\"id\":\"A\",\"severity\":\"high\",\"sources\":"
	    "{\"cis\":[\"1\"]},\"status\":\"pass\",\"title\":\"t\"},{\"detail\":\"/f: is there\","
	    "\"id\":\"B\",\"severity\":\"low\",\"sources\":{\"cis\":[\"1\"]},\"status\":\"fail\","
	    "\"title\":\"t\"}],\"summary\":{\"fail\":1,\"not-applicable\":0,\"not-run\":0,\"pass\":"
	    "1,"
	    "\"waived\":0},\"system\":\"container\"}",
	    digest_text(&d).s);
	assert_string_equal(b.data, want);
	free(want);
	buf_release(&b);
	jval_free(j);
	harden_report_release(&r);
	harden_profile_free(p);
}

/* What cannot be judged has not passed. */
static void damaged_files_fail(void **state)
{
	static const struct {
		const char *want, *path, *text, *says;
	} rows[] = {
	    {"accounts: {rule: unique}", "etc/passwd", "root:x:0:0\n", "etc/passwd:1: damaged row"},
	    {"accounts: {rule: unique}", "etc/passwd", "root:x:zero:0::/:\n", "damaged row"},
	    {"accounts: {rule: unique}", "etc/passwd", "root:x:99999999999:0::/:\n", "damaged row"},
	    {"mode: {paths: [/etc], owner: nobody}", "etc/passwd", "root:x:0:0::/:\n",
	     "there is no user nobody"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *want SCOPED(mem_freep) = mem_format("      - %s\n", rows[i].want);
		struct harden_profile *p = load_want(&t, want);
		char *text;

		put(&t, rows[i].path, rows[i].text, 0644);
		text = finding(p, &t);
		if (strstr(text, rows[i].says) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", text, rows[i].says);
		free(text);
		harden_profile_free(p);
	}
}

static void bytes_of_zero_fail(void **state)
{
	struct harden_profile *p =
	    load_want(&t, "      - keyvalue: {format: login.defs, keys: {UMASK: \"027\"}}\n");
	char *path SCOPED(mem_freep) = fs_join(t.path, "etc/login.defs");
	struct err e = ERR_INIT;
	char *text;

	(void)state;
	put(&t, "etc/x", "", 0644);
	assert_int_equal(fs_put_path(path, "UMASK 027\0UMASK 022\n", 20, 0644, &e), 0);
	text = finding(p, &t);
	assert_non_null(strstr(text, "bytes of 0"));
	free(text);
	harden_profile_free(p);
}

static void refuses_a_root_that_is_not_there(void **state)
{
	struct harden_profile *p = load_text(&t, SIMPLE("A", "low", "/f"));
	const struct harden_context c = {.today = TODAY};
	struct harden_report r = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(harden_check(p, "/nonexistent/tree", &c, &r, &e), -1);
	assert_int_equal(harden_apply(p, "/nonexistent/tree", &c, &r, &e), -1);
	assert_int_equal(r.n, 0);
	harden_profile_free(p);
}

/* Without a recipe nobody knows the ports: the form is judged, nothing is written. */
static void firewall_needs_a_recipe_to_be_written(void **state)
{
	struct harden_profile *p = load_want(&t, "      - firewall: {path: /etc/nftables.conf}\n");
	struct recipe_port port = {.first = 53, .last = 53, .udp = true};
	const struct recipe rec = {.ports = &port, .ports_n = 1};
	struct harden_report r = apply(p, &t, NULL);
	char *text;

	(void)state;
	assert_int_equal(r.v[0].status, HARDEN_FAIL);
	assert_false(there(&t, "etc/nftables.conf"));
	harden_report_release(&r);
	r = apply(p, &t, &rec);
	assert_int_equal(r.v[0].status, HARDEN_PASS);
	harden_report_release(&r);
	text = get(&t, "etc/nftables.conf");
	assert_non_null(strstr(text, "\t\tudp dport 53 accept\n"));
	free(text);
	text = finding(p, &t);
	assert_string_equal(text, "");
	free(text);
	edit(&t, "etc/nftables.conf", "\t}\n}\n", "\t}\n");
	text = finding(p, &t);
	assert_non_null(strstr(text, "default-drop form"));
	free(text);
	r = apply(p, &t, &rec);
	harden_report_release(&r);
	for (int i = 0; i < 3; i++) {
		static const char *const lines[] = {
		    "tcp dport 70000 accept", "tcp dport 9-2 accept", "ip saddr 0.0.0.0/0 accept"};

		edit(&t, "etc/nftables.conf", i == 0 ? "udp dport 53 accept" : lines[i - 1],
		     lines[i]);
		text = finding(p, &t);
		assert_non_null(strstr(text, "default-drop form"));
		free(text);
	}
	harden_profile_free(p);
}

static void cut_takes_every_match(void **state)
{
	struct harden_profile *p = load_want(
	    &t, "      - line: {files: [/s], absent: \"^[^#]*(NOPASSWD: *)\", cut: true}\n");
	struct harden_report r;
	char *text;

	(void)state;
	put(&t, "s", "# NOPASSWD: is told of\na NOPASSWD: x, NOPASSWD: y\n", 0440);
	r = apply(p, &t, NULL);
	text = get(&t, "s");
	assert_string_equal(text, "# NOPASSWD: is told of\na x, y\n");
	assert_int_equal(mode_of(&t, "s"), 0440);
	free(text);
	harden_report_release(&r);
	harden_profile_free(p);
}

/* What a script in a stanza says is no directive, and its brace ends nothing. */
static void logrotate_skips_scripts(void **state)
{
	struct harden_profile *p =
	    load_want(&t, "      - logrotate: {path: /etc/logrotate.conf, days: 360}\n");
	struct harden_report r;
	char *text;

	(void)state;
	put(&t, "etc/logrotate.conf",
	    "/var/log/a {\n\tweekly\n\trotate 4\n\tpostrotate\n\t\tf() {\n\t\t\trotate 400\n"
	    "\t\t}\n\tendscript\n\tcompress\n}\n",
	    0644);
	text = finding(p, &t);
	assert_string_equal(text, "/etc/logrotate.conf: /var/log/a is kept 28 days, wants 360");
	free(text);
	r = apply(p, &t, NULL);
	text = get(&t, "etc/logrotate.conf");
	assert_string_equal(text, "/var/log/a {\n\tweekly\n\trotate 52\n\tpostrotate\n\t\tf() {\n"
				  "\t\t\trotate 400\n\t\t}\n\tendscript\n\tcompress\n}\n");
	free(text);
	harden_report_release(&r);
	harden_profile_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(says_why_it_does_not_apply, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(waivers_hold_to_their_day, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(refuses_a_waiver_for_nothing, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(gate_by_severity, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(json_is_sorted_and_complete, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(damaged_files_fail, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(bytes_of_zero_fail, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(refuses_a_root_that_is_not_there, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(firewall_needs_a_recipe_to_be_written, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(logrotate_skips_scripts, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(cut_takes_every_match, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("harden-run", tests, NULL, NULL);
}

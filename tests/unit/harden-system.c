/* harden/system: which controls are for a tree: container or machine, and which distribution. */
#include "harden-lib.h"

#define MACHINE                                                                                    \
	"  - id: T-1\n    title: a test\n    severity: high\n    sources: {posmedia: [\"1\"]}\n"   \
	"    target: machine\n    held-by: engine\n    reason: it has no such thing\n"             \
	"    want:\n      - absent: {paths: [/bad]}\n"
#define CONTAINER                                                                                  \
	"  - id: T-1\n    title: a test\n    severity: high\n    sources: {posmedia: [\"1\"]}\n"   \
	"    target: container\n    held-by: site\n    reason: it starts itself\n"                 \
	"    want:\n      - absent: {paths: [/bad]}\n"
#define DISTRIBUTION(list)                                                                         \
	"  - id: T-1\n    title: a test\n    severity: high\n    sources: {posmedia: [\"1\"]}\n"   \
	"    distribution: " list "\n    want:\n      - absent: {paths: [/bad]}\n"

static struct rootfs t;

static int set_up(void **state)
{
	(void)state;
	t = rootfs_make();
	put(&t, "bad", "", 0644);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rootfs_drop(&t);
	return 0;
}

/* What a control of such a profile comes to: "fail" or why it is not for the tree, after who holds
 * it. The caller owns it. */
static char *outcome(const char *controls, const struct harden_context *c)
{
	struct harden_profile *p = load_text(&t, controls);
	struct harden_report r = {0};
	struct err e = ERR_INIT;
	char *text;

	assert_int_equal(harden_check(p, t.path, c, &r, &e), 0);
	assert_int_not_equal(r.v[0].status, HARDEN_PASS);
	text = r.v[0].status == HARDEN_FAIL ? mem_format("%s fail", r.v[0].place)
					    : mem_format("%s %s", r.v[0].place, r.v[0].detail);
	harden_report_release(&r);
	harden_profile_free(p);
	return text;
}

static void expect(const char *controls, const struct harden_context *c, const char *want)
{
	char *got SCOPED(mem_freep) = outcome(controls, c);

	assert_string_equal(got, want);
}

static void target_is_the_contexts_or_the_recipes(void **state)
{
	struct recipe r = {.target = (char *)(uintptr_t) "machine"};
	struct harden_context c = {.recipe = &r, .today = TODAY};
	const char *const held = "engine engine: it has no such thing";

	(void)state;
	expect(MACHINE, &c, "image fail");
	expect(CONTAINER, &c, "site site: it starts itself");
	c.target = "container";
	expect(MACHINE, &c, held);
	expect(CONTAINER, &c, "image fail");
	r.target = (char *)(uintptr_t) "container";
	c.target = NULL;
	expect(MACHINE, &c, held);
}

static void what_has_a_kernel_is_a_machine(void **state)
{
	static const char *const kernels[] = {"boot/vmlinuz-6.1.0-40-amd64",
					      "usr/lib/modules/5.14.0-1.el9/vmlinuz"};
	struct harden_context c = {.today = TODAY};

	(void)state;
	put(&t, "boot/config-6.1.0", "", 0644);
	for (int i = 0; i < 2; i++) {
		expect(MACHINE, &c, "engine engine: it has no such thing");
		put(&t, kernels[i], "", 0644);
		expect(MACHINE, &c, "image fail");
		assert_int_equal(unlinkat(t.fd, kernels[i], 0), 0);
	}
}

static const struct {
	const char *os_release, *list, *want;
} rows[] = {
    {"ID=debian\nVERSION_ID=\"12\"\n", "[debian]", "image fail"},
    {"ID=debian\nVERSION_ID=\"12\"\n", "[debian 12]", "image fail"},
    {"ID='debian'\nVERSION_ID=12\n", "[el 9, debian 11+]", "image fail"},
    {"ID=debian\nVERSION_ID=\"12\"\n", "[debian 11]",
     "image it is for debian 11, and this is debian 12"},
    {"ID=debian\nVERSION_ID=\"12\"\n", "[debian 13+, el 9]",
     "image it is for debian 13+, el 9, and this is debian 12"},
    {"ID=debian\n", "[debian 12]", "image it is for debian 12, and this is debian"},
    {"ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n", "[el 9]", "image fail"},
    {"ID=rhel\nVERSION_ID=10.0\n", "[el 9+]", "image fail"},
    {"ID=fedora\nVERSION_ID=9\n", "[el]", "image it is for el, and this is fedora 9"},
    {"ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\n", "[debian]",
     "image it is for debian, and this is ubuntu 24"},
    {"ID=debian\nVERSION_ID=\"12\"\nID=other\n", "[debian]",
     "image it is for debian, and this is other 12"},
    {"", "[debian]", "image it is for debian, and the tree does not say what it is"},
    {"ID=\"a\033[1mb\"\n", "[debian]",
     "image it is for debian, and the tree does not say what it is"},
};

static void os_release_says_the_distribution(void **state)
{
	struct harden_context c = {.today = TODAY};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *controls SCOPED(mem_freep) = mem_format(DISTRIBUTION("%s"), rows[i].list);

		put(&t, "usr/lib/os-release", rows[i].os_release, 0644);
		expect(controls, &c, rows[i].want);
	}
	/* the one in /etc counts */
	put(&t, "etc/os-release", "ID=debian\nVERSION_ID=12\n", 0644);
	expect(DISTRIBUTION("[debian]"), &c, "image fail");
}

static void reports_say_what_it_was_judged_as(void **state)
{
	struct harden_context c = {.today = TODAY, .target = "machine"};
	struct harden_profile *p = load_text(&t, MACHINE);
	struct harden_report r = {0};
	struct jval *j;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(harden_check(p, t.path, &c, &r, &e), 0);
	j = harden_report_json(&r, p);
	assert_string_equal(jval_get_str(j, "system"), "machine, debian 12");
	jval_free(j);
	harden_report_release(&r);
	harden_profile_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(target_is_the_contexts_or_the_recipes),
	    cmocka_unit_test(what_has_a_kernel_is_a_machine),
	    cmocka_unit_test(os_release_says_the_distribution),
	    cmocka_unit_test(reports_say_what_it_was_judged_as),
	};

	return cmocka_run_group_tests_name("harden-system", tests, set_up, tear_down);
}

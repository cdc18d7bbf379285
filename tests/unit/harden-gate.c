/* harden/gate: what is told of programs that nobody let run, and on what their outcome depends.
 * tests/system/hardened.bats runs them. */
#include "harden-lib.h"

static struct rootfs dir;

static int set_up(void **state)
{
	(void)state;
	dir = rootfs_make();
	put(&dir, "etc/a", "", 0644);
	put(&dir, "usr/sbin/a", "", 0755);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rootfs_drop(&dir);
	return 0;
}

#define GATE "      - gate: {program: /usr/sbin/a, arguments: [-t, \"\"]"

/* The result of a profile's only control, whose report the caller releases. */
static struct harden_report result(const char *want)
{
	struct harden_profile *p SCOPED(harden_profile_freep) = load_want(&dir, want);
	struct harden_report r = check(p, &dir, NULL);

	/* borrowed from the profile */
	r.v[0].id = r.v[0].title = r.v[0].place = r.v[0].wants = NULL;
	r.v[0].sources = NULL;
	return r;
}

static void what_is_not_run_does_not_pass(void **state)
{
	struct harden_report r = result(GATE "}\n" GATE ", files: [\"/etc/*\"]}\n");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(r.v[0].status, HARDEN_NOT_RUN);
	assert_int_equal(r.count[HARDEN_NOT_RUN], 1);
	assert_string_equal(r.v[0].detail, "not run: a -t ''; a -t '' /etc/a");
	assert_int_equal(harden_gate(&r, "low", &e), 0);
	harden_report_release(&r);
}

static void files_decide_where_programs_do_not(void **state)
{
	struct harden_report r = result("      - absent: {paths: [/etc/b]}\n" GATE "}\n");

	(void)state;
	assert_int_equal(r.v[0].status, HARDEN_PASS);
	assert_int_equal(r.v[0].held.n, 1);
	assert_string_equal(r.v[0].held.v[0], "not run: a -t ''");
	harden_report_release(&r);
	r = result("      - absent: {paths: [/etc/a]}\n" GATE "}\n");
	assert_int_equal(r.v[0].status, HARDEN_FAIL);
	harden_report_release(&r);
}

static void nothing_to_run_passes(void **state)
{
	static const char *const wants[] = {GATE ", when: /etc/b}\n", GATE ", files: [/etc/b*]}\n"};

	(void)state;
	/* a link is another name of something, or of nothing */
	assert_int_equal(symlinkat("/dev/null", dir.fd, "etc/b.service"), 0);
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
		struct harden_report r = result(wants[i]);

		assert_int_equal(r.v[0].status, HARDEN_PASS);
		harden_report_release(&r);
	}
}

static void one_that_reads_anything_reads_all(void **state)
{
	static const struct {
		const char *want, *reads;
	} rows[] = {
	    {GATE ", reads: [/etc/a, /var]}\n", "etc/a var usr/sbin/a"},
	    {GATE ", reads: [/etc/a]}\n" GATE ", reads: [/var]}\n",
	     "etc/a usr/sbin/a var usr/sbin/a"},
	    {GATE ", reads: [/var], when: /opt/b, files: [/srv/x/c*.d/e, /srv/f]}\n",
	     "var usr/sbin/a opt/b srv/x srv/f"},
	    {GATE ", reads: [/etc/a]}\n" GATE "}\n", ""},
	};
	const struct harden_context c = {.today = TODAY};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct harden_profile *p SCOPED(harden_profile_freep) =
		    load_want(&dir, rows[i].want);
		struct buf b SCOPED(buf_release) = BUF_INIT(100);
		struct harden_gated *v = NULL;
		struct err e = ERR_INIT;
		size_t n = 0;

		assert_int_equal(harden_gated(p, dir.path, &c, &v, &n, &e), 0);
		assert_int_equal(n, 1);
		for (size_t k = 0; k < v[0].reads.n; k++)
			buf_addf(&b, "%s%s", k > 0 ? " " : "", v[0].reads.v[k]);
		assert_string_equal(b.data, rows[i].reads);
		harden_gated_free(v, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_is_not_run_does_not_pass, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(files_decide_where_programs_do_not, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(nothing_to_run_passes, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(one_that_reads_anything_reads_all, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

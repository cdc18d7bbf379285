/* harden/pam: lines at their place, jumps that still lead where they led. */
#include "harden-lib.h"

#include "harden/lines.h"
#include "harden/pam.h"

struct row {
	const char *name, *want, *before, *after;
};

#define PREAUTH                                                                                    \
	"file: s, type: auth, module: pam_faillock.so, control: [requisite, required], "           \
	"mark: [preauth], before: pam_unix.so"
#define AUTHFAIL                                                                                   \
	"file: s, type: auth, module: pam_faillock.so, control: [\"[default=die]\"], "             \
	"mark: [authfail], after: pam_unix.so"

static const struct row rows[] = {
    {"before a module", PREAUTH, "auth required pam_env.so\nauth required pam_unix.so\n",
     "auth required pam_env.so\nauth\trequisite\tpam_faillock.so preauth\n"
     "auth required pam_unix.so\n"},
    {"as it is", PREAUTH,
     "auth required pam_faillock.so preauth audit\nauth required pam_unix.so\n",
     "auth required pam_faillock.so preauth audit\nauth required pam_unix.so\n"},
    {"a jump over the new line grows", AUTHFAIL,
     "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\n",
     "auth\t[success=2 default=ignore]\tpam_unix.so nullok\n"
     "auth\t[default=die]\tpam_faillock.so authfail\nauth requisite pam_deny.so\n"},
    {"two jumps, one past the new line", AUTHFAIL,
     "auth [success=2 default=ignore] pam_krb5.so\n# note\n"
     "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\n",
     "auth\t[success=3 default=ignore]\tpam_krb5.so\n# note\n"
     "auth\t[success=2 default=ignore]\tpam_unix.so\n"
     "auth\t[default=die]\tpam_faillock.so authfail\nauth requisite pam_deny.so\n"},
    {"a jump that ends before it stays", AUTHFAIL,
     "auth [success=1 default=ignore] pam_a.so\nauth required pam_b.so\n"
     "auth required pam_unix.so\n",
     "auth [success=1 default=ignore] pam_a.so\nauth required pam_b.so\n"
     "auth required pam_unix.so\nauth\t[default=die]\tpam_faillock.so authfail\n"},
    {"a jump to the place of the new line leads to it", AUTHFAIL,
     "auth [success=1 default=ignore] pam_a.so\nauth required pam_unix.so\n"
     "auth requisite pam_deny.so\n",
     "auth [success=1 default=ignore] pam_a.so\nauth required pam_unix.so\n"
     "auth\t[default=die]\tpam_faillock.so authfail\nauth requisite pam_deny.so\n"},
    {"behind a module", AUTHFAIL,
     "auth [default=die] pam_faillock.so authfail\nauth required pam_unix.so\n",
     "# posmedia: auth [default=die] pam_faillock.so authfail\nauth required pam_unix.so\n"
     "auth\t[default=die]\tpam_faillock.so authfail\n"},
    {"lines of another type do not count", AUTHFAIL,
     "account [success=9] pam_a.so\nauth [success=1 default=ignore] pam_unix.so\n"
     "account required pam_b.so\nauth requisite pam_deny.so\n",
     "account [success=9] pam_a.so\nauth\t[success=2 default=ignore]\tpam_unix.so\n"
     "auth\t[default=die]\tpam_faillock.so authfail\naccount required pam_b.so\n"
     "auth requisite pam_deny.so\n"},
    {"at the wrong place", PREAUTH,
     "auth required pam_unix.so\nauth required pam_faillock.so preauth\n",
     "auth\trequisite\tpam_faillock.so preauth\nauth required pam_unix.so\n"
     "# posmedia: auth required pam_faillock.so preauth\n"},
    {"another control", AUTHFAIL,
     "auth required pam_unix.so\nauth optional pam_faillock.so authfail\n",
     "auth required pam_unix.so\nauth\t[default=die]\tpam_faillock.so authfail\n"},
    {"arguments are replaced by name",
     "file: s, type: password, module: pam_pwhistory.so, control: required, args: [remember=24]",
     "password required pam_pwhistory.so remember=3 retry=2\n",
     "password\trequired\tpam_pwhistory.so retry=2 remember=24\n"},
    {"arguments that are forbidden",
     "file: s, type: auth, module: pam_unix.so, forbid: [nullok, deny]",
     "auth required pam_unix.so nullok deny=3 nullokay\nauth required pam_x.so nullok\n",
     "auth\trequired\tpam_unix.so nullokay\nauth required pam_x.so nullok\n"},
    {"a module by its path", PREAUTH,
     "auth required /lib/security/pam_faillock.so preauth\nauth required pam_unix.so\n",
     "auth required /lib/security/pam_faillock.so preauth\nauth required pam_unix.so\n"},
};

static void row_holds(void **state)
{
	const struct row *row = *state;
	char *want SCOPED(mem_freep) = mem_format("      - pam: {%s}\n", row->want);
	struct rootfs t = rootfs_make();
	struct harden_profile *p = load_want(&t, want);
	struct harden_report r;
	char *before, *text;

	put(&t, "etc/pam.d/s", row->before, 0644);
	before = finding(p, &t);
	assert_true((before[0] == '\0') == (strcmp(row->before, row->after) == 0));
	r = apply(p, &t, NULL);
	text = get(&t, "etc/pam.d/s");
	assert_string_equal(text, row->after);
	assert_string_equal(r.v[0].detail, "");
	free(text);
	free(before);
	harden_report_release(&r);
	harden_profile_free(p);
	rootfs_drop(&t);
}

static void resolves_includes(void **state)
{
	struct rootfs t = rootfs_make();
	struct pam_stack s = {0};
	struct err e = ERR_INIT;

	(void)state;
	put(&t, "etc/pam.d/common", "auth required pam_a.so\n-account required pam_b.so\n", 0644);
	put(&t, "etc/pam.d/s",
	    "# note\nauth [a=1\tb=ignore] pam_x.so  arg # tail\n@include common\n"
	    "account include common\nauth substack common\nbroken\n",
	    0644);
	assert_int_equal(pam_read(t.fd, "s", &s, &e), 0);
	assert_int_equal(s.n, 6);
	assert_string_equal(s.v[0].control, "[a=1\tb=ignore]");
	assert_int_equal(s.v[0].args.n, 1);
	assert_string_equal(s.v[1].module, "pam_a.so");
	assert_string_equal(s.v[1].file, "etc/pam.d/common");
	assert_string_equal(s.v[2].type, "account");
	assert_string_equal(s.v[3].module, "pam_b.so");
	assert_string_equal(s.v[4].control, "substack");
	assert_int_equal(s.v[4].level, 0);
	assert_string_equal(s.v[5].module, "pam_a.so");
	assert_int_equal(s.v[5].level, 1);
	pam_release(&s);
	rootfs_drop(&t);
}

static void refuses_a_cycle(void **state)
{
	struct rootfs t = rootfs_make();
	struct pam_stack s = {0};
	struct err e = ERR_INIT;

	(void)state;
	put(&t, "etc/pam.d/s", "auth required pam_a.so\n@include s\n", 0644);
	assert_int_equal(pam_read(t.fd, "s", &s, &e), -1);
	assert_non_null(strstr(e.msg, "too deep"));
	rootfs_drop(&t);
}

/* What the distributions ship, as it is and hardened, and more that libpam would refuse by. */
static const char *const refusing[] = {
    "auth required pam_env.so\nauth required pam_faildelay.so delay=2000000\n"
    "auth required pam_faillock.so preauth silent\n"
    "auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular\n"
    "auth [default=1 ignore=ignore success=ok] pam_localuser.so\n"
    "auth sufficient pam_unix.so nullok\n"
    "auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular\n"
    "auth sufficient pam_sss.so forward_pass\nauth required pam_faillock.so authfail\n"
    "auth required pam_deny.so\n",
    "auth optional pam_faildelay.so delay=3000000\nauth requisite pam_nologin.so\n"
    "auth required pam_faillock.so preauth\n"
    "auth [success=3 default=ignore] pam_unix.so nullok\n"
    "auth [success=2 default=ignore] pam_sss.so use_first_pass\n"
    "auth [default=die] pam_faillock.so authfail\nauth requisite pam_deny.so\n"
    "auth required pam_permit.so\nauth optional pam_cap.so\n",
    "auth [success=done ignore=ignore default=bad] pam_selinux_permit.so\n"
    "auth substack deny\nauth optional pam_gnome_keyring.so\nauth required pam_permit.so\n",
    "auth required pam_unix.so\nauth required pam_permit.so\n",
    "auth substack permit\nauth required pam_deny.so\n",
    "auth [default=2] pam_env.so\nauth required pam_permit.so\n",
    "auth [success=2 default=2] pam_env.so\nauth substack none\nauth substack none\n"
    "auth required pam_deny.so\nauth required pam_permit.so\n",
    "auth [default=ok] pam_unix.so\nauth sufficient pam_permit.so\n",
    "account required pam_permit.so\nauth [default=ignore] pam_permit.so\n",
};

static void no_proof_no_entry(void **state)
{
	struct rootfs t = rootfs_make();

	(void)state;
	put(&t, "etc/pam.d/deny", "auth requisite pam_deny.so\n", 0644);
	put(&t, "etc/pam.d/permit", "auth sufficient pam_permit.so\n", 0644);
	put(&t, "etc/pam.d/none", "# nothing\n", 0644);
	for (size_t i = 0; i < sizeof(refusing) / sizeof(refusing[0]); i++) {
		struct pam_stack s = {0};
		struct err e = ERR_INIT;

		put(&t, "etc/pam.d/s", refusing[i], 0644);
		assert_int_equal(pam_read(t.fd, "s", &s, &e), 0);
		if (pam_lets_in(&s))
			fail_msg("lets in: %s", refusing[i]);
		pam_release(&s);
	}
	rootfs_drop(&t);
}

static void jumps_shrink_too(void **state)
{
	struct strv lines = {0};

	(void)state;
	strv_add(&lines, "auth [success=2 default=ignore] pam_a.so");
	strv_add(&lines, "auth required pam_b.so");
	strv_add(&lines, "auth required pam_c.so");
	pam_jumps_shift(&lines, 1, "auth", -1);
	assert_string_equal(lines.v[0], "auth\t[success=1 default=ignore]\tpam_a.so");
	strv_release(&lines);
}

int main(void)
{
	enum { ROWS = sizeof(rows) / sizeof(rows[0]), MORE = 4 };
	static struct CMUnitTest tests[ROWS + MORE];

	tests[0] = (struct CMUnitTest)cmocka_unit_test(resolves_includes);
	tests[1] = (struct CMUnitTest)cmocka_unit_test(refuses_a_cycle);
	tests[2] = (struct CMUnitTest)cmocka_unit_test(jumps_shrink_too);
	tests[3] = (struct CMUnitTest)cmocka_unit_test(no_proof_no_entry);
	for (size_t i = 0; i < ROWS; i++)
		tests[MORE + i] = (struct CMUnitTest){
		    .name = rows[i].name,
		    .test_func = row_holds,
		    .initial_state = (void *)(uintptr_t)&rows[i],
		};
	return _cmocka_run_group_tests("harden-pam", tests, ROWS + MORE, NULL, NULL);
}

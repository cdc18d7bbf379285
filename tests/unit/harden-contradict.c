/* harden/contradict: two controls that cannot both hold are found before anything is built, and
 * only those. */
#include "harden-lib.h"

#define HEAD "posmedia-profile: 1\nversion: 1.0.0\ntitle: t\n"
#define CONTROL(id, rest)                                                                          \
	"  - id: " id "\n    title: t\n    severity: high\n    sources: {cis: [\"1\"]}\n" rest

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
	const char *one, *other;
	const char *says; /* NULL: they agree */
} rows[] = {
    {"keyvalue: {format: sshd, keys: {PermitRootLogin: \"no\"}}",
     "keyvalue: {format: sshd, keys: {permitrootlogin: prohibit-password}}",
     "PermitRootLogin of /etc/ssh/sshd_config cannot be no and prohibit-password"},
    {"keyvalue: {format: sshd, keys: {PermitRootLogin: \"no\"}}",
     "keyvalue: {format: sshd, keys: {UsePAM: \"yes\"}}", NULL},
    {"keyvalue: {format: sshd, keys: {LogLevel: VERBOSE}}",
     "keyvalue: {format: sshd, keys: {LogLevel: {one-of: [INFO, VERBOSE]}}}", NULL},
    {"keyvalue: {format: sshd, keys: {LogLevel: {one-of: [INFO, VERBOSE]}}}",
     "keyvalue: {format: sshd, keys: {LogLevel: {one-of: [DEBUG, VERBOSE]}}}", NULL},
    {"keyvalue: {format: sshd, keys: {LogLevel: {one-of: [INFO, VERBOSE]}}}",
     "keyvalue: {format: sshd, keys: {LogLevel: {one-of: [DEBUG, ERROR]}}}", "LogLevel of"},
    {"keyvalue: {format: pwquality, keys: {minlen: {at-least: 14}}}",
     "keyvalue: {format: pwquality, keys: {minlen: {at-least: 12}}}", NULL},
    {"keyvalue: {format: faillock, keys: {deny: {at-least: 1, at-most: 4}}}",
     "keyvalue: {format: faillock, keys: {deny: {at-least: 1, at-most: 10}}}", NULL},
    {"keyvalue: {format: faillock, keys: {deny: {at-least: 1, at-most: 4}}}",
     "keyvalue: {format: faillock, keys: {deny: {at-least: 5, at-most: 10}}}",
     "deny of /etc/security/faillock.conf cannot be at least 1, at most 4 and at least 5"},
    {"keyvalue: {format: sysctl, keys: {net.ipv4.ip_forward: \"0\"}}",
     "keyvalue: {format: sysctl, keys: {net.ipv4.ip_forward: \"1\"}}", "ip_forward of"},
    {"keyvalue: {format: ini, file: /etc/a.conf, keys: {A.b: x}}",
     "keyvalue: {format: ini, file: /etc/c.conf, keys: {A.b: y}}", NULL},
    {"keyvalue: {format: sudoers, keys: {use_pty: {is-flag: true}}}",
     "keyvalue: {format: sudoers, keys: {use_pty: {absent: true}}}", "use_pty of"},
    {"packages: {present: [cups, sudo]}", "packages: {absent: [telnet, sudo]}",
     "package sudo cannot be present and absent"},
    {"packages: {absent: [sudo]}", "packages: {absent: [sudo]}", NULL},
    {"units: {masked: [a.service]}", "units: {enabled: [a.service]}",
     "a.service cannot be enabled and not"},
    {"units: {masked: [a.service]}", "units: {disabled: [a.service]}", NULL},
    {"file: {path: /etc/x, text: a}", "file: {path: /etc/x, text: b}",
     "/etc/x cannot have two texts"},
    {"pam: {file: p, type: password, module: m.so, control: [required], args: [remember=24]}",
     "pam: {file: p, type: password, module: m.so, control: [required], args: [remember=4]}",
     "m.so of /etc/pam.d/p cannot have remember=24 and not"},
    {"pam: {file: p, type: password, module: m.so, control: [required], args: [use_authtok]}",
     "pam: {file: p, type: password, module: m.so, forbid: [use_authtok]}",
     "m.so of /etc/pam.d/p cannot have use_authtok and not"},
    {"pam: {file: p, type: auth, module: m.so, control: [required], mark: [a], args: [x=1]}",
     "pam: {file: p, type: auth, module: m.so, control: [required], mark: [b], args: [x=2]}", NULL},
};

static struct harden_profile *load_controls(const char *id, const char *controls)
{
	char *text SCOPED(mem_freep) = mem_format(HEAD "id: %s\ncontrols:\n%s", id, controls);
	char *name SCOPED(mem_freep) = mem_format("%s.yaml", id);
	char *path SCOPED(mem_freep) = fs_join(dir.path, name);

	put(&dir, name, text, 0644);
	return load(path);
}

/* What is said of two profiles, or "" when they agree. */
static void expect(struct harden_profile *a, struct harden_profile *b, const char *says)
{
	const struct harden_profile *const both[] = {a, b};
	struct err e = ERR_INIT;
	int rc = harden_contradictions(both, b == NULL ? 1 : 2, &e);

	if (says == NULL && rc != 0)
		fail_msg("they agree, but: %s", e.msg);
	if (says != NULL && rc == 0)
		fail_msg("not found: %s", says);
	if (says != NULL) {
		assert_int_equal(e.kind, ERR_RECIPE);
		assert_non_null(strstr(e.msg, "control T-1 of profile a and control T-2"));
		if (strstr(e.msg, says) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", e.msg, says);
	}
	harden_profile_free(a);
	harden_profile_free(b);
}

static void of_two_profiles(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *one SCOPED(mem_freep) =
		    mem_format(CONTROL("T-1", "    want:\n      - %s\n"), rows[i].one);
		char *other SCOPED(mem_freep) =
		    mem_format(CONTROL("T-2", "    want:\n      - %s\n"), rows[i].other);

		expect(load_controls("a", one), load_controls("b", other), rows[i].says);
	}
}

static void of_one_profile(void **state)
{
	(void)state;
	expect(load_controls("a", CONTROL("T-1", "    want: [{packages: {present: [x]}}]\n")
				      CONTROL("T-2", "    want: [{packages: {absent: [x]}}]\n")),
	       NULL, "package x");
}

/* What never meets in one tree may differ. */
static void of_different_systems(void **state)
{
#define ON(id, where, what) CONTROL(id, "    " where "\n    want: [{packages: {" what ": [x]}}]\n")
	(void)state;
	expect(load_controls("a", ON("T-1", "distribution: [debian]", "present")),
	       load_controls("b", ON("T-2", "distribution: [el 9+]", "absent")), NULL);
	expect(load_controls("a", ON("T-1", "distribution: [debian]", "present")),
	       load_controls("b", ON("T-2", "fix: false", "absent")), "package x");
	expect(load_controls(
		   "a", ON("T-1", "target: machine\n    held-by: host\n    reason: x", "present")),
	       load_controls(
		   "b", ON("T-2", "target: container\n    held-by: host\n    reason: x", "absent")),
	       NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(of_two_profiles),
	    cmocka_unit_test(of_one_profile),
	    cmocka_unit_test(of_different_systems),
	};

	return cmocka_run_group_tests_name("harden-contradict", tests, set_up, tear_down);
}

/* harden/keyvalue: the value that counts is the one the program would use. Each row is a set of
 * files and what is wanted; a fix must then make it so by the same reading. */
#include "harden-lib.h"

struct file {
	const char *path, *text;
};

struct row {
	const char *name;
	struct file files[4];
	const char *format; /* "sshd", or "ini, file: /etc/x.conf" */
	const char *keys;
	bool holds;
};

static const struct row rows[] = {
    {"sshd: first wins",
     {{"etc/ssh/sshd_config", "PermitRootLogin no\nPermitRootLogin yes\n"}},
     "sshd",
     "PermitRootLogin: \"no\"",
     true},
    {"sshd: first wins, wrong",
     {{"etc/ssh/sshd_config", "PermitRootLogin yes\nPermitRootLogin no\n"}},
     "sshd",
     "PermitRootLogin: \"no\"",
     false},
    {"sshd: keys without case, '=' and quotes",
     {{"etc/ssh/sshd_config", "  permitrootlogin = \"NO\"\n"}},
     "sshd",
     "PermitRootLogin: \"no\"",
     true},
    {"sshd: a comment sets nothing",
     {{"etc/ssh/sshd_config", "#PermitRootLogin no\n"}},
     "sshd",
     "PermitRootLogin: \"no\"",
     false},
    {"sshd: an include in place",
     {{"etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin yes\n"},
      {"etc/ssh/sshd_config.d/b.conf", "PermitRootLogin yes\n"},
      {"etc/ssh/sshd_config.d/a.conf", "PermitRootLogin no\n"}},
     "sshd",
     "PermitRootLogin: \"no\"",
     true},
    {"sshd: an include behind the setting",
     {{"etc/ssh/sshd_config", "PermitRootLogin yes\nInclude /etc/ssh/sshd_config.d/*.conf\n"},
      {"etc/ssh/sshd_config.d/a.conf", "PermitRootLogin no\n"}},
     "sshd",
     "PermitRootLogin: \"no\"",
     false},
    {"sshd: a relative include",
     {{"etc/ssh/sshd_config", "Include x.conf\n"}, {"etc/ssh/x.conf", "UsePAM no\n"}},
     "sshd",
     "UsePAM: \"yes\"",
     false},
    {"sshd: no include is read",
     {{"etc/ssh/sshd_config", "UsePAM yes\n"}, {"etc/ssh/sshd_config.d/a.conf", "UsePAM no\n"}},
     "sshd",
     "UsePAM: \"yes\"",
     true},
    {"sshd: a match block that loosens",
     {{"etc/ssh/sshd_config", "PermitRootLogin no\nMatch User root\nPermitRootLogin yes\n"}},
     "sshd",
     "PermitRootLogin: \"no\"",
     false},
    {"sshd: a match block alone does not set it for all",
     {{"etc/ssh/sshd_config", "Match User root\nPermitRootLogin no\n"}},
     "sshd",
     "PermitRootLogin: \"no\"",
     false},
    {"sshd: match all is for all",
     {{"etc/ssh/sshd_config", "Match User x\nMatch all\nPermitRootLogin no\n"}},
     "sshd",
     "PermitRootLogin: \"no\"",
     true},
    {"sysctl: slashes for dots",
     {{"etc/sysctl.conf", "net/ipv4/ip_forward = 1\n"}},
     "sysctl",
     "net.ipv4.ip_forward: \"0\"",
     false},
    {"sshd: match all wins over what stands outside",
     {{"etc/ssh/sshd_config", "PermitRootLogin no\nMatch all\nPermitRootLogin yes\n"}},
     "sshd",
     "PermitRootLogin: \"no\"",
     false},
    {"sshd: match all, the first one",
     {{"etc/ssh/sshd_config",
       "PermitRootLogin yes\nMatch all\nPermitRootLogin no\nPermitRootLogin yes\n"}},
     "sshd",
     "PermitRootLogin: \"no\"",
     true},
    {"sshd: a match block ends with its file",
     {{"etc/ssh/sshd_config", "Include a.conf\nPermitRootLogin no\n"},
      {"etc/ssh/a.conf", "Match User x\nX11Forwarding no\n"}},
     "sshd",
     "PermitRootLogin: \"no\"",
     true},
    {"sshd: an include in a match block is for some",
     {{"etc/ssh/sshd_config", "PermitRootLogin no\nMatch User x\nInclude a.conf\n"},
      {"etc/ssh/a.conf", "PermitRootLogin yes\n"}},
     "sshd",
     "PermitRootLogin: \"no\"",
     false},
    {"sshd: times",
     {{"etc/ssh/sshd_config", "LoginGraceTime 1m\n"}},
     "sshd",
     "LoginGraceTime: {at-least: 1, at-most: 60}",
     true},
    {"sshd: no limit is above every limit",
     {{"etc/ssh/sshd_config", "LoginGraceTime 0\n"}},
     "sshd",
     "LoginGraceTime: {at-least: 1, at-most: 60}",
     false},
    {"sshd: a list with a foreign entry",
     {{"etc/ssh/sshd_config", "Ciphers aes256-ctr,3des-cbc\n"}},
     "sshd",
     "Ciphers: {subset-of: [aes256-ctr, aes128-ctr]}",
     false},
    {"sshd: a shorter list is stricter",
     {{"etc/ssh/sshd_config", "Ciphers aes128-ctr\n"}},
     "sshd",
     "Ciphers: {subset-of: [aes256-ctr, aes128-ctr]}",
     true},
    {"sshd: the default list plus something",
     {{"etc/ssh/sshd_config", "Ciphers +aes128-ctr\n"}},
     "sshd",
     "Ciphers: {subset-of: [aes256-ctr, aes128-ctr]}",
     false},

    {"sshd: lines that add up",
     {{"etc/ssh/sshd_config", "AllowGroups sudo pos\nAllowGroups !guests till\n"}},
     "sshd",
     "AllowGroups: {named: true, set: sudo}",
     true},
    {"sshd: one of them for everybody",
     {{"etc/ssh/sshd_config", "AllowGroups sudo\nAllowGroups *\n"}},
     "sshd",
     "AllowGroups: {named: true, set: sudo}",
     false},
    {"sshd: a pattern of one character",
     {{"etc/ssh/sshd_config", "AllowGroups sud?\n"}},
     "sshd",
     "AllowGroups: {named: true, set: sudo}",
     false},
    {"sshd: exceptions alone",
     {{"etc/ssh/sshd_config", "AllowGroups !guests !x\n"}},
     "sshd",
     "AllowGroups: {named: true, set: sudo}",
     false},

    {"login.defs: last wins",
     {{"etc/login.defs", "PASS_MAX_DAYS 90\nPASS_MAX_DAYS 99999\n"}},
     "login.defs",
     "PASS_MAX_DAYS: {at-most: 90}",
     false},
    {"login.defs: no number",
     {{"etc/login.defs", "PASS_MAX_DAYS often\n"}},
     "login.defs",
     "PASS_MAX_DAYS: {at-most: 90}",
     false},
    {"login.defs: a number too large",
     {{"etc/login.defs", "PASS_MAX_DAYS 99999999999999999999\n"}},
     "login.defs",
     "PASS_MAX_DAYS: {at-most: 90}",
     false},
    {"pwquality: the main file is read last",
     {{"etc/security/pwquality.conf", "minlen = 8\n"},
      {"etc/security/pwquality.conf.d/a.conf", "minlen = 14\n"}},
     "pwquality",
     "minlen: {at-least: 14}",
     false},
    {"pwquality: only *.conf",
     {{"etc/security/pwquality.conf.d/a.conf", "minlen=14\n"},
      {"etc/security/pwquality.conf.d/b.bak", "minlen=1\n"}},
     "pwquality",
     "minlen: {at-least: 14}",
     true},
    {"faillock: a flag",
     {{"etc/security/faillock.conf", "even_deny_root\n"}},
     "faillock",
     "even_deny_root: {is-flag: true}",
     true},
    {"ini: sections matter",
     {{"etc/x.conf", "[Other]\nStorage=persistent\n[Journal]\n#Storage=none\n"}},
     "ini, file: /etc/x.conf",
     "Journal.Storage: persistent",
     false},
    {"ini: a drop-in in /usr/lib",
     {{"etc/x.conf", "[Journal]\nStorage=persistent\n"},
      {"usr/lib/x.conf.d/50.conf", "[Journal]\nStorage=none\n"}},
     "ini, file: /etc/x.conf",
     "Journal.Storage: persistent",
     false},
    {"ini: /etc hides a drop-in of the same name",
     {{"etc/x.conf", "[Journal]\nStorage=persistent\n"},
      {"usr/lib/x.conf.d/50.conf", "[Journal]\nStorage=none\n"},
      {"etc/x.conf.d/50.conf", ""}},
     "ini, file: /etc/x.conf",
     "Journal.Storage: persistent",
     true},
    {"ini: drop-ins by name, not by directory",
     {{"usr/lib/x.conf.d/90.conf", "[Journal]\nStorage=none\n"},
      {"etc/x.conf.d/10.conf", "[Journal]\nStorage=persistent\n"}},
     "ini, file: /etc/x.conf",
     "Journal.Storage: persistent",
     false},
    {"openssl: padded sections, and what stands before the first",
     {{"etc/ssl/openssl.cnf", "openssl_conf = init\n[ init ]\nssl_conf = s\n"}},
     "openssl",
     "openssl_conf: init, init.ssl_conf: s",
     true},
    {"openssl: the same key of another section",
     {{"etc/ssl/openssl.cnf", "[x]\nopenssl_conf = init\n"}},
     "openssl",
     "openssl_conf: init",
     false},
    {"sysctl: /etc/sysctl.conf is read last",
     {{"etc/sysctl.d/99.conf", "kernel.sysrq = 0\n"}, {"etc/sysctl.conf", "kernel.sysrq=1\n"}},
     "sysctl",
     "kernel.sysrq: \"0\"",
     false},
    {"sysctl: a dash is no part of the key",
     {{"etc/sysctl.d/99.conf", "-kernel.sysrq = 0\n"}},
     "sysctl",
     "kernel.sysrq: \"0\"",
     true},
    {"shell: quotes and export",
     {{"etc/default/x", "export INACTIVE=\"30\"\n"}},
     "shell, file: /etc/default/x",
     "INACTIVE: {at-most: 45}",
     true},
    {"limits: for one group only",
     {{"etc/security/limits.conf", "@users hard core 0\n"}},
     "limits",
     "hard core: \"0\"",
     false},
    {"limits: one user is let out",
     {{"etc/security/limits.conf", "* hard core 0\n"},
      {"etc/security/limits.d/x.conf", "rti - core unlimited\n"}},
     "limits",
     "hard core: \"0\"",
     false},
    {"sudoers: several settings on continued lines",
     {{"etc/sudoers", "Defaults env_reset, \\\n  logfile=\"/var/log/sudo.log\"\n"}},
     "sudoers",
     "logfile: /var/log/sudo.log",
     true},
    {"sudoers: a comma in quotes",
     {{"etc/sudoers", "Defaults badpass_message=\"No, no\", use_pty\n"}},
     "sudoers",
     "use_pty: {is-flag: true}",
     true},
    {"sudoers: what is quoted is no setting",
     {{"etc/sudoers", "Defaults badpass_message=\"No, use_pty, no\"\n"}},
     "sudoers",
     "use_pty: {is-flag: true}",
     false},
    {"sudoers: switched off in a drop-in",
     {{"etc/sudoers", "Defaults use_pty\n#includedir /etc/sudoers.d\n"},
      {"etc/sudoers.d/x", "Defaults !use_pty\n"}},
     "sudoers",
     "use_pty: {is-flag: true}",
     false},
    {"sudoers: names with a dot are left out",
     {{"etc/sudoers", "Defaults use_pty\n@includedir /etc/sudoers.d\n"},
      {"etc/sudoers.d/x.bak", "Defaults !use_pty\n"}},
     "sudoers",
     "use_pty: {is-flag: true}",
     true},
    {"sudoers: for one user",
     {{"etc/sudoers", "Defaults use_pty\nDefaults:rti !use_pty\n"}},
     "sudoers",
     "use_pty: {is-flag: true}",
     false},
    {"rsyslog: each one counts",
     {{"etc/rsyslog.conf", "$FileCreateMode 0640\n"},
      {"etc/rsyslog.d/x.conf", "$FileCreateMode 0644\n"}},
     "rsyslog",
     "$FileCreateMode: \"0640\"",
     false},
    {"a value that must not be set",
     {{"etc/login.defs", "MAIL_FILE x\n"}},
     "login.defs",
     "MAIL_FILE: {absent: true}",
     false},
    {"a default that is fine",
     {{"etc/login.defs", ""}},
     "login.defs",
     "UMASK: {is: \"027\", unset-ok: true}",
     true},
};

static void row_holds(void **state)
{
	const struct row *row = *state;
	char *want SCOPED(mem_freep) =
	    mem_format("      - keyvalue: {format: %s, keys: {%s}}\n", row->format, row->keys);
	struct rootfs t = rootfs_make();
	struct harden_profile *p;
	struct harden_report r;
	struct digest once, twice;
	char *before, *after;

	for (size_t i = 0; i < 4 && row->files[i].path != NULL; i++)
		put(&t, row->files[i].path, row->files[i].text, 0644);
	p = load_want(&t, want);
	before = finding(p, &t);
	if ((before[0] == '\0') != row->holds)
		fail_msg("found \"%s\"", before);
	r = apply(p, &t, NULL);
	assert_true((r.v[0].fixed == NULL) == row->holds);
	harden_report_release(&r);
	after = finding(p, &t);
	assert_string_equal(after, "");
	once = rootfs_digest(&t);
	r = apply(p, &t, NULL);
	twice = rootfs_digest(&t);
	assert_true(digest_equal(&once, &twice));
	harden_report_release(&r);
	harden_profile_free(p);
	rootfs_drop(&t);
	free(before);
	free(after);
}

/* What is not in the way stays as it was written. */
static void touches_nothing_else(void **state)
{
	static const char text[] = "# note\n\nPort 22\n\tX11Forwarding yes # old\nAcceptEnv LANG\n"
				   "Match User x\nX11Forwarding no\n";
	struct rootfs t = rootfs_make();
	struct harden_profile *p =
	    load_want(&t, "      - keyvalue: {format: sshd, keys: {X11Forwarding: \"no\"}}\n");
	struct harden_report r;
	char *main, *dropin;

	(void)state;
	put(&t, "etc/ssh/sshd_config", text, 0640);
	r = apply(p, &t, NULL);
	main = get(&t, "etc/ssh/sshd_config");
	dropin = get(&t, "etc/ssh/sshd_config.d/00-posmedia.conf");
	assert_string_equal(main, "Include /etc/ssh/sshd_config.d/*.conf\n# note\n\nPort 22\n"
				  "X11Forwarding no\nAcceptEnv LANG\n"
				  "Match User x\nX11Forwarding no\n");
	assert_string_equal(dropin, "# Written by posmedia from a hardening profile.\n"
				    "X11Forwarding no\n");
	assert_int_equal(mode_of(&t, "etc/ssh/sshd_config"), 0640);
	free(main);
	free(dropin);
	harden_report_release(&r);
	harden_profile_free(p);
	rootfs_drop(&t);
}

/* Includes that never end are a finding, not an endless loop. */
static void include_cycle_fails(void **state)
{
	struct rootfs t = rootfs_make();
	struct harden_profile *p =
	    load_want(&t, "      - keyvalue: {format: sshd, keys: {UsePAM: \"yes\"}}\n");
	char *text;

	(void)state;
	put(&t, "etc/ssh/sshd_config", "Include sshd_config\nUsePAM yes\n", 0644);
	text = finding(p, &t);
	assert_non_null(strstr(text, "included too deep"));
	free(text);
	harden_profile_free(p);
	rootfs_drop(&t);
}

int main(void)
{
	enum { ROWS = sizeof(rows) / sizeof(rows[0]), MORE = 2 };
	static struct CMUnitTest tests[ROWS + MORE];

	tests[0] = (struct CMUnitTest)cmocka_unit_test(touches_nothing_else);
	tests[1] = (struct CMUnitTest)cmocka_unit_test(include_cycle_fails);
	for (size_t i = 0; i < ROWS; i++)
		tests[MORE + i] = (struct CMUnitTest){
		    .name = rows[i].name,
		    .test_func = row_holds,
		    .initial_state = (void *)(uintptr_t)&rows[i],
		};
	return _cmocka_run_group_tests("harden-keyvalue", tests, ROWS + MORE, NULL, NULL);
}

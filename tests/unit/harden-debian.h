/* harden-debian.h - a small tree with the files of a fresh Debian 12 that controls look at. */
#ifndef TESTS_UNIT_HARDEN_DEBIAN_H
#define TESTS_UNIT_HARDEN_DEBIAN_H

#include "harden-lib.h"

#include "form/md5.h"
#include "recipe/lock.h"

struct debian_file {
	const char *path;
	mode_t mode;
	const char *text;
};

static const struct debian_file debian_files[] = {
    {"etc/os-release", 0644, "NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID=\"12\"\n"},
    {"var/lib/dpkg/status", 0644,
     "Package: openssh-server\nVersion: 1.0\nStatus: install ok installed\n\n"
     "Package: sudo\nVersion: 1.0\nStatus: install ok installed\n\n"
     "Package: cron\nVersion: 1.0\nStatus: install ok installed\n\n"
     "Package: rsyslog\nVersion: 1.0\nStatus: install ok installed\n\n"
     "Package: logrotate\nVersion: 1.0\nStatus: install ok installed\n\n"
     "Package: samba\nVersion: 1.0\nStatus: install ok installed\n\n"
     "Package: telnet\nStatus: deinstall ok config-files\n\n"
     "Package: libpam-pwquality\nVersion: 1.0\nStatus: install ok installed\n\n"
     "Package: cracklib-runtime\nVersion: 1.0\nStatus: install ok installed\n"},
    {"etc/passwd", 0644,
     "root:x:0:0:root:/root:/bin/bash\n"
     "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
     "sync:x:4:65534:sync:/bin:/bin/sync\n"
     "games:x:5:60:games:/usr/games:/usr/sbin/nologin\n"
     "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
     "sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"
     "rti:x:1500:1500:POS operator:/home/rti:/bin/bash\n"
     "support:x:1501:1500::/home/rti:/usr/sbin/nologin\n"
     "tester:x:1502:1500::/home/tester:/usr/sbin/nologin\n"},
    {"etc/group", 0644,
     "root:x:0:\ndaemon:x:1:\nadm:x:4:\nshadow:x:42:\ngames:x:60:\nnogroup:x:65534:\n"
     "rti:x:1500:\n"},
    {"etc/shadow", 0640,
     "root:*:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\nsync:*:20000:0:99999:7:::\n"
     "games:*:20000:0:99999:7:::\nnobody:*:20000:0:99999:7:::\nsshd:!:20000::::::\n"
     "rti:!:20000:0:99999:7:::\nsupport:!:20000:0:99999:7:::\ntester:!:20000:0:99999:7:::\n"},
    {"etc/gshadow", 0640, "root:*::\nrti:!::\n"},
    {"etc/login.defs", 0644,
     "# comment\nUMASK\t\t022\nPASS_MAX_DAYS\t99999\nPASS_MIN_DAYS\t0\nPASS_WARN_AGE\t7\n"
     "ENCRYPT_METHOD YESCRYPT\n"
     "ENV_SUPATH\tPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"},
    {"etc/default/useradd", 0644, "SHELL=/bin/sh\n"},
    {"etc/crypto-policies/config", 0644, "# of the system\nLEGACY\n"},
    {"etc/postfix/main.cf", 0644,
     "inet_interfaces = all\nsmtpd_tls_protocols = >=TLSv1.2\nsmtp_tls_mandatory_protocols = "
     "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1\n"},
    {"etc/exim4/update-exim4.conf.conf", 0644, "dc_local_interfaces=''\n"},
    {"etc/apache2/mods-enabled/ssl.conf", 0644,
     "SSLProtocol all -SSLv3 -TLSv1 -TLSv1.1\nSSLCipherSuite HIGH:!aNULL:!3DES\n"},
    {"etc/java-17-openjdk/security/java.security", 0644,
     "#jdk.tls.disabledAlgorithms=none\njdk.tls.disabledAlgorithms=SSLv3, TLSv1, \\\n"
     "    TLSv1.1, RC4, DES, \\\n    3DES_EDE_CBC\nnext=x\n"},
    {"etc/cups/cupsd.conf", 0644, "Listen localhost:631\n"},
    {"usr/share/zoneinfo/Etc/UTC", 0644, "TZif2"},
    {"usr/share/ca-certificates/mozilla/A.crt", 0644,
     "-----BEGIN CERTIFICATE-----\nMIIA\nAAAA\n-----END CERTIFICATE-----\n"},
    {"usr/share/ca-certificates/mozilla/B.crt", 0644,
     "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"},
    {"etc/ssl/certs/ca-certificates.crt", 0644,
     "-----BEGIN CERTIFICATE-----\nMIIAAAAA\n-----END CERTIFICATE-----\n"
     "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"},
    {"opt/evil.crt", 0644, "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n"},
    {"etc/shells", 0644, "/bin/sh\n/bin/bash\n"},
    {"etc/profile", 0644, "PATH=\"/usr/local/bin:/usr/bin:/bin\"\nexport PATH\n"},
    {"etc/bash.bashrc", 0644, "# interactive shells\n"},
    {"etc/environment", 0644, ""},
    {"etc/issue", 0644, "Debian GNU/Linux 12 \\n \\l\n"},
    {"etc/issue.net", 0644, "Debian GNU/Linux 12\n"},
    {"etc/motd", 0644, "The programs included with the Debian GNU/Linux system\n"},
    {"etc/machine-id", 0444, ""},
    {"etc/pam.d/common-auth", 0644,
     "auth\t[success=1 default=ignore]\tpam_unix.so nullok\n"
     "auth\trequisite\tpam_deny.so\nauth\trequired\tpam_permit.so\n"},
    {"etc/pam.d/common-account", 0644,
     "account\t[success=1 new_authtok_reqd=done default=ignore]\tpam_unix.so\n"
     "account\trequisite\tpam_deny.so\naccount\trequired\tpam_permit.so\n"},
    {"etc/pam.d/common-password", 0644,
     "password\trequisite\tpam_pwquality.so retry=3\n"
     "password\t[success=1 default=ignore]\tpam_unix.so obscure use_authtok try_first_pass "
     "yescrypt\npassword\trequisite\tpam_deny.so\npassword\trequired\tpam_permit.so\n"},
    {"etc/pam.d/sshd", 0644,
     "@include common-auth\naccount required pam_nologin.so\n@include common-account\n"
     "@include common-password\n"},
    {"etc/pam.d/login", 0644, "@include common-auth\n@include common-account\n"},
    {"etc/pam.d/sudo", 0644, "@include common-auth\n@include common-account\n"},
    {"etc/pam.d/su", 0644,
     "auth sufficient pam_rootok.so\n@include common-auth\n@include common-account\n"},
    {"usr/lib/x86_64-linux-gnu/security/pam_unix.so", 0644, ""},
    {"usr/lib/x86_64-linux-gnu/security/pam_deny.so", 0644, ""},
    {"usr/lib/x86_64-linux-gnu/security/pam_permit.so", 0644, ""},
    {"usr/lib/x86_64-linux-gnu/security/pam_nologin.so", 0644, ""},
    {"usr/lib/x86_64-linux-gnu/security/pam_rootok.so", 0644, ""},
    {"usr/lib/x86_64-linux-gnu/security/pam_wheel.so", 0644, ""},
    {"usr/lib/x86_64-linux-gnu/security/pam_faillock.so", 0644, ""},
    {"usr/lib/x86_64-linux-gnu/security/pam_pwquality.so", 0644, ""},
    {"usr/lib/x86_64-linux-gnu/security/pam_pwhistory.so", 0644, ""},
    {"etc/skel/.bashrc", 0644, "# of a new home\n"},
    {"etc/security/pwquality.conf", 0644, "# minlen = 8\n"},
    {"etc/security/faillock.conf", 0644, "# deny = 3\n"},
    {"etc/security/limits.conf", 0644, "#* soft core 0\n"},
    {"etc/security/opasswd", 0600, ""},
    {"var/cache/cracklib/cracklib_dict.pwd", 0644, "x"},
    {"etc/ssh/sshd_config", 0644,
     "# The server's configuration\nInclude /etc/ssh/sshd_config.d/*.conf\n"
     "KbdInteractiveAuthentication no\nUsePAM yes\nX11Forwarding yes\n"
     "Subsystem sftp /usr/lib/openssh/sftp-server\n"},
    {"etc/ssh/ssh_host_ed25519_key", 0600, "a key\n"},
    {"etc/ssh/ssh_host_ed25519_key.pub", 0644, "its public half\n"},
    {"etc/rsyslog.conf", 0644,
     "module(load=\"imuxsock\")\n$FileCreateMode 0640\n$IncludeConfig /etc/rsyslog.d/*.conf\n"
     "*.*;auth,authpriv.none\t-/var/log/syslog\nauth,authpriv.*\t/var/log/auth.log\n"},
    {"etc/logrotate.conf", 0644, "weekly\nrotate 4\ncreate\ninclude /etc/logrotate.d\n"},
    {"etc/logrotate.d/rsyslog", 0644,
     "/var/log/syslog\n/var/log/auth.log\n{\n\trotate 4\n\tweekly\n\tpostrotate\n"
     "\t\tif true; then\n\t\t\t/usr/lib/rsyslog/rsyslog-rotate\n\t\tfi\n\tendscript\n}\n"},
    {"etc/logrotate.d/wtmp", 0644, "/var/log/wtmp {\n    monthly\n    rotate 1\n}\n"},
    {"etc/sudoers", 0440,
     "Defaults\tenv_reset\nDefaults\tuse_pty\nroot\tALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\n"
     "@includedir /etc/sudoers.d\n"},
    {"etc/crontab", 0644, "17 * * * * root run-parts /etc/cron.hourly\n"},
    {"etc/cron.d/e2scrub", 0644, "30 3 * * 0 root true\n"},
    {"etc/cron.daily/logrotate", 0755, "#!/bin/sh\nlogrotate /etc/logrotate.conf\n"},
    {"etc/systemd/journald.conf", 0644, "[Journal]\n#Storage=auto\n"},
    {"etc/ssl/openssl.cnf", 0644,
     "HOME = .\nopenssl_conf = openssl_init\n\n[openssl_init]\nproviders = provider_sect\n\n"
     "[ ca ]\ndefault_ca = CA_default\n"},
    {"usr/lib/systemd/systemd", 0755, "\177ELF"},
    {"usr/lib/systemd/systemd-journald", 0755, "\177ELF"},
    {"usr/lib/systemd/system/ctrl-alt-del.target", 0644, "[Unit]\n"},
    {"usr/lib/systemd/system/debug-shell.service", 0644, "[Unit]\n"},
    {"usr/lib/systemd/system/rsyslog.service", 0644, "[Unit]\n"},
    {"usr/lib/systemd/system/logrotate.timer", 0644, "[Unit]\n"},
    {"usr/lib/systemd/system/rpcbind.service", 0644, "[Unit]\n"},
    {"usr/bin/passwd", 04755, "\177ELF"},
    {"usr/bin/chsh", 04755, "\177ELF"},
    {"usr/lib/systemd/system/getty@.service", 0644, "[Service]\nExecStart=-/sbin/agetty %I\n"},
    {"usr/bin/mount", 04755, "\177ELF"},
    {"usr/bin/sudo", 04755, "\177ELF"},
    {"usr/sbin/sshd", 0755, "\177ELF"},
    {"usr/sbin/cron", 0755, "\177ELF"},
    {"usr/sbin/rsyslogd", 0755, "\177ELF"},
    {"usr/sbin/logrotate", 0755, "\177ELF"},
    {"usr/local/bin/tool", 0755, "#!/bin/sh\n"},
    {"opt/tool", 0755, "#!/bin/sh\n"},
    {"root/.profile", 0644, "# root\n"},
    {"home/rti/.profile", 0644, "# rti\n"},
    {"var/log/auth.log", 0640, ""},
    {"tmp/x", 0644, ""},
};

/* dpkg's lists of the files below usr, all of one package. */
static inline void debian_list(const struct rootfs *t, const char *package,
			       const struct debian_file *v, size_t n)
{
	char *path SCOPED(mem_freep) = mem_format("var/lib/dpkg/info/%s.list", package);
	char *path_sums SCOPED(mem_freep) = mem_format("var/lib/dpkg/info/%s.md5sums", package);
	struct buf list SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct buf sums SCOPED(buf_release) = BUF_INIT(1 << 16);

	for (size_t i = 0; i < n; i++) {
		char md5[MD5_HEX + 1];
		struct err e = ERR_INIT;
		int fd;

		if (strncmp(v[i].path, "usr/", 4) != 0 || strncmp(v[i].path, "usr/local/", 10) == 0)
			continue;
		fd = openat(t->fd, v[i].path, O_RDONLY | O_CLOEXEC);
		assert_int_equal(md5_part(fd, 0, strlen(v[i].text), md5, &e), 0);
		(void)close(fd);
		buf_addf(&list, "/%s\n", v[i].path);
		buf_addf(&sums, "%s  %s\n", md5, v[i].path);
	}
	/* what an image may lack */
	buf_addf(&sums, "00000000000000000000000000000000  usr/share/doc/base-files/README\n");
	put(t, path, list.data, 0644);
	put(t, path_sums, sums.data, 0644);
}

/* The installed packages, for l->packages, which has room for them. */
enum { DEBIAN_PACKAGES_N = 8 };
static inline void debian_lock(struct lock *l)
{
	static const char *const names[DEBIAN_PACKAGES_N] = {"cracklib-runtime",
							     "libpam-pwquality",
							     "logrotate",
							     "openssh-server",
							     "rsyslog",
							     "samba",
							     "sudo",
							     "cron"};

	for (size_t i = 0; i < DEBIAN_PACKAGES_N; i++)
		l->packages[l->packages_n++] = (struct lock_package){
		    .name = (char *)(uintptr_t)names[i], .version = (char *)(uintptr_t) "1.0"};
}

static inline void debian_make(const struct rootfs *t)
{
	static const char *const dirs[] = {"root", "home/rti", "home/tester"};
	struct err e = ERR_INIT;

	for (size_t i = 0; i < sizeof(debian_files) / sizeof(debian_files[0]); i++)
		put(t, debian_files[i].path, debian_files[i].text, debian_files[i].mode);
	assert_int_equal(fs_mkdirs(t->fd, "home/tester", 0755, &e), 0);
	assert_int_equal(fchownat(t->fd, "home/tester", 1502, 1500, 0), 0);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		assert_int_equal(fchmodat(t->fd, dirs[i], 0700, 0), 0);
	assert_int_equal(fs_mkdirs(t->fd, "usr/local/lib", 0755, &e), 0);
	assert_int_equal(symlinkat("../usr/share/zoneinfo/Etc/UTC", t->fd, "etc/localtime"), 0);
	debian_list(t, "base-files", debian_files, sizeof(debian_files) / sizeof(debian_files[0]));
	assert_int_equal(fchmodat(t->fd, "tmp", 01777, 0), 0);
	assert_int_equal(fchownat(t->fd, "home/rti", 1500, 1500, 0), 0);
	assert_int_equal(fchownat(t->fd, "etc/shadow", 0, 42, 0), 0);
	assert_int_equal(fchownat(t->fd, "etc/gshadow", 0, 42, 0), 0);
}

/* What the tree was made for: two ports and a share that is wanted. */
struct debian_recipe {
	struct recipe r;
	struct recipe_port ports[2];
};

static inline void debian_recipe_init(struct debian_recipe *d)
{
	*d = (struct debian_recipe){
	    .ports = {{.first = 22, .last = 22}, {.first = 2000, .last = 2001}}};
	d->r.ports = d->ports;
	d->r.ports_n = 2;
	strv_add(&d->r.install, "samba");
	strv_add(&d->r.install, "openssh-server");
	strv_add(&d->r.data, "/srv/cards");
}

static inline void debian_recipe_release(struct debian_recipe *d)
{
	strv_release(&d->r.install);
	strv_release(&d->r.data);
}

#endif

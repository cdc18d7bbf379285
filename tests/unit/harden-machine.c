/* harden: every control of pa-dss-3.2 that holds in a machine only notices what it is there for. */
#include "harden-rows.h"

static const struct debian_file machine_files[] = {
    {"boot/vmlinuz-6.1.0-40-cloud-amd64", 0644, ""},
    {"boot/grub/grub.cfg", 0600,
     "menuentry 'Debian' {\n\tlinux\t/boot/vmlinuz-6.1.0 root=LABEL=root ro quiet\n}\n"},
    {"etc/default/grub", 0644,
     "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"net.ifnames="
     "0\"\n"},
    {"etc/audit/auditd.conf", 0640,
     "local_events = yes\nwrite_logs = yes\nmax_log_file = 8\nspace_left = 75\n"
     "space_left_action = SYSLOG\nname_format = NONE\n"},
    {"etc/audit/rules.d/audit.rules", 0640,
     "## First rule - delete all\n-D\n-b 8192\n--backlog_wait_time 60000\n-f 1\n"},
    {"etc/audit/plugins.d/syslog.conf", 0640,
     "active = no\ndirection = out\npath = /sbin/audisp-syslog\ntype = always\n"},
    {"etc/libaudit.conf", 0640, ""},
    {"etc/modprobe.d/local.conf", 0644, "options loop max_loop=8\n"},
    {"etc/fstab", 0644,
     "LABEL=root / ext4 defaults 0 1\nLABEL=home /home ext4 defaults 0 2\n"
     "LABEL=var /var ext4 nodev,nosuid 0 2\nLABEL=log /var/log ext4 nodev 0 2\n"
     "LABEL=audit /var/log/audit ext4 nodev 0 2\ntmpfs /var/tmp tmpfs nosuid 0 0\n"
     "tmpfs /dev/shm tmpfs nodev 0 0\n/dev/sda9 none swap sw 0 0\n"
     "/dev/mapper/swap none swap sw 0 0\n"},
    {"etc/crypttab", 0600, "swap /dev/sda8 /dev/urandom swap\n"},
    {"etc/systemd/system/tmp.mount", 0644,
     "[Mount]\nWhat=tmpfs\nWhere=/tmp\nType=tmpfs\nOptions=nodev,nosuid,noexec,mode=1777\n"},
    {"usr/lib/systemd/system/auditd.service", 0644, "[Unit]\n"},
    {"usr/lib/systemd/system/nftables.service", 0644, "[Unit]\n"},
    {"usr/lib/systemd/system/ufw.service", 0644, "[Unit]\n"},
    {"usr/lib/systemd/system/hibernate.target", 0644, "[Unit]\n"},
    {"opt/pos.target", 0644, "[Unit]\nWants=foo.service\n"},
    {"usr/sbin/nft", 0755, "\177ELF"},
    {"usr/bin/a tool", 0755, "\177ELF"},
    {"usr/sbin/auditctl", 0755, "\177ELF"},
    {"usr/sbin/auditd", 0755, "\177ELF"},
    {"usr/sbin/augenrules", 0755, "#!/bin/sh\n"},
    {"var/log/audit/audit.log", 0600, ""},
    {"srv/cards/x", 0600, ""},
    {"etc/chrony/chrony.conf", 0644,
     "confdir /etc/chrony/conf.d\npool 2.vendor.pool.example iburst\n"
     "sourcedir /run/chrony-dhcp\nsourcedir /etc/chrony/sources.d\n"},
    {"etc/chrony/sources.d/site.sources", 0644,
     "server time1.site.example iburst\nserver time2.site.example iburst\n"},
    {"etc/default/chrony", 0644, "# -u root\nDAEMON_OPTS=\"-F 1\"\n"},
    {"etc/aide/aide.conf", 0600,
     "database_in = file:/var/lib/aide/aide.db\nAll = L+sha512-md5\n@@include /etc/aide/x\n"
     "/boot All\n/etc f All\n/usr All\n"},
    {"usr/bin/aide", 0755, "\177ELF"},
    {"etc/apparmor.d/usr.sbin.chronyd", 0644,
     "include <tunables/global>\nprofile chronyd /usr/sbin/chronyd flags=(attach_disconnected) {\n"
     "}\n"},
    {"etc/apparmor.d/local/README", 0644, "flags=(complain)\n"},
    {"etc/swanctl/conf.d/shop.conf", 0600,
     "connections {\n  shop {\n    version = 2\n    proposals = aes256-sha256-modp3072 # x\n"
     "    children {\n      net { esp_proposals = \"aes256gcm16-ecp384, aes128gcm16\" }\n    }\n"
     "  }\n}\n"},
    {"usr/lib/systemd/systemd-sulogin-shell", 0755, "\177ELF"},
    {"usr/lib/systemd/system/rescue.service", 0644,
     "[Service]\nExecStart=-/usr/lib/systemd/systemd-sulogin-shell rescue\n"},
    {"usr/lib/systemd/system/emergency.service", 0644,
     "[Service]\nExecStart=-/usr/lib/systemd/systemd-sulogin-shell emergency\n"},
    {"usr/lib/systemd/system/chrony.service", 0644, "[Unit]\n"},
    {"usr/lib/systemd/system/apparmor.service", 0644, "[Unit]\n"},
    {"usr/lib/systemd/system/foo.service", 0644, "[Unit]\n"},
    {"usr/lib/x86_64-linux-gnu/security/pam_securetty.so", 0644, ""},
    {"usr/lib/x86_64-linux-gnu/security/pam_lastlog.so", 0644, ""},
    {"etc/rc2.d/S01auditd", 0755, "#!/bin/sh\n"},
};

static void machine_make(const struct rootfs *t)
{
	debian_make(t);
	for (size_t i = 0; i < sizeof(machine_files) / sizeof(machine_files[0]); i++)
		put(t, machine_files[i].path, machine_files[i].text, machine_files[i].mode);
	debian_list(t, "auditd", machine_files, sizeof(machine_files) / sizeof(machine_files[0]));
	/* what depmod(8) and systemd-hwdb(8) make for packages, and is of none */
	put(t, "usr/lib/modules/6.1.0/modules.dep.bin", "", 0644);
	put(t, "usr/lib/modules/6.1.0/modules.builtin.alias.bin", "", 0644);
	put(t, "usr/lib/udev/hwdb.bin", "", 0444);
	append(t, "var/lib/dpkg/status",
	       "\nPackage: auditd\nStatus: install ok installed\n"
	       "\nPackage: audispd-plugins\nStatus: install ok installed\n"
	       "\nPackage: chrony\nStatus: install ok installed\n"
	       "\nPackage: aide\nStatus: install ok installed\n"
	       "\nPackage: apparmor\nStatus: install ok installed\n");
	assert_int_equal(fchmodat(t->fd, "var/log/audit", 0750, 0), 0);
	assert_int_equal(fchmodat(t->fd, "etc/audit", 0750, 0), 0);
	assert_int_equal(symlinkat("/run", t->fd, "var/run"), 0);
}

#define OURS "etc/audit/rules.d/50-posmedia.rules"

static const struct row rows[] = {
    {"ACC-17", APPEND, "etc/securetty", "tty1\n", NULL, FIXED},
    {"ACC-17", EDIT, "etc/pam.d/login", "pam_securetty.so", "pam_nologin.so", FIXED},
    {"PAM-14", EDIT, "etc/pam.d/login", " showfailed", "", FIXED},
    {"AUD-01", REMOVE, "etc/systemd/system/multi-user.target.wants/auditd.service", NULL, NULL,
     FIXED},
    {"AUD-01", LINK, "etc/systemd/system/auditd.service", "/dev/null", NULL, FIXED},
    {"AUD-01", EDIT, "var/lib/dpkg/status", "Package: auditd", "Package: gone", NOT_FIXED},
    {"AUD-02 SVC-03b INT-04", WRITE, "etc/default/grub.d/70.cfg", "GRUB_CMDLINE_LINUX=\"quiet\"\n",
     NULL, NOT_FIXED},
    {"AUD-02", APPEND, "etc/default/grub.d/60-posmedia.cfg",
     "GRUB_CMDLINE_LINUX=\"${GRUB_CMDLINE_LINUX} audit=0\"\n", NULL, FIXED},
    {"AUD-02 SVC-03b INT-04", APPEND, "boot/grub/grub.cfg",
     "\tlinux /boot/other root=LABEL=root ro\n", NULL, FIXED},
    {"AUD-02", EDIT, "etc/default/grub", "\"quiet\"", "\"quiet audit=0\"", FIXED},
    {"AUD-02", APPEND, "etc/default/grub.d/60-posmedia.cfg",
     "GRUB_CMDLINE_LINUX_DEFAULT+=' audit-backlog-limit=64'\n", NULL, FIXED},
    {"AUD-02 SVC-03b INT-04", EDIT, "etc/default/grub", "net.ifnames=0", "net.ifnames=0 --",
     NOT_FIXED},
    {"AUD-02", APPEND, "etc/default/grub.d/60-posmedia.cfg",
     "GRUB_CMDLINE_LINUX=\"${GRUB_CMDLINE_LINUX} audit=0 --\"\n", NULL, NOT_FIXED},
    {"AUD-02 INT-04", APPEND, "boot/grub/grub.cfg",
     "\tlinux /boot/other ro panic=1 -- audit=1 audit_backlog_limit=8192 apparmor=1 "
     "security=apparmor\n",
     NULL, FIXED},
    {"AUD-02", APPEND, "boot/grub/grub.cfg",
     "\tlinux /boot/other ro panic=1 audit=1 audit_backlog_limit=8192 apparmor=1 "
     "security=apparmor audit-backlog-limit=64\n",
     NULL, FIXED},
    {"AUD-03", APPEND, "etc/audit/auditd.conf", "max_log_file_action = ROTATE\n", NULL, FIXED},
    {"AUD-03", APPEND, "etc/audit/auditd.conf", "Write_Logs = no\n", NULL, FIXED},
    {"AUD-03", APPEND, "etc/audit/auditd.conf", "space_left_action = SYSLOG\n", NULL, FIXED},
    {"AUD-04", APPEND, "etc/audit/auditd.conf", "name_format = none\n", NULL, FIXED},
    {"AUD-05", EDIT, OURS, "-F arch=b32 -S adjtimex", "-F arch=b64 -S adjtimex", FIXED},
    {"AUD-05", EDIT, OURS, "adjtimex,settimeofday -k", "adjtimex -k", FIXED},
    {"AUD-05", EDIT, OURS, "settimeofday -k", "settimeofday -F auid=0 -k", FIXED},
    {"AUD-05", EDIT, OURS, "-S stime", "-S time", FIXED},
    {"AUD-06", EDIT, OURS, "-w /etc/shadow -p wa", "-w /etc/shadow -p r", FIXED},
    {"AUD-06", EDIT, OURS, "-w /etc/pam.d/ -p", "-w /etc/pam.d/sshd -p", FIXED},
    {"AUD-06", EDIT, OURS, "path=/usr/sbin/usermod", "path=/usr/sbin/userdel", FIXED},
    {"AUD-07", EDIT, OURS, "-w /etc/sudoers.d", "# -w /etc/sudoers.d", FIXED},
    {"AUD-08", EDIT, OURS, "path=/usr/bin/sudo", "path=/usr/bin/su", FIXED},
    {"FIL-06 AUD-08", CHMOD, "usr/bin/a tool", "4755", NULL, FIXED},
    {"AUD-08", EDIT, OURS, "-C euid!=uid", "-C euid!=suid", FIXED},
    {"AUD-09", EDIT, OURS, "-w /var/log/lastlog", "-w /var/log/lastlog2", FIXED},
    {"AUD-10", EDIT, OURS, "chmod,fchmod,fchmodat -F auid>=1000",
     "chmod,fchmod,fchmodat -F auid>=5000", FIXED},
    {"AUD-10", EDIT, OURS, "path=/usr/bin/chacl", "path=/usr/bin/chage", FIXED},
    {"AUD-10", EDIT, OURS, "/usr/bin/chcon -F perm=x", "/usr/bin/chcon -F perm=r", FIXED},
    {"AUD-10", EDIT, OURS, "/usr/bin/setfacl -F perm=x -F auid>=1000",
     "/usr/bin/setfacl -F perm=x -F auid>=2000", FIXED},
    {"AUD-11", EDIT, OURS, "-F exit=-EPERM", "-F exit=-ENOENT", FIXED},
    {"AUD-12", EDIT, OURS, "-S mount -F", "-S umount2 -F", FIXED},
    {"AUD-12", EDIT, OURS, "renameat,rmdir", "renameat", FIXED},
    {"AUD-13", EDIT, OURS, "init_module,finit_module", "finit_module", FIXED},
    {"AUD-13", EDIT, OURS, "create_module,query_module", "query_module", FIXED},
    {"AUD-13", EDIT, OURS, "path=/usr/bin/kmod", "path=/usr/bin/kmodx", FIXED},
    {"AUD-13", EDIT, OURS, "-w /etc/networks -p", "-w /etc/network/x -p", FIXED},
    {"AUD-13", EDIT, OURS, "-w /etc/network/ -p", "-w /etc/network/x -p", FIXED},
    {"AUD-14", EDIT, OURS, "-w /srv/cards", "-w /srv/card", FIXED},
    {"AUD-15", EDIT, OURS, "-w /etc/audit -p wa", "-w /etc/audit -p x", FIXED},
    {"AUD-16", WRITE, "etc/audit/rules.d/99-zz.rules", "-e 1\n", NULL, FIXED},
    {"AUD-16", WRITE, "etc/audit/rules.d/10.rules", "-a never,task\n", NULL, FIXED},
    {"AUD-16", WRITE, "etc/audit/rules.d/10.rules", "-A exit,never -F uid=0\n", NULL, FIXED},
    {"AUD-16", WRITE, "etc/audit/rules.d/z.rules", "-a always,exclude -F msgtype=CWD\n", NULL,
     FIXED},
    {"AUD-16", WRITE, "etc/audit/rules.d/z.rules", "-W /etc/shadow -p wa\n", NULL, FIXED},
    {"AUD-17", CHMOD, "etc/audit/auditd.conf", "0644", NULL, FIXED},
    {"AUD-17", CHMOD, "etc/audit/rules.d/audit.rules", "0640", NULL, FIXED},
    {"AUD-17", CHMOD, "var/log/audit", "0755", NULL, FIXED},
    {"AUD-17", CHMOD, "var/log/audit/audit.log", "0644", NULL, FIXED},
    {"AUD-18", APPEND, "etc/audit/plugins.d/syslog.conf", "active = no\n", NULL, FIXED},

    {"TIM-01", APPEND, "var/lib/dpkg/status", "\nPackage: ntpsec\nStatus: install ok installed\n",
     NULL, NOT_FIXED},
    {"TIM-01", REMOVE, "etc/systemd/system/multi-user.target.wants/chrony.service", NULL, NULL,
     FIXED},
    {"TIM-02", WRITE, "etc/chrony/conf.d/a.conf", "POOL 0.pool.example\n", NULL, FIXED},
    {"TIM-02", EDIT, "etc/chrony/sources.d/site.sources", "server time2", "! server time2",
     NOT_FIXED},
    {"TIM-02 TIM-03", WRITE, "etc/chrony/conf.d/a.conf", "include /etc/chrony/conf.d/a.conf\n",
     NULL, NOT_FIXED},
    {"TIM-03", WRITE, "etc/chrony/conf.d/a.conf", "user root\n", NULL, FIXED},
    {"TIM-03", APPEND, "etc/default/chrony", "DAEMON_OPTS=\"-F 1 -u root\"\n", NULL, NOT_FIXED},

    {"SSH-14", EDIT, "etc/ssh/sshd_config.d/00-posmedia.conf", "AllowGroups sudo\n", "", FIXED},
    {"SSH-14", EDIT, "etc/ssh/sshd_config.d/00-posmedia.conf", "AllowGroups sudo", "AllowGroups *",
     FIXED},
    {"SSH-14", EDIT, "etc/ssh/sshd_config.d/00-posmedia.conf", "AllowGroups sudo",
     "AllowGroups !guests", FIXED},
    {"SSH-14", APPEND, "etc/ssh/sshd_config", "Match all\nallowgroups pos user?\n", NULL, FIXED},
    {"SSH-14", WRITE, "etc/ssh/sshd_config.d/zz.conf", "AllowGroups *\n", NULL, FIXED},

    {"FIL-09", CHMOD, "boot/grub/grub.cfg", "0644", NULL, FIXED},
    {"SVC-01", LINK, "etc/systemd/system/multi-user.target.wants/foo.service",
     "/usr/lib/systemd/system/foo.service", NULL, FIXED},
    {"SVC-01", LINK, "usr/local/lib/systemd/system/multi-user.target.wants/foo.service",
     "/usr/lib/systemd/system/foo.service", NULL, FIXED},
    {"SVC-01", WRITE, "etc/systemd/system/multi-user.target.d/a.conf",
     "[Unit]\nWants=ssh.service foo.service\n", NULL, NOT_FIXED},
    {"SVC-01", WRITE, "usr/local/lib/systemd/system/target.d/a.conf",
     "[Unit]\nUpholds = \\\n# note\n  foo.service\n", NULL, NOT_FIXED},
    {"SVC-01 NET-03", WRITE, "etc/systemd/system/basic.target.d/a.conf",
     "[Unit]\nRequires=ufw.service\n", NULL, NOT_FIXED},
    {"SVC-01 NET-03", LINK, "usr/local/lib/systemd/system/basic.target.upholds/ufw.service",
     "/usr/lib/systemd/system/ufw.service", NULL, FIXED},
    {"SVC-01", WRITE, "etc/systemd/system/multi-user.target",
     "[Unit]\nRequires=basic.target\nWants=foo.service\n", NULL, NOT_FIXED},
    {"SVC-01", WRITE, "usr/local/lib/systemd/system/pos.target",
     "[Unit]\nAfter=basic.target\nBindsTo=ssh.service graphical.target\n", NULL, NOT_FIXED},
    {"SVC-01", LINK, "etc/systemd/system/pos.target", "/opt/pos.target", NULL, NOT_FIXED},
    {"SVC-01", WRITE, "etc/systemd/system/ssh.service.d/a.conf",
     "[Unit]\nWants=network-online.target foo.service\n", NULL, NOT_FIXED},
    {"SVC-01", WRITE, "etc/systemd/system/service.d/a.conf", "[Unit]\nUpholds=foo.service\n", NULL,
     NOT_FIXED},
    {"SVC-01", WRITE, "usr/local/lib/systemd/system/pos.service",
     "[Unit]\nRequires=basic.target\nBindsTo=foo.service\n", NULL, NOT_FIXED},
    {"SVC-01", WRITE, "etc/systemd/system/pos.timer", "[Unit]\nRequires=foo.service\n", NULL,
     NOT_FIXED},
    {"SVC-01", LINK, "etc/rc3.d/S20inetd", "../init.d/inetd", NULL, FIXED},
    {"SVC-01", WRITE, "etc/machine-id", "uninitialized\n", NULL, NOT_FIXED},
    {"SVC-02b", REMOVE, "etc/systemd/system/default.target", NULL, NULL, FIXED},
    {"SVC-03", WRITE, "etc/systemd/system/rescue.service.d/a.conf",
     "[Service]\nExecStart=\nExecStart=-/bin/sh\n", NULL, NOT_FIXED},
    {"SVC-03b", EDIT, "boot/grub/grub.cfg", "panic=10", "panic=0", FIXED},
    {"SVC-03b", APPEND, "etc/default/grub.d/60-posmedia.cfg",
     "GRUB_CMDLINE_LINUX_DEFAULT+=' panic=-1'\n", NULL, FIXED},
    {"FIL-13 SVC-03", REMOVE, "usr/lib/systemd/systemd-sulogin-shell", NULL, NULL, NOT_FIXED},

    {"INT-01", APPEND, "etc/aide/aide.conf", "!/usr/sbin\n", NULL, NOT_FIXED},
    {"INT-01", APPEND, "etc/aide/aide.conf", "!/usr/sbin/auditd$\n", NULL, NOT_FIXED},
    {"INT-01", EDIT, "etc/aide/aide.conf", "/usr/sbin/autrace p+i", "#/usr/sbin/autrace p+i",
     FIXED},
    {"INT-01", EDIT, "etc/aide/aide.conf", "/etc f All", "=/etc All", FIXED},
    {"INT-01", WRITE, "etc/aide/x", "All = L+sha256\n", NULL, NOT_FIXED},
    {"INT-02", REMOVE, "etc/systemd/system/aide-database.service", NULL, NULL, FIXED},
    {"INT-02", REMOVE, "etc/systemd/system/multi-user.target.wants/aide-database.service", NULL,
     NULL, FIXED},
    {"INT-03", WRITE, "etc/systemd/system/aide-check.service.d/a.conf",
     "[Service]\nExecStart=\nExecStart=/usr/sbin/aide --check\n", NULL, NOT_FIXED},
    {"INT-03", EDIT, "etc/systemd/system/aide-check.timer", "daily", "yearly", FIXED},
    {"INT-04", LINK, "etc/apparmor.d/disable/usr.sbin.chronyd", "../usr.sbin.chronyd", NULL, FIXED},
    {"INT-04", EDIT, "etc/apparmor.d/usr.sbin.chronyd", "flags=(attach", "flags=(complain, attach",
     FIXED},
    {"INT-04", EDIT, "etc/apparmor.d/usr.sbin.chronyd", "flags=(attach_disconnected)",
     "flags=(unconfined)", FIXED},
    {"INT-04", EDIT, "etc/default/grub", "\"quiet\"", "\"quiet apparmor=0\"", FIXED},
    {"INT-04", APPEND, "boot/grub/grub.cfg",
     "\tlinux /boot/other ro panic=1 audit=1 audit_backlog_limit=8192 apparmor=0 "
     "security=apparmor\n",
     NULL, FIXED},

    {"RMT-01", EDIT, "etc/swanctl/conf.d/shop.conf", "version = 2", "version = 1", NOT_FIXED},
    {"RMT-01", EDIT, "etc/swanctl/conf.d/shop.conf", "modp3072", "modp1024", NOT_FIXED},
    {"RMT-01", EDIT, "etc/swanctl/conf.d/shop.conf", "esp_proposals", "mode", NOT_FIXED},
    {"RMT-01", APPEND, "etc/swanctl/conf.d/shop.conf",
     "secrets { ike-1 { secret = 0sFpZAZqEN6Ti9sqt4ZP5EWcqx } }\n", NULL, NOT_FIXED},
    {"SVC-01 RMT-02", LINK, "etc/systemd/system/multi-user.target.requires/vendor-access.service",
     "/usr/lib/systemd/system/vendor-access.service", NULL, FIXED},

    {"NET-03", REMOVE, "etc/systemd/system/multi-user.target.wants/nftables.service", NULL, NULL,
     FIXED},
    {"SVC-01 NET-03", LINK, "etc/systemd/system/multi-user.target.wants/ufw.service",
     "/usr/lib/systemd/system/ufw.service", NULL, FIXED},
    {"NET-04", WRITE, "etc/sysctl.d/70.conf", "net.ipv4.conf.all.accept_redirects = 1\n", NULL,
     FIXED},
    {"NET-05", WRITE, "usr/local/lib/sysctl.d/70.conf",
     "-net.ipv6.conf.default.accept_source_route=1\n", NULL, FIXED},
    {"NET-06", APPEND, "etc/sysctl.conf", "net.ipv4.conf.all.rp_filter=0\n", NULL, FIXED},
    {"NET-07", APPEND, "etc/sysctl.conf", "net.ipv4.tcp_syncookies=0\n", NULL, FIXED},
    {"NET-08", WRITE, "etc/sysctl.d/99-k8s.conf", "net.ipv4.ip_forward = 1\n", NULL, FIXED},
    {"NET-09", APPEND, "etc/sysctl.conf", "net.ipv6.conf.all.accept_ra=1\n", NULL, FIXED},

    {"KRN-01", WRITE, "etc/sysctl.d/70.conf", "kernel.yama.ptrace_scope = 0\n", NULL, FIXED},
    {"KRN-02b", WRITE, "etc/sysctl.d/70.conf", "kernel.core_pattern = core\n", NULL, FIXED},
    {"KRN-02b", APPEND, "etc/sysctl.conf", "fs.suid_dumpable = 2\n", NULL, FIXED},
    {"KRN-03", EDIT, "etc/modprobe.d/00-posmedia.conf", "install udf /bin/false",
     "install udf /sbin/modprobe --ignore-install udf", FIXED},
    {"KRN-03", EDIT, "etc/modprobe.d/00-posmedia.conf", "blacklist hfs\n", "", FIXED},
    {"KRN-04", WRITE, "etc/modprobe.d/00-a.conf", "install sct* \\\n /sbin/insmod sctp.ko\n", NULL,
     FIXED},
    {"KRN-05", WRITE, "usr/local/lib/modprobe.d/00-a.conf",
     "install usb_storage /sbin/modprobe -i x\n", NULL, FIXED},
    {"KRN-06", WRITE, "etc/modprobe.d/cis.conf", "install overlay /bin/false\n", NULL, FIXED},
    {"KRN-06", WRITE, "etc/modprobe.d/cis.conf", "blacklist overlay\n", NULL, FIXED},
    {"KRN-07", WRITE, "etc/sysctl.d/70.conf", "kernel.sysrq = 1\n", NULL, FIXED},

    {"MNT-01 MNT-02", EDIT, "etc/fstab", "LABEL=home", "#LABEL=home", NOT_FIXED},
    {"MNT-01", EDIT, "etc/systemd/system/tmp.mount", "nodev", "noauto,nodev", NOT_FIXED},
    {"MNT-01 MNT-02", LINK, "etc/systemd/system/home.mount", "/dev/null", NULL, NOT_FIXED},
    {"MNT-02", EDIT, "etc/fstab", "LABEL=log\t/var/log\text4\tnodev,nosuid,noexec",
     "LABEL=log\t/var/log\text4\tnodev,nosuid,noexec,defaults", FIXED},
    {"MNT-02", WRITE, "etc/systemd/system/tmp.mount.d/a.conf", "[Mount]\nOptions=nodev,nosuid\n",
     NULL, NOT_FIXED},
    {"CHD-03", APPEND, "etc/fstab", "/swapfile none swap sw 0 0\n", NULL, FIXED},
    {"CHD-03", REMOVE, "etc/systemd/system/hibernate.target", NULL, NULL, FIXED},
};

/* auditctl(8) takes a comparison either way around. */
static void comparisons_have_no_direction(void **state)
{
	struct rootfs t = rootfs_make();

	(void)state;
	machine_make(&t);
	harden(&t);
	edit(&t, OURS, "-C euid!=uid", "-C uid!=euid");
	edit(&t, OURS, "-C egid!=gid", "-C gid!=egid");
	expect_failed(&t, "");
	rootfs_drop(&t);
}

static int one_swap(void *ctx, struct strv *ret, struct err *e)
{
	(void)e;
	strv_addf(ret, "swap in use on %s", (const char *)ctx);
	return 0;
}

/* What fstab does not name can be in use all the same. */
static void swap_in_use_counts(void **state)
{
	static char disk[] = "/dev/sdb1";
	const struct harden_live live = {one_swap, disk};
	const struct harden_context c = {.recipe = &bench->made.r, .today = TODAY, .live = &live};
	struct harden_report r = {0};
	struct err e = ERR_INIT;
	char *ids SCOPED(mem_freep) = NULL;

	(void)state;
	if (harden_check(bench->profile, hardened.path, &c, &r, &e) != 0)
		fail_msg("%s", e.msg);
	ids = failed(&r);
	assert_string_equal(ids, "CHD-03");
	harden_report_release(&r);
}

/* Every control that is for a machine and not for a container has a row above. */
static void every_control_of_a_machine_is_mutated(void **state)
{
	struct rootfs t = rootfs_make();
	struct harden_report r, c;

	(void)state;
	machine_make(&t);
	r = check(bench->profile, &t, &bench->made.r);
	bench->made.r.target = (char *)(uintptr_t) "container";
	c = check(bench->profile, &t, &bench->made.r);
	bench->made.r.target = (char *)(uintptr_t) "machine";
	for (size_t i = 0; i < r.n; i++)
		if (r.v[i].status != HARDEN_NOT_APPLICABLE &&
		    c.v[i].status == HARDEN_NOT_APPLICABLE && !has_row(r.v[i].id))
			fail_msg("no row breaks %s", r.v[i].id);
	harden_report_release(&r);
	harden_report_release(&c);
	rootfs_drop(&t);
}

int main(void)
{
	static const struct CMUnitTest more[] = {
	    cmocka_unit_test(every_control_of_a_machine_is_mutated),
	    cmocka_unit_test(comparisons_have_no_direction),
	    cmocka_unit_test(swap_in_use_counts),
	};
	static struct bench b = {
	    .name = "harden-machine",
	    .rows = rows,
	    .n = sizeof(rows) / sizeof(rows[0]),
	    .make = machine_make,
	    .target = "machine",
	};

	return bench_run(&b, more, sizeof(more) / sizeof(more[0]));
}

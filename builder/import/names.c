#include "import/parts.h"
#include <stdlib.h>
#include <string.h>

/* In byte order. What has no line is called the same everywhere, as far as we know. */
static const struct known_name names[] = {
    {"*firmware", 0, "", "firmware-*"},
    {"NetworkManager", 0, "", "network-manager"},
    {"audit", 0, "", "auditd"},
    {"authconfig", 8, "authselect", ""},
    {"bind-utils", 0, "", "bind9-dnsutils bind9-host"},
    {"biosdevname", 9, "", ""},
    {"boost", 0, "", ""},
    {"cdrecord", 8, "xorriso", "wodim"},
    {"centos-release", 8, "system-release", ""},
    {"chkconfig", 0, "", ""},
    {"coreutils-single", 0, "", "coreutils"},
    {"cracklib-dicts", 0, "", "cracklib-runtime"},
    {"cronie", 0, "", "cron"},
    {"cronie-anacron", 0, "", "anacron"},
    {"crontabs", 0, "", "cron"},
    {"deltarpm", 8, "drpm", ""},
    {"dhclient", 8, "dhcp-client", "isc-dhcp-client"},
    {"dhcp", 8, "dhcp-server", "isc-dhcp-server"},
    {"dnf", 0, "", ""},
    {"docker", 8, "podman", "podman"},
    {"dracut", 0, "", ""},
    {"elinks", 8, "lynx", "elinks"},
    {"firstboot", 7, "initial-setup", ""},
    {"gettext*", 0, "", "gettext*"},
    {"glibc", 0, "", "libc6"},
    {"glibc-common", 0, "", "libc-bin"},
    {"glibc-langpack-en", 0, "", "locales"},
    {"glibc-minimal-langpack", 0, "", ""},
    {"gnupg2", 0, "", "gnupg"},
    {"grub*", 0, "", "grub-*"},
    {"hal", 7, "", ""},
    {"httpd", 0, "", "apache2"},
    {"initscripts", 0, "", ""},
    {"iproute", 0, "", "iproute2"},
    {"iptables-services", 9, "iptables-nft-services", "iptables"},
    {"iputils", 0, "", "iputils-ping"},
    {"java", 0, "", "default-jre-headless"},
    {"kbd", 0, "", "kbd"},
    {"kernel", 0, "", "linux-image-*"},
    {"kernel*", 0, "", "linux-image-*"},
    {"ksh", 0, "", "ksh93u+m"},
    {"langpacks-en", 0, "", ""},
    {"libnfsidmap", 0, "", "libnfsidmap1"},
    {"libselinux-python", 8, "python3-libselinux", "python3-selinux"},
    {"libuuid", 0, "", "libuuid1"},
    {"man-pages", 0, "", "manpages"},
    {"mingetty", 7, "util-linux", "util-linux"},
    {"module-init-tools", 7, "kmod", "kmod"},
    {"mysql-server", 7, "mariadb-server", "mariadb-server"},
    {"ncurses", 0, "", "ncurses-bin"},
    {"ncurses-static", 0, "", ""},
    {"net-snmp", 0, "", "snmpd"},
    {"network-scripts", 9, "", ""},
    {"nfs-utils", 0, "", "nfs-common"},
    {"nfs-utils-lib", 7, "libnfsidmap", "libnfsidmap1"},
    {"ntp", 8, "chrony", "chrony"},
    {"ntpdate", 8, "chrony", "chrony"},
    {"openssh-clients", 0, "", "openssh-client"},
    {"pam", 0, "", "libpam-modules"},
    {"perl-Digest", 0, "", "perl"},
    {"perl-Digest-MD5", 0, "", "perl"},
    {"perl-Time-Piece", 0, "", "perl"},
    {"perl-core", 0, "", "perl"},
    {"php-mysql", 8, "php-mysqlnd", "php-mysql"},
    {"policycoreutils-python", 8, "policycoreutils-python-utils", "policycoreutils-python-utils"},
    {"procps", 7, "procps-ng", "procps"},
    {"procps-ng", 0, "", "procps"},
    {"python", 8, "python3", "python3"},
    {"redhat-lsb", 9, "", "lsb-release"},
    {"redhat-lsb-core", 9, "", "lsb-release"},
    {"rootfiles", 0, "", ""},
    {"rpm", 0, "", ""},
    {"rsh", 8, "", ""},
    {"rsh-server", 8, "", ""},
    {"samba-client", 0, "", "smbclient"},
    {"samba-common", 0, "", "samba-common"},
    {"screen", 8, "tmux", "screen"},
    {"selinux-policy-targeted", 0, "", "selinux-policy-default"},
    {"setup", 0, "", "base-files"},
    {"shadow-utils", 0, "", "passwd"},
    {"slang", 0, "", "libslang2"},
    {"strongswan-libipsec", 9, "", "libcharon-extra-plugins"},
    {"sysklogd", 7, "rsyslog", "rsyslog"},
    {"system-config-firewall-base", 7, "", ""},
    {"tcp_wrappers", 8, "", "tcpd"},
    {"udev", 7, "systemd", "udev"},
    {"unix2dos", 7, "dos2unix", "dos2unix"},
    {"upstart", 7, "systemd", "systemd"},
    {"util-linux-ng", 7, "util-linux", "util-linux"},
    {"vim-minimal", 0, "", "vim-tiny"},
    {"vixie-cron", 7, "cronie", "cron"},
    {"vlock", 8, "kbd", "vlock"},
    {"which", 0, "", "debianutils"},
    {"xinetd", 9, "", "xinetd"},
    {"xz", 0, "", "xz-utils"},
    {"ypbind", 9, "", "ypbind-mt"},
    {"ypserv", 9, "", "ypserv"},
    {"yum", 0, "", ""},
    {"yum-plugin-ovl", 8, "", ""},
    {"yum-presto", 8, "", ""},
    {"yum-utils", 0, "", ""},
};

static const struct {
	const char *name, *needs;
} needs[] = {
    {"cups", "cups-filesystem"},    {"firewalld", "firewalld-filesystem"},
    {"bind-utils", "bind-license"}, {"grub2", "os-prober"},
    {"httpd", "httpd-tools"},       {"NetworkManager-team", "teamd"},
    {"teamd", "libteam"},           {"samba", "samba-common"},
};

static const struct {
	const char *el, *debian;
} units[] = {
    {"chronyd", "chrony"}, {"crond", "cron"}, {"httpd", "apache2"}, {"nmb", "nmbd"},
    {"ntpd", "ntpsec"},    {"smb", "smbd"},   {"sshd", "ssh"},
};

/* What firewalld calls a service. */
static const struct {
	const char *name, *ports;
} services[] = {
    {"cockpit", "9090/tcp"},
    {"dhcpv6-client", "546/udp"},
    {"dns", "53/tcp 53/udp"},
    {"ftp", "21/tcp"},
    {"http", "80/tcp"},
    {"https", "443/tcp"},
    {"imap", "143/tcp"},
    {"imaps", "993/tcp"},
    {"ipp", "631/tcp 631/udp"},
    {"ipp-client", "631/udp"},
    {"ipsec", "500/udp 4500/udp"},
    {"ldap", "389/tcp"},
    {"ldaps", "636/tcp"},
    {"mdns", "5353/udp"},
    {"mysql", "3306/tcp"},
    {"nfs", "2049/tcp"},
    {"ntp", "123/udp"},
    {"openvpn", "1194/udp"},
    {"pop3", "110/tcp"},
    {"pop3s", "995/tcp"},
    {"postgresql", "5432/tcp"},
    {"rpc-bind", "111/tcp 111/udp"},
    {"rsyncd", "873/tcp"},
    {"samba", "137/udp 138/udp 139/tcp 445/tcp"},
    {"samba-client", "137/udp 138/udp"},
    {"smtp", "25/tcp"},
    {"snmp", "161/udp"},
    {"ssh", "22/tcp"},
    {"syslog", "514/udp"},
    {"telnet", "23/tcp"},
    {"tftp", "69/udp"},
    {"vnc-server", "5900-5903/tcp"},
};

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static int by_name(const void *key, const void *item)
{
	const struct known_name *n = item;

	return strcmp(key, n->name);
}

const struct known_name *known_name(const char *name)
{
	return bsearch(name, names, LENGTH(names), sizeof(names[0]), by_name);
}

const char *known_need(const char *name)
{
	for (size_t i = 0; i < LENGTH(needs); i++)
		if (strcmp(needs[i].name, name) == 0)
			return needs[i].needs;
	return NULL;
}

const char *known_unit(const char *unit)
{
	size_t n = strlen(unit);

	if (n > 8 && strcmp(unit + n - 8, ".service") == 0)
		n -= 8;
	for (size_t i = 0; i < LENGTH(units); i++)
		if (strlen(units[i].el) == n && memcmp(units[i].el, unit, n) == 0)
			return units[i].debian;
	return unit;
}

const char *known_ports(const char *service)
{
	for (size_t i = 0; i < LENGTH(services); i++)
		if (strcmp(services[i].name, service) == 0)
			return services[i].ports;
	return NULL;
}

#include "installer/program.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { HOSTS_MAX = 1 << 20, TEXT = 2048 };

static int put(int dir, const char *name, const struct buf *b, mode_t mode, struct err *e)
{
	return fs_put(dir, name, b->data, b->len, mode, e);
}

static int put_line(int dir, const char *name, const char *text, mode_t mode, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(TEXT);

	buf_addf(&b, "%s\n", text);
	return put(dir, name, &b, mode, e);
}

/* Its own name is another line of what the image has. */
static int put_hosts(int etc, const struct sheet *s, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(HOSTS_MAX);
	const char *dot = strchr(s->hostname, '.');

	if (faccessat(etc, "hosts", F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		buf_addf(&b, "127.0.0.1 localhost\n::1 localhost\n");
	else if (fs_get_file(etc, "hosts", &b, e) != 0)
		return -1;
	buf_addf(&b, "127.0.1.1 %s", s->hostname);
	if (dot != NULL)
		buf_addf(&b, " %.*s", (int)(dot - s->hostname), s->hostname);
	buf_addf(&b, "\n");
	return put(etc, "hosts", &b, 0644, e);
}

static int put_network(int rootfd, const struct sheet *s, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(TEXT);
	int dir SCOPED(fd_closep) = -1;

	if (s->address[0] == '\0' && s->interface[0] == '\0')
		return 0;
	if (s->interface[0] != '\0')
		buf_addf(&b, "[Match]\nName=%s\n\n[Network]\n", s->interface);
	else
		buf_addf(&b, "[Match]\nType=ether\n\n[Network]\n");
	if (s->address[0] == '\0')
		buf_addf(&b, "DHCP=ipv4\n");
	else
		buf_addf(&b, "Address=%s\n", s->address);
	if (s->gateway[0] != '\0')
		buf_addf(&b, "Gateway=%s\n", s->gateway);
	for (size_t i = 0; i < s->dns_n; i++)
		buf_addf(&b, "DNS=%s\n", s->dns[i]);
	if (fs_mkdirs_in_root(rootfd, "/etc/systemd/network", 0755, NULL, e) != 0 ||
	    fs_open_in_root(rootfd, "/etc/systemd/network", O_RDONLY | O_DIRECTORY, &dir, e) != 0)
		return -1;
	return put(dir, "05-site.network", &b, 0644, e);
}

static int put_resolv(int etc, const struct sheet *s, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(TEXT);

	for (size_t i = 0; i < s->dns_n; i++)
		buf_addf(&b, "nameserver %s\n", s->dns[i]);
	return s->dns_n == 0 ? 0 : put(etc, "resolv.conf", &b, 0644, e);
}

int identity_put(int rootfd, const struct sheet *s, struct err *e)
{
	int etc SCOPED(fd_closep) = -1;

	if (fs_open_in_root(rootfd, "/etc", O_RDONLY | O_DIRECTORY, &etc, e) != 0 ||
	    put_line(etc, "hostname", s->hostname, 0644, e) != 0 ||
	    put_line(etc, "machine-id", s->machine_id, 0444, e) != 0 || put_hosts(etc, s, e) != 0 ||
	    put_resolv(etc, s, e) != 0)
		return -1;
	return put_network(rootfd, s, e);
}

static int read_device(const char *device, char text[SHEET_MAX + 1], struct err *e)
{
	int fd SCOPED(fd_closep) = open(device, O_RDONLY | O_CLOEXEC);

	memset(text, 0, SHEET_MAX + 1);
	if (fd < 0 || pread(fd, text, SHEET_MAX, 0) != SHEET_MAX)
		return err_sys(e, "read who the machine is from %s", device);
	return 0;
}

int program_identity(char *const *args)
{
	char text[SHEET_MAX + 1];
	struct err e = ERR_INIT;
	int root SCOPED(fd_closep) = -1;
	struct sheet s;

	if (args[0] == NULL || args[1] == NULL)
		return 2;
	if (read_device(args[0], text, &e) != 0)
		return console_error(&e);
	/* a disk that was written without an installer */
	if (text[0] == '\0')
		return 0;
	if (sheet_parse(text, strlen(text), SHEET_INSTALLED, &s, &e) != 0 ||
	    fs_open_dir(AT_FDCWD, args[1], &root, &e) != 0 || identity_put(root, &s, &e) != 0)
		return console_error(&e);
	return 0;
}

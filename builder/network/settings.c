/* settings.c - what /proc/sys/net says of one interface, which begins anew with a namespace. */
#include "network/parts.h"

#include "sys/fs.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VALUE_MAX = 256 };

#define SYS "/proc/sys/net"

static const char *const kinds[] = {"ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh"};

/* One line, which some settings do not have: an unset stable_secret is an error to read. */
static bool read_value(const char *path, struct buf *ret)
{
	struct err quiet = ERR_INIT;

	buf_cut(ret, 0);
	if (fs_get(AT_FDCWD, path, ret, &quiet) != 0 || ret->len < 2 ||
	    ret->data[ret->len - 1] != '\n')
		return false;
	buf_cut(ret, ret->len - 1);
	for (size_t i = 0; i < ret->len; i++)
		if (!isprint((unsigned char)ret->data[i]) && ret->data[i] != '\t')
			return false;
	return true;
}

int net_settings_read(const char *name, struct strv *ret, struct err *e)
{
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		char *dir SCOPED(mem_freep) = mem_format(SYS "/%s/%s", kinds[k], name);
		struct strv all SCOPED(strv_release) = {0};

		/* a kernel may be without IPv6 */
		if (access(dir, F_OK) != 0)
			continue;
		if (fs_list(AT_FDCWD, dir, &all, e) != 0)
			return -1;
		for (size_t i = 0; i < all.n; i++) {
			char *path SCOPED(mem_freep) = fs_join(dir, all.v[i]);
			struct buf value SCOPED(buf_release) = BUF_INIT(VALUE_MAX);
			struct stat st;

			if (stat(path, &st) == 0 && (st.st_mode & S_IWUSR) != 0 &&
			    read_value(path, &value))
				strv_addf(ret, "%s %s %s", kinds[k], all.v[i], value.data);
		}
	}
	return 0;
}

static int write_value(const char *path, const char *value, struct err *e)
{
	struct buf now SCOPED(buf_release) = BUF_INIT(VALUE_MAX);
	int fd SCOPED(fd_closep) = -1;

	if (read_value(path, &now) && strcmp(now.data, value) == 0)
		return 0;
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 || write(fd, value, strlen(value)) < 0 ? err_sys(e, "set %s", path) : 0;
}

/* "ipv4/conf rp_filter 2" */
static int restore_one(const char *name, const char *line, struct err *e)
{
	size_t kind = strcspn(line, " ");
	const char *rest = line + kind + strspn(line + kind, " ");
	size_t key = strspn(rest, "abcdefghijklmnopqrstuvwxyz0123456789_");
	char *path SCOPED(mem_freep) = NULL;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		if (strlen(kinds[k]) != kind || strncmp(line, kinds[k], kind) != 0)
			continue;
		if (key == 0 || rest[key] != ' ')
			break;
		path = mem_format(SYS "/%s/%s/%.*s", kinds[k], name, (int)key, rest);
		return write_value(path, rest + key + 1, e);
	}
	return err_set(e, ERR_VERIFY, "%s: no setting: %.60s", name, line);
}

int net_settings_restore(const char *name, const struct strv *settings, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < settings->n; i++) {
		struct err why = ERR_INIT;

		if (restore_one(name, settings->v[i], &why) == 0)
			continue;
		if (rc == 0)
			*e = why;
		rc = -1;
	}
	return rc;
}

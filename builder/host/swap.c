/* swap.c - swap that is in use: whether what is written there is encrypted. */
#include "host/parts.h"

#include "sys/fs.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { NAME_BYTES = 4096, WAY_MAX = 1 << 12 };

/* "\040" is a blank, as the kernel writes it. The caller owns it. */
static char *unescape(const char *p, size_t n)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(NAME_BYTES);

	for (size_t i = 0; i < n; i++) {
		bool octal = p[i] == '\\' && n - i > 3 && p[i + 1] >= '0' && p[i + 1] <= '3' &&
			     p[i + 2] >= '0' && p[i + 2] <= '7' && p[i + 3] >= '0' &&
			     p[i + 3] <= '7';
		char c = p[i];

		if (octal) {
			c = (char)((p[i + 1] - '0') << 6 | (p[i + 2] - '0') << 3 |
				   (p[i + 3] - '0'));
			i += 3;
		}
		buf_add(&b, &c, 1);
	}
	return buf_take(&b);
}

/* What zram has no room for goes to the device behind it, and nothing without one. Its name, "" for
 * none; NULL when it is no zram. The caller owns it. */
static char *behind_zram(int sysfd, const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *base = slash != NULL ? slash + 1 : name;
	char *path SCOPED(mem_freep) = mem_format("block/%s/backing_dev", base);
	struct buf text SCOPED(buf_release) = BUF_INIT(NAME_BYTES);
	struct err e = ERR_INIT;

	if (strncmp(base, "zram", 4) != 0)
		return NULL;
	if (fs_get(sysfd, path, &text, &e) != 0)
		return mem_strdup("");
	text.data[strcspn(text.data, "\n")] = '\0';
	if (strcmp(text.data, "none") == 0)
		buf_cut(&text, 0);
	return buf_take(&text);
}

/* The number of a device, or of the one that holds a file: "253:0"; NULL when it has none. */
static char *number_of(const char *name, const char *mountinfo)
{
	struct stat st;

	if (stat(name, &st) != 0)
		return NULL;
	if (S_ISBLK(st.st_mode))
		return mem_format("%u:%u", major(st.st_rdev), minor(st.st_rdev));
	return host_mount_source(mountinfo, major(st.st_dev), minor(st.st_dev));
}

static int judge(const struct host_swaps *s, const char *name, struct strv *ret, struct err *e)
{
	char *behind SCOPED(mem_freep) = behind_zram(s->sysfd, name);
	const char *written = behind != NULL ? behind : name;
	char *device SCOPED(mem_freep) = NULL;
	struct buf way SCOPED(buf_release) = BUF_INIT(WAY_MAX);
	enum host_crypt c = HOST_CRYPT_UNKNOWN;

	if (*written == '\0')
		return 0;
	device = number_of(written, s->mountinfo);
	if (device != NULL && host_crypt_of(s->sysfd, device, &c, &way, e) != 0)
		return -1;
	if (c == HOST_CRYPT_NO)
		strv_addf(ret, "swap in use on %s is not encrypted (%s)", name, way.data);
	else if (c != HOST_CRYPT_YES)
		strv_addf(ret, "swap in use on %s: whether it is encrypted cannot be told", name);
	return 0;
}

int host_swaps_in_clear(const struct host_swaps *s, struct strv *ret, struct err *e)
{
	/* the first line names the columns */
	const char *line = s->swaps + strcspn(s->swaps, "\n");

	while (*line == '\n' && line[1] != '\0') {
		size_t n = strcspn(++line, " \t\n");
		char *name SCOPED(mem_freep) = unescape(line, n);

		if (n > 0 && judge(s, name, ret, e) != 0)
			return -1;
		line += strcspn(line, "\n");
	}
	return 0;
}

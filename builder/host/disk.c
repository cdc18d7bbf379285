/* disk.c - what a block device lies on, as /sys has it: dm-crypt or not. */
#include "host/parts.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 4096, DEPTH_MAX = 16 };

struct walk {
	struct buf *way;
	int depth;
};

static int look_at(int fd, const char *name, struct walk *w, enum host_crypt *ret, struct err *e);

/* A small file of a device's directory without its newline, "" when there is none. The caller owns
 * it. */
static char *says(int dirfd, const char *name)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(NAME_MAX_BYTES);
	struct err e = ERR_INIT;

	if (fs_get(dirfd, name, &text, &e) != 0)
		return mem_strdup("");
	text.data[strcspn(text.data, "\n")] = '\0';
	return buf_take(&text);
}

/* Two answers about parts of one thing: it is as safe as the least safe. */
static enum host_crypt worse(enum host_crypt a, enum host_crypt b)
{
	static const int safety[] = {
	    [HOST_CRYPT_NO] = 0,
	    [HOST_CRYPT_UNKNOWN] = 1,
	    [HOST_CRYPT_CLOUD] = 2,
	    [HOST_CRYPT_YES] = 3,
	};

	return safety[a] < safety[b] ? a : b;
}

/* All that it is made of. */
static int below(int fd, const struct strv *slaves, struct walk *w, enum host_crypt *ret,
		 struct err *e)
{
	enum host_crypt all = HOST_CRYPT_YES;

	for (size_t i = 0; i < slaves->n; i++) {
		char *path SCOPED(mem_freep) = mem_format("slaves/%s", slaves->v[i]);
		int sub SCOPED(fd_closep) = openat(fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		enum host_crypt one;

		if (sub < 0)
			return err_sys(e, "open %s in /sys", path);
		if (look_at(sub, slaves->v[i], w, &one, e) != 0)
			return -1;
		all = worse(all, one);
	}
	*ret = all;
	return 0;
}

/* A partition is a directory in that of its disk; a loop is a file on another. */
static int beside(int fd, struct walk *w, enum host_crypt *ret, struct err *e)
{
	char *part SCOPED(mem_freep) = says(fd, "partition");
	char *model SCOPED(mem_freep) = says(fd, "device/model");
	int disk SCOPED(fd_closep) = -1;

	if (*part != '\0') {
		disk = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (disk < 0)
			return err_sys(e, "open the disk of a partition in /sys");
		return look_at(disk, "its disk", w, ret, e);
	}
	*ret = strncmp(model, "Amazon Elastic Block Store", 26) == 0 ? HOST_CRYPT_CLOUD
								     : HOST_CRYPT_NO;
	return 0;
}

/* Devices of dm-crypt, as cryptsetup(8) names them, that encrypt; those of dm-integrity and
 * dm-verity, which only check, are named alike. */
static bool encrypts(const char *uuid)
{
	static const char *const kinds[] = {"CRYPT-LUKS1-", "CRYPT-LUKS2-", "CRYPT-PLAIN-"};

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		if (strncmp(uuid, kinds[k], strlen(kinds[k])) == 0)
			return true;
	return false;
}

static int look_at(int fd, const char *name, struct walk *w, enum host_crypt *ret, struct err *e)
{
	char *uuid SCOPED(mem_freep) = says(fd, "dm/uuid");
	struct strv slaves SCOPED(strv_release) = {0};
	struct err none = ERR_INIT;
	bool crypt = encrypts(uuid);

	buf_addf(w->way, "%s%s%s", w->way->len == 0 ? "" : ", ", name, crypt ? " (dm-crypt)" : "");
	if (crypt) {
		*ret = HOST_CRYPT_YES;
		return 0;
	}
	if (++w->depth > DEPTH_MAX)
		return err_set(e, ERR_FAIL, "disks on disks without end in /sys");
	if (fs_list(fd, "slaves", &slaves, &none) == 0 && slaves.n > 0)
		return below(fd, &slaves, w, ret, e);
	return beside(fd, w, ret, e);
}

/* Whether it is one of several that a file system of btrfs lies on, of which a mount names one. */
static bool is_one_of_several(int sysfd, const char *name, struct buf *way)
{
	struct strv all SCOPED(strv_release) = {0};
	struct err none = ERR_INIT;

	if (fs_list(sysfd, "fs/btrfs", &all, &none) != 0)
		return false;
	for (size_t i = 0; i < all.n; i++) {
		char *dir SCOPED(mem_freep) = mem_format("fs/btrfs/%s/devices", all.v[i]);
		struct strv devices SCOPED(strv_release) = {0};

		if (fs_list(sysfd, dir, &devices, &none) != 0 || devices.n < 2 ||
		    !strv_has(&devices, name))
			continue;
		buf_addf(way, "btrfs on ");
		for (size_t k = 0; k < devices.n; k++)
			buf_addf(way, "%s%s", k == 0 ? "" : ", ", devices.v[k]);
		return true;
	}
	return false;
}

int host_crypt_of(int sysfd, const char *device, enum host_crypt *ret, struct buf *ret_way,
		  struct err *e)
{
	struct walk w = {.way = ret_way};
	char *path SCOPED(mem_freep) = mem_format("dev/block/%s", device);
	char to[NAME_MAX_BYTES];
	ssize_t n = readlinkat(sysfd, path, to, sizeof(to) - 1);
	int fd SCOPED(fd_closep) = openat(sysfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *slash, *name;

	if (n < 0 || fd < 0) {
		buf_addf(ret_way, "device %s", device);
		*ret = HOST_CRYPT_UNKNOWN;
		return 0;
	}
	to[n] = '\0';
	slash = strrchr(to, '/');
	name = slash != NULL ? slash + 1 : to;
	if (is_one_of_several(sysfd, name, ret_way)) {
		*ret = HOST_CRYPT_UNKNOWN;
		return 0;
	}
	return look_at(fd, name, &w, ret, e);
}

/* The word that a line of mountinfo has at this place, from 0; its length in *n. */
static const char *word(const char *line, size_t at, size_t *n)
{
	for (; at > 0; at--) {
		line += strcspn(line, " \n");
		if (*line != ' ')
			return NULL;
		line++;
	}
	*n = strcspn(line, " \n");
	return line;
}

/* What is behind " - " in the line: type and source. "/dev/..." has a number. */
static char *number_of_source(const char *line)
{
	const char *dash = strstr(line, " - "), *source;
	size_t n;
	char *path SCOPED(mem_freep) = NULL;
	struct stat st;

	if (dash == NULL || dash > line + strcspn(line, "\n") ||
	    (source = word(dash + 3, 1, &n)) == NULL)
		return NULL;
	path = mem_strndup(source, n);
	if (path[0] != '/' || stat(path, &st) != 0 || !S_ISBLK(st.st_mode))
		return NULL;
	return mem_format("%u:%u", major(st.st_rdev), minor(st.st_rdev));
}

char *host_mount_source(const char *mountinfo, unsigned maj, unsigned min)
{
	char *want SCOPED(mem_freep) = mem_format("%u:%u", maj, min);
	size_t n;

	if (maj != 0)
		return STEAL(want);
	for (const char *line = mountinfo; *line != '\0'; line += *line == '\n') {
		const char *device = word(line, 2, &n);

		if (device != NULL && n == strlen(want) && strncmp(device, want, n) == 0)
			return number_of_source(line);
		line += strcspn(line, "\n");
	}
	return NULL;
}

/* slot_running.c - which slot this machine runs from. */
#include "media/slots.h"

#include "base/buf.h"
#include "base/strv.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CMDLINE_MAX = 8192, NAME_MAX_TEXT = 256, PATH_TEXT = 4096 };

int slot_parse_cmdline(const char *text)
{
	static const char name[] = "posmedia.slot=";
	char *copy SCOPED(mem_freep) = mem_strdup(text), *save = NULL;
	int slot = SLOT_NONE;

	for (char *w = strtok_r(copy, " \n", &save); w != NULL; w = strtok_r(NULL, " \n", &save))
		if (strncmp(w, name, strlen(name)) == 0)
			slot = slot_of(w + strlen(name));
	return slot;
}

/* Whether it is the root of this machine, by the name that the initial file system gave it. */
static bool is_root(const char *device)
{
	char *path SCOPED(mem_freep) = mem_format("%s/dm/name", device);
	struct buf name SCOPED(buf_release) = BUF_INIT(NAME_MAX_TEXT);
	struct err none = ERR_INIT;

	return fs_get(AT_FDCWD, path, &name, &none) == 0 &&
	       strcmp(name.data, "posmedia-root\n") == 0;
}

/* The disk that a partition is on, by its link in sysfs, which has the one in the other; NULL when
 * it is no partition. */
static char *disk_of(const char *link)
{
	char *mark SCOPED(mem_freep) = mem_format("%s/partition", link);
	char at[PATH_TEXT + 1], *slash;
	ssize_t n = readlink(link, at, PATH_TEXT);

	if (n <= 0 || access(mark, F_OK) != 0)
		return NULL;
	at[n] = '\0';
	slash = strrchr(at, '/');
	if (slash == NULL)
		return NULL;
	*slash = '\0';
	slash = strrchr(at, '/');
	return mem_strdup(slash != NULL ? slash + 1 : at);
}

/* Root and hashes are partitions of one disk. */
static int of_slaves(const char *device, char **ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = mem_format("%s/slaves", device);
	struct strv names SCOPED(strv_release) = {0};
	char *disk SCOPED(mem_freep) = NULL;

	if (fs_list(AT_FDCWD, dir, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		char *link SCOPED(mem_freep) = fs_join(dir, names.v[i]);
		char *is SCOPED(mem_freep) = disk_of(link);

		if (is == NULL)
			return err_set(e, ERR_FAIL, "%s is no partition of a disk", names.v[i]);
		if (disk != NULL && strcmp(disk, is) != 0)
			return err_set(e, ERR_FAIL, "the root is on two disks, %s and %s", disk,
				       is);
		free(disk);
		disk = STEAL(is);
	}
	*ret = STEAL(disk);
	return 0;
}

int slot_disk_below(const char *sysfs, char **ret, struct err *e)
{
	char *block SCOPED(mem_freep) = fs_join(sysfs, "block");
	struct strv names SCOPED(strv_release) = {0};

	if (fs_list(AT_FDCWD, block, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		char *device SCOPED(mem_freep) = fs_join(block, names.v[i]);

		if (!is_root(device))
			continue;
		if (of_slaves(device, ret, e) != 0)
			return -1;
		if (*ret != NULL)
			return 0;
	}
	return err_set(e, ERR_FAIL, "%s has no root of this machine", block);
}

int slot_find_running(struct slot_running *ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(CMDLINE_MAX);
	char *name SCOPED(mem_freep) = NULL;
	int slot;

	if (fs_get(AT_FDCWD, "/proc/cmdline", &text, e) != 0)
		return -1;
	slot = slot_parse_cmdline(text.data);
	if (slot == SLOT_NONE) {
		(void)err_set(e, ERR_USAGE, "this machine does not run from a slot");
		return err_hint(e, "Of another disk, or of the file of one, say --disk.");
	}
	if (slot_disk_below("/sys", &name, e) != 0)
		return -1;
	*ret = (struct slot_running){mem_format("/dev/%s", name), slot};
	return 0;
}

/* target.c - which disks there are, and which one is meant. */
#include "installer/target.h"

#include "base/num.h"
#include "sys/disk.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, LIST_MAX = 600, NUMBER_MAX = 64 };

void targets_add(struct targets *t, const struct target *one)
{
	t->v = mem_resize(t->v, t->n + 1, sizeof(*t->v));
	t->v[t->n] = *one;
	t->v[t->n].name = mem_strdup(one->name);
	t->v[t->n].path = mem_strdup(one->path);
	t->v[t->n].serial = mem_strdup(one->serial);
	t->n++;
}

void targets_release(struct targets *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i].name);
		free(t->v[i].path);
		free(t->v[i].serial);
	}
	free(t->v);
}

/* What the kernel makes of other disks, or of memory, is none; what can only be read neither. */
static bool is_disk(dev_t id, const char *name)
{
	char *device SCOPED(mem_freep) = mem_format("/sys/block/%s/device", name);
	char *ro SCOPED(mem_freep) = disk_text(id, "ro", 0);

	return access(device, F_OK) == 0 && strcmp(ro, "0") == 0 && strncmp(name, "sr", 2) != 0;
}

/* Whether a device is this disk, or a partition of it. */
static bool is_on(const char *device, const char *disk)
{
	char *part SCOPED(mem_freep) = mem_format("/sys/block/%s/%s/partition", disk, device);

	return strcmp(device, disk) == 0 || (*device != '\0' && access(part, F_OK) == 0);
}

static void add_disk(const char *name, const char *own, const char *site, struct targets *ret)
{
	char *path SCOPED(mem_freep) = mem_format("/dev/%s", name);
	char *serial SCOPED(mem_freep) = NULL, *sectors SCOPED(mem_freep) = NULL,
		     *unit SCOPED(mem_freep) = NULL;
	struct stat st;
	uint64_t n, sector = 0;

	if (stat(path, &st) != 0 || !S_ISBLK(st.st_mode) || !is_disk(st.st_rdev, name))
		return;
	serial = disk_serial(st.st_rdev);
	sectors = disk_text(st.st_rdev, "size", 0);
	if (num_u64(sectors, UINT64_MAX / SECTOR, &n) != 0 || n == 0)
		return;
	unit = disk_text(st.st_rdev, "queue/logical_block_size", 0);
	if (num_u64(unit, UINT32_MAX, &sector) != 0)
		sector = 0;
	targets_add(ret, &(struct target){.name = (char *)name,
					  .path = path,
					  .serial = serial,
					  .size = n * SECTOR,
					  .sector = sector,
					  .own = is_on(own, name),
					  .site = is_on(site, name)});
}

int targets_find(const char *own, const char *site, struct targets *ret, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};

	if (fs_list(AT_FDCWD, "/sys/block", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		add_disk(names.v[i], own, site, ret);
	return 0;
}

/* "vda (A1, 10.7 GB), vdb (no serial number, 1.1 GB)" */
static char *list_of(const struct targets *t)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(LIST_MAX);

	for (size_t i = 0; i < t->n; i++) {
		char *size SCOPED(mem_freep) = num_human(t->v[i].size);

		buf_addf(&b, "%s%s (%.*s, %s)", i > 0 ? ", " : "", t->v[i].name, NUMBER_MAX,
			 *t->v[i].serial != '\0' ? t->v[i].serial : "no serial number", size);
	}
	return b.len > 0 ? buf_take(&b) : mem_strdup("none");
}

static int find_one(const struct targets *t, const char *serial, size_t *ret, struct err *e)
{
	char *list SCOPED(mem_freep) = list_of(t);
	size_t found = 0;

	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->v[i].serial, serial) == 0) {
			*ret = i;
			found++;
		}
	if (found == 1)
		return 0;
	(void)err_set(e, ERR_USAGE, "%s disk has the serial number %.*s",
		      found == 0 ? "no" : "more than one", NUMBER_MAX, serial);
	return err_hint(e, "There are: %s", list);
}

int targets_choose(const struct targets *t, const char *serial, uint64_t need, size_t *ret,
		   struct err *e)
{
	char *wants SCOPED(mem_freep) = num_human(need), *has SCOPED(mem_freep) = NULL;
	const struct target *one;
	size_t i = 0;

	if (find_one(t, serial, &i, e) != 0)
		return -1;
	one = &t->v[i];
	if (one->own || one->site)
		return err_set(e, ERR_USAGE, "the disk %.*s is a medium of this installation",
			       NUMBER_MAX, serial);
	if (one->sector != TARGET_SECTOR) {
		(void)err_set(e, ERR_USAGE,
			      "the disk %.*s has sectors of %llu bytes: it would not start",
			      NUMBER_MAX, serial, (unsigned long long)one->sector);
		return err_hint(e, "Take one of %d; some can be set to that.", TARGET_SECTOR);
	}
	has = num_human(one->size);
	if (one->size < need)
		return err_set(e, ERR_USAGE, "the disk %.*s is too small: it has %s, %s are needed",
			       NUMBER_MAX, serial, has, wants);
	*ret = i;
	return 0;
}

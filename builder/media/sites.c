#include "media/sites.h"

#include "base/log.h"
#include "form/digest.h"
#include "media/medium.h"
#include "media/tool.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { SERIAL_DIGITS = 8 };

static int run(const char *dir, const char *const *argv, struct err *e)
{
	const struct tool t = {.package = "mtools", .argv = argv, .dest = dir};

	return tool_run(&t, e);
}

/* A file system as on a floppy disk, which every machine reads. */
static int make_medium(const char *dir, const struct digest *id, struct err *e)
{
	const struct digest_hex hex = digest_hex(id);
	char serial[SERIAL_DIGITS + 1] = "";
	const char *const format[] = {"mformat", "-C",   "-i", "/to/medium", "-f", "1440",
				      "-N",      serial, "-v", SHEET_LABEL,  "::", NULL};
	static const char *const copy[] = {"mcopy",          "-i", "/to/medium", "/to/" SHEET_FILE,
					   "::/" SHEET_FILE, NULL};

	memcpy(serial, hex.s, SERIAL_DIGITS);
	return run(dir, format, e) != 0 ? -1 : run(dir, copy, e);
}

static int copy_fd(void *ctx, int fd, struct err *e)
{
	return fs_copy_fd(*(const int *)ctx, fd, NULL, e);
}

/* What the file is, for who writes it to a stick; made of the sheet in place of an image. */
static int describe(int fd, const struct digest *sheet, struct buf *ret, struct err *e)
{
	struct medium m SCOPED(medium_release) = {.format = mem_strdup(SITES_FORMAT),
						  .image = *sheet};

	if (medium_hash(&m, fd, e) != 0)
		return -1;
	medium_write(&m, ret);
	return 0;
}

/* The manifest of an earlier one is gone before the file is another. */
static int put(const char *dir, const struct digest *sheet, const char *out, struct err *e)
{
	char *to SCOPED(mem_freep) = fs_dirname(out), *name SCOPED(mem_freep) = fs_basename(out),
		 *from SCOPED(mem_freep) = fs_join(dir, "medium"),
		 *manifest SCOPED(mem_freep) = mem_format("%s" MEDIUM_SUFFIX, name);
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 16);
	int fd SCOPED(fd_closep) = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int dirfd SCOPED(fd_closep) = -1;
	const struct fs_filler f = {copy_fd, &fd};

	if (fd < 0)
		return err_sys(e, "open %s", from);
	if (describe(fd, sheet, &text, e) != 0 || fs_open_dir(AT_FDCWD, to, &dirfd, e) != 0)
		return -1;
	if (unlinkat(dirfd, manifest, 0) != 0 && errno != ENOENT)
		return err_sys(e, "remove %s/%s", to, manifest);
	if (lseek(fd, 0, SEEK_SET) != 0 || fs_put_with(dirfd, name, 0644, &f, e) != 0)
		return -1;
	return fs_put(dirfd, manifest, text.data, text.len, 0644, e);
}

int sites_make(struct store *store, const struct sheet *s, const char *out, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(SHEET_MAX),
			mine SCOPED(buf_release) = BUF_INIT(SHEET_MAX + 100);
	char *dir SCOPED(mem_freep) = NULL, *file SCOPED(mem_freep) = NULL;
	struct digest id;
	struct sheet again;
	struct err late = ERR_INIT;
	int rc;

	sheet_write(s, SHEET_WANTED, &text);
	/* what the installer would refuse is refused here */
	if (sheet_parse(text.data, text.len, SHEET_WANTED, &again, e) != 0)
		return -1;
	buf_addf(&mine, "# posmedia-installer(5)\n%s", text.data);
	id = digest_of(mine.data, mine.len);
	if (store_scratch(store, "site", &dir, e) != 0)
		return -1;
	file = fs_join(dir, SHEET_FILE);
	rc = fs_put_unsynced(file, mine.data, mine.len, 0644, e) != 0 ||
		     make_medium(dir, &id, e) != 0 || put(dir, &id, out, e) != 0
		 ? -1
		 : 0;
	if (store_scratch_drop(store, dir, &late) != 0)
		log_warn("%s", late.msg);
	return rc;
}

#include "archive/rpm.h"

#include "archive/extract.h"
#include "archive/program.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LEAD = 96,
	HEAD = 16,
	ENTRY = 16,
	ENTRIES = 1 << 16,
	BYTES = 256 << 20,
	LONG_FILE_SIZES = 5008, /* RPMTAG_LONGFILESIZES */
	ROOM = 64 << 20,        /* for what a tar has beside the files */
};

static uint32_t big_endian(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool has_long_sizes(int fd, uint64_t at, uint32_t entries)
{
	uint8_t e[ENTRY];

	for (uint32_t i = 0; i < entries; i++)
		if (pread(fd, e, sizeof(e), (off_t)(at + (uint64_t)i * ENTRY)) == ENTRY &&
		    big_endian(e) == LONG_FILE_SIZES)
			return true;
	return false;
}

/* Passes by the header structure at *at. */
static int skip_header(int fd, uint64_t *at, bool *ret_large, struct err *e)
{
	uint8_t h[HEAD];
	uint32_t entries, bytes;

	if (pread(fd, h, sizeof(h), (off_t)*at) != (ssize_t)sizeof(h) ||
	    memcmp(h, "\x8e\xad\xe8\x01", 4) != 0)
		return err_set(e, ERR_RECIPE, "the rpm is damaged: it lacks a header");
	entries = big_endian(h + 8);
	bytes = big_endian(h + 12);
	if (entries > ENTRIES || bytes > BYTES)
		return err_set(e, ERR_RECIPE, "the rpm is damaged: its header is too large");
	if (ret_large != NULL)
		*ret_large = has_long_sizes(fd, *at + HEAD, entries);
	*at += HEAD + (uint64_t)entries * ENTRY + bytes;
	return 0;
}

int rpm_payload(int fd, uint64_t *ret, bool *ret_large, struct err *e)
{
	uint64_t at = LEAD;
	uint8_t magic[4];

	*ret = 0;
	if (ret_large != NULL)
		*ret_large = false;
	if (pread(fd, magic, sizeof(magic), 0) != (ssize_t)sizeof(magic) ||
	    memcmp(magic, "\xed\xab\xee\xdb", 4) != 0)
		return 0;
	/* signatures, up to a multiple of 8; then the header proper */
	if (skip_header(fd, &at, NULL, e) != 0)
		return -1;
	at = (at + 7) & ~(uint64_t)7;
	if (skip_header(fd, &at, ret_large, e) != 0)
		return -1;
	*ret = at;
	return 0;
}

static int convert(int fd, const char *dir, const struct unpack_opts *o, int *ret, struct err *e)
{
	static const char *const argv[] = {"/bin/sh", "-c",
					   "exec rpm2archive -n - </medium >/to/tar", NULL};
	char *path SCOPED(mem_freep) = fs_join(dir, "tar");
	struct buf said SCOPED(buf_release) = BUF_INIT(PROGRAM_SAID_MAX);
	const struct program p = {.path = "/usr/bin/rpm2archive",
				  .package = "rpm2cpio",
				  .medium = "an rpm with a file of 4 GiB and more",
				  .argv = argv,
				  .fd = fd,
				  .dest = dir,
				  .file_max = o->bytes_max + o->bytes_max / 4 + ROOM,
				  .timeout_ms = o->timeout_ms};
	int to SCOPED(fd_closep) = -1, status = 0;
	struct stat st;

	if (program_run(&p, &said, &status, e) != 0)
		return -1;
	to = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0 || fstat(to, &st) != 0)
		return err_sys(e, "open %s", path);
	if ((uint64_t)st.st_size >= p.file_max) {
		(void)err_set(e, ERR_RECIPE, "more than %llu bytes",
			      (unsigned long long)o->bytes_max);
		return err_hint(e, EXTRACT_RAISE, "size");
	}
	if (status != 0) {
		(void)err_set(e, ERR_RECIPE, "the rpm is damaged: %.200s", said.data);
		return err_hint(e, "as: file shows it to the step as it is");
	}
	*ret = STEAL_FD(to);
	return 0;
}

int rpm_to_tar(int fd, const char *beside, const struct unpack_opts *o, int *ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = mem_format("%s.rpm", beside);
	int to SCOPED(fd_closep) = -1;
	struct err late = ERR_INIT;
	int rc;

	if (mkdir(dir, 0755) != 0)
		return err_sys(e, "make %s", dir);
	rc = convert(fd, dir, o, &to, e);
	if (fs_rmtree(AT_FDCWD, dir, &late) != 0 && rc == 0) {
		*e = late;
		rc = -1;
	}
	if (rc == 0)
		*ret = STEAL_FD(to);
	return rc;
}

/* Any bytes as a layer or a medium, compressed or not: every entry has a path below the root or is
 * refused. */
#include "fuzz.h"

#include "archive/extract.h"
#include "sys/fs.h"

enum { BYTES_MAX = 8 << 20, ENTRIES_MAX = 2000 };

static bool read_data(struct reader *r, uint64_t *total)
{
	struct reader_piece piece = {0};
	struct err e = ERR_INIT;

	while (!piece.end && *total < BYTES_MAX) {
		if (reader_data(r, &piece, &e) != 0)
			return false;
		*total += piece.n;
	}
	return piece.end;
}

static void read_all(int fd, enum reader_formats formats)
{
	struct source *src = NULL;
	struct reader *r SCOPED(reader_freep) = NULL;
	struct archive_entry *en = NULL;
	struct err e = ERR_INIT;
	uint64_t total = 0;

	if (source_open(fd, SOURCE_TO_THE_END, &src, &e) != 0 ||
	    reader_open(src, formats, &r, &e) != 0)
		return;
	for (int i = 0; i < ENTRIES_MAX && reader_next(r, &en, &e) == 0 && en != NULL; i++) {
		const char *name = archive_entry_pathname(en);
		char *path SCOPED(mem_freep) = NULL;

		if (name != NULL && extract_path(name, &path, &e) == 0)
			HOLDS(path[0] == '\0' || fs_relative_ok(path));
		(void)extract_mtime(en);
		if (!read_data(r, &total))
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const enum reader_formats formats[] = {READER_TAR, READER_ANY};

	for (size_t i = 0; i < 2; i++) {
		int fd = fuzz_file(p, n);

		read_all(fd, formats[i]);
		(void)close(fd);
	}
	return 0;
}

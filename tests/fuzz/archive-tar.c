/* Any bytes as a layer or a medium, compressed or not: every entry has a path below the root or is
 * refused. */
#include "fuzz.h"
#include "pieces.h"

#include "archive/extract.h"
#include "sys/fs.h"

enum { ENTRIES_MAX = 2000 };

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
		if (!pieces_read(r, &total))
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

/* Any bytes as a Debian package: its parts are found inside of it, or it is refused. */
#include "fuzz.h"

#include "archive/deb.h"
#include "archive/reader.h"

static void read_all(int fd, uint64_t size)
{
	struct source *src = NULL;
	struct reader *r SCOPED(reader_freep) = NULL;
	struct archive_entry *en;
	struct err e = ERR_INIT;

	if (source_open(fd, size, &src, &e) != 0 || reader_open(src, READER_TAR, &r, &e) != 0)
		return;
	for (int i = 0; i < 1000 && reader_next(r, &en, &e) == 0 && en != NULL; i++)
		continue;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char *const parts[] = {"control.tar", "data.tar"};

	for (size_t i = 0; i < 2; i++) {
		struct err e = ERR_INIT;
		uint64_t size;
		int fd = fuzz_file(p, n);

		if (deb_find(fd, parts[i], &size, &e) == 0)
			read_all(fd, size);
		(void)close(fd);
	}
	return 0;
}

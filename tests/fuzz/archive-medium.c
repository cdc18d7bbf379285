/* Any bytes as a vendor's medium: what kind it is, and the listing of a disc, zip, cpio, tar or rpm
 * with every path below the root. */
#include "fuzz.h"
#include "pieces.h"

#include "archive/extract.h"
#include "archive/kind.h"
#include "archive/rpm.h"
#include "sys/fs.h"

enum { ENTRIES_MAX = 2000 };

static void list(struct reader *r, const struct kind *k)
{
	const struct unpack_opts o = {.read_only = true, .bare_disc = k->bare};
	const struct extract x = {.o = &o, .r = r};
	struct archive_entry *en = NULL;
	struct err e = ERR_INIT;
	uint64_t total = 0;

	for (int i = 0; i < ENTRIES_MAX && reader_next(r, &en, &e) == 0 && en != NULL; i++) {
		const char *name = archive_entry_pathname(en);
		char *path SCOPED(mem_freep) = NULL;

		if (name != NULL && extract_own_path(&x, name, &path, &e) == 0)
			HOLDS(path[0] == '\0' || fs_relative_ok(path));
		if (!pieces_read(r, &total))
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct reader *r SCOPED(reader_freep) = NULL;
	int fd SCOPED(fd_closep) = fuzz_file(p, n);
	struct source *src = NULL;
	struct err e = ERR_INIT, odd = ERR_INIT;
	uint64_t payload = 0;
	bool large = false;
	struct kind k;

	/* read before there is a worker */
	if (rpm_payload(fd, &payload, &large, &odd) != 0)
		HOLDS(odd.kind == ERR_RECIPE && payload == 0);
	if (kind_find(fd, &k, &e) != 0)
		return 0;
	HOLDS(k.at == payload);
	HOLDS(kind_name(&k)[0] == 'a');
	if (k.of == KIND_PLAIN)
		return 0;
	HOLDS(lseek(fd, (off_t)k.at, SEEK_SET) == (off_t)k.at);
	if (source_open(fd, SOURCE_TO_THE_END, &src, &e) == 0 &&
	    reader_open(src, kind_formats(&k), &r, &e) == 0)
		list(r, &k);
	return 0;
}

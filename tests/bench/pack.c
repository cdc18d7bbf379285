/* pack DIR FILE THREADS - a tree as one layer, gzip, with what `posmedia build` packs with: for the
 * bench, against tar and pigz. */
#include "archive/pack.h"
#include "base/num.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>

static int to_file(void *ctx, const void *p, size_t n, struct err *e)
{
	return fs_write_all(*(int *)ctx, p, n, e);
}

static int pack(const char *dir, const char *file, unsigned threads, struct err *e)
{
	const struct pack_opts o = {.compression = PACK_GZIP, .threads = threads};
	int root SCOPED(fd_closep) = -1;
	int out SCOPED(fd_closep) = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct sink sink = {to_file, &out};
	struct pack_result r = {0};
	struct tree t = {0};
	int rc;

	if (out < 0)
		return err_sys(e, "create %s", file);
	if (fs_open_dir(AT_FDCWD, dir, &root, e) != 0 || tree_scan(root, &t, NULL, e) != 0)
		return -1;
	rc = pack_layer(root, &t, &o, &sink, &r, e);
	if (rc == 0)
		printf("%zu entries, %llu bytes, %llu packed\n", r.entries,
		       (unsigned long long)r.raw_size, (unsigned long long)r.size);
	tree_release(&t);
	return rc;
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	uint64_t threads = 0;

	if (argc != 4 || num_u64(argv[3], 64, &threads) != 0) {
		fprintf(stderr, "usage: pack DIR FILE THREADS\n");
		return 2;
	}
	if (pack(argv[1], argv[2], (unsigned)threads, &e) != 0) {
		fprintf(stderr, "pack: %s\n", e.msg);
		return 1;
	}
	return 0;
}

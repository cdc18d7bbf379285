/* Any text as a manifest: what is taken is, byte for byte, what is written of it. */
#include "fuzz.h"

#include "manifest/manifest.h"

static int into_buf(void *ctx, const void *p, size_t n, struct err *e)
{
	(void)e;
	buf_add(ctx, p, n);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct manifest m SCOPED(manifest_release) = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(64 << 20);
	const struct sink out = {.write = into_buf, .ctx = &text};
	struct err e = ERR_INIT;
	int fd = fuzz_file(p, n), rc = manifest_read(fd, "fuzz", &m, &e);

	(void)close(fd);
	if (rc != 0) {
		HOLDS(e.kind == ERR_RECIPE && m.v == NULL);
		return 0;
	}
	HOLDS(manifest_write(&m, &out, &e) == 0);
	HOLDS(text.len == n && memcmp(text.data, p, n) == 0);
	HOLDS(manifest_compare(&m, &m, NULL, NULL) == 0);
	for (size_t i = 0; i < m.n; i++) {
		const struct manifest_entry *en = &m.v[i];

		HOLDS(manifest_find(&m, en->path) == en);
		HOLDS(en->path[0] != '/' && strncmp(en->path, "../", 3) != 0);
		HOLDS(strstr(en->path, "/../") == NULL);
	}
	return 0;
}

#include "media/verity.h"

#include "sys/par.h"
#include <string.h>
#include <unistd.h>

enum {
	PER_NODE = VERITY_BLOCK / DIGEST_BYTES,
	AT_ONCE = 256, /* blocks */
	LEVELS = 8,
};

void verity_hash(const struct digest *salt, const char *blocks, size_t n, struct digest *ret)
{
	struct hash *h SCOPED(hash_freep) = hash_new();

	for (size_t i = 0; i < n; i++) {
		hash_add(h, salt->b, DIGEST_BYTES);
		hash_add(h, blocks + i * VERITY_BLOCK, VERITY_BLOCK);
		ret[i] = hash_final(h);
	}
}

static int bad(struct err *e)
{
	return err_set(e, ERR_VERIFY, "the hashes of the root are not those of its root hash");
}

/* Each node of a level is as the one above it says. */
static int check_level(const struct medium_verity *v, const char *nodes, uint64_t n,
		       const char *above)
{
	for (uint64_t i = 0; i < n; i++) {
		struct digest is;

		verity_hash(&v->salt, nodes + i * VERITY_BLOCK, 1, &is);
		if (memcmp(is.b, above + i * DIGEST_BYTES, DIGEST_BYTES) != 0)
			return -1;
	}
	return 0;
}

int verity_leaves(const struct medium_verity *v, const char *hashes, size_t n,
		  const struct digest **ret, struct err *e)
{
	uint64_t level[LEVELS] = {0}, at = 1, all = 1;
	const char *above = (const char *)v->top.b;
	size_t levels = 0;

	if (v->blocks < 2)
		return bad(e);
	for (uint64_t k = v->blocks; k > 1 && levels < LEVELS; levels++) {
		k = (k + PER_NODE - 1) / PER_NODE;
		level[levels] = k;
		all += k;
	}
	if (all > n / VERITY_BLOCK || level[levels - 1] != 1)
		return bad(e);
	for (size_t i = levels; i > 0; i--) {
		const char *nodes = hashes + at * VERITY_BLOCK;

		if (check_level(v, nodes, level[i - 1], above) != 0)
			return bad(e);
		above = nodes;
		at += level[i - 1];
	}
	*ret = (const struct digest *)above;
	return 0;
}

struct scan {
	int fd;
	uint64_t at, blocks;
	const struct digest *salt;
	struct digest *ret;
};

static void scan_some(void *ctx, size_t i)
{
	const struct scan *s = ctx;
	const uint64_t first = (uint64_t)i * AT_ONCE;
	const size_t n = s->blocks - first < AT_ONCE ? (size_t)(s->blocks - first) : AT_ONCE;
	char *p SCOPED(mem_freep) = mem_zalloc(AT_ONCE * VERITY_BLOCK);

	if (pread(s->fd, p, n * VERITY_BLOCK, (off_t)(s->at + first * VERITY_BLOCK)) ==
	    (ssize_t)(n * VERITY_BLOCK)) {
		verity_hash(s->salt, p, n, s->ret + first);
		return;
	}
	/* which of them it is that cannot be read */
	for (size_t k = 0; k < n; k++)
		if (pread(s->fd, p, VERITY_BLOCK, (off_t)(s->at + (first + k) * VERITY_BLOCK)) ==
		    VERITY_BLOCK)
			verity_hash(s->salt, p, 1, s->ret + first + k);
}

struct digest *verity_scan(int fd, uint64_t at, uint64_t blocks, const struct digest *salt)
{
	struct digest *ret = mem_zalloc((size_t)(blocks + 1) * sizeof(*ret));
	struct scan s = {fd, at, blocks, salt, ret};

	par_each((size_t)((blocks + AT_ONCE - 1) / AT_ONCE), 0, scan_some, &s);
	return ret;
}

#include "installer/blocklist.h"

#include "base/num.h"
#include "form/hex.h"
#include <stdlib.h>
#include <string.h>

#define HEAD "posmedia-contents 1"

enum { HEX = 2 * SHA256_BYTES, LINE = HEX + 16 };

void blocklist_release(struct blocklist *c)
{
	free(c->block);
	free(c->zero);
}

static int bad(struct err *e)
{
	return err_set(e, ERR_VERIFY, "the installer's list is damaged");
}

/* Takes a line off the text. */
static int next_line(const char **at, const char *end, char line[LINE])
{
	const char *stop = memchr(*at, '\n', (size_t)(end - *at));
	size_t n = stop != NULL ? (size_t)(stop - *at) : LINE;

	if (n >= LINE)
		return -1;
	memcpy(line, *at, n);
	line[n] = '\0';
	*at = stop + 1;
	return strlen(line) == n ? 0 : -1;
}

/* "KEY NUMBER" */
static int number(const char *line, const char *key, uint64_t max, size_t *ret)
{
	const size_t n = strlen(key);
	uint64_t v;

	if (strncmp(line, key, n) != 0 || line[n] != ' ' || num_u64(line + n + 1, max, &v) != 0)
		return -1;
	*ret = (size_t)v;
	return 0;
}

static int read_blocks(const char *at, const char *end, struct blocklist *c)
{
	char *none SCOPED(mem_freep) = mem_zalloc(BLOCKLIST_BLOCK);
	const struct sha256 zeros = sha256_of(none, BLOCKLIST_BLOCK);
	char line[LINE];
	size_t n = 0, run;

	while (n < c->n) {
		if (next_line(&at, end, line) != 0)
			return -1;
		if (number(line, "zeros", c->n - n, &run) == 0) {
			if (run == 0)
				return -1;
			for (; run > 0; run--, n++) {
				c->block[n] = zeros;
				c->zero[n] = true;
			}
		} else if (strlen(line) != HEX || hex_decode(line, HEX, c->block[n++].b) != 0) {
			return -1;
		}
	}
	return at == end ? 0 : -1;
}

int blocklist_parse(const char *text, size_t n, struct blocklist *ret, struct err *e)
{
	struct blocklist c SCOPED(blocklist_release) = {.id = sha256_of(text, n)};
	const char *at = text, *end = text + n;
	char line[LINE];

	if (next_line(&at, end, line) != 0 || strcmp(line, HEAD) != 0 ||
	    next_line(&at, end, line) != 0 ||
	    number(line, "site", BLOCKLIST_BLOCKS, &c.site) != 0 ||
	    next_line(&at, end, line) != 0 || number(line, "blocks", BLOCKLIST_BLOCKS, &c.n) != 0)
		return bad(e);
	c.block = mem_zalloc((c.n + 1) * sizeof(*c.block));
	c.zero = mem_zalloc((c.n + 1) * sizeof(*c.zero));
	/* the first is written last, and is something */
	if (read_blocks(at, end, &c) != 0 || c.site == 0 || c.site >= c.n || !c.zero[c.site] ||
	    c.zero[0])
		return bad(e);
	*ret = c;
	c = (struct blocklist){0};
	return 0;
}

void blocklist_write(const struct blocklist *c, struct buf *ret)
{
	char hex[HEX + 1];

	buf_addf(ret, HEAD "\nsite %zu\nblocks %zu\n", c->site, c->n);
	for (size_t i = 0, run; i<c->n; i += run> 0 ? run : 1) {
		for (run = 0; i + run < c->n && c->zero[i + run];)
			run++;
		hex_encode(c->block[i].b, SHA256_BYTES, hex);
		if (run > 0)
			buf_addf(ret, "zeros %zu\n", run);
		else
			buf_addf(ret, "%s\n", hex);
	}
}

/* Any bytes as the manifest of a medium: what is taken covers the medium from end to end, and is
 * the same when it is written and read again. */
#include "fuzz.h"

#include "media/medium.h"

static void covers(const struct medium *m)
{
	uint64_t at = 0;

	for (size_t i = 0; i < m->parts_n; i++) {
		HOLDS(m->parts[i].at == at);
		at += m->parts[i].size;
	}
	HOLDS(at == m->size && m->size <= MEDIUM_MAX);
	for (size_t i = 0; i < m->blocks_n; i++) {
		HOLDS(medium_part_at(m, (uint64_t)i * MEDIUM_BLOCK) != NULL);
		HOLDS(medium_block_size(m, i) > 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct medium m SCOPED(medium_release) = {0}, again SCOPED(medium_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(MEDIUM_TEXT_MAX);
	struct err e = ERR_INIT;

	if (medium_parse((const char *)p, n, &m, &e) != 0) {
		HOLDS(e.kind == ERR_VERIFY && e.msg[0] != '\0');
		return 0;
	}
	covers(&m);
	medium_write(&m, &b);
	HOLDS(medium_parse(b.data, b.len, &again, &e) == 0);
	HOLDS(again.size == m.size && again.parts_n == m.parts_n && again.blocks_n == m.blocks_n);
	HOLDS(memcmp(again.blocks, m.blocks, m.blocks_n * sizeof(*m.blocks)) == 0);
	HOLDS(strcmp(again.format, m.format) == 0 && digest_equal(&again.whole, &m.whole));
	return 0;
}

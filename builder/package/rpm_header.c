/* "rpm Package File Format", Header: two big-endian counts, entries of tag, type, offset and
 * count, then the data that the offsets point into. */
#include "package/rpm_header.h"

#include "base/mem.h"
#include <stdbool.h>
#include <string.h>

enum { INT32 = 4, STRING = 6, STRING_ARRAY = 8, ENTRY = 16, ENTRIES_MAX = 65536 };

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

int rpm_header_parse(const void *p, size_t n, struct rpm_header *ret, struct err *e)
{
	const unsigned char *at = p;
	struct rpm_header h;

	if (n < 8)
		return err_set(e, ERR_FAIL, "an rpm header of %zu bytes", n);
	h.entries = be32(at);
	h.data_n = be32(at + 4);
	if (h.entries > ENTRIES_MAX || h.data_n > n - 8 ||
	    (size_t)h.entries * ENTRY > n - 8 - h.data_n)
		return err_set(e, ERR_FAIL, "an rpm header that is longer than its bytes");
	h.index = at + 8;
	h.data = h.index + (size_t)h.entries * ENTRY;
	*ret = h;
	return 0;
}

struct entry {
	uint32_t type, count;
	const unsigned char *data; /* `left` bytes up to the end of all data */
	uint32_t left;
};

static bool find(const struct rpm_header *h, uint32_t tag, struct entry *ret)
{
	for (uint32_t i = 0; i < h->entries; i++) {
		const unsigned char *at = h->index + (size_t)i * ENTRY;
		uint32_t offset = be32(at + 8);

		if (be32(at) != tag)
			continue;
		if (offset >= h->data_n)
			return false;
		*ret = (struct entry){.type = be32(at + 4),
				      .count = be32(at + 12),
				      .data = h->data + offset,
				      .left = h->data_n - offset};
		return true;
	}
	return false;
}

const char *rpm_header_text(const struct rpm_header *h, uint32_t tag)
{
	struct entry en;

	if (!find(h, tag, &en) || en.type != STRING || memchr(en.data, '\0', en.left) == NULL)
		return NULL;
	return (const char *)en.data;
}

uint32_t rpm_header_numbers(const struct rpm_header *h, uint32_t tag)
{
	struct entry en;

	return find(h, tag, &en) && en.type == INT32 && en.count <= en.left / 4 ? en.count : 0;
}

uint32_t rpm_header_number(const struct rpm_header *h, uint32_t tag, uint32_t i)
{
	struct entry en = {0};

	return find(h, tag, &en) && i < en.left / 4 ? be32(en.data + (size_t)i * 4) : 0;
}

/* The text after this one, or NULL where the data ends first. */
static const unsigned char *next_text(const unsigned char *at, const unsigned char *end)
{
	const unsigned char *nul = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;

	return nul == NULL ? NULL : nul + 1;
}

uint32_t rpm_header_texts(const struct rpm_header *h, uint32_t tag)
{
	const unsigned char *at;
	struct entry en;

	if (!find(h, tag, &en) || en.type != STRING_ARRAY || en.count > en.left)
		return 0;
	at = en.data;
	for (uint32_t i = 0; i < en.count; i++) {
		at = next_text(at, en.data + en.left);
		if (at == NULL)
			return 0;
	}
	return en.count;
}

const char **rpm_header_list(const struct rpm_header *h, uint32_t tag)
{
	uint32_t n = rpm_header_texts(h, tag);
	const char **v;
	struct entry en;

	if (n == 0 || !find(h, tag, &en))
		return NULL;
	v = mem_zalloc((size_t)n * sizeof(*v));
	for (uint32_t i = 0; i < n; i++) {
		v[i] = (const char *)en.data;
		en.data += strlen(v[i]) + 1;
	}
	return v;
}

#include "sys/gpt.h"

#include "base/mem.h"
#include <endian.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* UEFI specification, 5.3: the header and an entry of the table. */
enum {
	HEADER_LEAST = 92,
	HEADER_LEN = 12,
	HEADER_SUM = 16,
	HEADER_AT = 24,
	TABLE_AT = 72,
	TABLE_N = 80,
	TABLE_STRIDE = 84,
	TABLE_SUM = 88,
	ENTRY = 128,
	ENTRY_ID = 16,
	ENTRY_FIRST = 32,
	ENTRY_LAST = 40,
	ENTRY_NAME = 56,
	GUID = 16,
};

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

/* CRC-32 of ISO 3309, begun by `crc` = 0. */
static uint32_t crc32(uint32_t crc, const uint8_t *p, size_t n)
{
	crc = ~crc;
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	}
	return ~crc;
}

static bool read_at(int fd, void *p, size_t n, uint64_t sector)
{
	return sector < (uint64_t)1 << 50 &&
	       pread(fd, p, n, (off_t)(sector * GPT_SECTOR)) == (ssize_t)n;
}

/* The table that a header at this sector tells of, checked; the caller owns it. */
static bool read_table(int fd, uint64_t sector, uint8_t **ret, size_t *ret_n)
{
	uint8_t h[GPT_SECTOR];
	uint8_t *table SCOPED(mem_freep) = NULL;
	uint32_t len, sum, n;

	if (!read_at(fd, h, sizeof(h), sector) || memcmp(h, "EFI PART", 8) != 0)
		return false;
	len = get32(h + HEADER_LEN);
	sum = get32(h + HEADER_SUM);
	n = get32(h + TABLE_N);
	if (len < HEADER_LEAST || len > sizeof(h) || get64(h + HEADER_AT) != sector ||
	    get32(h + TABLE_STRIDE) != ENTRY || n == 0 || n > GPT_PARTS)
		return false;
	memset(h + HEADER_SUM, 0, sizeof(sum));
	if (crc32(0, h, len) != sum)
		return false;
	table = mem_zalloc((size_t)n * ENTRY);
	if (!read_at(fd, table, (size_t)n * ENTRY, get64(h + TABLE_AT)) ||
	    crc32(0, table, (size_t)n * ENTRY) != get32(h + TABLE_SUM))
		return false;
	*ret = STEAL(table);
	*ret_n = n;
	return true;
}

/* Of its first three numbers the bytes are the wrong way round (UEFI specification, appendix A). */
static struct uuid_text id_of(const uint8_t *p)
{
	static const uint8_t place[GUID] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	struct uuid_text ret = {""};
	size_t n = 0;

	for (size_t i = 0; i < GUID; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret.s[n++] = '-';
		(void)snprintf(ret.s + n, sizeof(ret.s) - n, "%02x", p[place[i]]);
		n += 2;
	}
	return ret;
}

/* An entry that lies within the disk; one of nothing, or outside, is passed by. */
static void take(const uint8_t *entry, uint64_t sectors, struct gpt *g)
{
	static const uint8_t none[GUID];
	const uint64_t first = get64(entry + ENTRY_FIRST), last = get64(entry + ENTRY_LAST);
	struct gpt_part *p = &g->v[g->n];

	if (memcmp(entry, none, GUID) == 0 || first > last || last >= sectors)
		return;
	*p = (struct gpt_part){.id = id_of(entry + ENTRY_ID),
			       .at = first * GPT_SECTOR,
			       .size = (last - first + 1) * GPT_SECTOR};
	for (size_t i = 0; i < GPT_NAME; i++) {
		uint8_t low = entry[ENTRY_NAME + 2 * i], high = entry[ENTRY_NAME + 2 * i + 1];

		if (low == 0 && high == 0)
			break;
		p->name[i] = high != 0 || low < ' ' || low > '~' ? '?' : (char)low;
	}
	g->n++;
}

int gpt_read(int fd, struct gpt *ret, struct err *e)
{
	uint8_t *table SCOPED(mem_freep) = NULL;
	const off_t end = lseek(fd, 0, SEEK_END);
	const uint64_t sectors = end < 0 ? 0 : (uint64_t)end / GPT_SECTOR;
	struct gpt g = {.n = 0};
	size_t n = 0;

	if (sectors < 3 ||
	    (!read_table(fd, 1, &table, &n) && !read_table(fd, sectors - 1, &table, &n)))
		return err_set(e, ERR_VERIFY, "there is no partition table that can be read");
	for (size_t i = 0; i < n; i++)
		take(table + i * ENTRY, sectors, &g);
	*ret = g;
	return 0;
}

const struct gpt_part *gpt_named(const struct gpt *g, const char *name)
{
	const struct gpt_part *found = NULL;

	for (size_t i = 0; i < g->n; i++)
		if (strcmp(g->v[i].name, name) == 0) {
			if (found != NULL)
				return NULL;
			found = &g->v[i];
		}
	return found;
}

const struct gpt_part *gpt_with_id(const struct gpt *g, const char *id)
{
	const struct gpt_part *found = NULL;

	for (size_t i = 0; i < g->n; i++)
		if (strcmp(g->v[i].id.s, id) == 0) {
			if (found != NULL)
				return NULL;
			found = &g->v[i];
		}
	return found;
}

#include "scan/sqlite.h"

#include "base/mem.h"
#include <stdio.h>
#include <string.h>

/* As in "Database File Format" of SQLite's documentation. */
enum {
	LEAF_TABLE = 13,
	LEAF_INDEX = 10,
	LEAF_HEAD = 8,
	TEXT_FIRST = 12, /* serial types from here on are blobs and texts */
};

struct cell {
	struct matcher *m;
	uint8_t *page;
	size_t end;  /* of the page */
	uint64_t at; /* of the page in the file */
	size_t left; /* values that the page may still have: cells that share one are a trap */
};

size_t sqlite_page_size(const uint8_t *p, size_t n)
{
	size_t size;

	if (n < SQLITE_HEAD || memcmp(p, "SQLite format 3", 16) != 0)
		return 0;
	size = (size_t)p[16] << 8 | p[17];
	size = size == 1 ? 65536 : size;
	return size >= 512 && (size & (size - 1)) == 0 ? size : 0;
}

/* A number of one to nine bytes at *i, which is moved on. Returns whether there was one. */
static bool varint(const struct cell *c, size_t *i, uint64_t *ret)
{
	uint64_t v = 0;

	for (int k = 0; k < 9; k++) {
		uint8_t b;

		if (*i >= c->end)
			return false;
		b = c->page[(*i)++];
		v = k == 8 ? v << 8 | b : v << 7 | (b & 0x7f);
		if (k == 8 || b < 0x80)
			break;
	}
	*ret = v;
	return true;
}

/* Bytes that a value of a serial type takes. */
static uint64_t size_of(uint64_t type)
{
	static const uint8_t sizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};

	return type >= TEXT_FIRST ? (type - TEXT_FIRST) / 2 : sizes[type];
}

static void integer(const struct cell *c, size_t i, size_t n)
{
	char text[24];
	uint64_t v = 0;

	for (size_t k = 0; k < n; k++)
		v = v << 8 | c->page[i + k];
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	match_whole(c->m, text, strlen(text), c->at + i);
}

/* The value at i; the page ends where a value goes on in another page. */
static void value(const struct cell *c, uint64_t type, size_t i, size_t n)
{
	if (type >= TEXT_FIRST)
		match_whole(c->m, c->page + i, n, c->at + i);
	else if (type == 5 || type == 6)
		integer(c, i, n);
}

/* A record: the size of its head, a serial type a column, the values. Where it is none, its bytes
 * stay for the look at the whole page. */
static void record(struct cell *c, size_t i)
{
	size_t begin = i, types_end, body;
	uint64_t head, type;

	if (!varint(c, &i, &head) || head < i - begin || head > c->end - begin)
		return;
	types_end = body = begin + (size_t)head;
	while (i < types_end && varint(c, &i, &type) && body < c->end && c->left > 0) {
		uint64_t want = size_of(type);
		size_t n = want < c->end - body ? (size_t)want : c->end - body;

		value(c, type, body, n);
		if (type >= TEXT_FIRST)
			memset(c->page + body, 0, n);
		body += n;
		c->left--;
	}
}

static void leaf(struct cell *c, size_t head)
{
	bool table = c->page[head] == LEAF_TABLE;
	size_t n = (size_t)c->page[head + 3] << 8 | c->page[head + 4];
	size_t at = head + LEAF_HEAD;

	for (size_t k = 0; k < n && at + 2 <= c->end; k++, at += 2) {
		size_t i = (size_t)c->page[at] << 8 | c->page[at + 1];
		uint64_t payload, row;

		if (i < at || !varint(c, &i, &payload) || (table && !varint(c, &i, &row)))
			continue;
		record(c, i);
	}
}

void sqlite_page(struct matcher *m, uint8_t *p, size_t n, uint64_t at)
{
	struct cell c = {m, p, n, at, n};
	size_t head = at == 0 ? SQLITE_HEAD : 0;

	if (n > head + LEAF_HEAD && (p[head] == LEAF_TABLE || p[head] == LEAF_INDEX))
		leaf(&c, head);
	match_whole(m, p, n, at);
}

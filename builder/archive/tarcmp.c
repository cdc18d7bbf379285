#include "archive/tarcmp.h"

#include "archive/source.h"
#include "base/buf.h"
#include "sandbox/sandbox.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 512, WORDS_MAX = 600, NAME_MAX_SHOWN = 200 };

/* The fields of a ustar header (POSIX.1-2017, pax, "ustar Interchange Format"). */
static const struct {
	const char *name;
	size_t at, n;
} fields[] = {
    {"mode", 100, 8},       {"uid", 108, 8},         {"gid", 116, 8},     {"size", 124, 12},
    {"mtime", 136, 12},     {"type", 156, 1},        {"link", 157, 100},  {"magic", 257, 8},
    {"user name", 265, 32}, {"group name", 297, 32}, {"device", 329, 16}, {"reserved", 500, 12},
};

struct side {
	struct source *src;
	const uint8_t *p;
	size_t left;
	uint8_t block[BLOCK];
	bool end;
};

static int next_block(struct side *s, struct err *e)
{
	size_t have = 0;

	while (have < BLOCK) {
		size_t n;

		if (s->left == 0) {
			const void *more;

			if (source_read(s->src, &more, &s->left, e) != 0)
				return -1;
			s->p = more;
			if (s->left == 0)
				break;
		}
		n = BLOCK - have < s->left ? BLOCK - have : s->left;
		memcpy(s->block + have, s->p, n);
		have += n;
		s->p += n;
		s->left -= n;
	}
	s->end = have == 0;
	memset(s->block + have, 0, BLOCK - have);
	return 0;
}

/* The name in a header, made printable; the caller owns it. */
static char *name_of(const uint8_t *h)
{
	const char *prefix = (const char *)h + 345, *name = (const char *)h;
	size_t n = strnlen(prefix, 155), m = strnlen(name, 100);
	char *s = mem_format("%.*s%s%.*s", (int)n, prefix, n > 0 ? "/" : "", (int)m, name);

	for (char *c = s; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	if (strlen(s) > NAME_MAX_SHOWN)
		s[NAME_MAX_SHOWN] = '\0';
	return s;
}

static uint64_t size_of(const uint8_t *h)
{
	uint64_t v = 0;

	if ((h[124] & 0x80) != 0) {
		for (size_t i = 128; i < 136; i++)
			v = v << 8 | h[i];
		return v;
	}
	for (size_t i = 124; i < 136; i++)
		if (h[i] >= '0' && h[i] <= '7')
			v = v * 8 + (uint64_t)(h[i] - '0');
	return v;
}

static char *field_text(const uint8_t *h, size_t at, size_t n)
{
	char *s = mem_strndup((const char *)h + at, strnlen((const char *)h + at, n));

	for (char *c = s; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
			*c = '?';
	return s;
}

/* Two headers that are not the same. */
static void say_header(const struct side *a, const struct side *b, struct buf *out)
{
	char *x SCOPED(mem_freep) = name_of(a->block), *y SCOPED(mem_freep) = name_of(b->block);

	if (a->end || b->end || x[0] == '\0' || y[0] == '\0') {
		buf_addf(out, "one tar ends where the other has \"%s\"", x[0] != '\0' ? x : y);
		return;
	}
	if (strcmp(x, y) != 0) {
		buf_addf(out, "the order of the entries: \"%s\" stands where \"%s\" does", x, y);
		return;
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		char *was SCOPED(mem_freep) = field_text(a->block, fields[i].at, fields[i].n);
		char *is SCOPED(mem_freep) = field_text(b->block, fields[i].at, fields[i].n);

		if (memcmp(a->block + fields[i].at, b->block + fields[i].at, fields[i].n) == 0)
			continue;
		buf_addf(out, "\"%s\": %s is \"%s\" and \"%s\" in the header", x, fields[i].name,
			 was, is);
		return;
	}
	buf_addf(out, "\"%s\": unused bytes of the header", x);
}

/* What lies between two headers. */
static int compare_data(struct side *a, struct side *b, const uint8_t *header, struct buf *out,
			struct err *e)
{
	uint64_t size = size_of(header);
	char *name SCOPED(mem_freep) = name_of(header);
	bool pax = header[156] == 'x' || header[156] == 'g';

	for (uint64_t at = 0; at < size && !a->end; at += BLOCK) {
		bool padding;

		if (next_block(a, e) != 0 || next_block(b, e) != 0)
			return -1;
		if (memcmp(a->block, b->block, BLOCK) == 0)
			continue;
		padding = size - at < BLOCK && memcmp(a->block, b->block, (size_t)(size - at)) == 0;
		buf_addf(out, "\"%s\": %s at byte %llu", name,
			 padding ? "padding"
			 : pax   ? "a pax record"
				 : "content",
			 (unsigned long long)at);
		return 0;
	}
	return 0;
}

static int compare(struct side *a, struct side *b, struct buf *out, struct err *e)
{
	while (out->len == 0) {
		uint8_t header[BLOCK];

		if (next_block(a, e) != 0 || next_block(b, e) != 0)
			return -1;
		if (a->end && b->end)
			return 0;
		if (a->end != b->end || memcmp(a->block, b->block, BLOCK) != 0) {
			say_header(a, b, out);
			return 0;
		}
		memcpy(header, a->block, BLOCK);
		if (header[0] != 0 && compare_data(a, b, header, out, e) != 0)
			return -1;
	}
	return 0;
}

struct work {
	int was, is, out;
};

static int in_worker(void *arg, struct err *e)
{
	const struct work *w = arg;
	struct buf words SCOPED(buf_release) = BUF_INIT(WORDS_MAX);
	struct source *x SCOPED(source_freep) = NULL, *y SCOPED(source_freep) = NULL;
	struct side *a SCOPED(mem_freep) = mem_zalloc(sizeof(*a));
	struct side *b SCOPED(mem_freep) = mem_zalloc(sizeof(*b));

	if (source_open(w->was, SOURCE_TO_THE_END, &x, e) != 0 ||
	    source_open(w->is, SOURCE_TO_THE_END, &y, e) != 0)
		return -1;
	a->src = x;
	b->src = y;
	if (compare(a, b, &words, e) != 0)
		return -1;
	/* below the pipe's capacity: nobody reads before we have ended */
	return fs_write_all(w->out, words.data, words.len, e);
}

int tar_compare(int was, int is, char **ret, struct err *e)
{
	char text[WORDS_MAX + 1];
	int ends[2] = {-1, -1};
	struct work w = {.was = was, .is = is};
	struct sandbox_worker_spec spec = {.fn = in_worker, .arg = &w};
	ssize_t n = 0;
	int rc;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_sys(e, "make a pipe");
	w.out = ends[1];
	rc = sandbox_worker(&spec, e);
	fd_closep(&ends[1]);
	if (rc == 0)
		n = read(ends[0], text, WORDS_MAX);
	fd_closep(&ends[0]);
	if (rc != 0)
		return err_in(e, "compare layers");
	*ret = n > 0 ? mem_strndup(text, (size_t)n) : NULL;
	return 0;
}

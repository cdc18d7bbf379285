/* Any bytes as a file, and as pages of a database: what is found lies in them, is masked, and is
 * the same wherever the bytes are cut. */
#include "fuzz.h"

#include "scan/feed.h"
#include "scan/sqlite.h"

struct seen {
	size_t bytes, n;
	uint64_t sum;
};

static void on_match(void *ctx, const struct match *m)
{
	struct seen *s = ctx;
	size_t digits = 0;

	HOLDS(m->at < s->bytes);
	HOLDS(m->cls < SCAN_CLASSES && m->what != NULL);
	for (const char *p = m->seen; *p != '\0'; p++)
		digits += *p != '*';
	HOLDS(digits == 0 || digits == 10);
	s->n++;
	s->sum += m->at * 31 + (uint64_t)m->cls;
}

struct bytes {
	const uint8_t *p;
	size_t n;
};

static int give(void *ctx, void *p, size_t room, size_t *ret_n, struct err *e)
{
	struct bytes *b = ctx;
	size_t n = b->n < room ? b->n : room;

	(void)e;
	n = n < 100 ? n : 100;
	if (n > 0)
		memcpy(p, b->p, n);
	b->p += n;
	b->n -= n;
	*ret_n = n;
	return 0;
}

static struct seen by_feed(const uint8_t *p, size_t n)
{
	struct seen s = {.bytes = n};
	struct matcher m = {.fn = on_match, .ctx = &s};
	struct bytes b = {p, n};
	const struct input in = {give, &b};
	struct feed f = {0};
	struct err e = ERR_INIT;

	feed_reset(&f);
	do {
		HOLDS(feed_fill(&f, &in, &e) == 0);
		feed_match(&f, &m);
	} while (!f.end);
	match_end(&m);
	feed_release(&f);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct seen whole = {.bytes = n}, fed = by_feed(p, n), pages = {.bytes = n + 1};
	struct matcher m = {.fn = on_match, .ctx = &whole};
	uint8_t *page = mem_zalloc(n + 1);

	match_whole(&m, p, n, 0);
	match_end(&m);
	HOLDS(whole.n == fed.n && whole.sum == fed.sum);
	m.ctx = &pages;
	if (n > 0)
		memcpy(page, p, n);
	(void)sqlite_page_size(page, n);
	pages.bytes += 24; /* an integer is longer as text */
	sqlite_page(&m, page, n, 0);
	if (n > 0)
		memcpy(page, p, n);
	sqlite_page(&m, page, n, 0);
	match_end(&m);
	free(page);
	return 0;
}

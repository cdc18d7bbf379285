/* Any bytes as what an installation is told, by a person or by a machine's own disk, and as the
 * list of what it writes: what is taken is written so that it is taken again, the same. */
#include "fuzz.h"

#include "installer/blocklist.h"
#include "installer/sheet.h"

static void sheet(const uint8_t *p, size_t n, enum sheet_kind kind)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(2 * SHEET_MAX);
	struct sheet s, again;
	struct err e = ERR_INIT;

	if (sheet_parse((const char *)p, n, kind, &s, &e) != 0) {
		HOLDS(e.kind == ERR_RECIPE && e.msg[0] != '\0');
		return;
	}
	HOLDS(s.shop[0] != '\0' && s.hostname[0] != '\0');
	HOLDS(s.disks_n >= 1 && s.disks_n <= SHEET_DISKS && s.dns_n <= SHEET_DNS);
	HOLDS(s.erase[0] == '\0' || strcmp(s.erase, s.shop) == 0);
	sheet_write(&s, kind, &text);
	HOLDS(!buf_over(&text));
	for (size_t i = 0; i < text.len; i++)
		HOLDS(text.data[i] == '\n' || (text.data[i] >= ' ' && text.data[i] <= '~'));
	HOLDS(sheet_parse(text.data, text.len, kind, &again, &e) == 0);
	HOLDS(memcmp(&s, &again, sizeof(s)) == 0);
}

static void list(const uint8_t *p, size_t n)
{
	struct blocklist c SCOPED(blocklist_release) = {0}, again SCOPED(blocklist_release) = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(BLOCKLIST_TEXT_MAX);
	struct err e = ERR_INIT;

	if (blocklist_parse((const char *)p, n, &c, &e) != 0) {
		HOLDS(e.kind == ERR_VERIFY);
		return;
	}
	HOLDS(c.site > 0 && c.site < c.n && c.zero[c.site] && !c.zero[0]);
	blocklist_write(&c, &text);
	HOLDS(blocklist_parse(text.data, text.len, &again, &e) == 0);
	HOLDS(again.n == c.n && again.site == c.site);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	sheet(p, n, SHEET_WANTED);
	sheet(p, n, SHEET_INSTALLED);
	list(p, n);
	return 0;
}

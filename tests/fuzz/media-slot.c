/* Any bytes as what a disk says of its slots, and as its partition table: what is taken can start,
 * is the same when it is written and read again, and lies within the disk. */
#include "fuzz.h"

#include "media/slot.h"
#include "sys/gpt.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void state(const char *sector)
{
	struct slot_state s, again;
	char text[SLOT_SECTOR];
	struct err e = ERR_INIT;

	if (slot_state_parse(sector, &s, &e) != 0) {
		HOLDS(e.kind == ERR_VERIFY && e.msg[0] != '\0');
		return;
	}
	HOLDS(s.good == SLOT_A || s.good == SLOT_B);
	HOLDS(s.tried != s.good && s.tries <= SLOT_TRIES);
	slot_state_write(&s, text);
	HOLDS(slot_state_parse(text, &again, &e) == 0);
	HOLDS(again.good == s.good && again.tried == s.tried && again.tries == s.tries);
}

static void table(const uint8_t *p, size_t n)
{
	struct gpt g;
	struct err e = ERR_INIT;
	int fd = memfd_create("disk", MFD_CLOEXEC);

	HOLDS(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	if (gpt_read(fd, &g, &e) == 0)
		for (size_t i = 0; i < g.n; i++) {
			HOLDS(g.v[i].at + g.v[i].size <= n && g.v[i].size > 0);
			HOLDS(strlen(g.v[i].name) <= GPT_NAME);
		}
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char block[SLOT_RECORD] = "", again[SLOT_RECORD];
	struct slot_record r;

	memcpy(block, p, n < sizeof(block) ? n : sizeof(block));
	state(block);
	if (slot_record_parse(block, &r) == 0) {
		slot_record_write(&r, again);
		HOLDS(slot_record_parse(again, &r) == 0);
	}
	table(p, n);
	return 0;
}

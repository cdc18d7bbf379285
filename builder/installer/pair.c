#include "installer/pair.h"

#include "form/hex.h"
#include "installer/target.h"
#include "sys/gpt.h"
#include <string.h>
#include <unistd.h>

#define MINE_ONLY "Take out those that are not of this machine."

enum {                     /* ms: */
       WAIT_ALL = 60000,   /* until a disk is there, */
       WAIT_OTHER = 10000, /* and then for the other one of a pair; */
       WAIT_SETTLED = 1000 /* of a single one, whether there is another */
};

/* Who the machine is, by the disk; -1 when it does not say. */
static int read_site(int fd, const struct gpt *table, struct sheet *ret)
{
	const struct gpt_part *p = gpt_named(table, "site");
	char text[SHEET_MAX + 1] = "";
	struct err quiet = ERR_INIT;

	if (p == NULL || pread(fd, text, SHEET_MAX, (off_t)p->at) != SHEET_MAX)
		return -1;
	return sheet_parse(text, strlen(text), SHEET_INSTALLED, ret, &quiet);
}

/* Whether the RAID is the one that the disk's own installation made. */
static bool is_of(const struct md_member *m, const struct sheet *s)
{
	uint8_t run[MD_ID];

	return hex_decode(s->run, SHEET_ID, run) == 0 && memcmp(m->set, run, MD_ID) == 0;
}

struct pair_disk pair_look(int fd, uint64_t size, const char *partuuid)
{
	struct pair_disk d = {.kind = PAIR_NONE};
	struct err quiet = ERR_INIT;
	struct gpt table;
	struct sheet s;

	if (target_is_unfinished(fd)) {
		/* of its tables one is there, of its RAID all */
		d.kind = PAIR_UNFINISHED;
		return d;
	}
	if (gpt_read(fd, &table, &quiet) != 0 || gpt_with_id(&table, partuuid) == NULL)
		return d;
	if (read_site(fd, &table, &s) != 0)
		/* of a pair, by its end: used as a single disk it would go its own way */
		d.kind = md_get(fd, size, &d.m) ? PAIR_BROKEN : PAIR_SINGLE;
	else if (s.disks_n < MD_DISKS)
		d.kind = PAIR_SINGLE;
	else
		d.kind = md_get(fd, size, &d.m) && is_of(&d.m, &s) ? PAIR_MEMBER : PAIR_BROKEN;
	return d;
}

static size_t count(const struct pair_disk *v, size_t n, enum pair_kind kind)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += v[i].kind == kind ? 1 : 0;
	return found;
}

static bool one_pair(const struct pair_disk *v, size_t n)
{
	const struct pair_disk *first = NULL;

	for (size_t i = 0; i < n; i++) {
		if (v[i].kind != PAIR_MEMBER)
			continue;
		if (first != NULL && memcmp(first->m.set, v[i].m.set, MD_ID) != 0)
			return false;
		first = &v[i];
	}
	return true;
}

int pair_check(const struct pair_disk *v, size_t n, struct err *e)
{
	const size_t members = count(v, n, PAIR_MEMBER);

	if (members == 0 && count(v, n, PAIR_SINGLE) > 1) {
		(void)err_set(e, ERR_BUSY, "there is more than one disk with this system");
		return err_hint(e, MINE_ONLY);
	}
	if (members == 0 && count(v, n, PAIR_BROKEN) == 0)
		return 0;
	if (members == 0) {
		(void)err_set(e, ERR_VERIFY,
			      "RAID: a disk was made as one of two, and is none now");
		return err_hint(e, "What it has may be old: start with the other one, or install "
				   "both anew.");
	}
	if (!one_pair(v, n) || members > MD_DISKS)
		(void)err_set(e, ERR_BUSY, "RAID: there are disks of more than one pair");
	else if (count(v, n, PAIR_SINGLE) > 0)
		(void)err_set(e, ERR_BUSY,
			      "RAID: there is a pair, and a disk beside it with the "
			      "same system");
	else
		return 0;
	return err_hint(e, MINE_ONLY);
}

bool pair_waits(struct pair_wait *w, size_t members, bool single, uint64_t now)
{
	uint64_t most = WAIT_ALL;

	if (members >= MD_DISKS)
		return false;
	if (members != w->members || single != w->single || w->since == 0)
		*w = (struct pair_wait){members, single, now};
	if (members > 0)
		most = WAIT_OTHER;
	else if (single)
		most = WAIT_SETTLED;
	return now - w->since < most;
}

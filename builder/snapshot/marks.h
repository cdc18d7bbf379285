/* marks.h - packs of a bucket that are to go. A bucket has no lock: so a pack is marked first, no
 * snapshot that is begun after that makes use of it, and it goes a day later if it is needed by
 * none that was begun before. For the files of snapshot/ only. */
#ifndef SNAPSHOT_MARKS_H
#define SNAPSHOT_MARKS_H

#include "base/map.h"
#include "snapshot/repo.h"

enum {
	MARKS_WAIT_S = 86400,
	/* What a making has left to put its snapshot in, once it has seen that none of its packs is
	 * older marked than the rest of that; clocks may differ by it too. */
	MARKS_SPARE_S = MARKS_WAIT_S / 4,
};

/* Marks by hex of the pack, and the objects that they are in. */
struct marks {
	struct map times; /* hex -> the time, as text */
	struct strv objects;
};
void marks_release(struct marks *m);

/* Reads them. ERR_VERIFY when one is damaged. */
int marks_read(struct snapshot_repo *r, struct marks *ret, struct err *e) MUST_CHECK;

/* Puts marks of these packs (hex), of now. */
int marks_put(struct snapshot_repo *r, const struct strv *packs, struct err *e) MUST_CHECK;

/* Whether a pack was marked at that time, seconds, or before; whether it is marked at all. */
bool marks_before(const struct marks *m, const char *pack, int64_t time);
bool marks_has(const struct marks *m, const char *pack);

#endif

#include "media/update.h"

#include "base/fault.h"
#include "base/log.h"
#include "media/slot_what.h"
#include "media/update_look.h"
#include "media/update_plan.h"
#include "media/verity.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
	AT_ONCE = MEDIUM_BLOCK / VERITY_BLOCK, /* blocks that are written together */
	GAP = 8,                               /* blocks rather fetched than asked around */
};

struct updating {
	struct update_new *n;
	struct slots *s;
	const struct gpt_part *from, *to; /* the parts of the slots: the good one, the other */
	uint32_t *plan; /* of each block of the root: where the good slot has it */
	char *block;    /* MEDIUM_BLOCK bytes */
	struct update_result *ret;
};

static int put(const struct updating *u, const void *p, size_t n, uint64_t at, struct err *e)
{
	if (pwrite(u->s->fd, p, n, (off_t)at) != (ssize_t)n)
		return err_sys(e, "write %s", u->s->path);
	fault_point("update-block");
	return 0;
}

static bool get(const struct updating *u, char *p, size_t n, uint64_t at)
{
	return pread(u->s->fd, p, n, (off_t)at) == (ssize_t)n;
}

static int differs(const struct updating *u, uint64_t at, struct err *e)
{
	return err_set(e, ERR_VERIFY, "%s has not kept what was written at byte %llu", u->s->path,
		       (unsigned long long)at);
}

/* Whether the block that lies at p is block i of the new root. */
static bool is_block(const struct updating *u, const char *p, uint64_t i)
{
	struct digest is;

	verity_hash(&u->n->record.salt, p, 1, &is);
	return digest_equal(&is, &u->n->leaves[i]);
}

/* The block from the good slot, as it is there now. */
static bool copy_block(struct updating *u, char *p, uint64_t i)
{
	const uint64_t from = (uint64_t)u->plan[i] * VERITY_BLOCK;

	return u->plan[i] != PLAN_NONE && get(u, p, VERITY_BLOCK, u->from[SLOT_ROOT].at + from) &&
	       is_block(u, p, i);
}

/* Blocks `first` to `last` of those at p from the medium, each checked. */
static int fetch(struct updating *u, uint64_t base, size_t first, size_t last, struct err *e)
{
	const uint64_t at = u->n->part[SLOT_ROOT]->at + (base + first) * VERITY_BLOCK;
	char *p = u->block + first * VERITY_BLOCK;
	const size_t size = (last - first + 1) * VERITY_BLOCK;

	if (update_fetch(u->n, at, p, size, e) != 0)
		return -1;
	for (size_t i = first; i <= last; i++)
		if (!is_block(u, u->block + i * VERITY_BLOCK, base + i))
			return err_set(e, ERR_VERIFY,
				       "the medium is not as its root hash says at byte %llu",
				       (unsigned long long)(at + (i - first) * VERITY_BLOCK));
	return 0;
}

/* What is not there, in few requests: some that are there lie between them. */
static int fetch_missing(struct updating *u, uint64_t base, const bool *there, size_t n,
			 struct err *e)
{
	for (size_t i = 0, last; i < n; i = last + 1) {
		last = i;
		if (there[i])
			continue;
		for (size_t k = i + 1; k < n && k - last <= GAP; k++)
			if (!there[k])
				last = k;
		if (fetch(u, base, i, last, e) != 0)
			return -1;
	}
	return 0;
}

/* Some of the root's blocks: those that the slot has already stay. */
static int write_root_some(struct updating *u, uint64_t base, size_t n, struct err *e)
{
	const uint64_t at = u->to[SLOT_ROOT].at + base * VERITY_BLOCK;
	bool there[AT_ONCE];
	size_t kept = 0, copied = 0;

	if (get(u, u->block, n * VERITY_BLOCK, at))
		for (size_t i = 0; i < n; i++) {
			there[i] = is_block(u, u->block + i * VERITY_BLOCK, base + i);
			kept += there[i];
		}
	else
		memset(there, 0, sizeof(there));
	u->ret->kept += kept * VERITY_BLOCK;
	if (kept == n)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (!there[i]) {
			there[i] = copy_block(u, u->block + i * VERITY_BLOCK, base + i);
			copied += there[i];
		}
	u->ret->copied += copied * VERITY_BLOCK;
	return fetch_missing(u, base, there, n, e) != 0 ? -1
							: put(u, u->block, n * VERITY_BLOCK, at, e);
}

static int write_root(struct updating *u, struct err *e)
{
	const uint64_t all = u->n->record.blocks;

	for (uint64_t base = 0; base < all; base += AT_ONCE) {
		const size_t n = all - base < AT_ONCE ? (size_t)(all - base) : AT_ONCE;

		if (write_root_some(u, base, n, e) != 0)
			return -1;
		log_progress("update", (base + n) * VERITY_BLOCK, all * VERITY_BLOCK);
	}
	return 0;
}

static bool holds(const struct updating *u, const struct gpt_part *p, uint64_t at,
		  const struct digest *want)
{
	struct digest is;

	if (at + MEDIUM_BLOCK > p->size || !get(u, u->block, MEDIUM_BLOCK, p->at + at))
		return false;
	is = digest_of(u->block, MEDIUM_BLOCK);
	return digest_equal(&is, want);
}

/* The file system with the kernel: most of it lies where it did. */
static int write_boot(struct updating *u, struct err *e)
{
	const size_t first = (size_t)(u->n->part[SLOT_BOOT]->at / MEDIUM_BLOCK);

	for (uint64_t at = 0; at < u->n->record.boot; at += MEDIUM_BLOCK) {
		const size_t block = first + (size_t)(at / MEDIUM_BLOCK);
		const struct digest *want = &u->n->m->blocks[block];

		if (holds(u, &u->to[SLOT_BOOT], at, want)) {
			u->ret->kept += MEDIUM_BLOCK;
			continue;
		}
		if (holds(u, &u->from[SLOT_BOOT], at, want)) {
			u->ret->copied += MEDIUM_BLOCK;
		} else if (update_block(u->n, block, u->block, e) != 0) {
			return -1;
		}
		if (put(u, u->block, MEDIUM_BLOCK, u->to[SLOT_BOOT].at + at, e) != 0)
			return -1;
	}
	return 0;
}

static int write_all(struct updating *u, struct err *e)
{
	const struct update_new *n = u->n;

	return write_boot(u, e) != 0 || write_root(u, e) != 0
		   ? -1
		   : put(u, n->hashes, (size_t)n->hashes_size, u->to[SLOT_HASHES].at, e);
}

static int check_boot(const struct updating *u, struct err *e)
{
	const size_t first = (size_t)(u->n->part[SLOT_BOOT]->at / MEDIUM_BLOCK);

	for (uint64_t at = 0; at < u->n->record.boot; at += MEDIUM_BLOCK)
		if (!holds(u, &u->to[SLOT_BOOT], at,
			   &u->n->m->blocks[first + (size_t)(at / MEDIUM_BLOCK)]))
			return differs(u, u->to[SLOT_BOOT].at + at, e);
	return 0;
}

/* All of it, as the disk has it now. */
static int read_back(const struct updating *u, struct err *e)
{
	const struct update_new *n = u->n;
	char *hashes SCOPED(mem_freep) = mem_zalloc((size_t)n->hashes_size);
	struct digest *is SCOPED(mem_freep) = NULL;

	if (!get(u, hashes, (size_t)n->hashes_size, u->to[SLOT_HASHES].at) ||
	    memcmp(hashes, n->hashes, (size_t)n->hashes_size) != 0)
		return differs(u, u->to[SLOT_HASHES].at, e);
	if (check_boot(u, e) != 0)
		return -1;
	is = verity_scan(u->s->fd, u->to[SLOT_ROOT].at, n->record.blocks, &n->record.salt);
	for (uint64_t i = 0; i < n->record.blocks; i++)
		if (!digest_equal(&is[i], &n->leaves[i]))
			return differs(u, u->to[SLOT_ROOT].at + i * VERITY_BLOCK, e);
	return 0;
}

/* What the good slot has of it: its blocks by the new root's salt. */
static void make_plan(struct updating *u)
{
	const struct update_new *n = u->n;
	const int good = u->s->s.good;
	const uint64_t most = u->from[SLOT_ROOT].size / VERITY_BLOCK,
		       had = u->s->known[good] && u->s->record[good].blocks < most
				 ? u->s->record[good].blocks
				 : most;
	struct digest *have SCOPED(mem_freep) =
	    verity_scan(u->s->fd, u->from[SLOT_ROOT].at, had, &n->record.salt);

	u->plan = mem_zalloc((size_t)n->record.blocks * sizeof(*u->plan));
	plan_blocks(n->leaves, (size_t)n->record.blocks, have, (size_t)had, u->plan);
}

/* Its name is taken from the slot, then it is written, then it has one again. */
static int carry_out(struct updating *u, struct err *e)
{
	const int good = u->s->s.good, slot = slot_other(good);
	const struct slot_state none = {.good = good, .tried = SLOT_NONE};
	const struct slot_state tried = {.good = good, .tried = slot, .tries = SLOT_TRIES};

	if (slots_set(u->s, &none, e) != 0 || slots_set_record(u->s, slot, NULL, e) != 0)
		return -1;
	make_plan(u);
	if (write_all(u, e) != 0 || slots_sync(u->s, e) != 0)
		return -1;
	fault_point("update-written");
	if (read_back(u, e) != 0)
		return -1;
	fault_point("update-read-back");
	return slots_set_record(u->s, slot, &u->n->record, e) != 0 ? -1
								   : slots_set(u->s, &tried, e);
}

static bool has(const struct slots *s, int slot, const struct slot_record *want)
{
	const struct slot_record *is = &s->record[slot];

	return s->known[slot] && digest_equal(&is->image, &want->image) &&
	       digest_equal(&is->top, &want->top) && digest_equal(&is->kernel, &want->kernel);
}

/* Returns 1 when nothing is to be written. */
static int is_there(const struct update_opts *o, struct slots *s, const struct slot_record *want,
		    struct update_result *ret, struct err *e)
{
	const int good = s->s.good, other = slot_other(good);
	const struct slot_state none = {.good = good, .tried = SLOT_NONE};

	if (has(s, good, want)) {
		ret->slot = good;
		ret->same = true;
		if (s->s.tries == 0)
			return 1;
		ret->dropped = true;
		return slots_set(s, &none, e) != 0 ? -1 : 1;
	}
	if (s->s.tried != other || !has(s, other, want))
		return 0;
	if (s->s.tries > 0) {
		ret->same = true;
		return 1;
	}
	if (o->again)
		return 0;
	(void)err_set(e, ERR_VERIFY, "%s has failed here", digest_text(&want->image).s);
	return err_hint(e, "It did not come to be good in %d starts; --again lets it try anew.",
			SLOT_TRIES);
}

int update_run(const struct update_opts *o, const struct medium *m,
	       const struct update_source *from, struct slots *s, struct update_result *ret,
	       struct err *e)
{
	struct update_new n SCOPED(update_new_release) = {.m = m, .from = from, .o = o};
	const int slot = slot_other(s->s.good);
	struct update_result done = {.image = m->image, .slot = slot};
	struct updating u = {
	    .n = &n, .s = s, .from = s->part[s->s.good], .to = s->part[slot], .ret = &done};
	int rc;

	slot_of_medium(m, &n.record);
	rc = is_there(o, s, &n.record, &done, e);
	if (rc == 0 && update_look(&n, s, e) != 0)
		rc = -1;
	if (rc == 0) {
		u.block = mem_zalloc(MEDIUM_BLOCK);
		rc = carry_out(&u, e);
		mem_freep(&u.block);
		mem_freep(&u.plan);
		done.fetched = n.fetched;
	}
	if (rc < 0)
		return -1;
	*ret = done;
	return 0;
}

#include "media/update_look.h"

#include "base/num.h"
#include "media/slot_what.h"
#include "media/verity.h"
#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

void update_new_release(struct update_new *n)
{
	free(n->hashes);
}

int update_fetch(struct update_new *n, uint64_t at, void *p, size_t size, struct err *e)
{
	n->fetched += size;
	if (clock_mono_ms() < n->o->until_ms && n->from->read(n->from->ctx, at, p, size, e) == 0)
		return 0;
	if (clock_mono_ms() < n->o->until_ms)
		return -1;
	(void)err_set(e, ERR_REMOTE, "the update takes too long");
	return err_hint(e, "What was written stays: run it again, or with more --within.");
}

int update_block(struct update_new *n, size_t block, char *ret, struct err *e)
{
	const size_t size = medium_block_size(n->m, block);
	const uint64_t at = (uint64_t)block * MEDIUM_BLOCK;
	struct digest is;

	memset(ret + size, 0, MEDIUM_BLOCK - size);
	if (update_fetch(n, at, ret, size, e) != 0)
		return -1;
	is = digest_of(ret, size);
	if (digest_equal(&is, &n->m->blocks[block]))
		return 0;
	return err_set(e, ERR_VERIFY, "the medium differs from its manifest at byte %llu",
		       (unsigned long long)at);
}

static int find_parts(struct update_new *n, struct err *e)
{
	static const char *const words[SLOT_PARTS] = {"boot", "root", "verity"};
	bool all = n->m->verity.there;

	n->state = medium_part_named(n->m, "state");
	for (size_t i = 0; i < SLOT_PARTS; i++) {
		char *name SCOPED(mem_freep) = slot_part(words[i], SLOT_A);

		n->part[i] = medium_part_named(n->m, name);
		all = all && n->part[i] != NULL;
	}
	if (all && n->state != NULL && n->state->size >= SLOT_STATE_SIZE)
		return 0;
	(void)err_set(e, ERR_USAGE, "the medium is none to update from");
	return err_hint(e, "Make it by posmedia media --format raw --slots 2.");
}

static int read_record(struct update_new *n, struct err *e)
{
	char *block SCOPED(mem_freep) = mem_zalloc(MEDIUM_BLOCK);
	const struct medium_verity *v = &n->m->verity;
	struct slot_record *r = &n->record;

	if (update_block(n, (size_t)(n->state->at / MEDIUM_BLOCK), block, e) != 0)
		return -1;
	if (slot_record_parse(block + slot_record_at(SLOT_A), r) != 0 ||
	    !digest_equal(&r->image, &n->m->image) || !digest_equal(&r->top, &v->top) ||
	    !digest_equal(&r->salt, &v->salt) || r->blocks != v->blocks)
		return err_set(e, ERR_VERIFY,
			       "the medium is not the one that its manifest tells of");
	slot_of_medium(n->m, r);
	return 0;
}

static int too_large(const struct slots *s, const char *what, uint64_t is, uint64_t room,
		     struct err *e)
{
	char *a SCOPED(mem_freep) = num_human(is), *b SCOPED(mem_freep) = num_human(room);

	(void)err_set(e, ERR_RECIPE, "the new %s has %s, its slot on %s %s", what, a, s->path, b);
	return err_hint(e, "Such a system is installed anew.");
}

static int check_sizes(struct update_new *n, const struct slots *s, struct err *e)
{
	const struct gpt_part *to = s->part[slot_other(s->s.good)];
	const struct slot_record *r = &n->record;
	const uint64_t root = r->blocks * VERITY_BLOCK;

	n->hashes_size = slot_hash_size(r->blocks);
	if (r->boot % MEDIUM_BLOCK != 0 || r->boot > n->part[SLOT_BOOT]->size ||
	    root > n->part[SLOT_ROOT]->size || n->hashes_size > n->part[SLOT_HASHES]->size ||
	    r->blocks >= UINT32_MAX || n->hashes_size > VERITY_HASHES_MAX)
		return err_set(e, ERR_VERIFY, "the medium says of itself what cannot be");
	if (r->boot > to[SLOT_BOOT].size)
		return too_large(s, "kernel", r->boot, to[SLOT_BOOT].size, e);
	if (root > to[SLOT_ROOT].size)
		return too_large(s, "root", root, to[SLOT_ROOT].size, e);
	if (n->hashes_size > to[SLOT_HASHES].size)
		return too_large(s, "root", root, to[SLOT_ROOT].size, e);
	return 0;
}

/* What it writes to, it looks for beside its root. */
static int check_data(const struct update_new *n, const struct slots *s, struct err *e)
{
	for (size_t i = 0; i < n->m->parts_n; i++) {
		const struct medium_part *p = &n->m->parts[i];

		if (p->data && gpt_named(&s->table, p->name) == NULL)
			return err_set(e, ERR_RECIPE,
				       "%s has no partition %s, which the new system"
				       " wants",
				       s->path, p->name);
	}
	return 0;
}

static int check_arch(const struct update_new *n, const struct slots *s, struct err *e)
{
	const int good = s->s.good;

	if (!s->known[good] || strcmp(s->record[good].arch, n->record.arch) == 0)
		return 0;
	return err_set(e, ERR_RECIPE, "the new system is for %s, %s is for %s", n->record.arch,
		       s->path, s->record[good].arch);
}

/* A key may sign more than one product, and a signature of last year is still one. */
static int check_what(const struct update_new *n, const struct slots *s, struct err *e)
{
	const struct slot_record *is = &n->record, *was = &s->record[s->s.good];

	if (!s->known[s->s.good])
		return 0;
	if (!n->o->other && was->name[0] != '\0' && strcmp(was->name, is->name) != 0) {
		(void)err_set(e, ERR_VERIFY, "the new system is %s, %s is %s",
			      is->name[0] != '\0' ? is->name : "one without a name", s->path,
			      was->name);
		return err_hint(e, "Say --identity HOST/REPO:TAG, when that is meant.");
	}
	if (!n->o->older && is->created < was->created) {
		(void)err_set(e, ERR_VERIFY, "the new system is older than the good one of %s",
			      s->path);
		return err_hint(e, "Say --older, when that is meant.");
	}
	return 0;
}

/* Those of the medium's blocks that the file of hashes lies in. */
static int read_hashes(struct update_new *n, struct err *e)
{
	const uint64_t first = n->part[SLOT_HASHES]->at / MEDIUM_BLOCK;
	const size_t blocks = (size_t)((n->hashes_size + MEDIUM_BLOCK - 1) / MEDIUM_BLOCK);

	n->hashes = mem_zalloc(blocks * MEDIUM_BLOCK);
	for (size_t i = 0; i < blocks; i++)
		if (update_block(n, (size_t)first + i, n->hashes + i * MEDIUM_BLOCK, e) != 0)
			return -1;
	return verity_leaves(&n->m->verity, n->hashes, (size_t)n->hashes_size, &n->leaves, e);
}

int update_look(struct update_new *n, const struct slots *s, struct err *e)
{
	if (find_parts(n, e) != 0 || read_record(n, e) != 0 || check_what(n, s, e) != 0 ||
	    check_arch(n, s, e) != 0 || check_sizes(n, s, e) != 0 || check_data(n, s, e) != 0)
		return -1;
	return read_hashes(n, e);
}

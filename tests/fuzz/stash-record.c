/* Any bytes as the record of a stage, and as a claim: what is taken is within its limits, and is
 * the same when it is written and read again. */
#include "fuzz.h"

#include "stash/stash.h"

static void record(const char *p, size_t n)
{
	struct stash_record r SCOPED(stash_record_release) = {.marks = NULL};
	struct stash_record again SCOPED(stash_record_release) = {.marks = NULL};
	struct buf b SCOPED(buf_release) = BUF_INIT(STASH_RECORD_MAX);
	struct err e = ERR_INIT;

	if (stash_record_parse(p, n, &r, &e) != 0) {
		HOLDS(e.kind == ERR_VERIFY && e.msg[0] != '\0');
		return;
	}
	HOLDS(r.size <= STASH_BLOB_MAX && r.raw <= STASH_BLOB_MAX);
	stash_record_write(&r, &b);
	HOLDS(stash_record_parse(b.data, b.len, &again, &e) == 0);
	HOLDS(digest_equal(&r.key, &again.key) && digest_equal(&r.blob, &again.blob) &&
	      digest_equal(&r.output, &again.output));
	HOLDS(r.size == again.size && r.raw == again.raw && jval_equal(r.marks, again.marks));
}

static void claim(const char *p, size_t n)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(STASH_CLAIM_MAX);
	struct stash_claim c, again;
	struct err e = ERR_INIT;

	if (stash_claim_parse(p, n, &c, &e) != 0) {
		HOLDS(e.kind == ERR_VERIFY && e.msg[0] != '\0');
		return;
	}
	HOLDS(c.lease_s >= 1 && c.lease_s <= STASH_LEASE_MAX_S);
	HOLDS(strlen(c.owner) > 0 && strlen(c.owner) < sizeof(c.owner));
	stash_claim_write(&c, &b);
	HOLDS(stash_claim_parse(b.data, b.len, &again, &e) == 0);
	HOLDS(strcmp(c.owner, again.owner) == 0 && c.lease_s == again.lease_s &&
	      c.renewed == again.renewed);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	record((const char *)p, n);
	claim((const char *)p, n);
	return 0;
}

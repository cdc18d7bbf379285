/* record.c - the bytes of records and claims. */
#include "stash/stash.h"

#include "form/json.h"
#include "sign/attest.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Another statement by the same key, about an image, is no record. */
#define RECORD_TYPE "urn:posmedia:stage:v1"

void stash_record_release(struct stash_record *r)
{
	jval_free(r->marks);
	*r = (struct stash_record){.marks = NULL};
}

void stash_record_write(const struct stash_record *r, struct buf *out)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *list = jval_array(), *subject = jval_object(), *digest = jval_object();
	struct jval *predicate = jval_object();

	jval_put_text(digest, "sha256", digest_hex(&r->key).s);
	jval_put_text(subject, "name", "stage");
	jval_put(subject, "digest", digest);
	jval_push(list, subject);
	jval_put_text(predicate, "blob", digest_text(&r->blob).s);
	jval_put(predicate, "marks", jval_ref(r->marks));
	jval_put_text(predicate, "output", digest_text(&r->output).s);
	jval_put_int(predicate, "raw", (int64_t)r->raw);
	jval_put_int(predicate, "size", (int64_t)r->size);
	jval_put_text(v, "_type", ATTEST_STATEMENT);
	jval_put_text(v, "predicateType", RECORD_TYPE);
	jval_put(v, "predicate", predicate);
	jval_put(v, "subject", list);
	jval_write(v, out);
}

static bool is(const struct jval *v, const char *key, const char *want)
{
	const char *text = jval_get_str(v, key);

	return text != NULL && strcmp(text, want) == 0;
}

static int read_digest(const struct jval *v, const char *key, struct digest *ret, struct err *e)
{
	const char *text = jval_get_str(v, key);

	if (text != NULL && digest_parse(text, ret) == 0)
		return 0;
	return err_set(e, ERR_VERIFY, "\"%s\" is no digest", key);
}

static int read_size(const struct jval *v, const char *key, uint64_t *ret, struct err *e)
{
	int64_t n = -1;

	if (jval_get_int(v, key, &n) != 0 || n < 0)
		return err_set(e, ERR_VERIFY, "\"%s\" is no size", key);
	if ((uint64_t)n > STASH_BLOB_MAX)
		return err_set(e, ERR_VERIFY, "\"%s\" is larger than an entry may be", key);
	*ret = (uint64_t)n;
	return 0;
}

static int read_marks(const struct jval *v, struct jval **ret, struct err *e)
{
	static const char *const names[] = {"gone", "opaque"};
	struct jval *marks = jval_get(v, "marks");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct jval *list = jval_get(marks, names[i]);

		for (size_t k = 0; k < jval_len(list); k++)
			if (jval_str(jval_at(list, k)) == NULL)
				return err_set(e, ERR_VERIFY, "\"%s\" has what is no path",
					       names[i]);
		if (!jval_is_array(list))
			return err_set(e, ERR_VERIFY, "\"%s\" is no list", names[i]);
	}
	*ret = jval_ref(marks);
	return 0;
}

int stash_record_parse(const char *p, size_t n, struct stash_record *ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	const struct jval *list, *predicate;
	struct stash_record r = {.marks = NULL};
	const char *key;

	if (n > STASH_RECORD_MAX)
		return err_set(e, ERR_VERIFY, "the record is too large");
	if (jval_parse(p, n, "record", &v, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	list = jval_get(v, "subject");
	predicate = jval_get(v, "predicate");
	key = jval_get_str(jval_get(jval_at(list, 0), "digest"), "sha256");
	if (!is(v, "_type", ATTEST_STATEMENT) || !is(v, "predicateType", RECORD_TYPE) ||
	    jval_len(list) != 1 || key == NULL || digest_parse_hex(key, &r.key) != 0)
		return err_set(e, ERR_VERIFY, "it is no record of a stage");
	if (read_digest(predicate, "output", &r.output, e) != 0 ||
	    read_digest(predicate, "blob", &r.blob, e) != 0 ||
	    read_size(predicate, "size", &r.size, e) != 0 ||
	    read_size(predicate, "raw", &r.raw, e) != 0 || read_marks(predicate, &r.marks, e) != 0)
		return -1;
	*ret = r;
	return 0;
}

int stash_record_seal(const struct stash_record *r, const struct sign_key *k, struct buf *out,
		      struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(STASH_RECORD_MAX);

	stash_record_write(r, &text);
	if (buf_over(&text))
		return err_set(e, ERR_FAIL, "it takes away too much for a record");
	return attest_seal(&text, k, out, e);
}

int stash_record_open(const struct buf *envelope, const struct sign_public *k,
		      const struct digest *want, struct stash_record *ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(STASH_RECORD_MAX);
	struct stash_record r SCOPED(stash_record_release) = {.marks = NULL};

	if (attest_open(envelope, k, &text, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	if (stash_record_parse(text.data, text.len, &r, e) != 0)
		return -1;
	if (!digest_equal(&r.key, want))
		return err_set(e, ERR_VERIFY, "it is the record of another stage");
	*ret = r;
	r = (struct stash_record){.marks = NULL};
	return 0;
}

void stash_claim_write(const struct stash_claim *c, struct buf *out)
{
	struct jval *v SCOPED(jval_freep) = jval_object();

	jval_put_int(v, "claim", 1);
	jval_put_text(v, "owner", c->owner);
	jval_put_int(v, "lease", (int64_t)c->lease_s);
	jval_put_int(v, "renewed", (int64_t)c->renewed);
	jval_write(v, out);
}

static bool printable(const char *s)
{
	while (*s != '\0' && isgraph((unsigned char)*s))
		s++;
	return *s == '\0';
}

int stash_claim_parse(const char *p, size_t n, struct stash_claim *ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	int64_t version = 0, lease = 0, renewed = -1;
	const char *owner;

	if (n > STASH_CLAIM_MAX)
		return err_set(e, ERR_VERIFY, "the claim is too large");
	if (jval_parse(p, n, "claim", &v, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	owner = jval_get_str(v, "owner");
	if (jval_get_int(v, "claim", &version) != 0 || version != 1 || owner == NULL ||
	    owner[0] == '\0' || strlen(owner) >= sizeof(ret->owner) || !printable(owner) ||
	    jval_get_int(v, "lease", &lease) != 0 || lease < 1 || lease > STASH_LEASE_MAX_S ||
	    jval_get_int(v, "renewed", &renewed) != 0 || renewed < 0)
		return err_set(e, ERR_VERIFY, "it is no claim");
	*ret = (struct stash_claim){.lease_s = (uint64_t)lease, .renewed = (uint64_t)renewed};
	memcpy(ret->owner, owner, strlen(owner) + 1);
	return 0;
}

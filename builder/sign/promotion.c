#include "sign/promotion.h"

#include <string.h>

/* One type a stage: a later statement by the same key takes the place of one of its own type. */
static const char *const words[] = {"", "qa", "prod"};
static const char *const types[] = {"", "urn:posmedia:promotion:v1:qa",
				    "urn:posmedia:promotion:v1:prod"};

enum { STAGES = sizeof(words) / sizeof(words[0]) };

int promotion_stage(const char *word)
{
	for (int i = 1; i < STAGES; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return 0;
}

const char *promotion_type(int stage)
{
	return types[stage];
}

void promotion_make(const char *identity, const struct digest *manifest, int stage, int64_t time,
		    struct buf *ret)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *list = jval_array(), *subject = jval_object(), *digest = jval_object();
	struct jval *predicate = jval_object();

	jval_put_text(digest, "sha256", digest_hex(manifest).s);
	jval_put_text(subject, "name", identity);
	jval_put(subject, "digest", digest);
	jval_push(list, subject);
	jval_put_text(predicate, "stage", words[stage]);
	jval_put_int(predicate, "timestamp", time);
	jval_put_text(v, "_type", ATTEST_STATEMENT);
	jval_put(v, "subject", list);
	jval_put_text(v, "predicateType", types[stage]);
	jval_put(v, "predicate", predicate);
	jval_write(v, ret);
}

bool promotion_is(const struct attest_one *s, const char *identity, int stage, int64_t *ret_time)
{
	const char *type = jval_get_str(s->json, "predicateType");
	const struct jval *list = jval_get(s->json, "subject");
	const char *name = jval_get_str(jval_at(list, 0), "name");
	const struct jval *predicate = jval_get(s->json, "predicate");
	const char *word = jval_get_str(predicate, "stage");

	/* of several subjects, the name of one must not go with the digest of another */
	return type != NULL && strcmp(type, types[stage]) == 0 && word != NULL &&
	       strcmp(word, words[stage]) == 0 && jval_len(list) == 1 && name != NULL &&
	       (identity == NULL || strcmp(name, identity) == 0) &&
	       jval_get_int(predicate, "timestamp", ret_time) == 0;
}

/* statement.c - an in-toto Statement v1 with a test-result predicate v0.1: what was audited, by
 * which profile, what passed and what did not, and the digests of the other files. */
#include "evidence/parts.h"

static struct jval *digest_set(const struct digest *d)
{
	struct jval *j = jval_object();

	jval_put_text(j, "sha256", digest_hex(d).s);
	return j;
}

static struct jval *resource(const char *name, const struct digest *d)
{
	struct jval *j = jval_object();

	jval_put_text(j, "name", name);
	jval_put(j, "digest", digest_set(d));
	return j;
}

/* A directory is not one thing with one digest, and the statement does not pretend it is: nobody
 * can take it for one about an image. */
static struct jval *subjects(const struct evidence *v)
{
	struct jval *list = jval_array(), *j;

	if (v->is_image) {
		jval_push(list, resource("manifest", &v->image));
		jval_push(list, resource("config", &v->config));
		return list;
	}
	j = jval_object();
	jval_put_text(j, "name", v->object);
	jval_put(j, "digest", jval_object());
	jval_push(list, j);
	return list;
}

static struct jval *ids(const struct evidence *v, enum harden_status status)
{
	struct jval *list = jval_array();

	for (size_t i = 0; i < v->n; i++)
		if (v->results[i].status == status)
			jval_push(list, jval_text(v->results[i].id));
	return list;
}

static struct jval *configuration(const struct evidence *v)
{
	struct jval *list = jval_array();
	char *name SCOPED(mem_freep) =
	    mem_format("profile %s %s", v->profile_id, v->profile_version);

	jval_push(list, resource(name, &v->profile));
	return list;
}

static struct jval *other_files(unsigned formats, const struct evidence_files *files)
{
	struct jval *list = jval_array();

	for (unsigned i = 0; i < EVIDENCE_INTOTO; i++) {
		const struct buf *b = &files->files[i];
		struct digest d = digest_of(b->data, b->len);

		if ((formats & 1u << i) != 0)
			jval_push(list, resource(evidence_file_name((enum evidence_format)i), &d));
	}
	return list;
}

static const char *verdict(const struct evidence *v)
{
	if (v->count[HARDEN_FAIL] > 0)
		return "FAILED";
	return v->count[HARDEN_WAIVED] > 0 ? "WARNED" : "PASSED";
}

void format_intoto(const struct evidence *v, unsigned formats, const struct evidence_files *files,
		   struct buf *out)
{
	struct jval *j SCOPED(jval_freep) = jval_object();
	struct jval *p = jval_object();
	char *time SCOPED(mem_freep) = evidence_time(v);

	jval_put_text(p, "result", verdict(v));
	jval_put(p, "configuration", configuration(v));
	jval_put(p, "passedTests", ids(v, HARDEN_PASS));
	jval_put(p, "warnedTests", ids(v, HARDEN_WAIVED));
	jval_put(p, "failedTests", ids(v, HARDEN_FAIL));
	/* members that the predicate's type does not know and its readers pass over */
	jval_put(p, "notApplicableTests", ids(v, HARDEN_NOT_APPLICABLE));
	jval_put(p, "notRunTests", ids(v, HARDEN_NOT_RUN));
	jval_put(p, "evidence", other_files(formats, files));
	jval_put_text(p, "time", time);
	if (v->until != NULL)
		jval_put_text(p, "holdsUntil", v->until);
	jval_put_text(j, "_type", "https://in-toto.io/Statement/v1");
	jval_put(j, "subject", subjects(v));
	jval_put_text(j, "predicateType", "https://in-toto.io/attestation/test-result/v0.1");
	jval_put(j, "predicate", p);
	jval_write_pretty(j, out);
}

#include "sign/payload.h"

#include "form/json.h"
#include <stdlib.h>
#include <string.h>

enum { PAYLOAD_MAX = 4 << 20 };

void payload_said_release(struct payload_said *s)
{
	free(s->identity);
	*s = (struct payload_said){0};
}

static const char *type_of(enum sign_form form)
{
	return form == SIGN_OPENPGP ? "atomic container signature"
				    : "cosign container image signature";
}

/* The one member of a new object. */
static struct jval *only(const char *key, struct jval *val)
{
	struct jval *v = jval_object();

	jval_put(v, key, val);
	return v;
}

void sign_payload(enum sign_form form, const char *identity, const struct digest *manifest,
		  int64_t timestamp, struct buf *ret)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *critical = jval_object();
	struct jval *optional = jval_object();
	const struct digest_text digest = digest_text(manifest);

	jval_put(critical, "identity", only("docker-reference", jval_text(identity)));
	jval_put(critical, "image", only("docker-manifest-digest", jval_text(digest.s)));
	jval_put_text(critical, "type", type_of(form));
	jval_put_text(optional, "creator", "posmedia " POSMEDIA_VERSION);
	jval_put_int(optional, "timestamp", timestamp);
	jval_put(v, "critical", critical);
	jval_put(v, "optional", optional);
	jval_write(v, ret);
}

static int bad(struct err *e, const char *what)
{
	return err_set(e, ERR_VERIFY, "signed payload: %s", what);
}

/* The text at v.outer.inner, where outer has no other member; NULL when it is otherwise. */
static const char *lone_text(const struct jval *v, const char *outer, const char *inner)
{
	const struct jval *o = jval_get(v, outer);

	return jval_len(o) == 1 ? jval_get_str(o, inner) : NULL;
}

/* creator and timestamp are typed where they are given; what else a signer put here is his. */
static int check_optional(enum sign_form form, const struct jval *v, struct err *e)
{
	const struct jval *o = jval_get(v, "optional");
	struct jval *null SCOPED(jval_freep) = jval_null();
	int64_t time;

	if (form == SIGN_COSIGN && jval_equal(o, null))
		return 0;
	if (!jval_is_object(o))
		return bad(e, "wants an object \"optional\"");
	if (jval_get(o, "creator") != NULL && jval_get_str(o, "creator") == NULL)
		return bad(e, "\"creator\" is not a text");
	if (jval_get(o, "timestamp") != NULL && jval_get_int(o, "timestamp", &time) != 0)
		return bad(e, "\"timestamp\" is not an integer");
	return 0;
}

static int check_critical(enum sign_form form, const struct jval *critical, struct err *e)
{
	const char *type = jval_get_str(critical, "type");

	if (!jval_is_object(critical) || jval_len(critical) != 3)
		return bad(e, "\"critical\" wants exactly identity, image and type");
	if (type == NULL || strcmp(type, type_of(form)) != 0)
		return err_set(e, ERR_VERIFY, "signed payload: type is not \"%s\"", type_of(form));
	if (lone_text(critical, "identity", "docker-reference") == NULL)
		return bad(e, "\"identity\" wants exactly a docker-reference");
	if (lone_text(critical, "image", "docker-manifest-digest") == NULL)
		return bad(e, "\"image\" wants exactly a docker-manifest-digest");
	return 0;
}

static int check_digest(const struct jval *critical, const struct digest *manifest, struct err *e)
{
	struct digest got;

	if (digest_parse(lone_text(critical, "image", "docker-manifest-digest"), &got) != 0)
		return bad(e, "docker-manifest-digest is not a sha256 digest");
	if (!digest_equal(&got, manifest))
		return err_set(e, ERR_VERIFY, "signed payload: is for the manifest %s",
			       digest_text(&got).s);
	return 0;
}

int payload_open(enum sign_form form, const struct payload *payload, const struct digest *manifest,
		 struct payload_said *ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	const struct jval *critical;
	int64_t time = 0;

	if (payload->n > PAYLOAD_MAX)
		return bad(e, "larger than 4 MiB");
	if (jval_parse(payload->p, payload->n, "signed payload", &v, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	critical = jval_get(v, "critical");
	if (!jval_is_object(v) || jval_len(v) != 2 || critical == NULL)
		return bad(e, "wants exactly the members critical and optional");
	if (check_critical(form, critical, e) != 0 || check_optional(form, v, e) != 0 ||
	    check_digest(critical, manifest, e) != 0)
		return -1;
	if (jval_get_int(jval_get(v, "optional"), "timestamp", &time) != 0)
		time = 0;
	*ret = (struct payload_said){
	    mem_strdup(lone_text(critical, "identity", "docker-reference")), time, 0};
	return 0;
}

int sign_payload_check(enum sign_form form, const char *p, size_t n, const char *identity,
		       const struct digest *manifest, struct err *e)
{
	const struct payload payload = {p, n};
	struct payload_said got SCOPED(payload_said_release) = {0};

	if (payload_open(form, &payload, manifest, &got, e) != 0)
		return -1;
	if (identity != NULL && strcmp(got.identity, identity) != 0)
		return err_set(e, ERR_VERIFY, "signed payload: is for %s, wanted %s", got.identity,
			       identity);
	return 0;
}

/* told.c - what is behind, for people and for programs. */
#include "outdated/outdated.h"

#include "sys/clock.h"
#include <string.h>

static void repositories_text(const struct outdated *o, struct buf *out)
{
	for (size_t i = 0; i < o->all.repositories_n; i++) {
		const struct lock_repository *r = &o->all.repositories[i];
		char *date SCOPED(mem_freep) = clock_rfc3339(r->date);

		buf_addf(out, "  looked in %s of %s\n", r->id, date);
	}
}

void outdated_text(const struct outdated *o, struct buf *out)
{
	for (size_t i = 0; i < o->all.n; i++) {
		const struct pending_package *p = o->all.v[i];

		if (p->candidate == NULL)
			continue;
		buf_addf(out, "%s %s %s -> %s %s", p->security ? "security" : "update  ", p->name,
			 p->version, p->candidate, p->repository);
		for (size_t k = 0; k < p->advisories.n; k++)
			buf_addf(out, " %s", p->advisories.v[k]);
		buf_addf(out, "\n");
	}
	buf_addf(out, "%s: %zu of %zu packages are behind, %zu by a security update", o->object,
		 o->behind, o->all.n, o->security);
	if (o->strange > 0)
		buf_addf(out, "; %zu are in no repository", o->strange);
	buf_addf(out, "\n");
	repositories_text(o, out);
}

static struct jval *package_json(const struct pending_package *p)
{
	struct jval *v = jval_object(), *list = jval_array();

	jval_put_text(v, "package", p->name);
	jval_put_text(v, "arch", p->arch != NULL ? p->arch : "");
	jval_put_text(v, "version", p->version);
	jval_put_text(v, "candidate", p->candidate);
	jval_put_text(v, "repository", p->repository);
	jval_put(v, "security", jval_bool(p->security));
	for (size_t i = 0; i < p->advisories.n; i++)
		jval_push(list, jval_text(p->advisories.v[i]));
	jval_put(v, "advisories", list);
	return v;
}

static struct jval *repositories_json(const struct outdated *o)
{
	struct jval *list = jval_array();

	for (size_t i = 0; i < o->all.repositories_n; i++) {
		const struct lock_repository *r = &o->all.repositories[i];
		char *date SCOPED(mem_freep) = clock_rfc3339(r->date);
		struct jval *v = jval_object();

		jval_put_text(v, "id", r->id);
		jval_put_text(v, "date", date);
		jval_put_text(v, "release", r->release);
		jval_push(list, v);
	}
	return list;
}

struct jval *outdated_json(const struct outdated *o)
{
	struct jval *v = jval_object(), *list = jval_array(), *strange = jval_array();

	for (size_t i = 0; i < o->all.n; i++) {
		const struct pending_package *p = o->all.v[i];

		if (p->candidate != NULL)
			jval_push(list, package_json(p));
		else if (!p->known)
			jval_push(strange, jval_text(p->name));
	}
	jval_put_text(v, "image", o->object);
	jval_put_text(v, "digest", digest_text(&o->image).s);
	jval_put_text(v, "recipe", o->recipe);
	jval_put_text(v, "version", o->version);
	jval_put_int(v, "packages", (int64_t)o->all.n);
	jval_put_int(v, "security", (int64_t)o->security);
	jval_put(v, "behind", list);
	jval_put(v, "strange", strange);
	jval_put(v, "repositories", repositories_json(o));
	return v;
}

int outdated_gate(const struct outdated *o, const char *fail_on, struct err *e)
{
	if (strcmp(fail_on, "never") == 0)
		return 0;
	if (strcmp(fail_on, "security") == 0)
		return o->security == 0
			   ? 0
			   : err_set(e, ERR_VERIFY, "%s: %zu security updates are pending",
				     o->object, o->security);
	if (strcmp(fail_on, "any") != 0)
		return err_set(e, ERR_USAGE, "--fail-on: any, security or never, not %s", fail_on);
	return o->behind == 0
		   ? 0
		   : err_set(e, ERR_VERIFY, "%s: %zu packages are behind", o->object, o->behind);
}

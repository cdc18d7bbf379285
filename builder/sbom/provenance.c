/* provenance.c - SLSA provenance v1, and in-toto statements. What is said is what the image
 * carries; where and when it was built is not known from there, and the same inputs make the same
 * bytes. */
#include "sbom/parts.h"

#include <string.h>

#define BUILD_TYPE "urn:posmedia:build:v1"

static struct jval *digest_set(const struct digest *d)
{
	struct jval *v = jval_object();

	jval_put_text(v, "sha256", digest_hex(d).s);
	return v;
}

static struct jval *depend(struct jval *list, const char *uri, const struct digest *d)
{
	struct jval *v = jval_object();

	jval_put_text(v, "uri", uri);
	jval_put(v, "digest", digest_set(d));
	jval_push(list, v);
	return v;
}

/* Every package, medium and download by its digest, and the recipe and the lock themselves. */
static struct jval *dependencies(const struct sbom *b)
{
	struct jval *list = jval_array();
	struct digest lock;

	if (b->lock == NULL)
		return list;
	lock = lock_digest(b->lock);
	depend(list, "urn:posmedia:recipe", &b->recipe);
	depend(list, "urn:posmedia:lock", &lock);
	for (size_t i = 0; i < b->packages_n; i++)
		if (b->packages[i].has_digest)
			depend(list, b->packages[i].purl, &b->packages[i].digest);
	for (size_t i = 0; i < b->lock->media_n; i++) {
		char *name SCOPED(mem_freep) = sbom_escape(b->lock->media[i].name);
		char *uri SCOPED(mem_freep) = mem_format("urn:posmedia:medium:%s", name);

		depend(list, uri, &b->lock->media[i].digest);
	}
	for (size_t i = 0; i < b->lock->recorded_n; i++)
		if (b->lock->recorded[i].size > 0)
			depend(list, b->lock->recorded[i].url, &b->lock->recorded[i].digest);
	return list;
}

static struct jval *definition(const struct sbom *b)
{
	struct jval *v = jval_object(), *outer = jval_object(), *inner = jval_object();

	jval_put_text(outer, "recipe", b->name);
	jval_put_text(outer, "version", b->version);
	jval_put_text(inner, "created", b->created);
	jval_put_text(v, "buildType", BUILD_TYPE);
	jval_put(v, "externalParameters", outer);
	jval_put(v, "internalParameters", inner);
	jval_put(v, "resolvedDependencies", dependencies(b));
	return v;
}

struct jval *sbom_provenance(const struct sbom *b, const char *builder)
{
	struct jval *v = jval_object(), *details = jval_object(), *who = jval_object();
	struct jval *version = jval_object();

	jval_put_text(version, "posmedia", POSMEDIA_VERSION);
	jval_put_text(who, "id", builder);
	jval_put(who, "version", version);
	jval_put(details, "builder", who);
	jval_put(v, "buildDefinition", definition(b));
	jval_put(v, "runDetails", details);
	return v;
}

struct jval *sbom_statement(const struct digest *image, const char *name, const char *type,
			    struct jval *predicate)
{
	struct jval *v = jval_object(), *list = jval_array(), *subject = jval_object();

	jval_put_text(subject, "name", name[0] != '\0' ? name : "image");
	jval_put(subject, "digest", digest_set(image));
	jval_push(list, subject);
	jval_put_text(v, "_type", "https://in-toto.io/Statement/v1");
	jval_put(v, "subject", list);
	jval_put_text(v, "predicateType", type);
	jval_put(v, "predicate", predicate);
	return v;
}

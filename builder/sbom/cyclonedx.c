/* cyclonedx.c - CycloneDX 1.6 as JSON. */
#include "sbom/parts.h"

#include "form/uuid.h"
#include <string.h>

static void put_hash(struct jval *owner, const char *hex)
{
	struct jval *list = jval_array(), *v = jval_object();

	jval_put_text(v, "alg", "SHA-256");
	jval_put_text(v, "content", hex);
	jval_push(list, v);
	jval_put(owner, "hashes", list);
}

static void put_property(struct jval *owner, const char *name, const char *value)
{
	struct jval *list = jval_get(owner, "properties"), *v = jval_object();

	if (list == NULL) {
		list = jval_array();
		jval_put(owner, "properties", list);
	}
	jval_put_text(v, "name", name);
	jval_put_text(v, "value", value);
	jval_push(list, v);
}

static struct jval *component(struct jval *list, const char *type, const char *name)
{
	struct jval *v = jval_object();

	jval_put_text(v, "type", type);
	jval_put_text(v, "name", name);
	jval_push(list, v);
	return v;
}

static void add_packages(const struct sbom *b, struct jval *list)
{
	for (size_t i = 0; i < b->packages_n; i++) {
		const struct sbom_package *p = &b->packages[i];
		struct jval *v = component(list, "library", p->name);

		jval_put_text(v, "version", p->version);
		jval_put_text(v, "purl", p->purl);
		jval_put_text(v, "bom-ref", p->purl);
		if (p->has_digest)
			put_hash(v, digest_hex(&p->digest).s);
	}
}

static void add_inputs(const struct sbom *b, struct jval *list)
{
	for (size_t i = 0; b->lock != NULL && i < b->lock->media_n; i++) {
		struct jval *v = component(list, "data", b->lock->media[i].name);

		put_hash(v, digest_hex(&b->lock->media[i].digest).s);
		put_property(v, "posmedia:input", "medium");
	}
	for (size_t i = 0; b->lock != NULL && i < b->lock->recorded_n; i++) {
		struct jval *v;

		if (b->lock->recorded[i].size == 0)
			continue;
		v = component(list, "data", b->lock->recorded[i].url);
		put_hash(v, digest_hex(&b->lock->recorded[i].digest).s);
		put_property(v, "posmedia:input", "download");
	}
}

static void add_files(const struct sbom *b, struct jval *list)
{
	for (size_t i = 0; i < b->files_n; i++) {
		const struct sbom_file *f = &b->files[i];
		char *name SCOPED(mem_freep) = mem_format("/%s", f->path);
		struct jval *v = component(list, "file", name);

		put_hash(v, digest_hex(&f->sums.sha256).s);
		if (f->link != NULL)
			put_property(v, "posmedia:link", f->link);
	}
}

static struct jval *metadata(const struct sbom *b)
{
	struct jval *v = jval_object(), *image = jval_object(), *tools = jval_object();
	struct jval *list = jval_array(), *tool = component(list, "application", "posmedia");
	char *owned SCOPED(mem_freep) = mem_format("%zu", b->owned);

	jval_put_text(tool, "version", POSMEDIA_VERSION);
	jval_put(tools, "components", list);
	jval_put(v, "tools", tools);
	jval_put_text(image, "type", "container");
	jval_put_text(image, "name", b->name[0] != '\0' ? b->name : "image");
	jval_put_text(image, "version", b->version);
	jval_put_text(image, "bom-ref", "image");
	put_hash(image, digest_hex(&b->image).s);
	put_property(image, "posmedia:files-owned", owned);
	jval_put(v, "component", image);
	if (b->created[0] != '\0')
		jval_put_text(v, "timestamp", b->created);
	return v;
}

struct jval *sbom_cyclonedx(const struct sbom *b)
{
	struct jval *doc = jval_object(), *list = jval_array();
	struct uuid_text id = uuid_of(b->image.b, sizeof(b->image.b));
	char *serial SCOPED(mem_freep) = mem_format("urn:uuid:%s", id.s);

	jval_put_text(doc, "bomFormat", "CycloneDX");
	jval_put_text(doc, "specVersion", "1.6");
	jval_put_text(doc, "serialNumber", serial);
	jval_put_int(doc, "version", 1);
	jval_put(doc, "metadata", metadata(b));
	add_packages(b, list);
	add_inputs(b, list);
	add_files(b, list);
	jval_put(doc, "components", list);
	return doc;
}

/* spdx.c - SPDX 2.3 as JSON. Packages are not analysed file by file: their databases say what they
 * own; the files that nobody owns are a package of their own, with all their sums. */
#include "sbom/parts.h"

#include "form/uuid.h"
#include <stdlib.h>
#include <string.h>

#define DOCUMENT "SPDXRef-DOCUMENT"
#define IMAGE    "SPDXRef-image"
#define UNOWNED  "SPDXRef-unowned"

static void relate(struct jval *list, const char *from, const char *how, const char *to)
{
	struct jval *v = jval_object();

	jval_put_text(v, "spdxElementId", from);
	jval_put_text(v, "relationshipType", how);
	jval_put_text(v, "relatedSpdxElement", to);
	jval_push(list, v);
}

static void put_sum(struct jval *owner, const char *how, const char *hex)
{
	struct jval *list = jval_get(owner, "checksums"), *sum = jval_object();

	if (list == NULL) {
		list = jval_array();
		jval_put(owner, "checksums", list);
	}
	jval_put_text(sum, "algorithm", how);
	jval_put_text(sum, "checksumValue", hex);
	jval_push(list, sum);
}

/* A new package, in the list and contained in the image. */
static struct jval *package(struct jval *doc, const char *id, const char *name)
{
	struct jval *v = jval_object();

	jval_put_text(v, "SPDXID", id);
	jval_put_text(v, "name", name[0] != '\0' ? name : "image");
	jval_put_text(v, "downloadLocation", "NOASSERTION");
	jval_put(v, "filesAnalyzed", jval_bool(false));
	jval_push(jval_get(doc, "packages"), v);
	if (strcmp(id, IMAGE) != 0)
		relate(jval_get(doc, "relationships"), IMAGE, "CONTAINS", id);
	return v;
}

static void put_purl(struct jval *owner, const char *purl)
{
	struct jval *list = jval_array(), *ref = jval_object();

	jval_put_text(ref, "referenceCategory", "PACKAGE-MANAGER");
	jval_put_text(ref, "referenceType", "purl");
	jval_put_text(ref, "referenceLocator", purl);
	jval_push(list, ref);
	jval_put(owner, "externalRefs", list);
}

static void add_packages(const struct sbom *b, struct jval *doc)
{
	for (size_t i = 0; i < b->packages_n; i++) {
		const struct sbom_package *p = &b->packages[i];
		char *id SCOPED(mem_freep) = mem_format("SPDXRef-package-%zu", i);
		struct jval *v = package(doc, id, p->name);

		jval_put_text(v, "versionInfo", p->version);
		put_purl(v, p->purl);
		if (p->has_digest)
			put_sum(v, "SHA256", digest_hex(&p->digest).s);
	}
}

/* Vendors' media, and what steps fetched: they went in, though not as they are. */
static void add_inputs(const struct sbom *b, struct jval *doc)
{
	for (size_t i = 0; b->lock != NULL && i < b->lock->media_n; i++) {
		char *id SCOPED(mem_freep) = mem_format("SPDXRef-medium-%zu", i);
		struct jval *v = package(doc, id, b->lock->media[i].name);

		jval_put_text(v, "comment", "a medium that the image was built from");
		put_sum(v, "SHA256", digest_hex(&b->lock->media[i].digest).s);
	}
	for (size_t i = 0; b->lock != NULL && i < b->lock->recorded_n; i++) {
		char *id SCOPED(mem_freep) = mem_format("SPDXRef-download-%zu", i);
		struct jval *v;

		if (b->lock->recorded[i].size == 0)
			continue;
		v = package(doc, id, b->lock->recorded[i].url);
		jval_put_text(v, "comment", "what a step of the build fetched");
		put_sum(v, "SHA256", digest_hex(&b->lock->recorded[i].digest).s);
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* SHA-1 of all the files' SHA-1, sorted (7.9 of the specification). */
static void put_code(const struct sbom *b, struct jval *owner)
{
	const char **v = mem_zalloc((b->files_n + 1) * sizeof(*v));
	struct buf all SCOPED(buf_release) = BUF_INIT((b->files_n + 1) * SHA1_HEX);
	struct jval *code = jval_object();
	struct sums sum;

	for (size_t i = 0; i < b->files_n; i++)
		v[i] = b->files[i].sums.sha1;
	qsort(v, b->files_n, sizeof(*v), by_text);
	for (size_t i = 0; i < b->files_n; i++)
		buf_add(&all, v[i], SHA1_HEX);
	free(v);
	sums_of(all.data, all.len, &sum);
	jval_put_text(code, "packageVerificationCodeValue", sum.sha1);
	jval_put(owner, "packageVerificationCode", code);
}

static void add_files(const struct sbom *b, struct jval *doc)
{
	struct jval *files = jval_array(), *owner;

	jval_put(doc, "files", files);
	if (b->files_n == 0)
		return;
	owner = package(doc, UNOWNED, "files that no package owns");
	jval_put(owner, "filesAnalyzed", jval_bool(true));
	put_code(b, owner);
	for (size_t i = 0; i < b->files_n; i++) {
		const struct sbom_file *f = &b->files[i];
		char *id SCOPED(mem_freep) = mem_format("SPDXRef-file-%zu", i);
		char *name SCOPED(mem_freep) = mem_format("./%s", f->path);
		struct jval *v = jval_object();

		jval_put_text(v, "SPDXID", id);
		jval_put_text(v, "fileName", name);
		put_sum(v, "SHA1", f->sums.sha1);
		put_sum(v, "SHA256", digest_hex(&f->sums.sha256).s);
		if (f->link != NULL)
			jval_put_text(v, "comment",
				      "a symbolic link; the sums are of its target's name");
		jval_push(files, v);
		relate(jval_get(doc, "relationships"), UNOWNED, "CONTAINS", id);
	}
}

static struct jval *creation(const struct sbom *b)
{
	struct jval *v = jval_object(), *by = jval_array();

	jval_push(by, jval_text("Tool: posmedia-" POSMEDIA_VERSION));
	jval_put(v, "creators", by);
	jval_put_text(v, "created", b->created[0] != '\0' ? b->created : "1970-01-01T00:00:00Z");
	return v;
}

struct jval *sbom_spdx(const struct sbom *b)
{
	struct jval *doc = jval_object(), *image;
	struct uuid_text id = uuid_of(b->image.b, sizeof(b->image.b));
	char *space SCOPED(mem_freep) = mem_format("urn:uuid:%s", id.s);
	char *owned SCOPED(mem_freep) =
	    mem_format("%zu files are owned by its packages, %zu by none", b->owned, b->files_n);

	jval_put_text(doc, "spdxVersion", "SPDX-2.3");
	jval_put_text(doc, "dataLicense", "CC0-1.0");
	jval_put_text(doc, "SPDXID", DOCUMENT);
	jval_put_text(doc, "name", b->name[0] != '\0' ? b->name : "image");
	jval_put_text(doc, "documentNamespace", space);
	jval_put(doc, "creationInfo", creation(b));
	jval_put(doc, "packages", jval_array());
	jval_put(doc, "relationships", jval_array());
	relate(jval_get(doc, "relationships"), DOCUMENT, "DESCRIBES", IMAGE);
	image = package(doc, IMAGE, b->name);
	jval_put_text(image, "versionInfo", b->version);
	jval_put_text(image, "primaryPackagePurpose", "CONTAINER");
	jval_put_text(image, "comment", owned);
	put_sum(image, "SHA256", digest_hex(&b->image).s);
	add_packages(b, doc);
	add_inputs(b, doc);
	add_files(b, doc);
	return doc;
}

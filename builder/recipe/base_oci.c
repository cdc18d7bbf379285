/* base.oci: another image, by its digest. Its blobs are inputs like any medium: each is locked,
 * kept and laid out for a rebuild by its own digest. What an image in a registry consists of is
 * seen when it is locked. */
#include "recipe/lock.h"
#include "recipe/sections.h"

#include "form/ref.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { MANIFEST_MAX = 4 << 20, LAYERS_MAX = 120 };

/* The grammar of an image as base: in a registry, or in a layout by a digest that cannot move. */
static int parse_image(const struct yaml *y, struct ref *ret, struct err *e)
{
	struct err why = ERR_INIT;

	if (schema_want_text(y, "image", e) != 0)
		return -1;
	if (ref_parse(y->text, ret, &why) != 0)
		return schema_refuse(y, e, "Write oci:DIR@sha256:HEX.", "\"image\": %s", why.msg);
	if (ret->kind == REF_DOCKER && !ret->has_digest && ret->tag[0] == '\0')
		return schema_refuse(y, e, "Add :TAG or @sha256:HEX; \"latest\" is not assumed.",
				     "\"image\" names neither tag nor digest");
	if (ret->kind == REF_DOCKER)
		return 0;
	if (ret->kind != REF_OCI)
		return schema_refuse(y, e, "Pull it into a layout: posmedia pull SRC oci:DIR:TAG.",
				     "\"image\" wants an image in a layout, not \"%s\"",
				     schema_show(y->text).s);
	if (!ret->has_digest)
		return schema_refuse(y, e, "Write oci:DIR@sha256:HEX; a tag may move.",
				     "\"image\" has no digest");
	if (!grammar_ok(&grammar_project_path, ret->path))
		return schema_refuse(y, e, grammar_project_path.hint, "\"image\" wants a path");
	return 0;
}

static int read_image(const char *root, const struct yaml *y, const struct field *f, void *to,
		      struct err *e)
{
	struct recipe_plain *p = to;
	struct ref ref SCOPED(ref_release) = {0};

	(void)f;
	if (parse_image(y, &ref, e) != 0)
		return -1;
	p->layout = ref.kind == REF_OCI ? fs_join(root, ref.path) : NULL;
	p->registry = ref.kind == REF_DOCKER ? ref_text(&ref) : NULL;
	p->image = ref.digest;
	p->has_digest = ref.has_digest;
	return 0;
}

static const struct field oci_fields[] = {
    {"image", read_image, 0, NULL, true},
    {"arch", read_word, offsetof(struct recipe_plain, arch), &grammar_arch, false},
    {"policy", read_file, offsetof(struct recipe_plain, policy), NULL, false},
    {0},
};

static char *blob_path(const char *layout, const struct digest *d)
{
	return mem_format("%s/blobs/sha256/%s", layout, digest_hex(d).s);
}

static void add(struct recipe_plain *p, char *name, const struct digest *d, uint64_t size)
{
	struct recipe_media *m;

	p->blobs = mem_resize(p->blobs, p->blobs_n + 1, sizeof(*p->blobs));
	m = &p->blobs[p->blobs_n++];
	*m = (struct recipe_media){.name = name,
				   .url = blob_path(p->layout, d),
				   .is_file = true,
				   .digest = *d,
				   .size = size,
				   .file = mem_strdup("blob"),
				   .is_base = true};
}

/* A descriptor: OCI image-spec, descriptor.md. */
static int add_descriptor(struct recipe_plain *p, const struct jval *v, char *name)
{
	const char *digest = jval_get_str(v, "digest");
	struct digest d;
	int64_t size;

	if (digest == NULL || digest_parse(digest, &d) != 0 ||
	    jval_get_int(v, "size", &size) != 0 || size < 0) {
		free(name);
		return -1;
	}
	add(p, name, &d, (uint64_t)size);
	return 0;
}

static int read_manifest(struct recipe_plain *p, const struct yaml *y, struct buf *text,
			 struct err *e)
{
	char *path SCOPED(mem_freep) = blob_path(p->layout, &p->image);
	struct err why = ERR_INIT;
	struct digest is;

	if (fs_get_file(AT_FDCWD, path, text, &why) != 0) {
		yaml_err(y, e, "\"image\": no such image: %s", why.msg);
		return err_hint(e, "Looked for %.200s.", path);
	}
	is = digest_of(text->data, text->len);
	if (!digest_equal(&is, &p->image)) {
		yaml_err(y, e, "\"image\": the manifest is damaged");
		e->kind = ERR_VERIFY;
		return err_hint(e, "Get the image again.");
	}
	add(p, mem_strdup("base.oci.manifest"), &p->image, text->len);
	return 0;
}

static int read_blobs(struct recipe_plain *p, const struct yaml *y, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(MANIFEST_MAX);
	struct jval *v SCOPED(jval_freep) = NULL, *layers;
	int rc;

	if (read_manifest(p, y, &text, e) != 0 ||
	    jval_parse(text.data, text.len, "the base's manifest", &v, e) != 0)
		return -1;
	layers = jval_get(v, "layers");
	if (!jval_is_array(layers) || jval_len(layers) > LAYERS_MAX)
		return schema_refuse(y, e, "Name the digest of one image of an index.",
				     "\"image\" is not the manifest of an image");
	rc = add_descriptor(p, jval_get(v, "config"), mem_strdup("base.oci.config"));
	for (size_t i = 0; rc == 0 && i < jval_len(layers); i++)
		rc = add_descriptor(p, jval_at(layers, i), mem_format("base.oci.layer.%03zu", i));
	return rc == 0 ? 0
		       : schema_refuse(y, e, "Get another image.",
				       "\"image\": its manifest has a descriptor that is none");
}

int read_base_oci(const char *root, const struct yaml *y, const struct field *f, void *to,
		  struct err *e)
{
	struct recipe *r = to;

	if (schema_want_map(y, f->key, e) != 0)
		return -1;
	r->plain = mem_zalloc(sizeof(*r->plain));
	if (schema_map(root, y, oci_fields, r->plain, e) != 0)
		return -1;
	if (r->plain->arch == NULL)
		r->plain->arch = mem_strdup("amd64");
	if (r->plain->policy != NULL && (r->plain->registry == NULL || r->plain->has_digest))
		return schema_refuse(yaml_get(y, "policy"), e,
				     "Verify another one before: posmedia verify --policy FILE.",
				     "\"policy\" goes with a tag in a registry");
	if (r->plain->registry != NULL)
		return 0;
	return read_blobs(r->plain, yaml_get(y, "image"), e);
}

bool lock_is_base(const struct lock_media *m)
{
	return strncmp(m->name, "base.oci.", 9) == 0;
}

static void lend(struct recipe_plain *p, const struct lock_media *m)
{
	add(p, mem_strdup(m->name), &m->digest, m->size);
	free(p->blobs[p->blobs_n - 1].url);
	p->blobs[p->blobs_n - 1].url = mem_strdup(m->url);
	p->blobs[p->blobs_n - 1].is_file = false;
}

int lock_lend_base(const struct lock *l, struct recipe *r, const char *path, struct err *e)
{
	struct recipe_plain *p = r->plain;
	const struct recipe_media *m;

	if (p == NULL || p->registry == NULL)
		return 0;
	for (size_t i = 0; i < l->media_n; i++)
		if (lock_is_base(&l->media[i]))
			lend(p, &l->media[i]);
	recipe_base_medium(r);
	m = recipe_media_find(r, "base.oci.manifest");
	if (m == NULL || (p->has_digest && !digest_equal(&p->image, &m->digest))) {
		(void)err_set(e, ERR_RECIPE, "%s: not the image %s of the recipe", path,
			      p->registry);
		return err_hint(e, "Run \"posmedia lock %.160s\" again.", r->file);
	}
	p->image = m->digest;
	return 0;
}

struct jval *recipe_oci_json(const struct recipe *r)
{
	const struct recipe_plain *p = r->plain;
	char *dir SCOPED(mem_freep) = p->layout != NULL ? recipe_path(r, p->layout) : NULL;
	char *image SCOPED(mem_freep) = dir != NULL
					    ? mem_format("oci:%s@%s", dir, digest_text(&p->image).s)
					    : mem_strdup(p->registry);
	struct jval *o = jval_object();

	jval_put_text(o, "arch", p->arch);
	jval_put_text(o, "image", image);
	if (p->policy != NULL)
		jval_put(o, "policy", recipe_path_json(r, p->policy));
	return o;
}

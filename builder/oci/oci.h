/* oci.h - OCI image-spec 1.1: descriptors, manifests, image layouts. */
#ifndef OCI_OCI_H
#define OCI_OCI_H

#include "base/buf.h"
#include "base/err.h"
#include "form/digest.h"
#include "form/json.h"

#define OCI_INDEX        "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST     "application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG       "application/vnd.oci.image.config.v1+json"
#define OCI_LAYER_TAR    "application/vnd.oci.image.layer.v1.tar"
#define OCI_LAYER_GZIP   "application/vnd.oci.image.layer.v1.tar+gzip"
#define OCI_LAYER_ZSTD   "application/vnd.oci.image.layer.v1.tar+zstd"
#define OCI_ZSTD_VARIANT "io.github.containers.compression.zstd" /* containers/image's own */
#define OCI_EMPTY        "application/vnd.oci.empty.v1+json"

enum { OCI_MANIFEST_MAX = 4 << 20, OCI_LAYERS_MAX = 127, OCI_INDEX_MAX = 256 };

struct oci_desc {
	char *media_type;
	struct digest digest;
	uint64_t size;
	struct jval *annotations; /* object or NULL */
	struct jval *platform;    /* object or NULL */
	char *artifact_type;      /* of a manifest that is no image; or NULL */
};

/* The descriptor as a new JSON object; the caller frees it. */
void oci_desc_release(struct oci_desc *d);
struct jval *oci_desc_json(const struct oci_desc *d);
void oci_desc_copy(const struct oci_desc *d, struct oci_desc *ret);

/* Parses a descriptor object; unknown members are ignored; digest must be sha256. */
int oci_desc_parse(const struct jval *v, const char *what, struct oci_desc *ret,
		   struct err *e) MUST_CHECK;

struct oci_manifest {
	struct oci_desc config;
	struct oci_desc *layers;
	size_t layers_n;
	char *artifact_type;      /* "" when absent */
	struct oci_desc *subject; /* or NULL */
	struct jval *annotations; /* object or NULL */
};

/* Parses and checks a manifest (schemaVersion 2, OCI media types, at most OCI_LAYERS_MAX). */
int oci_manifest_parse(const char *p, size_t n, struct oci_manifest *ret, struct err *e) MUST_CHECK;
void oci_manifest_write(const struct oci_manifest *m, struct buf *out);
void oci_manifest_release(struct oci_manifest *m);

/* Makes the object the image config that cosign wants for a manifest of signatures: its diff_ids
 * are the digests of the manifest's layers. */
void oci_list_payloads(const struct oci_manifest *m, struct jval *config);

/* An image index (image-index.md): several images for one to choose from. */
struct oci_index {
	struct oci_desc *v;
	size_t n;
	struct jval *annotations; /* object or NULL */
};

/* Parses and checks an index of at most OCI_INDEX_MAX images, and no index in it. */
int oci_index_parse(const char *p, size_t n, struct oci_index *ret, struct err *e) MUST_CHECK;
void oci_index_write(const struct oci_index *x, struct buf *out);
void oci_index_release(struct oci_index *x);

/* An image layout directory (image-layout.md). */
struct oci_layout;

/* Opens an existing layout for reading, or makes one when `make` is set (the directory's parent
 * must exist). What is not a layout is ERR_RECIPE. */
int oci_layout_open(const char *dir, bool make, struct oci_layout **ret, struct err *e) MUST_CHECK;

/* Makes one that is gone when the program is: nothing waits for the disk. */
int oci_layout_scratch(const char *dir, struct oci_layout **ret, struct err *e) MUST_CHECK;
void oci_layout_free(struct oci_layout *l);
void oci_layout_freep(struct oci_layout **l);
int oci_layout_fd(const struct oci_layout *l);
const char *oci_layout_path(const struct oci_layout *l);

/* Finds the manifest of a tag (annotation org.opencontainers.image.ref.name), of a digest, or the
 * only one that is an image when tag is "" and want is NULL. None: ERR_FAIL, hint lists the tags.
 */
int oci_layout_find(const struct oci_layout *l, const char *tag, const struct digest *want,
		    struct oci_desc *ret, struct err *e) MUST_CHECK;

/* All entries of index.json; borrowed until the layout changes. */
const struct oci_desc *oci_layout_entries(const struct oci_layout *l, size_t *ret_n);

/* The tag of an entry, or "" . */
const char *oci_desc_tag(const struct oci_desc *d);

/* The image that is meant by a descriptor: itself, or of an index the first, whatever the engine;
 * the caller releases *ret. An index that holds none is ERR_RECIPE. */
int oci_layout_image(const struct oci_layout *l, const struct oci_desc *d, struct oci_desc *ret,
		     struct err *e) MUST_CHECK;

/* Opens or reads a blob. oci_layout_read hashes and sizes what it reads (ERR_VERIFY). */
int oci_layout_blob(const struct oci_layout *l, const struct digest *d, int *ret_fd,
		    uint64_t *ret_size, struct err *e) MUST_CHECK;
int oci_layout_read(const struct oci_layout *l, const struct digest *d, struct buf *ret,
		    struct err *e) MUST_CHECK;

/* Adds a blob from an open file (verified against want and size while it is copied) or from
 * memory. Atomic; there already is success. */
int oci_layout_add_fd(struct oci_layout *l, int fd, const struct digest *want, uint64_t size,
		      struct err *e) MUST_CHECK;
int oci_layout_add(struct oci_layout *l, const void *p, size_t n, struct digest *ret,
		   struct err *e) MUST_CHECK;

/* Takes over a file in the layout's own directory as a blob, by renaming it: it is open as fd, and
 * its bytes are known to be those of the digest. */
int oci_layout_adopt(struct oci_layout *l, const char *name, int fd, const struct digest *d,
		     struct err *e) MUST_CHECK;

/* Points tag at a manifest that is in the layout, replacing the tag's entry: one atomic write of
 * index.json. Entries without a tag (tag "") are kept once by digest. */
int oci_layout_tag(struct oci_layout *l, const char *tag, const struct oci_desc *manifest,
		   struct err *e) MUST_CHECK;

/* Keeps others from changing index.json until it is unlocked, and reads it anew: for changes that
 * depend on what is there. Nests. */
int oci_layout_lock(struct oci_layout *l, struct err *e) MUST_CHECK;
void oci_layout_unlock(struct oci_layout *l);

/* Hashes every blob from `from` down, or from index.json when it is NULL: manifests, configs,
 * layers, and diff_id counts. Calls seen (may be NULL) for each. The first wrong one is ERR_VERIFY
 * and is named. */
int oci_layout_verify(const struct oci_layout *l, const struct oci_desc *from,
		      void (*seen)(void *ctx, const struct oci_desc *d), void *ctx,
		      struct err *e) MUST_CHECK;

#endif

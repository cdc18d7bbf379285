#include "oci/unpack.h"

#include "archive/unpack.h"
#include <string.h>
#include <sys/mman.h>

/* System trees pack to a third or so; a layer that claims far more is a trap for the disk. */
#define LAYER_GROWTH UINT64_C(64)
#define LAYER_SPARE  (UINT64_C(1) << 30)

static int unpack_layers(const struct oci_layout *l, const struct oci_manifest *m, const char *dest,
			 uint64_t *hidden, struct err *e)
{
	for (size_t i = 0; i < m->layers_n; i++) {
		const struct digest_text name = digest_text(&m->layers[i].digest);
		const struct unpack_opts o = {.what = name.s,
					      .layer = true,
					      .keep_owner = true,
					      .hidden = hidden,
					      .bytes_max =
						  m->layers[i].size * LAYER_GROWTH + LAYER_SPARE};
		int fd SCOPED(fd_closep) = -1;

		if (oci_layout_blob(l, &m->layers[i].digest, &fd, NULL, e) != 0 ||
		    unpack(fd, dest, &o, e) != 0)
			return err_in(e, "layer %zu", i + 1);
	}
	return 0;
}

int oci_read_verified(const struct oci_layout *l, const struct oci_desc *manifest,
		      struct oci_manifest *ret, struct digest *ret_digest, struct err *e)
{
	struct oci_desc image SCOPED(oci_desc_release) = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	if (oci_layout_verify(l, manifest, NULL, NULL, e) != 0 ||
	    oci_layout_image(l, manifest, &image, e) != 0 ||
	    oci_layout_read(l, &image.digest, &text, e) != 0 ||
	    oci_manifest_parse(text.data, text.len, ret, e) != 0)
		return -1;
	if (ret_digest != NULL)
		*ret_digest = image.digest;
	return 0;
}

int oci_unpack(const struct oci_layout *l, const struct oci_desc *manifest, const char *dest,
	       struct oci_manifest *ret, struct err *e)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	if (oci_read_verified(l, manifest, &m, NULL, e) != 0 ||
	    unpack_layers(l, &m, dest, NULL, e) != 0)
		return -1;
	*ret = m;
	m = (struct oci_manifest){0};
	return 0;
}

int oci_unpack_layers(const struct oci_layout *l, const struct oci_manifest *m, const char *dest,
		      bool *ret_hidden, struct err *e)
{
	/* counted in the workers that unpack */
	uint64_t *hidden =
	    mmap(NULL, sizeof(*hidden), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (hidden == MAP_FAILED)
		return err_sys(e, "map memory");
	rc = unpack_layers(l, m, dest, hidden, e);
	*ret_hidden = *hidden > 0;
	(void)munmap(hidden, sizeof(*hidden));
	return rc;
}

static int check_layer(const struct oci_layout *l, const struct oci_desc *layer, const char *said,
		       struct err *e)
{
	const struct digest_text name = digest_text(&layer->digest);
	int fd SCOPED(fd_closep) = -1;
	struct digest is;

	if (oci_layout_blob(l, &layer->digest, &fd, NULL, e) != 0 ||
	    unpack_diff_id(fd, name.s, &is, NULL, e) != 0)
		return -1;
	if (said != NULL && strcmp(said, digest_text(&is).s) == 0)
		return 0;
	return err_set(e, ERR_VERIFY, "the config says that its contents are %.80s, they are %s",
		       said != NULL ? said : "nothing", digest_text(&is).s);
}

int oci_check_diff_ids(const struct oci_layout *l, const struct oci_manifest *m, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct jval *config SCOPED(jval_freep) = NULL;
	const struct jval *ids;

	if (oci_layout_read(l, &m->config.digest, &text, e) != 0 ||
	    jval_parse(text.data, text.len, "image config", &config, e) != 0)
		return -1;
	ids = jval_get(jval_get(config, "rootfs"), "diff_ids");
	for (size_t i = 0; i < m->layers_n; i++)
		if (check_layer(l, &m->layers[i], jval_str(jval_at(ids, i)), e) != 0)
			return err_in(e, "layer %zu", i + 1);
	return 0;
}

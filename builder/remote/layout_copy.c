#include "remote/layout_copy.h"
#include "remote/attached.h"
#include "remote/referrers.h"
#include "remote/signatures.h"

#include <string.h>

static int copy_blob(const struct oci_layout *from, struct oci_layout *to, const struct oci_desc *d,
		     struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (oci_layout_blob(from, &d->digest, &fd, NULL, e) != 0)
		return -1;
	return oci_layout_add_fd(to, fd, &d->digest, d->size, e);
}

int layout_copy_manifest(const struct oci_layout *from, struct oci_layout *to,
			 const struct oci_desc *d, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct digest same;

	if (oci_layout_read(from, &d->digest, &b, e) != 0 ||
	    oci_manifest_parse(b.data, b.len, &m, e) != 0 || copy_blob(from, to, &m.config, e) != 0)
		return -1;
	for (size_t i = 0; i < m.layers_n; i++)
		if (copy_blob(from, to, &m.layers[i], e) != 0)
			return -1;
	return oci_layout_add(to, b.data, b.len, &same, e);
}

static int copy_attached(const struct oci_layout *from, struct oci_layout *to,
			 const struct digest *image, struct err *e)
{
	struct strv tags SCOPED(strv_release) = {0};

	attached_tags(image, &tags);
	for (size_t i = 1; i < tags.n; i++) { /* the first is the index of referrers */
		const struct oci_desc *d = signatures_tagged(from, tags.v[i]);

		if (d != NULL && (layout_copy_manifest(from, to, d, e) != 0 ||
				  signatures_add(to, tags.v[i], d, e) != 0))
			return err_in(e, "signatures %s", tags.v[i]);
	}
	return referrers_copy(from, to, image, e) != 0 ? err_in(e, "referrers") : 0;
}

static int copy_index(const struct oci_layout *from, struct oci_layout *to,
		      const struct oci_desc *d, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_index x SCOPED(oci_index_release) = {0};
	struct digest same;

	if (oci_layout_read(from, &d->digest, &b, e) != 0 ||
	    oci_index_parse(b.data, b.len, &x, e) != 0)
		return -1;
	for (size_t i = 0; i < x.n; i++)
		if (layout_copy_manifest(from, to, &x.v[i], e) != 0 ||
		    copy_attached(from, to, &x.v[i].digest, e) != 0)
			return -1;
	return oci_layout_add(to, b.data, b.len, &same, e);
}

int remote_copy_layout(const struct oci_layout *from, const struct oci_desc *manifest,
		       struct oci_layout *to, const char *tag, struct err *e)
{
	bool index = strcmp(manifest->media_type, OCI_INDEX) == 0;

	if ((index ? copy_index(from, to, manifest, e)
		   : layout_copy_manifest(from, to, manifest, e)) != 0 ||
	    copy_attached(from, to, &manifest->digest, e) != 0)
		return -1;
	return oci_layout_tag(to, tag, manifest, e);
}

/* sign-layout.h - an image layout to sign, for the tests of sign/. */
#ifndef SIGN_LAYOUT_H
#define SIGN_LAYOUT_H

#include "sign-fixture.h"

#include "sign/image.h"

static const char id[] = "localhost:5000/pos/rti:16.1.5";
static struct sign_key *key, *other;
static struct oci_layout *layout;
static struct oci_desc image;

/* Adds an image with nothing but a name in its configuration. */
static void add_image(const char *name, struct oci_desc *ret)
{
	char *config SCOPED(mem_freep) = mem_format("{\"config\":{\"Hostname\":\"%s\"}}", name);
	struct oci_manifest m = {.config = {.media_type = mem_strdup(OCI_CONFIG)}};
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct oci_desc d = {.media_type = mem_strdup(OCI_MANIFEST)};

	m.config.size = strlen(config);
	assert_done(oci_layout_add(layout, config, strlen(config), &m.config.digest, &e));
	oci_manifest_write(&m, &b);
	oci_manifest_release(&m);
	d.size = b.len;
	assert_done(oci_layout_add(layout, b.data, b.len, &d.digest, &e));
	assert_done(oci_layout_tag(layout, name, &d, &e));
	*ret = d;
}

static int make_layout(void **state)
{
	char *path SCOPED(mem_freep) = at("layout");

	(void)state;
	if (fs_rmtree(AT_FDCWD, path, &e) != 0)
		return -1;
	assert_done(oci_layout_open(path, true, &layout, &e));
	add_image("16.1.5", &image);
	return 0;
}

static int drop_layout(void **state)
{
	(void)state;
	oci_desc_release(&image);
	oci_layout_freep(&layout);
	return 0;
}

static int set_up(void **state)
{
	if (enter_scratch(state) != 0)
		return -1;
	key = make_key("key");
	other = make_key("other");
	return 0;
}

static int tear_down(void **state)
{
	sign_key_free(key);
	sign_key_free(other);
	return leave_scratch(state);
}

UNUSED static void sign_as(const char *identity, const struct sign_key *k)
{
	assert_done(sign_image(layout, &image, identity, k, NOW, &e));
}

/* Reads the manifest under sha256-<image>.SUFFIX. */
UNUSED static void signatures(const char *suffix, struct oci_manifest *ret)
{
	char *tag SCOPED(mem_freep) =
	    mem_format("sha256-%s.%s", digest_hex(&image.digest).s, suffix);
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct oci_desc d;

	assert_done(oci_layout_find(layout, tag, NULL, &d, &e));
	assert_done(oci_layout_read(layout, &d.digest, &b, &e));
	oci_desc_release(&d);
	assert_done(oci_manifest_parse(b.data, b.len, ret, &e));
}

/* The file of a blob; the caller owns it. */
UNUSED static char *blob_path(const struct digest *d)
{
	return mem_format("%s/layout/blobs/sha256/%s", scratch, digest_hex(d).s);
}

#endif

/* A delta layer on top of an image leads to the same tree as the image it was made for. */
#include "oci-image.h"

#include "build/image.h"
#include "oci/unpack.h"
#include <sys/xattr.h>

struct fixture {
	struct rootfs was, is, out, place;
	struct store *s;
	struct oci_layout *layout;
	struct oci_desc image;
	struct build_opts o;
	struct job j;
	struct packing p;
	struct err e;
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof(*f));
	struct err e = ERR_INIT;
	char *dir SCOPED(mem_freep) = NULL, *layout SCOPED(mem_freep) = NULL;

	f->was = rootfs_make();
	f->is = rootfs_make();
	f->out = rootfs_make();
	f->place = rootfs_make();
	dir = mem_format("%s/store", f->place.path);
	layout = mem_format("%s/layout", f->place.path);
	done(store_open(dir, &f->s, &e), &e);
	done(oci_layout_open(layout, true, &f->layout, &e), &e);
	f->e = (struct err)ERR_INIT;
	f->p.rootfd = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	tree_release(&f->p.tree);
	delta_release(&f->p.delta);
	oci_desc_release(&f->image);
	oci_layout_free(f->layout);
	store_free(f->s);
	rootfs_drop(&f->was);
	rootfs_drop(&f->is);
	rootfs_drop(&f->out);
	rootfs_drop(&f->place);
	free(f);
	return 0;
}

static int age_one(void *ctx, const struct fs_entry *en, struct err *e)
{
	const struct timespec file[2] = {{1000, 0}, {1000, 0}};
	const struct timespec dir[2] = {{JOB_DIRECTORY_TIME, 0}, {JOB_DIRECTORY_TIME, 0}};

	(void)ctx;
	(void)e;
	assert_int_equal(utimensat(en->parent_fd, en->name, S_ISDIR(en->st.st_mode) ? dir : file,
				   AT_SYMLINK_NOFOLLOW),
			 0);
	return 0;
}

/* Directories have the time that they have in every image. */
static void age(const struct rootfs *t)
{
	struct err e = ERR_INIT;

	done(fs_walk(t->fd, age_one, NULL, &e), &e);
}

static void both(struct fixture *f, const char *path, const char *text)
{
	put(&f->was, path, text, 0644);
	put(&f->is, path, text, 0644);
}

/* From the two trees: the image below, and the delta's index. */
static void make(struct fixture *f)
{
	const struct rootfs *trees[] = {&f->was};

	age(&f->was);
	age(&f->is);
	f->image = image_put(f->layout, trees, 1, NULL);
}

static int delta(struct fixture *f)
{
	f->o = (struct build_opts){.delta_layout = f->layout, .delta_from = &f->image};
	f->p.layout = f->layout;
	f->p.from = &f->image;
	f->j = (struct job){.s = f->s, .o = &f->o, .scratch = f->place.path};
	f->p.j = &f->j;
	f->p.rootfd = f->is.fd;
	tree_release(&f->p.tree);
	done(tree_scan(f->is.fd, &f->p.tree, NULL, &f->e), &f->e);
	return delta_make(&f->p, &f->e);
}

/* Packs the delta and puts both layers into an image, which is unpacked to f->out. */
static void lay(struct fixture *f)
{
	const struct pack_opts po = {.compression = PACK_GZIP, .epoch = JOB_DIRECTORY_TIME};
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20),
		     text SCOPED(buf_release) = BUF_INIT(1 << 16);
	const struct sink out = {.write = image_to_buf, .ctx = &b};
	struct jval *ids = jval_array();
	struct oci_desc layers[2], top SCOPED(oci_desc_release) = {0};
	struct oci_manifest m = {.layers = layers, .layers_n = 2}, got = {0};
	struct pack_result res;

	make(f);
	done(delta(f), &f->e);
	done(pack_layer(f->is.fd, &f->p.tree, &po, &out, &res, &f->e), &f->e);
	oci_desc_copy(&f->p.delta.below.layers[0], &layers[0]);
	layers[1] = (struct oci_desc){.media_type = mem_strdup(OCI_LAYER_GZIP), .size = b.len};
	done(oci_layout_add(f->layout, b.data, b.len, &layers[1].digest, &f->e), &f->e);
	assert_true(store_has(f->s, &layers[0].digest, NULL));
	jval_push(
	    ids, jval_ref(jval_at(jval_get(jval_get(f->p.delta.config, "rootfs"), "diff_ids"), 0)));
	jval_push(ids, jval_text(digest_text(&res.diff_id).s));
	image_config(f->layout, ids, NULL, &m.config);
	oci_manifest_write(&m, &text);
	top = (struct oci_desc){.media_type = mem_strdup(OCI_MANIFEST), .size = text.len};
	done(oci_layout_add(f->layout, text.data, text.len, &top.digest, &f->e), &f->e);
	done(oci_unpack(f->layout, &top, f->out.path, &got, &f->e), &f->e);
	oci_manifest_release(&got);
	oci_desc_release(&m.config);
	oci_desc_release(&layers[0]);
	oci_desc_release(&layers[1]);
}

static void same_file(struct fixture *f, const char *path)
{
	char *a SCOPED(mem_freep) = get(&f->is, path), *b SCOPED(mem_freep) = get(&f->out, path);

	assert_string_equal(a, b);
}

/* The unpacked tree is the one that was wanted: names, metadata, contents, links. */
static void is_the_same(struct fixture *f)
{
	struct tree a SCOPED(tree_release) = {0}, b SCOPED(tree_release) = {0};

	done(tree_scan(f->is.fd, &a, NULL, &f->e), &f->e);
	done(tree_scan(f->out.fd, &b, NULL, &f->e), &f->e);
	for (size_t i = 0; i < a.n && i < b.n; i++) {
		const struct tree_entry *x = &a.v[i], *y = &b.v[i];

		assert_string_equal(x->path, y->path);
		if (x->mode != y->mode || x->uid != y->uid || x->gid != y->gid ||
		    x->mtime != y->mtime || x->size != y->size || x->inode != y->inode)
			fail_msg("%s: other metadata", x->path);
		assert_int_equal(x->link != NULL, y->link != NULL);
		if (x->link != NULL)
			assert_string_equal(x->link, y->link);
		assert_int_equal(x->xattrs_n, y->xattrs_n);
		for (size_t k = 0; k < x->xattrs_n; k++)
			assert_memory_equal(x->xattrs[k].val, y->xattrs[k].val, x->xattrs[k].len);
		if (S_ISREG(x->mode))
			same_file(f, x->path);
	}
	assert_int_equal(a.n, b.n);
}

/* How many entries the layer has of its own. */
static size_t added(struct fixture *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->p.tree.n; i++)
		n += f->p.tree.v[i].layer == 0;
	return n;
}

static bool adds(struct fixture *f, const char *path)
{
	const struct tree_entry *en = tree_find(&f->p.tree, path);

	return en != NULL && en->layer == 0;
}

static void takes_what_is_new_and_what_changed(void **state)
{
	struct fixture *f = *state;
	char *cap SCOPED(mem_freep) = mem_format("%s/a/xattr", f->is.path);

	both(f, "a/same", "same");
	both(f, "a/sub/same", "same");
	put(&f->was, "a/text", "old", 0644);
	put(&f->is, "a/text", "new", 0644); /* same size, same time */
	put(&f->was, "a/mode", "x", 0644);
	put(&f->is, "a/mode", "x", 04755);
	put(&f->is, "b/new/deep", "x", 0600);
	both(f, "a/owner", "x");
	assert_int_equal(fchownat(f->is.fd, "a/owner", 5, 6, 0), 0);
	both(f, "a/xattr", "x");
	assert_int_equal(setxattr(cap, "user.t", "v", 1, 0), 0);
	assert_int_equal(symlinkat("x", f->was.fd, "a/link"), 0);
	assert_int_equal(symlinkat("y", f->is.fd, "a/link"), 0);
	assert_int_equal(fchmodat(f->is.fd, "a/sub", 0700, 0), 0);
	lay(f);
	assert_false(adds(f, "a/same"));
	assert_false(adds(f, "a/sub/same"));
	assert_true(adds(f, "a/text"));
	assert_int_equal(added(f), 9);
	is_the_same(f);
}

static void a_time_counts(void **state)
{
	const struct timespec later[2] = {{2000, 0}, {2000, 0}};
	struct fixture *f = *state;

	both(f, "a", "same");
	both(f, "b", "same");
	make(f);
	assert_int_equal(utimensat(f->is.fd, "a", later, 0), 0);
	done(delta(f), &f->e);
	assert_true(adds(f, "a"));
	assert_int_equal(added(f), 1);
}

static void hides_what_is_gone(void **state)
{
	struct fixture *f = *state;

	both(f, "etc/stays", "x");
	put(&f->was, "etc/gone", "x", 0644);
	put(&f->was, "dir/sub/one", "x", 0644);
	put(&f->was, "dir/sub/two", "x", 0644);
	put(&f->was, "top", "x", 0644);
	lay(f);
	assert_true(adds(f, "etc/.wh.gone"));
	assert_true(adds(f, ".wh.dir"));
	assert_true(adds(f, ".wh.top"));
	assert_int_equal(added(f), 3);
	is_the_same(f);
}

static void replaces_one_type_by_another(void **state)
{
	struct fixture *f = *state;

	put(&f->was, "file-dir", "x", 0644);
	put(&f->is, "file-dir/in/it", "x", 0644);
	put(&f->was, "dir-file/in/it", "x", 0644);
	put(&f->is, "dir-file", "x", 0644);
	put(&f->was, "dir-link/in/it", "x", 0644);
	assert_int_equal(symlinkat("file-dir", f->is.fd, "dir-link"), 0);
	assert_int_equal(symlinkat("file-dir", f->was.fd, "link-dir"), 0);
	put(&f->is, "link-dir/own", "x", 0644);
	assert_int_equal(symlinkat("nowhere", f->was.fd, "link-file"), 0);
	put(&f->is, "link-file", "x", 0644);
	lay(f);
	is_the_same(f);
	assert_null(tree_find(&f->p.tree, "dir-file/.wh.in"));
}

static void hard(const struct rootfs *t, const char *from, const char *to)
{
	assert_int_equal(linkat(t->fd, from, t->fd, to, 0), 0);
}

static void names_of_one_file_come_all_or_none(void **state)
{
	struct fixture *f = *state;

	both(f, "same/a", "x");
	hard(&f->was, "same/a", "same/b");
	hard(&f->is, "same/a", "same/b");
	put(&f->was, "text/a", "old", 0644);
	hard(&f->was, "text/a", "text/b");
	put(&f->is, "text/a", "new", 0644);
	hard(&f->is, "text/a", "text/b");
	both(f, "joined/a", "x"); /* two files become one */
	put(&f->was, "joined/b", "x", 0644);
	hard(&f->is, "joined/a", "joined/b");
	both(f, "parted/a", "x"); /* one becomes two */
	hard(&f->was, "parted/a", "parted/b");
	put(&f->is, "parted/b", "x", 0644);
	both(f, "more/b", "x"); /* a new first name */
	put(&f->is, "more/a", "x", 0644);
	assert_int_equal(unlinkat(f->is.fd, "more/b", 0), 0);
	hard(&f->is, "more/a", "more/b");
	both(f, "fewer/b", "x");
	put(&f->was, "fewer/a", "x", 0644);
	assert_int_equal(unlinkat(f->was.fd, "fewer/b", 0), 0);
	hard(&f->was, "fewer/a", "fewer/b");
	both(f, "grown/a", "x"); /* one name more */
	hard(&f->was, "grown/a", "grown/b");
	hard(&f->is, "grown/a", "grown/b");
	hard(&f->is, "grown/a", "grown/c");
	lay(f);
	assert_false(adds(f, "same/a") || adds(f, "same/b"));
	is_the_same(f);
}

static void nothing_new_is_nothing(void **state)
{
	struct fixture *f = *state;

	both(f, "a/b", "x");
	make(f);
	done(delta(f), &f->e);
	assert_int_equal(added(f), 0);
}

/* An image of as many layers as there may be. */
static void full_image(struct fixture *f)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct jval *ids = jval_array();

	make(f);
	done(oci_layout_read(f->layout, &f->image.digest, &b, &f->e), &f->e);
	done(oci_manifest_parse(b.data, b.len, &m, &f->e), &f->e);
	m.layers = mem_resize(m.layers, OCI_LAYERS_MAX, sizeof(*m.layers));
	for (; m.layers_n < OCI_LAYERS_MAX; m.layers_n++)
		oci_desc_copy(&m.layers[0], &m.layers[m.layers_n]);
	for (size_t i = 0; i < OCI_LAYERS_MAX; i++)
		jval_push(ids, jval_text(digest_text(&m.layers[0].digest).s));
	oci_desc_release(&m.config);
	image_config(f->layout, ids, NULL, &m.config);
	buf_cut(&b, 0);
	oci_manifest_write(&m, &b);
	f->image.size = b.len;
	done(oci_layout_add(f->layout, b.data, b.len, &f->image.digest, &f->e), &f->e);
}

static void refuses_more_layers_than_there_may_be(void **state)
{
	struct fixture *f = *state;

	put(&f->was, "a", "x", 0644);
	put(&f->is, "a", "y", 0644);
	full_image(f);
	assert_int_equal(delta(f), -1);
	assert_non_null(strstr(f->e.msg, "127 layers already"));
	assert_non_null(strstr(f->e.hint, "whole image"));
}

static void refuses_a_damaged_image(void **state)
{
	struct fixture *f = *state;
	char *blob SCOPED(mem_freep) = NULL;
	int fd;

	both(f, "a/b", "x");
	make(f);
	blob = mem_format("blobs/sha256/%s", digest_hex(&f->image.digest).s);
	fd = openat(oci_layout_fd(f->layout), blob, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, " ", 1), 1);
	(void)close(fd);
	assert_int_equal(delta(f), -1);
	assert_int_equal(f->e.kind, ERR_VERIFY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(takes_what_is_new_and_what_changed, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_time_counts, setup, teardown),
	    cmocka_unit_test_setup_teardown(hides_what_is_gone, setup, teardown),
	    cmocka_unit_test_setup_teardown(replaces_one_type_by_another, setup, teardown),
	    cmocka_unit_test_setup_teardown(names_of_one_file_come_all_or_none, setup, teardown),
	    cmocka_unit_test_setup_teardown(nothing_new_is_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(refuses_more_layers_than_there_may_be, setup, teardown),
	    cmocka_unit_test_setup_teardown(refuses_a_damaged_image, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

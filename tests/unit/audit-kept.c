/* audit/kept: the tree of an image is unpacked once, and used again only as it was left. */
#include "audit/audit.h"

#include "oci-image.h"

static const char profile_text[] =
    "posmedia-profile: 1\nid: test\nversion: 1.2.3\ntitle: a test\ncontrols:\n"
    "  - {id: A, title: first, severity: high, sources: {cis: [\"1\"]},\n"
    "     want: [{mode: {paths: [/etc/shadow], owner: root, max: \"0600\", required: true}}]}\n"
    "  - {id: B, title: second, severity: high, sources: {cis: [\"1\"]},\n"
    "     want: [{scan: {classes: [pan]}}]}\n"
    "  - {id: C, title: third, severity: high, sources: {cis: [\"1\"]},\n"
    "     want: [{package-files: {paths: [/usr]}}]}\n";

static struct rootfs dir, base, top;
static char *profile;
static struct store *store;
static struct oci_layout *layout;

static int set_up(void **state)
{
	char *path SCOPED(mem_freep) = NULL, *at SCOPED(mem_freep) = NULL;
	char *card SCOPED(mem_freep) = mem_format("ada,%s%s\n", "45392", "77914860339");
	struct err e = ERR_INIT;

	(void)state;
	dir = rootfs_make();
	base = rootfs_make();
	top = rootfs_make();
	put(&dir, "p.yaml", profile_text, 0644);
	profile = fs_join(dir.path, "p.yaml");
	path = fs_join(dir.path, "store");
	at = fs_join(dir.path, "layout");
	done(store_open(path, &store, &e), &e);
	done(oci_layout_open(at, true, &layout, &e), &e);
	put(&base, "etc/passwd", "root:x:0:0:root:/root:/bin/bash\n", 0644);
	put(&base, "etc/shadow", "root:*:20000:0:99999:7:::\n", 0640);
	put(&base, "srv/sales.csv", card, 0644);
	put(&base, "usr/bin/tulip", "tulip", 0755);
	put(&base, "usr/bin/rose", "rose", 0755);
	put(&base, "var/lib/dpkg/info/garden.list", "/usr/bin/tulip\n/usr/bin/rose\n", 0644);
	put(&base, "var/lib/dpkg/info/garden.md5sums",
	    "fcdc7b4207660a1372d0cd5491ad856e  usr/bin/rose\n", 0644);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	store_freep(&store);
	oci_layout_freep(&layout);
	rootfs_drop(&dir);
	rootfs_drop(&base);
	rootfs_drop(&top);
	free(profile);
	return 0;
}

static struct oci_desc add_image(bool with_top)
{
	const struct rootfs *const trees[] = {&base, &top};

	return image_put(layout, trees, with_top ? 2 : 1, NULL);
}

/* What the audit of the image says; the caller owns it. */
static char *said(const struct oci_desc *d, const struct recipe *r)
{
	const struct audit_opts o = {
	    .profile = profile, .today = TODAY, .store = store, .recipe = r};
	struct audit a = {0};
	struct buf text = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;
	struct jval *j;

	done(audit_image(layout, d, "x", &o, &a, &e), &e);
	j = audit_json(&a);
	jval_write(j, &text);
	jval_free(j);
	audit_release(&a);
	return text.data;
}

/* A path in the kept tree of the image; the caller owns it. */
static char *kept(const struct oci_desc *d, const char *path)
{
	return mem_format("%s/cache/audits/%s/tree/%s", store_path(store), digest_hex(&d->digest).s,
			  path);
}

/* The inode of a file in the kept tree, 0 when there is none. */
static ino_t inode(const struct oci_desc *d)
{
	char *path SCOPED(mem_freep) = kept(d, "etc/shadow");
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_ino : 0;
}

static void expect_empty_scratch(void)
{
	struct strv left SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	done(fs_list(store_fd(store), "tmp", &left, &e), &e);
	assert_int_equal(left.n, 0);
}

static void expect_same(const struct oci_desc *d, const char *first)
{
	char *again = said(d, NULL);

	assert_string_equal(again, first);
	free(again);
}

static void unpacks_once(void **state)
{
	struct oci_desc d = add_image(false);
	char *first = said(&d, NULL);
	ino_t was = inode(&d);

	(void)state;
	assert_non_null(strstr(first, "453927******0339"));
	assert_true(was != 0);
	expect_same(&d, first);
	expect_same(&d, first);
	assert_int_equal(inode(&d), was);
	expect_empty_scratch();
	free(first);
	oci_desc_release(&d);
}

/* What is hidden is in the layers: it is found again without them. */
static void remembers_what_layers_hide(void **state)
{
	struct oci_desc d;
	char *first;

	(void)state;
	put(&top, "srv/.wh.sales.csv", "", 0644);
	d = add_image(true);
	first = said(&d, NULL);
	assert_non_null(strstr(first, "in layer sha256:"));
	expect_same(&d, first);
	free(first);
	oci_desc_release(&d);
}

/* Exceptions are the recipe's of the day, not those of whoever looked. */
static void applies_exceptions_anew(void **state)
{
	struct recipe_allow allow = {.cls = (char *)(uintptr_t) "pan",
				     .reason = (char *)(uintptr_t) "void"};
	const struct recipe rec = {.allow = &allow, .allow_n = 1};
	char *text = get(&base, "srv/sales.csv"), *first, *allowed;
	struct oci_desc d = add_image(false);

	(void)state;
	allow.sha256 = digest_of(text, strlen(text));
	free(text);
	allowed = said(&d, &rec);
	first = said(&d, NULL);
	assert_null(strstr(allowed, "453927******0339"));
	assert_non_null(strstr(first, "453927******0339"));
	free(allowed);
	allowed = said(&d, &rec);
	assert_null(strstr(allowed, "453927******0339"));
	free(allowed);
	free(first);
	oci_desc_release(&d);
}

/* However it was touched: the mode that would be right, bytes with the times put back. */
static void unpacks_what_was_touched_anew(void **state)
{
	const struct timespec back[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1, .tv_nsec = 0}};
	struct oci_desc d = add_image(false);
	char *first = said(&d, NULL);
	char *shadow = kept(&d, "etc/shadow"), *sales = kept(&d, "srv/sales.csv");
	char *more = kept(&d, "usr/bin/more");
	ino_t was = inode(&d);

	(void)state;
	assert_int_equal(chmod(shadow, 0600), 0);
	expect_same(&d, first);
	assert_true(inode(&d) != was);
	was = inode(&d);
	assert_int_equal(truncate(sales, 1), 0);
	assert_int_equal(utimensat(AT_FDCWD, sales, back, 0), 0);
	expect_same(&d, first);
	assert_true(inode(&d) != was);
	was = inode(&d);
	assert_int_equal(symlink("tulip", more), 0);
	expect_same(&d, first);
	assert_true(inode(&d) != was);
	free(more);
	free(sales);
	free(shadow);
	free(first);
	oci_desc_release(&d);
}

/* A record of somebody else's choosing, in a place that he can write to. */
static void uses_nothing_that_others_can_write(void **state)
{
	static const char *const places[] = {"cache/audits", "cache", "."};
	struct oci_desc d = add_image(false);
	char *first = said(&d, NULL);
	ino_t was = inode(&d);

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char *record SCOPED(mem_freep) =
		    mem_format("cache/audits/%s/record", digest_hex(&d.digest).s);
		char *at = kept(&d, "../record");
		struct buf b = BUF_INIT(1 << 16);
		struct err e = ERR_INIT;
		char *card;

		done(fs_get_file(store_fd(store), record, &b, &e), &e);
		card = strstr(b.data, "\"files\"");
		if (card != NULL)
			memcpy(card, "\"filed\"", 7);
		done(fs_put_unsynced(at, b.data, b.len, 0600, &e), &e);
		assert_int_equal(fchmodat(store_fd(store), places[i], 0775, 0), 0);
		expect_same(&d, first);
		assert_int_equal(inode(&d), was);
		assert_int_equal(fchmodat(store_fd(store), places[i], 0755, 0), 0);
		buf_release(&b);
		free(at);
	}
	expect_empty_scratch();
	free(first);
	oci_desc_release(&d);
}

/* The tree is there, and the image is damaged all the same. */
static void hashes_the_blobs_every_time(void **state)
{
	const struct audit_opts o = {.profile = profile, .today = TODAY, .store = store};
	struct oci_desc d = add_image(false), layer;
	struct jval *ignored = jval_array();
	char *first = said(&d, NULL), *path;
	struct audit a = {0};
	struct err e = ERR_INIT;

	(void)state;
	image_layer(layout, &base, &layer, ignored);
	jval_free(ignored);
	path =
	    mem_format("%s/blobs/sha256/%s", oci_layout_path(layout), digest_hex(&layer.digest).s);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(truncate(path, (off_t)layer.size - 1), 0);
	assert_int_equal(audit_image(layout, &d, "x", &o, &a, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	free(path);
	free(first);
	oci_desc_release(&layer);
	oci_desc_release(&d);
}

static void keeps_four(void **state)
{
	struct oci_desc d[6];

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		char *text = mem_format("%zu", i);

		put(&base, "etc/number", text, 0644);
		free(text);
		d[i] = add_image(false);
		free(said(&d[i], NULL));
		if (i == 3)
			free(said(&d[0], NULL));
	}
	assert_true(inode(&d[0]) != 0);
	assert_int_equal(inode(&d[1]), 0);
	assert_int_equal(inode(&d[2]), 0);
	for (size_t i = 3; i < 6; i++)
		assert_true(inode(&d[i]) != 0);
	for (size_t i = 0; i < 6; i++)
		oci_desc_release(&d[i]);
}

/* Whoever builds has the store with others; nothing is kept then, and all is as it was. */
static void leaves_a_store_that_is_in_use(void **state)
{
	struct oci_desc d = add_image(false);
	struct err e = ERR_INIT;
	int share = -1;
	char *first;

	(void)state;
	done(store_share(store, &share, &e), &e);
	first = said(&d, NULL);
	assert_int_equal(inode(&d), 0);
	expect_empty_scratch();
	(void)close(share);
	expect_same(&d, first);
	assert_true(inode(&d) != 0);
	free(first);
	oci_desc_release(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(unpacks_once, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(remembers_what_layers_hide, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(applies_exceptions_anew, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(unpacks_what_was_touched_anew, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(uses_nothing_that_others_can_write, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(hashes_the_blobs_every_time, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(keeps_four, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(leaves_a_store_that_is_in_use, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("audit-kept", tests, NULL, NULL);
}

/* audit: of a tree, of an image in a layout, and what is said about them. */
#include "audit/audit.h"

#include "oci-image.h"

static const char profile_text[] =
    "posmedia-profile: 1\nid: test\nversion: 1.2.3\ntitle: a test\ncontrols:\n"
    "  - {id: A, title: first, severity: high, sources: {cis: [\"1\"]},\n"
    "     want: [{mode: {paths: [/etc/shadow], owner: root, max: \"0600\", required: true}}]}\n"
    "  - {id: B, title: second, severity: low, sources: {cis: [\"1\"]},\n"
    "     want: [{absent: {paths: [/etc/gone]}}]}\n";

static struct rootfs dir, base, top;
static char *profile;
static struct store *store;
static struct oci_layout *layout;

static int set_up(void **state)
{
	char *path SCOPED(mem_freep) = NULL, *at SCOPED(mem_freep) = NULL;
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
	put(&base, "etc/gone", "x", 0644);
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

/* An image of the base and, when it holds something, the layer above it. */
static struct oci_desc add_image(bool with_top)
{
	const struct rootfs *const trees[] = {&base, &top};

	return image_put(layout, trees, with_top ? 2 : 1, NULL);
}

/* Nothing of the unpacked layers stays behind. */
static void expect_empty_scratch(void)
{
	struct strv left SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	done(fs_list(store_fd(store), "tmp", &left, &e), &e);
	for (size_t i = 0; i < left.n; i++)
		assert_null(strstr(left.v[i], "audit"));
}

static void says_what_a_tree_lacks(void **state)
{
	const struct audit_opts o = {.profile = profile, .today = TODAY};
	struct audit a = {0};
	struct buf text = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;
	struct digest d;
	char *want;

	(void)state;
	done(audit_tree(base.path, "dir:/srv/tree", &o, &a, &e), &e);
	assert_false(a.is_image);
	d = harden_profile_digest(a.profile);
	want = mem_format("object   dir:/srv/tree\nsystem   container\n"
			  "profile  test 1.2.3 %s\n         a test\n\n"
			  "fail           high   A        first\n"
			  "    /etc/shadow: mode 0640, wants at most 0600\n"
			  "fail           low    B        second\n    /etc/gone: is there\n"
			  "0 pass, 2 fail, 0 waived, 0 not applicable\n",
			  digest_text(&d).s);
	audit_text(&a, false, &text);
	assert_string_equal(text.data, want);
	free(want);
	buf_release(&text);
	audit_release(&a);
}

static void lists_all_when_asked(void **state)
{
	const struct audit_opts o = {.profile = profile, .today = TODAY};
	struct audit a = {0};
	struct buf some = BUF_INIT(1 << 16), all = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(fchmodat(base.fd, "etc/shadow", 0600, 0), 0);
	done(audit_tree(base.path, "x", &o, &a, &e), &e);
	audit_text(&a, false, &some);
	audit_text(&a, true, &all);
	assert_null(strstr(some.data, "first"));
	assert_non_null(strstr(all.data, "pass           high   A        first\n"));
	buf_release(&some);
	buf_release(&all);
	audit_release(&a);
}

/* The upper layer takes a file away and closes another: that is what counts. */
static void judges_what_all_layers_make(void **state)
{
	const struct audit_opts o = {.profile = profile, .today = TODAY, .store = store};
	struct audit a = {0};
	struct err e = ERR_INIT;
	struct oci_desc d;
	struct jval *j;

	(void)state;
	put(&top, "etc/shadow", "root:*:20000:0:99999:7:::\n", 0600);
	put(&top, "etc/.wh.gone", "", 0644);
	d = add_image(true);
	done(audit_image(layout, &d, "oci:x:t", &o, &a, &e), &e);
	assert_true(a.is_image);
	assert_true(digest_equal(&a.image, &d.digest));
	assert_int_equal(a.report.count[HARDEN_PASS], 2);
	assert_int_equal(a.report.v[0].held.n, 1);
	assert_string_equal(a.report.v[0].held.v[0], "/etc/shadow: 0:0, mode 0600");
	j = audit_json(&a);
	assert_string_equal(jval_get_str(j, "object"), "oci:x:t");
	assert_string_equal(jval_get_str(j, "image"), digest_text(&d.digest).s);
	assert_non_null(jval_get_str(j, "config"));
	assert_int_equal(jval_len(jval_get(j, "results")), 2);
	jval_free(j);
	audit_release(&a);
	oci_desc_release(&d);
	expect_empty_scratch();
}

static void keeps_owners_of_layers(void **state)
{
	const struct audit_opts o = {.profile = profile, .today = TODAY, .store = store};
	struct audit a = {0};
	struct err e = ERR_INIT;
	struct oci_desc d;

	(void)state;
	assert_int_equal(fchownat(base.fd, "etc/shadow", 1, 1, 0), 0);
	d = add_image(false);
	done(audit_image(layout, &d, "x", &o, &a, &e), &e);
	assert_string_equal(a.report.v[0].detail, "/etc/shadow: belongs to 1:1, wants root:any; "
						  "/etc/shadow: mode 0640, wants at most 0600");
	audit_release(&a);
	oci_desc_release(&d);
}

/* One flipped byte in a layer: refused before it is unpacked. */
static void refuses_a_flipped_byte(void **state)
{
	const struct audit_opts o = {.profile = profile, .today = TODAY, .store = store};
	struct oci_desc d = add_image(false), layer;
	struct jval *ignored = jval_array();
	struct audit a = {0};
	struct err e = ERR_INIT;
	char *path SCOPED(mem_freep) = NULL;
	int fd;

	(void)state;
	image_layer(layout, &base, &layer, ignored);
	jval_free(ignored);
	path =
	    mem_format("%s/blobs/sha256/%s", oci_layout_path(layout), digest_hex(&layer.digest).s);
	assert_int_equal(chmod(path, 0644), 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "\377", 1, (off_t)layer.size - 5), 1);
	(void)close(fd);
	assert_int_equal(audit_image(layout, &d, "oci:x:t", &o, &a, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_non_null(strstr(e.msg, "oci:x:t"));
	assert_null(a.object);
	expect_empty_scratch();
	oci_desc_release(&layer);
	oci_desc_release(&d);
}

static const char card_profile[] =
    "posmedia-profile: 1\nid: test\nversion: 1.2.3\ntitle: a test\ncontrols:\n"
    "  - {id: A, title: first, severity: high, sources: {cis: [\"1\"]},\n"
    "     want: [{scan: {classes: [pan]}}]}\n"
    "  - {id: B, title: second, severity: high, sources: {cis: [\"1\"]},\n"
    "     want: [{oci: {rule: start}}]}\n";

/* A number of a card, which must not stand in this file. */
static void put_card(const struct rootfs *t, const char *path)
{
	char *text SCOPED(mem_freep) = mem_format("name,card\nada,%s%s\n", "45392", "77914860339");

	put(t, path, text, 0644);
}

/* A card in a file that a later layer takes away is in the image all the same. */
static void finds_cards_that_a_layer_hides(void **state)
{
	const struct audit_opts o = {.profile = profile, .today = TODAY, .store = store};
	struct audit a = {0};
	struct err e = ERR_INIT;
	struct oci_desc d;

	(void)state;
	put(&dir, "p.yaml", card_profile, 0644);
	put_card(&base, "srv/sales.csv");
	put(&top, "srv/.wh.sales.csv", "", 0644);
	d = add_image(true);
	done(audit_image(layout, &d, "x", &o, &a, &e), &e);
	assert_int_equal(a.report.v[0].status, HARDEN_FAIL);
	assert_non_null(strstr(a.report.v[0].detail, "/srv/sales.csv in layer sha256:"));
	assert_non_null(strstr(a.report.v[0].detail, "453927******0339"));
	/* the image of the test starts nothing */
	assert_int_equal(a.report.v[1].status, HARDEN_FAIL);
	audit_release(&a);
	oci_desc_release(&d);
}

/* A tree has no image configuration: that is said, and it does not pass. */
static void finds_cards_in_a_tree(void **state)
{
	struct recipe_allow allow = {.cls = (char *)(uintptr_t) "pan",
				     .reason = (char *)(uintptr_t) "void"};
	const struct recipe rec = {.allow = &allow, .allow_n = 1};
	struct audit_opts o = {.profile = profile, .today = TODAY};
	struct audit a = {0};
	struct err e = ERR_INIT;
	char *text;

	(void)state;
	put(&dir, "p.yaml", card_profile, 0644);
	put_card(&base, "srv/sales.csv");
	done(audit_tree(base.path, "x", &o, &a, &e), &e);
	assert_int_equal(a.report.v[0].status, HARDEN_FAIL);
	assert_int_equal(a.report.v[1].status, HARDEN_NOT_APPLICABLE);
	assert_string_equal(a.report.v[1].detail, "a tree alone has no image configuration");
	audit_release(&a);
	text = get(&base, "srv/sales.csv");
	allow.sha256 = digest_of(text, strlen(text));
	free(text);
	o.recipe = &rec;
	done(audit_tree(base.path, "x", &o, &a, &e), &e);
	assert_int_equal(a.report.v[0].status, HARDEN_PASS);
	assert_non_null(strstr(a.report.v[0].held.v[0], "allowed: void"));
	audit_release(&a);
}

static void drops_the_scratch_after_an_error(void **state)
{
	const struct audit_opts o = {
	    .profile = "/nonexistent/p.yaml", .today = TODAY, .store = store};
	struct oci_desc d = add_image(false);
	struct audit a = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(audit_image(layout, &d, "x", &o, &a, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
	expect_empty_scratch();
	oci_desc_release(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(says_what_a_tree_lacks, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(lists_all_when_asked, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(judges_what_all_layers_make, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(keeps_owners_of_layers, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(refuses_a_flipped_byte, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(finds_cards_that_a_layer_hides, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(finds_cards_in_a_tree, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(drops_the_scratch_after_an_error, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("audit-image", tests, NULL, NULL);
}

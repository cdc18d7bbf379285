/* diff: every kind of difference planted once, between trees and between images, and what is said
 * about them. */
#include "diff/diff.h"

#include "base/num.h"
#include "oci-image.h"
#include <linux/capability.h>
#include <sys/xattr.h>

static const char profile_text[] =
    "posmedia-profile: 1\nid: test\nversion: 1.2.3\ntitle: a test\ncontrols:\n"
    "  - {id: A, title: shadow is closed, severity: high, sources: {cis: [\"1\"]},\n"
    "     want: [{mode: {paths: [/etc/shadow], max: \"0600\", required: true}}]}\n"
    "  - {id: B, title: nothing is gone, severity: low, sources: {cis: [\"1\"]},\n"
    "     want: [{absent: {paths: [/etc/gone]}}]}\n";

static const char status[] =
    "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21\n\n"
    "Package: old\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 9\n\n"
    "Package: shop\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0\n\n";

static struct rootfs dir, was, is;
static char *profile;
static struct store *store;
static struct oci_layout *layout;

static void fill(const struct rootfs *t)
{
	put(t, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\npos:x:1500:1500::/home/pos:/bin/sh\n",
	    0644);
	put(t, "etc/group", "root:x:0:\npos:x:1500:\n", 0644);
	put(t, "etc/shadow", "root:*:1::::::\npos:!:1::::::\n", 0600);
	put(t, "var/lib/dpkg/status", status, 0644);
	put(t, "var/lib/dpkg/info/shop.list", "/.\n/opt\n/opt/shop\n/opt/shop/run\n/opt/shop/doc\n",
	    0644);
	put(t, "opt/shop/run", "#!/bin/sh\n", 0755);
	put(t, "opt/shop/doc", "read me\n", 0644);
	put(t, "etc/systemd/system/till.service", "[Unit]\n", 0644);
	put(t, "srv/a", "same", 0644);
	put(t, "srv/b", "same", 0644);
}

static int set_up(void **state)
{
	char *path SCOPED(mem_freep) = NULL, *at SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	(void)state;
	dir = rootfs_make();
	was = rootfs_make();
	is = rootfs_make();
	put(&dir, "p.yaml", profile_text, 0644);
	profile = fs_join(dir.path, "p.yaml");
	path = fs_join(dir.path, "store");
	at = fs_join(dir.path, "layout");
	done(store_open(path, &store, &e), &e);
	done(oci_layout_open(at, true, &layout, &e), &e);
	fill(&was);
	fill(&is);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	store_freep(&store);
	oci_layout_freep(&layout);
	rootfs_drop(&dir);
	rootfs_drop(&was);
	rootfs_drop(&is);
	free(profile);
	return 0;
}

static int run(const struct diff_input *a, const struct diff_input *b, struct diff *ret,
	       struct err *e)
{
	const struct diff_opts o = {.store = store, .profile = profile, .today = TODAY};

	return diff_run(a, b, &o, ret, e);
}

/* The differences of the two trees. */
static struct diff trees(void)
{
	const struct diff_input a = {.object = "dir:was", .dir = was.path};
	const struct diff_input b = {.object = "dir:is", .dir = is.path};
	struct err e = ERR_INIT;
	struct diff d = {0};

	done(run(&a, &b, &d, &e), &e);
	return d;
}

static char *report(const struct diff *d, enum diff_format format, bool all)
{
	struct buf b = BUF_INIT(1 << 20);

	diff_report(d, format, all, &b);
	assert_false(buf_over(&b));
	return buf_take(&b);
}

/* Compares the trees and wants this text below the head, and above what is not compared. */
static void expect(bool all, const char *want)
{
	struct diff d = trees();
	char *text = report(&d, DIFF_TEXT, all);
	char *from = strstr(text, "\n\n"), *to = strstr(text, "\nnot compared: ");

	assert_non_null(from);
	assert_non_null(to);
	*to = '\0';
	assert_string_equal(from + 1, want);
	assert_true(diff_any(&d));
	free(text);
	diff_release(&d);
}

static void link_at(const struct rootfs *t, const char *path, const char *target)
{
	char *parent SCOPED(mem_freep) = fs_dirname(path);
	struct err e = ERR_INIT;

	done(fs_mkdirs(t->fd, parent, 0755, &e), &e);
	assert_int_equal(symlinkat(target, t->fd, path), 0);
}

static void same_trees_have_none(void **state)
{
	const struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	struct diff d;
	char *text;

	(void)state;
	assert_int_equal(utimensat(is.fd, "srv/a", old, 0), 0);
	d = trees();
	text = report(&d, DIFF_TEXT, false);
	assert_false(diff_any(&d));
	assert_string_equal(text, "was dir:was 10 files, 429 B\nis  dir:is 10 files, 429 B\n"
				  "\nno difference\n\nnot compared: ports, run configuration\n");
	free(text);
	diff_release(&d);
}

static void tells_each_change_of_a_file(void **state)
{
	(void)state;
	put(&is, "srv/a", "Same", 0644); /* the size is the same */
	put(&is, "srv/longer", "12345", 0644);
	put(&is, "srv/long", "1234", 0644);
	put(&was, "srv/gone", "1", 0644);
	put(&was, "srv/mode", "", 0644);
	put(&is, "srv/mode", "", 0600);
	put(&was, "srv/owner", "", 0644);
	put(&is, "srv/owner", "", 0644);
	assert_int_equal(fchownat(is.fd, "srv/owner", 7, 8, 0), 0);
	link_at(&was, "srv/link", "a");
	link_at(&is, "srv/link", "b");
	put(&was, "srv/type", "x", 0644);
	put(&is, "srv/type/inside", "", 0644);
	expect(false,
	       "\nfiles: 3 added, 1 removed, 1 with other content, 4 with another type, target, "
	       "owner, mode or attribute\n"
	       "  + /srv/longer, 5 B\n"
	       "  + /srv/long, 4 B\n"
	       "  + /srv/type/inside, 0 B\n"
	       "  - /srv/gone, 1 B\n"
	       "  ~ /srv/a, content (4 B)\n"
	       "  ~ /srv/type, directory, was file\n"
	       "  ~ /srv/link, link a -> b\n"
	       "  ~ /srv/mode, mode 0644 -> 0600\n"
	       "  ~ /srv/owner, owner 0:0 -> 7:8\n");
}

static void shows_ten_files_of_a_kind(void **state)
{
	(void)state;
	for (int i = 0; i < 12; i++) {
		char *path SCOPED(mem_freep) = mem_format("srv/n/%02d", i);

		put(&is, path, "x", 0644);
	}
	expect(false, "\nfiles: 13 added\n  + /srv/n/00, 1 B\n  + /srv/n/01, 1 B\n"
		      "  + /srv/n/02, 1 B\n  + /srv/n/03, 1 B\n  + /srv/n/04, 1 B\n"
		      "  + /srv/n/05, 1 B\n  + /srv/n/06, 1 B\n  + /srv/n/07, 1 B\n"
		      "  + /srv/n/08, 1 B\n  + /srv/n/09, 1 B\n    and 3 more added\n");
}

static const char *const status_end = "Version: 1.0\n\n";

static void folds_files_into_their_package(void **state)
{
	(void)state;
	edit(&is, "var/lib/dpkg/status", status_end,
	     "Version: 1.1\n\nPackage: new\nArchitecture: i386\nVersion: 3\n\n");
	put(&is, "opt/shop/run", "#!/bin/sh -e\n", 0755);
	put(&was, "srv/mine", "", 0600);
	put(&is, "srv/mine", "", 0644);
	append(&was, "var/lib/dpkg/status",
	       "Package: last\nStatus: install ok installed\nVersion: 2\n");
	expect(false, "\npackages: 1 added, 1 removed, 1 changed\n"
		      "  - last 2\n"
		      "  + new:i386 3\n"
		      "  ~ shop 1.0 -> 1.1 (1 file)\n"
		      "\nfiles: 1 with other content, 1 with another type, target, owner, mode or "
		      "attribute, 1 with the packages that changed\n"
		      "  ~ /var/lib/dpkg/status, content (288 B -> 278 B)\n"
		      "  ~ /srv/mine, mode 0600 -> 0644\n");
	expect(true, "\npackages: 1 added, 1 removed, 1 changed\n"
		     "  - last 2\n"
		     "  + new:i386 3\n"
		     "  ~ shop 1.0 -> 1.1 (1 file)\n"
		     "\nfiles: 2 with other content, 1 with another type, target, owner, mode or "
		     "attribute\n"
		     "  ~ /var/lib/dpkg/status, content (288 B -> 278 B)\n"
		     "  ~ /opt/shop/run, content (10 B -> 13 B) (of shop)\n"
		     "  ~ /srv/mine, mode 0600 -> 0644\n");
}

/* The package is the same and its file is not: that is news. */
static void names_the_owner_of_a_tampered_file(void **state)
{
	(void)state;
	put(&is, "opt/shop/run", "#!/bin/zz\n", 0755);
	expect(false, "\nfiles: 1 with other content\n"
		      "  ~ /opt/shop/run, content (10 B) (of shop)\n");
}

static void tells_privileges(void **state)
{
	/* version 2 with the effective flag; permitted: cap_net_bind_service and cap_net_raw */
	static const uint8_t caps[XATTR_CAPS_SZ_2] = {1, 0, 0, 2, 0, 0x24};
	int fd;

	(void)state;
	put(&was, "srv/b", "same", 04755);
	put(&is, "srv/a", "same", 02755);
	fd = openat(is.fd, "srv/b", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fsetxattr(fd, "security.capability", caps, sizeof(caps), 0), 0);
	(void)close(fd);
	expect(false, "\nset-uid and set-gid files: 1 added, 1 removed\n"
		      "  + /srv/a 2755 0:0\n  - /srv/b 4755 0:0\n"
		      "\nfile capabilities: 1 added\n"
		      "  + /srv/b cap_net_bind_service,cap_net_raw=ep\n"
		      "\nfiles: 2 with another type, target, owner, mode or attribute\n"
		      "  ~ /srv/a, mode 0644 -> 2755\n"
		      "  ~ /srv/b, mode 4755 -> 0644, attributes\n");
}

/* A password is said to be another one, and nothing of it is shown. */
static void tells_accounts(void **state)
{
	(void)state;
	put(&was, "etc/shadow", "root:$y$one:1::::::\npos:!:1::::::\n", 0600);
	put(&is, "etc/shadow", "root:$y$two:1::::::\npos:$y$xyz:1::::::\nnew:*:1::::::\n", 0600);
	append(&is, "etc/passwd", "new:x:7:8::/:/bin/false\n");
	put(&is, "etc/group", "root:x:0:\npos:x:1500:z,new\n", 0644);
	append(&was, "etc/group", "lost:x:9:\n");
	expect(false,
	       "\nusers: 1 added, 2 changed\n"
	       "  + new uid 7, gid 8, home /, shell /bin/false, password locked\n"
	       "  ~ pos uid 1500, gid 1500, home /home/pos, shell /bin/sh, password locked -> uid "
	       "1500, gid 1500, home /home/pos, shell /bin/sh, password set\n"
	       "  ~ root uid 0, gid 0, home /root, shell /bin/sh, password set (the password is "
	       "another one)\n"
	       "\ngroups: 1 removed, 1 changed\n"
	       "  - lost gid 9\n"
	       "  ~ pos gid 1500 -> gid 1500, members new z\n"
	       "\nfiles: 3 with other content\n"
	       "  ~ /etc/passwd, content (65 B -> 89 B)\n"
	       "  ~ /etc/shadow, content (34 B -> 53 B)\n"
	       "  ~ /etc/group, content (32 B -> 27 B)\n");
}

static void tells_services(void **state)
{
	(void)state;
	link_at(&was, "etc/systemd/system/multi-user.target.wants/till.service", "/x/till.service");
	link_at(&is, "etc/systemd/system/sockets.target.requires/till.socket", "/x/till.socket");
	link_at(&is, "etc/systemd/system/rpcbind.service", "/dev/null");
	link_at(&is, "etc/systemd/system/syslog.service", "/lib/systemd/system/rsyslog.service");
	{
		struct diff d = trees();
		char *text = report(&d, DIFF_TEXT, false);

		assert_non_null(strstr(text,
				       "\nservices: 3 added, 1 changed\n"
				       "  + rpcbind.service masked\n"
				       "  + syslog.service stands for rsyslog.service\n"
				       "  ~ till.service wanted by multi-user.target, "
				       "defined here -> defined here\n"
				       "  + till.socket required by sockets.target\n\nfiles: "));
		free(text);
		diff_release(&d);
	}
}

static void tells_controls(void **state)
{
	(void)state;
	assert_int_equal(fchmodat(is.fd, "etc/shadow", 0640, 0), 0);
	put(&was, "etc/gone", "", 0644);
	expect(false, "\ncontrols: 2 changed\n"
		      "  ~ A pass -> fail (shadow is closed)\n"
		      "  ~ B fail -> pass (nothing is gone)\n"
		      "\nfiles: 1 removed, 1 with another type, target, owner, mode or attribute\n"
		      "  - /etc/gone, 0 B\n"
		      "  ~ /etc/shadow, mode 0600 -> 0640\n");
}

static const char run_was[] =
    "{\"Entrypoint\":[\"/sbin/init\"],\"Env\":[\"A=1\",\"B=2\"],\"StopSignal\":\"SIGTERM\","
    "\"Volumes\":{\"/usr2\":{}},\"ExposedPorts\":{\"22/tcp\":{}},\"Labels\":{\"l\":\"x\"}}";
static const char run_is[] =
    "{\"Entrypoint\":[\"/bin/sh\",\"-l\"],\"Env\":[\"A=1\",\"B=\"],\"Cmd\":[],\"User\":\"pos\","
    "\"Volumes\":{\"/srv\":{}},\"ExposedPorts\":{\"22/tcp\":{},\"631/tcp\":{}},"
    "\"Labels\":{\"l\":\"y\"}}";

/* Two images: both have the tree `was`, the second `is` above it. */
static void make_images(struct oci_desc *a, struct oci_desc *b)
{
	const struct rootfs *const both[] = {&was, &is};

	*a = image_put(layout, both, 1, run_was);
	*b = image_put(layout, both, 2, run_is);
}

static void expect_empty_scratch(void)
{
	struct strv left SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	done(fs_list(store_fd(store), "tmp", &left, &e), &e);
	assert_int_equal(left.n, 0);
}

static const char image_markdown[] =
    "## What changed\n\n"
    "- was `oci:x:1` `%s`: 10 files, 429 B\n"
    "- is  `oci:x:2` `%s`: 11 files, 437 B\n"
    "\n### Ports: 1 added\n\n- added `631/tcp`\n"
    "\n### Run configuration: 3 added, 2 removed, 3 changed\n\n"
    "- added `cmd` `[]`\n"
    "- changed `entrypoint` `[\"/sbin/init\"]` → `[\"/bin/sh\",\"-l\"]`\n"
    "- changed `env B` `2` → `\"\"`\n"
    "- changed `label l` `x` → `y`\n"
    "- removed `stop signal` `SIGTERM`\n"
    "- added `user` `pos`\n"
    "- added `volume /srv`\n"
    "- removed `volume /usr2`\n"
    "\n### Files: 1 added\n\n- added `/srv/new`, 8 B\n"
    "\n### Layers: 1 of 2 as before, %s of %s to fetch\n\n- added `%s`, %s\n";

static void tells_images(void **state)
{
	struct oci_desc a, b;
	struct diff d = {0};
	struct err e = ERR_INIT;
	char *text, *want, *top, *all;

	(void)state;
	put(&is, "srv/new", "12345678", 0644);
	make_images(&a, &b);
	{
		const struct diff_input x = {.object = "oci:x:1", .layout = layout, .manifest = &a};
		const struct diff_input y = {.object = "oci:x:2", .layout = layout, .manifest = &b};

		done(run(&x, &y, &d, &e), &e);
	}
	expect_empty_scratch();
	assert_int_equal(d.is.layers_n, 2);
	text = report(&d, DIFF_MARKDOWN, false);
	top = num_human(d.is.layers[1].size);
	all = num_human(d.is.layers[0].size + d.is.layers[1].size);
	want = mem_format(image_markdown, digest_text(&a.digest).s, digest_text(&b.digest).s, top,
			  all, digest_text(&d.is.layers[1].digest).s, top);
	assert_string_equal(text, want);
	free(top);
	free(all);
	free(text);
	free(want);
	diff_release(&d);
	oci_desc_release(&a);
	oci_desc_release(&b);
}

static void gives_json(void **state)
{
	struct diff d;
	struct jval *j, *f;
	struct buf b = BUF_INIT(1 << 16);
	int64_t n;

	(void)state;
	edit(&is, "var/lib/dpkg/status", status_end, "Version: 1.1\n\n");
	put(&is, "opt/shop/run", "#!/bin/sh -e\n", 0700);
	link_at(&is, "srv/link", "a");
	d = trees();
	j = diff_json(&d);
	assert_true(jval_get_bool(j, "differ"));
	assert_string_equal(jval_get_str(jval_get(j, "was"), "object"), "dir:was");
	assert_int_equal(jval_get_int(jval_get(j, "is"), "files", &n), 0);
	assert_int_equal(n, 10);
	jval_write(jval_get(j, "packages"), &b);
	assert_string_equal(b.data,
			    "[{\"files\":1,\"is\":\"1.1\",\"name\":\"shop\",\"was\":\"1.0\"}]");
	f = jval_get(j, "files");
	assert_int_equal(jval_len(f), 3); /* the package's own too */
	buf_cut(&b, 0);
	jval_write(jval_at(f, 0), &b);
	assert_string_equal(
	    b.data,
	    "{\"how\":[\"content\",\"mode\"],\"is\":{\"gid\":0,\"mode\":\"0700\",\"size\":"
	    "13,\"type\":\"file\",\"uid\":0},\"package\":\"shop\",\"path\":\"opt/shop/run\","
	    "\"was\":{\"gid\":0,\"mode\":\"0755\",\"size\":10,\"type\":\"file\",\"uid\":0}}");
	buf_cut(&b, 0);
	jval_write(jval_at(f, 1), &b);
	assert_string_equal(
	    b.data, "{\"how\":[\"added\"],\"is\":{\"gid\":0,\"link\":\"a\",\"mode\":\"0777\","
		    "\"type\":\"symlink\",\"uid\":0},\"path\":\"srv/link\"}");
	buf_cut(&b, 0);
	jval_write(jval_get(j, "unknown"), &b);
	assert_string_equal(b.data, "[\"ports\",\"run\"]");
	buf_release(&b);
	jval_free(j);
	diff_release(&d);
}

/* A name cannot forge lines, move the cursor or end the code of Markdown. */
static void escapes_names(void **state)
{
	struct diff d;
	char *text;

	(void)state;
	put(&is, "srv/a\n  - /b\033[2J`c\377\xe2\x80\xae", "", 0644);
	d = trees();
	text = report(&d, DIFF_TEXT, false);
	assert_non_null(strstr(text, "  + /srv/a\\x0a  - /b\\x1b[2J`c\\xff\\xe2\\x80\\xae, 0 B\n"));
	free(text);
	text = report(&d, DIFF_MARKDOWN, false);
	assert_non_null(strstr(text, "- added `/srv/a\\x0a  - /b\\x1b[2J\\x60c\\xff"));
	free(text);
	diff_release(&d);
}

/* Links of a tree lead to no file of the machine. */
static void stays_inside_the_tree(void **state)
{
	struct err e = ERR_INIT;
	char *info SCOPED(mem_freep) = mem_format("%s/var", dir.path);

	(void)state;
	put(&dir, "var/lib/dpkg/status", "Package: outside\nVersion: 1\n", 0644);
	put(&dir, "var/lib/dpkg/info/outside.list", "/srv/new\n", 0644);
	done(fs_rmtree(is.fd, "var", &e), &e);
	done(fs_rmtree(was.fd, "var", &e), &e);
	link_at(&was, "var", info);
	link_at(&is, "var", info);
	put(&is, "srv/new", "", 0644);
	expect(false, "\nfiles: 1 added\n  + /srv/new, 0 B\n");
}

static void refuses_a_damaged_image(void **state)
{
	struct oci_desc a, b, layer;
	struct jval *ignored = jval_array();
	const struct diff_input x = {.object = "oci:x:1", .layout = layout, .manifest = &a};
	const struct diff_input y = {.object = "oci:x:2", .layout = layout, .manifest = &b};
	struct diff d = {0};
	struct err e = ERR_INIT;
	char *path;

	(void)state;
	put(&is, "srv/new", "12345678", 0644);
	make_images(&a, &b);
	image_layer(layout, &is, &layer, ignored);
	path = mem_format("blobs/sha256/%s", digest_hex(&layer.digest).s);
	done(fs_put(oci_layout_fd(layout), "damaged", "x", 1, 0644, &e), &e);
	assert_int_equal(renameat(oci_layout_fd(layout), "damaged", oci_layout_fd(layout), path),
			 0);
	assert_int_equal(run(&x, &y, &d, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_non_null(strstr(e.msg, "oci:x:2"));
	assert_null(d.was.object);
	expect_empty_scratch();
	free(path);
	jval_free(ignored);
	oci_desc_release(&layer);
	oci_desc_release(&a);
	oci_desc_release(&b);
}

static void refuses_what_it_cannot_read(void **state)
{
	const struct diff_input a = {.object = "dir:was", .dir = was.path};
	const struct diff_input none = {.object = "dir:none", .dir = "/nonexistent"};
	const struct diff_input b = {.object = "dir:is", .dir = is.path};
	struct diff d = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(run(&a, &none, &d, &e), -1);
	assert_non_null(strstr(e.msg, "dir:none"));
	put(&is, "etc/passwd", "root\n", 0644);
	assert_int_equal(run(&a, &b, &d, &e), -1);
	assert_non_null(strstr(e.msg, "dir:is: etc/passwd:1: damaged row"));
	assert_null(d.was.object);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(same_trees_have_none),
	    T(tells_each_change_of_a_file),
	    T(shows_ten_files_of_a_kind),
	    T(folds_files_into_their_package),
	    T(names_the_owner_of_a_tampered_file),
	    T(tells_privileges),
	    T(tells_accounts),
	    T(tells_services),
	    T(tells_controls),
	    T(tells_images),
	    T(gives_json),
	    T(escapes_names),
	    T(stays_inside_the_tree),
	    T(refuses_a_damaged_image),
	    T(refuses_what_it_cannot_read),
	};

	return cmocka_run_group_tests_name("diff-changes", tests, NULL, NULL);
}

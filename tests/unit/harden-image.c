/* harden: controls on what is beyond a tree - the image's configuration, its lock, what a look into
 * the files found - each broken alone; and what is not known of a tree does not pass. */
#include "harden-debian.h"

#include "recipe/lock.h"

#define HEX     "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define PROFILE "recipes/profiles/pa-dss-3.2.yaml"

/* What a row does: CONFIG sets a member of the image's configuration ("config.User"), FOUND adds a
 * file to what the look found, KEYS says how many signatures are good, WAIVER is one of the recipe,
 * WRITE puts a file into the tree, DIR a directory, PACKAGE is one more of the lock. */
enum how { CONFIG, FOUND, KEYS, WAIVER, WRITE, DIR, PACKAGE, YOUNG };

struct row {
	const char *id;
	enum how how;
	const char *at, *text;
};

static const struct row rows[] = {
    {"OCI-01", CONFIG, "config.Entrypoint", "[\"/usr/bin/till\"]"},
    {"OCI-01", CONFIG, "config.User", "\"0:0\", \"Entrypoint\": [\"/usr/bin/till\"]"},
    {"OCI-01 OCI-02", CONFIG, "config.Entrypoint", "[]"},
    {"OCI-02b", CONFIG, "config.ExposedPorts", "{\"22/tcp\": {}, \"23/tcp\": {}}"},
    {"OCI-02b", CONFIG, "config.ExposedPorts", "{\"22/udp\": {}}"},
    {"OCI-03", CONFIG, "config.Env", "[\"PATH=/usr/bin\", \"DB_PASSWORD=roses\"]"},
    {"OCI-03", CONFIG, "config.Cmd", "[\"till\", \"--db\", \"token=abcdef\"]"},
    {"OCI-03", CONFIG, "history", "[{\"created_by\": \"RUN useradd x && passwd=x setpw\"}]"},
    {"OCI-03b", CONFIG, "config.Labels",
     "{\"org.posmedia.recipe\": \"none\", \"org.posmedia.lock\": \"none\"}"},
    {"CHD-04", CONFIG, "config.Volumes", "{}"},
    {"CHD-04", DIR, "d2", NULL},
    {"BLD-01", CONFIG, "created", "\"yesterday\""},
    {"BLD-01", CONFIG, "history", "[{\"created\": \"2026-11-22T00:00:00Z\"}]"},
    {"BLD-01", YOUNG, "opt/tool", NULL},
    {"BLD-03", WAIVER, "2026-11-01", NULL},
    {"BLD-03", WAIVER, "2036-11-01", NULL},
    {"INT-06", KEYS, "0", NULL},
    {"PKG-06", PACKAGE, "vim", "2:9.0"},
    {"PKG-06", PACKAGE, "cron", "3.1"},
    {"CHD-01", FOUND, "pan", NULL},
    {"CHD-01b", FOUND, "incomplete", NULL},
    {"CHD-02", FOUND, "track2", NULL},
    {"CHD-02", FOUND, "cvv", NULL},
    {"CHD-05", FOUND, "test-pan", NULL},
    {"SEC-03b", FOUND, "private-key", NULL},
};

static struct harden_profile *profile;
static struct debian_recipe made;

static int set_up(void **state)
{
	(void)state;
	profile = load(PROFILE);
	debian_recipe_init(&made);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	harden_profile_free(profile);
	debian_recipe_release(&made);
	return 0;
}

/* An image as a build makes it, but for one member, which is given in JSON. */
static struct jval *config_with(const char *at, const char *text)
{
	static const char *const members[][2] = {
	    {"config.Entrypoint", "[\"/sbin/init\"]"},
	    {"config.ExposedPorts", "{\"22/tcp\": {}, \"2000\": {}}"},
	    {"config.Env", "[\"PATH=/usr/bin\", \"TOKEN_FILE=/run/token\", \"X_SECRET=$Y\"]"},
	    {"config.Labels", "{\"org.posmedia.recipe\": "
			      "\"sha256:" HEX "\", \"org.posmedia.lock\": \"sha256:" HEX
			      "\", \"org.posmedia.profile.x\": \"sha256:" HEX "\"}"},
	    {"config.Volumes", "{\"/d\": {}}"},
	    {"created", "\"2026-11-21T02:10:46Z\""},
	    {"history", "[{\"created\": \"2026-11-21T02:10:46Z\", \"created_by\": \"a layer\"}]"},
	};
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct jval *v = NULL;
	struct err e = ERR_INIT;
	bool seen = false;

	buf_addf(&b, "{\"config\": {\"WorkingDir\": \"/\"");
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const char *key = members[i][0], *dot = strchr(key, '.');
		bool is = at != NULL && strcmp(at, key) == 0;

		/* the first that is no member of "config" ends it */
		if (strcmp(key, "created") == 0) {
			if (at != NULL && !seen && strncmp(at, "config.", 7) == 0)
				buf_addf(&b, ", \"%s\": %s", at + 7, text);
			buf_addf(&b, "}");
		}
		seen = seen || is;
		/* a member that brings an entry point of its own */
		if (at != NULL && strcmp(at, "config.User") == 0 && dot != NULL &&
		    strcmp(dot, ".Entrypoint") == 0)
			continue;
		buf_addf(&b, ", \"%s\": %s", dot != NULL ? dot + 1 : key,
			 is ? text : members[i][1]);
	}
	buf_addf(&b, "}");
	if (jval_parse(b.data, b.len, "config", &v, &e) != 0)
		fail_msg("%s: %s", e.msg, b.data);
	return v;
}

/* What a look would find: one file with one finding of a class, a secret in an archive. */
static struct jval *report_with(const char *cls)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);
	struct jval *v = NULL;
	struct err e = ERR_INIT;

	if (cls == NULL)
		buf_addf(&b, "{\"files\": []}");
	else if (strcmp(cls, "incomplete") == 0)
		buf_addf(&b, "{\"files\": [{\"file\": \"srv/x\", \"counts\": {}, \"places\": [],"
			     " \"incomplete\": \"it is damaged\"}]}");
	else
		buf_addf(&b,
			 "{\"files\": [{\"file\": \"srv/x.zip\", \"counts\": {\"%s\": 1},"
			 " \"places\": [{\"class\": \"%s\", \"what\": \"it\", \"offset\": 7,"
			 " \"inside\": \"a\"}]}]}",
			 cls, cls);
	if (jval_parse(b.data, b.len, "report", &v, &e) != 0)
		fail_msg("%s", e.msg);
	return v;
}

static int look(void *ctx, int rootfd, const struct facts_files *files, const struct jval **ret,
		struct err *e)
{
	(void)rootfd;
	(void)files;
	(void)e;
	*ret = ctx;
	return 0;
}

static int is_epoch(void *ctx, const struct fs_entry *en, struct err *e)
{
	/* 2026-11-20 */
	const struct timespec t[2] = {{.tv_sec = 1795132800}, {.tv_sec = 1795132800}};

	(void)ctx;
	(void)e;
	assert_int_equal(utimensat(en->parent_fd, en->name, t, AT_SYMLINK_NOFOLLOW), 0);
	return 0;
}

/* A hardened tree, none of it younger than the image. */
static void hardened(const struct rootfs *t)
{
	struct err e = ERR_INIT;
	struct harden_report r;

	debian_make(t);
	r = apply(profile, t, &made.r);
	harden_report_release(&r);
	assert_int_equal(fs_mkdirs(t->fd, "d", 0755, &e), 0);
	assert_int_equal(fs_walk(t->fd, is_epoch, NULL, &e), 0);
}

/* What is known of the image, for a row. */
struct known {
	struct jval *config, *found;
	struct lock_package packages[DEBIAN_PACKAGES_N + 1];
	struct lock lock;
	struct recipe recipe;
	struct recipe_waiver waiver;
	struct harden_image image;
	struct harden_content content;
};

static char *word(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* One more package than is installed, or the last one in another version. */
static void change_lock(struct lock *l, const struct row *row)
{
	bool there = strcmp(row->at, l->packages[l->packages_n - 1].name) == 0;

	l->packages_n += there ? 0 : 1;
	l->packages[l->packages_n - 1] =
	    (struct lock_package){.name = word(row->at), .version = word(row->text)};
}

static void known_make(struct known *k, const struct row *row)
{
	const enum how how = row != NULL ? row->how : WRITE;

	*k = (struct known){.recipe = made.r};
	k->config = how == CONFIG ? config_with(row->at, row->text) : config_with(NULL, NULL);
	k->found = report_with(how == FOUND ? row->at : NULL);
	k->content = (struct harden_content){.look = look, .ctx = k->found};
	k->lock.packages = k->packages;
	debian_lock(&k->lock);
	if (how == PACKAGE)
		change_lock(&k->lock, row);
	if (how == WAIVER) {
		k->waiver = (struct recipe_waiver){.control = word("SSH-01"),
						   .reason = word("x"),
						   .by = word("y"),
						   .until = word(row->at)};
		k->recipe.waivers = &k->waiver;
		k->recipe.waivers_n = 1;
	}
	k->image = (struct harden_image){
	    .config = k->config, .lock = &k->lock, .signatures = how == KEYS ? 0 : 1};
}

/* The ids that fail with what is known of the image; the caller frees them. */
static char *fails(const struct rootfs *t, const struct row *row)
{
	struct known k;
	struct harden_context c = {.today = TODAY};
	struct harden_report r = {0};
	struct err e = ERR_INIT;
	char *ids;

	known_make(&k, row);
	c.recipe = &k.recipe;
	c.image = &k.image;
	c.content = &k.content;
	if (harden_check(profile, t->path, &c, &r, &e) != 0)
		fail_msg("%s", e.msg);
	ids = failed(&r);
	if (strcmp(ids, row != NULL ? row->id : "") != 0)
		for (size_t i = 0; i < r.n; i++)
			if (r.v[i].status == HARDEN_FAIL)
				print_error("%s: %s\n", r.v[i].id, r.v[i].detail);
	harden_report_release(&r);
	jval_free(k.config);
	jval_free(k.found);
	return ids;
}

static void breaks_one(void **state)
{
	const struct row *row = *state;
	struct rootfs t = rootfs_make();
	struct err e = ERR_INIT;
	char *ids;

	hardened(&t);
	if (row->how == DIR)
		assert_int_equal(fs_mkdirs(t.fd, row->at, 0755, &e), 0);
	if (row->how == YOUNG)
		assert_int_equal(utimensat(t.fd, row->at, NULL, 0), 0);
	ids = fails(&t, row);
	assert_string_equal(ids, row->id);
	free(ids);
	rootfs_drop(&t);
}

static void a_good_image_passes(void **state)
{
	struct rootfs t = rootfs_make();
	char *ids;

	(void)state;
	hardened(&t);
	ids = fails(&t, NULL);
	assert_string_equal(ids, "");
	free(ids);
	rootfs_drop(&t);
}

/* A tree alone says nothing about an image: neither well nor badly, and why. */
static void what_is_not_known_does_not_pass(void **state)
{
	struct rootfs t = rootfs_make();
	const struct harden_context c = {.today = TODAY};
	struct harden_report r = {0};
	struct err e = ERR_INIT;

	(void)state;
	hardened(&t);
	assert_int_equal(harden_check(profile, t.path, &c, &r, &e), 0);
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		for (size_t i = 0; i < r.n; i++) {
			if (strcmp(r.v[i].id, rows[k].id) != 0)
				continue;
			assert_int_equal(r.v[i].status, HARDEN_NOT_APPLICABLE);
			assert_true(strlen(r.v[i].detail) > 10);
		}
	}
	harden_report_release(&r);
	rootfs_drop(&t);
}

/* A build judges them alone, before the layers are packed. */
static void alone(void **state)
{
	struct rootfs t = rootfs_make();
	struct jval *config SCOPED(jval_freep) = config_with(NULL, NULL);
	const struct harden_image image = {.config = config, .signatures = -1};
	const struct harden_context c = {.recipe = &made.r, .today = TODAY, .image = &image};
	struct harden_report r = {0};
	struct err e = ERR_INIT;

	(void)state;
	hardened(&t);
	assert_int_equal(harden_check_image(profile, t.path, &c, &r, &e), 0);
	assert_int_equal(r.n, 9);
	assert_int_equal(r.count[HARDEN_FAIL], 0);
	/* no key, and no lock */
	assert_int_equal(r.count[HARDEN_NOT_APPLICABLE], 2);
	harden_report_release(&r);
	rootfs_drop(&t);
}

/* What the recipe answers for is said, and does not fail. */
static void an_allowed_finding_is_held(void **state)
{
	static const char text[] =
	    "{\"files\": [{\"file\": \"srv/x\", \"counts\": {\"pan\": 2}, \"places\": [],"
	    " \"allowed\": {\"pan\": \"numbers of the manual\"}}]}";
	struct rootfs t = rootfs_make();
	struct harden_profile *p = load_want(&t, "      - scan: {classes: [pan]}\n");
	struct jval *found SCOPED(jval_freep) = NULL;
	struct err e = ERR_INIT;
	struct harden_report r = {0};

	(void)state;
	assert_int_equal(jval_parse(text, strlen(text), "report", &found, &e), 0);
	const struct harden_content content = {.look = look, .ctx = found};
	const struct harden_context c = {.today = TODAY, .content = &content};

	assert_int_equal(harden_check(p, t.path, &c, &r, &e), 0);
	assert_int_equal(r.v[0].status, HARDEN_PASS);
	assert_string_equal(r.v[0].held.v[0], "/srv/x: 2 pan, allowed: numbers of the manual");
	harden_report_release(&r);
	harden_profile_free(p);
	rootfs_drop(&t);
}

int main(void)
{
	enum { ROWS = sizeof(rows) / sizeof(rows[0]), MORE = 4 };
	static struct CMUnitTest tests[ROWS + MORE];
	static char *names[ROWS];
	int rc;

	tests[0] = (struct CMUnitTest)cmocka_unit_test(a_good_image_passes);
	tests[1] = (struct CMUnitTest)cmocka_unit_test(what_is_not_known_does_not_pass);
	tests[2] = (struct CMUnitTest)cmocka_unit_test(alone);
	tests[3] = (struct CMUnitTest)cmocka_unit_test(an_allowed_finding_is_held);
	for (size_t i = 0; i < ROWS; i++) {
		names[i] = mem_format("%s: %s", rows[i].id, rows[i].at);
		tests[MORE + i] = (struct CMUnitTest){
		    .name = names[i],
		    .test_func = breaks_one,
		    .initial_state = (void *)(uintptr_t)&rows[i],
		};
	}
	rc = _cmocka_run_group_tests("harden-image", tests, ROWS + MORE, set_up, tear_down);
	for (size_t i = 0; i < ROWS; i++)
		free(names[i]);
	return rc;
}

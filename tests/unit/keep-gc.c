/* What is needed stays, the rest goes, and a kill at any moment harms neither. */
#define POSMEDIA_FAULTS
#include "keep/keep.c"
#include "store/scratch.c" /* with their crash points, which the library does not have */

#include "oci/oci.h"
#include "sys/self.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

#define HEX1 "1111111111111111111111111111111111111111111111111111111111111111"

enum { DIED = 86 }; /* base/fault.c */

/* A store with one of everything, see furnish. */
struct fixture {
	char dir[64], lock[80];
	struct store *s;
	struct strv locks, layouts;
	struct keep_opts o;
};

static struct digest put(struct fixture *f, const char *text)
{
	struct err e = ERR_INIT;
	struct digest d;

	assert_int_equal(store_put_bytes(f->s, text, strlen(text), &d, &e), 0);
	return d;
}

static struct digest of(const char *text)
{
	return digest_of(text, strlen(text));
}

static bool has(const struct fixture *f, const char *text)
{
	struct digest d = of(text);

	return store_has(f->s, &d, NULL);
}

static void write_file(const struct fixture *f, const char *text, const char *path)
{
	char *full SCOPED(mem_freep) = fs_join(f->dir, path);
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(full, text, strlen(text), 0644, &e), 0);
}

static bool there(const struct fixture *f, const char *path)
{
	struct stat st;

	return fstatat(store_fd(f->s), path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* So many seconds after the first. */
static void set_time(const struct fixture *f, const char *path, long s)
{
	struct timespec t[2] = {{.tv_sec = 1000000 + s}, {.tv_sec = 1000000 + s}};

	assert_int_equal(utimensat(store_fd(f->s), path, t, 0), 0);
}

static char *stage_path(const char *name)
{
	struct digest key = of(name);

	return mem_format("cache/stages/%s", digest_hex(&key).s);
}

static void add_stage(struct fixture *f, const char *name, const char *boot, long s)
{
	char *dir SCOPED(mem_freep) = stage_path(name);
	char *tree SCOPED(mem_freep) = mem_format("%s/tree/etc", dir);
	char *file SCOPED(mem_freep) = mem_format("%s/motd", tree);
	char *mark SCOPED(mem_freep) = fs_join(dir, "boot");
	char *made SCOPED(mem_freep) = fs_join(dir, "output");
	struct digest output = of("output");
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(store_fd(f->s), tree, 0755, &e), 0);
	write_file(f, "hello", file);
	write_file(f, boot, mark);
	write_file(f, digest_text(&output).s, made);
	set_time(f, mark, s);
}

static bool has_stage(const struct fixture *f, const char *name)
{
	char *dir SCOPED(mem_freep) = stage_path(name);

	return there(f, dir);
}

static void add_capture(struct fixture *f, const char *name, long s)
{
	char *tar SCOPED(mem_freep) = mem_format("%s tar", name);
	struct digest key = of(name), blob = put(f, tar);
	char *path SCOPED(mem_freep) = plan_capture_path(&key);
	struct jval *marks SCOPED(jval_freep) = jval_object();
	struct err e = ERR_INIT;

	assert_int_equal(plan_capture_save(f->s, &key, &blob, marks, &e), 0);
	set_time(f, path, s);
}

static bool has_capture(const struct fixture *f, const char *name)
{
	struct digest key = of(name);
	struct plan_capture c SCOPED(plan_capture_release) = {0};

	return plan_capture_load(f->s, &key, &c);
}

static void push(struct jval *list, const char *text)
{
	struct digest d = of(text);

	jval_push(list, jval_text(digest_text(&d).s));
}

/* An image of a manifest, a config of its own, a shared layer and one stage. */
static void add_image(struct fixture *f, const char *name, long s)
{
	struct plan_stage st = {.key = of(name)};
	char *path SCOPED(mem_freep) = plan_image_path(&st.key);
	char *config SCOPED(mem_freep) = mem_format("%s config", name);
	char *stage SCOPED(mem_freep) = mem_format("%s stage", name);
	char *boot SCOPED(mem_freep) = self_boot_id();
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *blobs = jval_array(), *stages = jval_array();
	struct digest d = put(f, name);
	struct err e = ERR_INIT;

	(void)put(f, config);
	jval_put_text(v, "manifest", digest_text(&d).s);
	jval_put(v, "blobs", blobs);
	jval_put(v, "stages", stages);
	push(blobs, config);
	push(blobs, "layer");
	push(stages, stage);
	assert_int_equal(plan_remember_image(f->s, &st, v, &e), 0);
	set_time(f, path, s);
	add_stage(f, stage, boot, s - 1);
}

static bool has_record(const struct fixture *f, const char *name)
{
	struct digest key = of(name);
	char *path SCOPED(mem_freep) = plan_image_path(&key);

	return there(f, path);
}

/* The lock of tests/fixtures, naming our medium and our package. */
static void write_lock(struct fixture *f)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct digest medium = of("medium"), package = of("package");
	struct err e = ERR_INIT;
	char *at;

	assert_int_equal(fs_get(AT_FDCWD, "tests/fixtures/locks/small.lock", &b, &e), 0);
	at = strstr(b.data, HEX1);
	assert_non_null(at);
	memcpy(at, digest_hex(&medium).s, DIGEST_HEX);
	while ((at = strstr(b.data, HEX1)) != NULL)
		memcpy(at, digest_hex(&package).s, DIGEST_HEX);
	assert_int_equal(fs_put_path(f->lock, b.data, b.len, 0644, &e), 0);
}

static void add_partial(struct fixture *f, const char *text)
{
	struct digest d = of(text);
	char *path SCOPED(mem_freep) = mem_format("partial/%s", digest_hex(&d).s);

	write_file(f, "half", path);
}

static void furnish(struct fixture *f)
{
	char *left SCOPED(mem_freep) = NULL, *boot SCOPED(mem_freep) = self_boot_id();
	struct err e = ERR_INIT;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	left = mem_format("tmp/put.%ld.0", (long)pid);
	write_file(f, "left", left);
	(void)put(f, "package");
	(void)put(f, "medium");
	(void)put(f, "layer");
	(void)put(f, "nobody's");
	add_image(f, "new", 30);
	add_image(f, "old", 20);
	add_stage(f, "nobody's", boot, 10);
	add_stage(f, "under way", boot, 40);
	add_stage(f, "before the restart", "another start", 50);
	add_partial(f, "package");
	add_partial(f, "nobody's");
	assert_int_equal(fs_mkdirs(store_fd(f->s), "damaged", 0755, &e), 0);
	write_file(f, "bad", "damaged/bad");
	write_file(f, "", "blobs/sha256/README");
	write_lock(f);
}

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof(*f));
	struct err e = ERR_INIT;

	memcpy(f->dir, "/tmp/posmedia-keep.XXXXXX", 26);
	if (mkdtemp(f->dir) == NULL || store_open(f->dir, &f->s, &e) != 0)
		return -1;
	(void)snprintf(f->lock, sizeof(f->lock), "%s/small.lock", f->dir);
	strv_add(&f->locks, f->lock);
	f->o = (struct keep_opts){&f->locks, &f->layouts, 1, 1};
	furnish(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	store_free(f->s);
	strv_release(&f->locks);
	strv_release(&f->layouts);
	assert_int_equal(fs_rmtree(AT_FDCWD, f->dir, &e), 0);
	free(f);
	return 0;
}

static int gc(struct fixture *f, struct err *e)
{
	struct keep_list l SCOPED(keep_release) = {0};

	return keep_scan(f->s, &f->o, &l, e) == 0 ? keep_remove(f->s, &l, e) : -1;
}

static void check_needed(const struct fixture *f)
{
	struct digest package = of("package");
	char *partial SCOPED(mem_freep) = mem_format("partial/%s", digest_hex(&package).s);

	assert_true(has(f, "package"));
	assert_true(has(f, "medium"));
	assert_true(has(f, "new"));
	assert_true(has(f, "new config"));
	assert_true(has(f, "layer")); /* of the old one too */
	assert_true(has_record(f, "new"));
	assert_true(has_stage(f, "new stage"));
	assert_true(has_stage(f, "under way"));
	assert_true(there(f, partial));
	assert_true(there(f, "blobs/sha256/README"));
}

static size_t names_in(const struct fixture *f, const char *dir)
{
	struct strv names SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(fs_list(store_fd(f->s), dir, &names, &e), 0);
	return names.n;
}

static void check_rest_gone(const struct fixture *f)
{
	assert_false(has(f, "nobody's"));
	assert_false(has(f, "old"));
	assert_false(has(f, "old config"));
	assert_false(has_record(f, "old"));
	assert_int_equal(names_in(f, "blobs/sha256"), 6); /* README too */
	assert_int_equal(names_in(f, "cache/stages"), 2);
	assert_int_equal(names_in(f, "partial"), 1);
	assert_int_equal(names_in(f, "damaged"), 0);
	assert_int_equal(names_in(f, "tmp"), 0);
}

static void the_needed_stay_and_the_rest_goes(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	assert_int_equal(gc(f, &e), 0);
	check_needed(f);
	check_rest_gone(f);
}

static void so_many_builds(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	f->o.builds = 2;
	assert_int_equal(gc(f, &e), 0);
	assert_true(has(f, "old config") && has_stage(f, "old stage"));
	f->o.builds = 0;
	assert_int_equal(gc(f, &e), 0);
	assert_false(has(f, "new") || has(f, "layer") || has_stage(f, "new stage"));
	assert_true(has(f, "package") && has(f, "medium"));
}

static void a_look_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct keep_list l SCOPED(keep_release) = {0};
	struct err e = ERR_INIT;
	struct keep_sum sum;

	assert_int_equal(keep_scan(f->s, &f->o, &l, &e), 0);
	assert_true(has(f, "nobody's") && has(f, "old"));
	assert_int_equal(names_in(f, "cache/stages"), 5);
	assert_int_equal(names_in(f, "tmp"), 1);
	sum = keep_sum(&l, KEEP_PACKAGE, true);
	assert_int_equal(sum.n, 1);
	assert_int_equal(sum.bytes, strlen("package"));
	sum = keep_sum(&l, KEEP_STAGE, false);
	assert_int_equal(sum.n, 3);
	assert_true(sum.bytes >= 3 * strlen("hello"));
	assert_int_equal(keep_sum(&l, KEEP_MEDIUM, true).n, 1);
	assert_int_equal(keep_sum(&l, KEEP_IMAGE, true).n, 4); /* with its record */
	assert_int_equal(keep_sum(&l, KEEP_IMAGE, false).n, 3);
	assert_int_equal(keep_sum(&l, KEEP_DAMAGED, false).n, 1);
	assert_int_equal(keep_sum(&l, KEEP_LEFTOVER, false).n, 1);
	assert_int_equal(keep_sum(&l, KEEP_PARTIAL, false).n, 1);
	assert_int_equal(keep_sum(&l, KEEP_OTHER, false).n, 1);
}

static void captures_of_kept_images_stay(void **state)
{
	struct fixture *f = *state;
	struct keep_list l SCOPED(keep_release) = {0};
	struct err e = ERR_INIT;

	add_capture(f, "new stage", 25);
	add_capture(f, "old stage", 15);
	add_capture(f, "nobody's capture", 12);
	add_capture(f, "capture under way", 40);
	write_file(f, "{", PLAN_CAPTURES "/broken.json");
	assert_int_equal(keep_scan(f->s, &f->o, &l, &e), 0);
	assert_int_equal(keep_sum(&l, KEEP_CAPTURE, true).n, 4); /* with their records */
	assert_int_equal(keep_sum(&l, KEEP_CAPTURE, false).n, 5);
	assert_int_equal(keep_remove(f->s, &l, &e), 0);
	assert_true(has_capture(f, "new stage") && has_capture(f, "capture under way"));
	assert_false(has_capture(f, "old stage") || has_capture(f, "nobody's capture"));
	assert_false(has(f, "old stage tar"));
	assert_int_equal(names_in(f, PLAN_CAPTURES), 2);
}

/* A record without its tar, or of another form, is none. */
static void a_capture_is_whole_or_none(void **state)
{
	struct fixture *f = *state;
	struct digest key = of("c"), blob = of("c tar");
	char *path SCOPED(mem_freep) = plan_capture_path(&key);
	char *tar SCOPED(mem_freep) = mem_format("blobs/sha256/%s", digest_hex(&blob).s);
	struct err e = ERR_INIT;

	assert_false(has_capture(f, "c"));
	add_capture(f, "c", 1);
	assert_true(has_capture(f, "c"));
	write_file(f, "{\"blob\":7,\"marks\":{}}", path);
	assert_false(has_capture(f, "c"));
	add_capture(f, "c", 1);
	assert_int_equal(store_drop(f->s, tar, &e), 0);
	assert_false(has_capture(f, "c"));
}

static void what_cannot_be_read_removes_nothing(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(f->lock, "{", 1, 0644, &e), 0);
	assert_int_equal(gc(f, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
	write_lock(f);
	strv_add(&f->layouts, "/nowhere");
	assert_int_equal(gc(f, &e), -1);
	assert_true(has(f, "nobody's") && has(f, "old") && has_stage(f, "nobody's"));
}

static void a_broken_record_is_of_no_use(void **state)
{
	struct fixture *f = *state;
	struct digest key = of("broken");
	char *path SCOPED(mem_freep) = plan_image_path(&key);
	struct err e = ERR_INIT;

	write_file(f, "{\"manifest\":\"../../etc/passwd\"}", path);
	assert_int_equal(gc(f, &e), 0);
	check_needed(f);
	assert_false(there(f, path));
}

static void a_packed_layer_is_known_as_long_as_it_is_there(void **state)
{
	struct fixture *f = *state;
	struct digest layer = of("layer"), stray = of("nobody's");
	char *in SCOPED(mem_freep) = mem_format("{\"digest\":\"%s\"}", digest_text(&layer).s);
	char *out SCOPED(mem_freep) = mem_format("{\"digest\":\"%s\"}", digest_text(&stray).s);
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(store_fd(f->s), "cache/layers", 0755, &e), 0);
	write_file(f, in, "cache/layers/in.json");
	write_file(f, out, "cache/layers/out.json");
	assert_int_equal(gc(f, &e), 0);
	assert_true(there(f, "cache/layers/in.json"));
	assert_false(there(f, "cache/layers/out.json"));
}

static void an_audit_goes_with_its_image(void **state)
{
	struct fixture *f = *state;
	struct digest image = of("new"), stray = of("nobody's");
	char *in SCOPED(mem_freep) = mem_format("cache/audits/%s", digest_hex(&image).s);
	char *out SCOPED(mem_freep) = mem_format("cache/audits/%s", digest_hex(&stray).s);
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(store_fd(f->s), in, 0700, &e), 0);
	assert_int_equal(fs_mkdirs(store_fd(f->s), out, 0700, &e), 0);
	assert_int_equal(gc(f, &e), 0);
	assert_true(there(f, in) && !there(f, out));
}

static void tags_of_a_layout_count(void **state)
{
	struct fixture *f = *state;
	char *dir SCOPED(mem_freep) = fs_join(f->dir, "layout");
	struct oci_layout *l SCOPED(oci_layout_freep) = NULL;
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct oci_desc d SCOPED(oci_desc_release) = {.media_type = mem_strdup(OCI_MANIFEST)};
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct err e = ERR_INIT;

	m.config.media_type = mem_strdup(OCI_CONFIG);
	m.config.digest = of("old config");
	m.config.size = strlen("old config");
	oci_manifest_write(&m, &b);
	d.size = b.len;
	assert_int_equal(oci_layout_open(dir, true, &l, &e), 0);
	assert_int_equal(oci_layout_add(l, b.data, b.len, &d.digest, &e), 0);
	assert_int_equal(oci_layout_tag(l, "1", &d, &e), 0);
	strv_add(&f->layouts, dir);
	assert_int_equal(gc(f, &e), 0);
	check_needed(f);
	assert_true(has(f, "old config"));
	assert_false(has(f, "old"));
}

static void add_small(const struct fixture *f, const char *path, const char *text, long s)
{
	write_file(f, text, path);
	set_time(f, path, s);
}

/* Of what a stage was made, what was looked into, run and exported, go with the images of their
 * recipe. */
static void small_records_go_with_their_image(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(store_fd(f->s), "cache/parts", 0755, &e), 0);
	assert_int_equal(fs_mkdirs(store_fd(f->s), "cache/looked", 0700, &e), 0);
	assert_int_equal(fs_mkdirs(store_fd(f->s), "cache/exported", 0700, &e), 0);
	add_small(f, "cache/parts/new config.json", "new stage", 1);
	add_small(f, "cache/parts/new image.json", "new", 1);
	assert_int_equal(fs_mkdirs(store_fd(f->s), "cache/gated", 0700, &e), 0);
	add_small(f, "cache/gated/new", "x", 1);
	add_small(f, "cache/gated/old", "x", 1);
	add_small(f, "cache/looked/new", "x", 1);
	add_small(f, "cache/exported/new", "x", 1);
	add_small(f, "cache/parts/old config.json", "old stage", 1);
	add_small(f, "cache/parts/old image.json", "old", 1);
	add_small(f, "cache/looked/old", "x", 1);
	add_small(f, "cache/exported/old", "x", 1);
	add_small(f, "cache/looked/none", "x", 1);
	add_small(f, "cache/parts/under-way base.json", "of no image yet", 40);
	add_small(f, "cache/looked/under-way", "x", 40);
	assert_int_equal(gc(f, &e), 0);
	check_needed(f);
	check_rest_gone(f);
	assert_int_equal(names_in(f, "cache/parts"), 3);
	assert_int_equal(names_in(f, "cache/looked"), 2);
	assert_int_equal(names_in(f, "cache/exported"), 1);
	assert_true(there(f, "cache/exported/new"));
	assert_int_equal(names_in(f, "cache/gated"), 1);
	assert_true(there(f, "cache/gated/new"));
	assert_true(there(f, "cache/parts/new config.json"));
	assert_true(there(f, "cache/parts/new image.json"));
	assert_true(there(f, "cache/parts/under-way base.json"));
	assert_true(there(f, "cache/looked/new") && there(f, "cache/looked/under-way"));
}

static int gc_dying_at(struct fixture *f, unsigned n)
{
	struct err e = ERR_INIT;
	char at[16];
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)snprintf(at, sizeof(at), "%u", n);
		(void)setenv("POSMEDIA_DIE_AT", at, 1);
		(void)close(STDERR_FILENO);
		_exit(gc(f, &e) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* What goes is moved away in one step, whole, before anything of it is removed. */
static void it_goes_by_one_rename(void **state)
{
	struct fixture *f = *state;
	struct strv names SCOPED(strv_release) = {0};
	char *it SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(gc_dying_at(f, 1), DIED);
	assert_int_equal(fs_list(store_fd(f->s), "tmp", &names, &e), 0);
	assert_int_equal(names.n, 2); /* and what furnish left */
	assert_int_equal(strncmp(names.v[0], "drop.", 5), 0);
	it = mem_format("tmp/%s/it", names.v[0]);
	assert_true(there(f, it));
	assert_false(has_record(f, "old"));
}

static void check_whole(const struct fixture *f, const char *name)
{
	char *dir SCOPED(mem_freep) = stage_path(name);
	char *boot SCOPED(mem_freep) = fs_join(dir, "boot");
	char *file SCOPED(mem_freep) = fs_join(dir, "tree/etc/motd");

	assert_int_equal(there(f, dir), there(f, boot));
	assert_int_equal(there(f, dir), there(f, file));
}

/* A record names nothing that is gone already. */
static void check_record(const struct fixture *f, const char *name, const char *config)
{
	assert_true(!has_record(f, name) || (has(f, name) && has(f, config)));
}

static void killed_at_every_step(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	unsigned n = 0;
	int status;

	while ((status = gc_dying_at(f, ++n)) != 0) {
		assert_int_equal(status, DIED);
		assert_true(n < 100);
		check_needed(f);
		check_whole(f, "old stage");
		check_whole(f, "nobody's");
		check_record(f, "old", "old config");
		if (n % 2 == 0) /* from here, or all of it from the start */
			furnish(f);
	}
	assert_true(n > 4);
	assert_int_equal(gc(f, &e), 0);
	check_needed(f);
	check_rest_gone(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_needed_stay_and_the_rest_goes, setup, teardown),
	    cmocka_unit_test_setup_teardown(so_many_builds, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_look_changes_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(captures_of_kept_images_stay, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_capture_is_whole_or_none, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_cannot_be_read_removes_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_broken_record_is_of_no_use, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_packed_layer_is_known_as_long_as_it_is_there, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(an_audit_goes_with_its_image, setup, teardown),
	    cmocka_unit_test_setup_teardown(tags_of_a_layout_count, setup, teardown),
	    cmocka_unit_test_setup_teardown(small_records_go_with_their_image, setup, teardown),
	    cmocka_unit_test_setup_teardown(it_goes_by_one_rename, setup, teardown),
	    cmocka_unit_test_setup_teardown(killed_at_every_step, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* lock: the text people review, what reads back, what is refused, and what changed. */
#include "recipe/lock.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN "tests/fixtures/locks/small.lock"
#define HEX1   "1111111111111111111111111111111111111111111111111111111111111111"
#define HEX2   "2222222222222222222222222222222222222222222222222222222222222222"

static struct digest hex(const char *s)
{
	struct digest d;

	assert_int_equal(digest_parse_hex(s, &d), 0);
	return d;
}

static void add_package(struct lock *l, const char *name, const char *version, const char *arch)
{
	size_t n = l->packages_n;

	/* room for twice as many when a power of two is full: a sanitizer moves all each time */
	if ((n & (n - 1)) == 0)
		l->packages = mem_resize(l->packages, n == 0 ? 1 : 2 * n, sizeof(*l->packages));
	l->packages[l->packages_n++] = (struct lock_package){
	    .name = mem_strdup(name),
	    .version = mem_strdup(version),
	    .arch = mem_strdup(arch),
	    .source = mem_format("src-%s %s", name, version),
	    .repository = mem_strdup("bookworm"),
	    .path = mem_format("pool/main/%c/%s_%s.deb", name[0], name, arch),
	    .size = 1234,
	    .digest = hex(HEX1),
	};
}

static void add_media(struct lock *l, const char *name, const char *digest)
{
	l->media = mem_resize(l->media, l->media_n + 1, sizeof(*l->media));
	l->media[l->media_n++] = (struct lock_media){
	    .name = mem_strdup(name),
	    .url = mem_strdup("media/app.iso"),
	    .size = UINT64_C(16) << 30,
	    .digest = hex(digest),
	};
}

/* The lock of tests/fixtures/locks/small.lock, its packages not in order. */
static struct lock *small(void)
{
	struct lock *l = mem_zalloc(sizeof(*l));

	l->recipe_name = mem_strdup("small");
	l->recipe = hex(HEX2);
	l->solved = hex(HEX1);
	l->solver = mem_strdup("apt 2.6.1");
	l->epoch = 1700000000;
	l->repositories = mem_zalloc(sizeof(*l->repositories));
	l->repositories_n = 1;
	l->repositories[0] = (struct lock_repository){mem_strdup("bookworm"), mem_strdup("system"),
						      mem_strdup(HEX1), 1700000000};
	add_package(l, "zlib1g", "1:1.2.13.dfsg-1", "amd64");
	add_package(l, "libc6", "2.36-9+deb12u7", "i386");
	add_package(l, "libc6", "2.36-9+deb12u7", "amd64");
	add_package(l, "base-files", "12.4+deb12u5", "all");
	l->packages[3].essential = true;
	l->batches = mem_zalloc(2 * sizeof(*l->batches));
	l->batches_n = 2;
	strv_add(&l->batches[0].names, "zlib1g");
	strv_add(&l->batches[0].names, "libc6:i386");
	l->batches[1].configure = true;
	strv_add(&l->batches[1].names, "zlib1g");
	add_media(l, "app", HEX1);
	return l;
}

static char *text_of(const struct lock *l)
{
	struct buf b = BUF_INIT(1 << 20);

	lock_write(l, &b);
	return buf_take(&b);
}

static char *file_text(const char *path)
{
	struct buf b = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	assert_int_equal(fs_get(AT_FDCWD, path, &b, &e), 0);
	return buf_take(&b);
}

/* UPDATE=1 in the environment rewrites the golden file. */
static void writes_the_golden_text(void **state)
{
	struct lock *l SCOPED(lock_freep) = small();
	char *got SCOPED(mem_freep) = text_of(l), *want SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	(void)state;
	if (getenv("UPDATE") != NULL)
		assert_int_equal(lock_save(l, GOLDEN, &e), 0);
	want = file_text(GOLDEN);
	assert_string_equal(got, want);
}

static void reads_back_what_it_wrote(void **state)
{
	struct lock *l SCOPED(lock_freep) = NULL;
	struct err e = ERR_INIT;
	char *want SCOPED(mem_freep) = file_text(GOLDEN), *got SCOPED(mem_freep) = NULL;
	struct digest whole = digest_of(want, strlen(want)), d;

	(void)state;
	if (lock_load(GOLDEN, &l, &e) != 0)
		fail_msg("%s", e.msg);
	got = text_of(l);
	assert_string_equal(got, want);
	d = lock_digest(l);
	assert_true(digest_equal(&d, &whole));
	assert_string_equal(l->recipe_name, "small");
	assert_int_equal(l->packages_n, 4);
	assert_string_equal(l->packages[0].name, "base-files");
	assert_true(l->packages[0].essential);
	assert_false(l->packages[1].essential);
	assert_string_equal(l->packages[1].arch, "amd64");
	assert_string_equal(l->packages[1].source, "src-libc6 2.36-9+deb12u7");
	assert_string_equal(l->packages[1].path, "pool/main/l/libc6_amd64.deb");
	assert_int_equal(l->packages[1].size, 1234);
	assert_string_equal(l->repositories[0].release, HEX1);
	assert_int_equal(l->repositories[0].date, 1700000000);
	assert_int_equal(l->batches_n, 2);
	assert_false(l->batches[0].configure);
	assert_string_equal(l->batches[0].names.v[1], "libc6:i386");
	assert_true(l->batches[1].configure);
	assert_int_equal(l->media_n, 1);
	assert_true(l->media[0].size == UINT64_C(16) << 30);
}

static void finds_a_package(void **state)
{
	struct lock *l SCOPED(lock_freep) = small();

	(void)state;
	assert_string_equal(lock_find(l, "zlib1g")->version, "1:1.2.13.dfsg-1");
	assert_null(lock_find(l, "zlib"));
	lock_free(NULL);
}

static void names_the_file_beside_the_recipe(void **state)
{
	static const char *const pairs[][2] = {
	    {"recipes/rti.yaml", "recipes/rti.lock"},
	    {"rti.yml", "rti.lock"},
	    {"a.yaml/rti", "a.yaml/rti.lock"},
	    {"/x/rti.16.yaml", "/x/rti.16.lock"},
	    {"rti.conf", "rti.conf.lock"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char *path SCOPED(mem_freep) = lock_path(pairs[i][0]);

		assert_string_equal(path, pairs[i][1]);
	}
}

struct scratch {
	char dir[32];
	char *lock;
};

static int make_scratch(void **state)
{
	struct scratch *s = mem_zalloc(sizeof(*s));

	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/posmedia-lock-XXXXXX");
	if (mkdtemp(s->dir) == NULL)
		return -1;
	s->lock = mem_format("%s/t.lock", s->dir);
	*state = s;
	return 0;
}

static int drop_scratch(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	int rc = fs_rmtree(AT_FDCWD, s->dir, &e);

	free(s->lock);
	free(s);
	return rc;
}

static void saves_for_all_to_read(void **state)
{
	struct scratch *s = *state;
	struct lock *l SCOPED(lock_freep) = small(), *again SCOPED(lock_freep) = NULL;
	struct err e = ERR_INIT;
	struct stat st;

	assert_int_equal(lock_save(l, s->lock, &e), 0);
	assert_int_equal(stat(s->lock, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(lock_load(s->lock, &again, &e), 0);
}

/* The golden text with its first `from` made into `to` must be refused with this message. */
struct bad {
	const char *from, *to, *want; /* want: after the file's name */
};

static const struct bad bads[] = {
    {"\"posmedia-lock\": 1", "\"posmedia-lock\": 2", ": \"posmedia-lock\" wants the version 1"},
    {"\"solver\"", "\"solfer\"", ": unknown key \"solfer\""},
    {"\"apt 2.6.1\"", "\"apt\\n2\"", ": \"solver\" wants one line of text, not \"apt 2\""},
    {"\"apt 2.6.1\"", "\"apt\\u001b2\"", ": \"solver\" wants one line of text, not \"apt 2\""},
    {"\"apt 2.6.1\"", "7", ": \"solver\" is missing or no text"},
    {"\"apt 2.6.1\"", "\"a\\u0000b\"",
     ":81:21: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"a\\u0000b\"'"},
    {"\"epoch\": 1700000000", "\"epoch\": -1", ": \"epoch\" wants a number from 0 to 253402300799"},
    {"\"epoch\": 1700000000", "\"epoch\": 1.5",
     ": \"epoch\" wants a number from 0 to 253402300799"},
    {"\"name\": \"small\"", "\"name\": \"Small\"", ": \"name\" wants an image name, not \"Small\""},
    {"\"id\": \"bookworm\"", "\"id\": \"../x\"",
     ": repositories[0]: \"id\" wants a name, not \"../x\""},
    {"\"id\": \"bookworm\"", "\"id\": \"sid\"", ": packages[0]: no repository \"bookworm\""},
    {"\"mirror\": \"system\"", "\"mirror\": \"http://u@h/\"",
     ": repositories[0]: \"mirror\" wants \"system\" or a URL, not \"http://u@h/\""},
    {"\"release\": \"1", "\"release\": \"G",
     ": repositories[0]: \"release\" wants 64 lower-case hex digits"},
    {"\"name\": \"base-files\"", "\"name\": \"-o\"",
     ": packages[0]: \"name\" wants a package name, not \"-o\""},
    {"\"name\": \"base-files\"", "\"name\": \"zz\"",
     ": packages[1]: \"libc6\" is out of order or twice"},
    {"\"arch\": \"i386\"", "\"arch\": \"amd64\"",
     ": packages[2]: \"libc6\" is out of order or twice"},
    {"\"arch\": \"all\"", "\"arch\": \"a/b\"",
     ": packages[0]: \"arch\" wants an architecture, not \"a/b\""},
    {"\"version\": \"12.4+deb12u5\"", "\"version\": \"1 2\"",
     ": packages[0]: \"version\" wants a package version, not \"1 2\""},
    {"\"source\": \"src-base-files 12.4+deb12u5\"", "\"source\": \"base-files\"",
     ": packages[0]: \"source\" wants a source package and its version, not \"base-files\""},
    {"pool/main/b/base-files_all.deb", "../x.deb",
     ": packages[0]: \"path\" wants a path below the mirror, not \"../x.deb\""},
    {"pool/main/b/base-files_all.deb", "/etc/passwd",
     ": packages[0]: \"path\" wants a path below the mirror, not \"/etc/passwd\""},
    {"pool/main/b/base-files_all.deb", "pool/x?y",
     ": packages[0]: \"path\" wants a path below the mirror, not \"pool/x?y\""},
    {"\"size\": 1234", "\"size\": 17179869185",
     ": packages[0]: \"size\" wants a number from 0 to 17179869184"},
    {"\"size\": 1234", "\"size\": 0", ": packages[0]: \"size\" is 0"},
    {"\"essential\": true", "\"essential\": false",
     ": packages[0]: \"essential\" is true or absent"},
    {"\"essential\"", "\"esential\"", ": packages[0]: unknown key \"esential\""},
    {"\"sha256\": \"1", "\"sha256\": \"", ": media[0]: \"sha256\" wants 64 lower-case hex digits"},
    {"\"unpack\"", "\"remove\"", ": batches[0]: unknown key \"remove\""},
    {"\"unpack\"", "\"configure\": [], \"unpack\"",
     ": batches[0]: wants one list, \"unpack\" or \"configure\""},
    {"\"libc6:i386\"", "\"--force\"", ": batches[0]: wants package names"},
    {"\"libc6:i386\"", "\"gone\"", ": batches[0]: \"gone\" is not among the packages"},
    {"\"url\": \"media/app.iso\"", "\"url\": \"../app.iso\"",
     ": media[0]: \"url\" wants a path or URL, not \"../app.iso\""},
    {"\"name\": \"app\"", "\"name\": \"a/b\"", ": media[0]: \"name\" wants a name, not \"a/b\""},
    {"\"media\": [", "\"steps\": [], \"media\": [", ": not an object"},
    {"\"media\": [", "\"steps\": {\"date\": 1}, \"media\": [",
     ": \"sha256\" wants 64 lower-case hex digits"},
    {"\"media\": [", "\"steps\": {\"sha256\": \"" HEX1 "\"}, \"media\": [",
     ": \"date\" wants a number from 0 to 253402300799"},
    {"\"media\": [", "\"layers\": {}, \"media\": [", ": \"layers\" is missing or no list"},
    {"\"media\": [", "\"layers\": [[]], \"media\": [", ": layers[0]: wants a list of sources"},
    {"\"media\": [", "\"layers\": [[7]], \"media\": [",
     ": layers[0]: \"\" is no source of the packages, or is twice"},
    {"\"media\": [", "\"layers\": [[\"libc6\"]], \"media\": [",
     ": layers[0]: \"libc6\" is no source of the packages, or is twice"},
    {"\"media\": [", "\"layers\": [[\"src-libc6\"], [\"src-libc6\"]], \"media\": [",
     ": layers[1]: \"src-libc6\" is no source of the packages, or is twice"},
    {"\"media\": [", "\"layers\": [[\"src-libc6\"], [\"src-zlib1g\"]], \"media\": [",
     ": \"layers\" leaves sources out"},
};

static void keeps_layers_and_steps(void **state)
{
	struct scratch *s = *state;
	struct lock *l SCOPED(lock_freep) = small(), *again SCOPED(lock_freep) = NULL;
	struct lock_layer *v = mem_zalloc(2 * sizeof(*v));
	char *text SCOPED(mem_freep) = NULL, *same SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	strv_add(&v[0].sources, "src-base-files");
	strv_add(&v[0].sources, "src-libc6");
	strv_add(&v[1].sources, "src-zlib1g");
	lock_set_layers(l, v, 2);
	l->steps = hex(HEX2);
	l->steps_date = 7;
	assert_int_equal(lock_save(l, s->lock, &e), 0);
	if (lock_load(s->lock, &again, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(again->steps_date, 7);
	assert_true(digest_equal(&again->steps, &l->steps));
	assert_int_equal(again->layers_n, 2);
	assert_string_equal(again->layers[0].sources.v[1], "src-libc6");
	text = text_of(l);
	same = text_of(again);
	assert_string_equal(text, same);
	lock_set_layers(again, NULL, 0);
	mem_freep(&same);
	same = text_of(again);
	assert_null(strstr(same, "layers"));
}

static void tells_a_source_from_its_version(void **state)
{
	struct lock_package p = {.source = (char *)(uintptr_t) "openssl 3.0.15-1",
				 .version = (char *)(uintptr_t) "3.0.15-1+b1"};
	char *name SCOPED(mem_freep) = lock_source_name(&p);
	char *version SCOPED(mem_freep) = lock_source_version(&p);

	(void)state;
	assert_string_equal(name, "openssl");
	assert_string_equal(version, "3.0.15-1");
}

static void refused(const char *path, const char *want)
{
	struct lock *l = NULL;
	struct err e = ERR_INIT;

	if (lock_load(path, &l, &e) == 0)
		fail_msg("accepted, wanted %s", want);
	assert_null(l);
	assert_string_equal(e.msg, want);
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_true(e.hint[0] != '\0');
}

static void refuses_repeated_names(void **state)
{
	struct scratch *s = *state;
	struct lock *l SCOPED(lock_freep) = small();
	char *repository SCOPED(mem_freep) =
	    mem_format("%s: repositories[1]: duplicate \"bookworm\"", s->lock);
	char *media SCOPED(mem_freep) = mem_format("%s: media[1]: duplicate \"app\"", s->lock);
	struct err e = ERR_INIT;

	add_media(l, "app", HEX2);
	assert_int_equal(lock_save(l, s->lock, &e), 0);
	refused(s->lock, media);
	l->repositories = mem_resize(l->repositories, 2, sizeof(*l->repositories));
	l->repositories[l->repositories_n++] = (struct lock_repository){
	    mem_strdup("bookworm"), mem_strdup("system"), mem_strdup(HEX2), 1};
	assert_int_equal(lock_save(l, s->lock, &e), 0);
	refused(s->lock, repository);
}

static char *replaced(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	if (at == NULL)
		fail_msg("no %s in the golden lock", from);
	return mem_format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static void refuses_what_it_would_not_write(void **state)
{
	struct scratch *s = *state;
	char *golden SCOPED(mem_freep) = file_text(GOLDEN);

	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		char *text SCOPED(mem_freep) = replaced(golden, bads[i].from, bads[i].to);
		char *want SCOPED(mem_freep) = mem_format("%s%s", s->lock, bads[i].want);
		struct err e = ERR_INIT;

		assert_int_equal(fs_put_path(s->lock, text, strlen(text), 0644, &e), 0);
		refused(s->lock, want);
	}
}

static void refuses_too_many_packages(void **state)
{
	struct scratch *s = *state;
	char *want SCOPED(mem_freep) =
	    mem_format("%s: \"packages\" has more than 20000 items", s->lock);
	struct lock *l SCOPED(lock_freep) = small();
	struct err e = ERR_INIT;

	for (unsigned i = 4; i < 20001; i++) {
		char *name SCOPED(mem_freep) = mem_format("x%05u", i);

		add_package(l, name, "1", "all");
	}
	assert_int_equal(lock_save(l, s->lock, &e), 0);
	refused(s->lock, want);
}

static void refuses_what_is_no_lock(void **state)
{
	struct scratch *s = *state;
	char *gone SCOPED(mem_freep) = mem_format("%s: No such file or directory", s->lock);
	char *dir SCOPED(mem_freep) = mem_format("%s: not a file", s->dir);
	char *json SCOPED(mem_freep) = mem_format("%s:2:1: unexpected token near ','", s->lock);
	char *list SCOPED(mem_freep) = mem_format("%s: not an object", s->lock);
	struct err e = ERR_INIT;

	refused(s->lock, gone);
	refused(s->dir, dir);
	assert_int_equal(fs_put_path(s->lock, "[\n,]", 4, 0644, &e), 0);
	refused(s->lock, json);
	assert_int_equal(fs_put_path(s->lock, "[]", 2, 0644, &e), 0);
	refused(s->lock, list);
}

/* A list that is none, or not there. */
static void refuses_missing_lists(void **state)
{
	static const char *const lists[] = {"repositories", "packages", "batches", "media"};
	struct scratch *s = *state;

	for (size_t i = 0; i < 8; i++) {
		struct lock *l SCOPED(lock_freep) = small();
		char *text SCOPED(mem_freep) = text_of(l), *out SCOPED(mem_freep) = NULL;
		char *want SCOPED(mem_freep) =
		    mem_format("%s: \"%s\" is missing or no list", s->lock, lists[i / 2]);
		struct jval *o SCOPED(jval_freep) = NULL;
		struct buf b = BUF_INIT(1 << 20);
		struct err e = ERR_INIT;

		assert_int_equal(jval_parse(text, strlen(text), "t", &o, &e), 0);
		if (i % 2 == 0)
			jval_del(o, lists[i / 2]);
		else
			jval_put(o, lists[i / 2], jval_object());
		jval_write_pretty(o, &b);
		out = buf_take(&b);
		assert_int_equal(fs_put_path(s->lock, out, strlen(out), 0644, &e), 0);
		refused(s->lock, want);
	}
}

static void refuses_a_stale_lock(void **state)
{
	struct lock *l SCOPED(lock_freep) = small();
	struct recipe r = {.file = mem_strdup("recipes/small.yaml"), .digest = hex(HEX2)};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(lock_check(l, &r, "recipes/small.lock", &e), 0);
	r.digest = hex(HEX1);
	assert_int_equal(lock_check(l, &r, "recipes/small.lock", &e), -1);
	assert_string_equal(
	    e.msg, "recipes/small.lock: made from another state of the recipe recipes/small.yaml");
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_non_null(strstr(e.hint, "posmedia lock recipes/small.yaml"));
	free(r.file);
}

static void diff_is(const struct lock *a, const struct lock *b, const char *want)
{
	struct strv lines = {0};
	struct buf got = BUF_INIT(1 << 16);

	lock_diff(a, b, &lines);
	for (size_t i = 0; i < lines.n; i++)
		buf_addf(&got, "%s\n", lines.v[i]);
	assert_string_equal(got.data, want);
	buf_release(&got);
	strv_release(&lines);
}

static void says_what_changed(void **state)
{
	struct lock *a SCOPED(lock_freep) = small(), *b SCOPED(lock_freep) = small();

	(void)state;
	diff_is(NULL, a, "");
	diff_is(a, b, "");
	free(b->packages[0].version);
	b->packages[0].version = mem_strdup("1:1.3-1");
	b->packages[1].digest = hex(HEX2);
	add_package(a, "libc6+x", "5", "all");
	add_package(b, "apt", "2.6", "amd64");
	add_package(b, "zz", "3", "amd64");
	b->media[0].digest = hex(HEX2);
	add_media(a, "old", HEX1);
	add_media(b, "new", HEX1);
	diff_is(a, b,
		"+ apt 2.6\n"
		"libc6:i386 2.36-9+deb12u7: the same version with other bytes\n"
		"- libc6+x 5\n"
		"zlib1g 1:1.2.13.dfsg-1 -> 1:1.3-1\n"
		"+ zz 3\n"
		"medium app 111111111111 -> 222222222222\n"
		"+ medium new\n"
		"- medium old\n");
}

/* An architecture that comes or goes, beside names that sort between name and name:arch. */
static void diffs_architectures(void **state)
{
	struct lock *a SCOPED(lock_freep) = small(), *b SCOPED(lock_freep) = small();

	(void)state;
	add_package(a, "aa", "1", "amd64");
	add_package(b, "aa", "1", "all");
	add_package(a, "zlib1g-x", "1", "amd64");
	add_package(b, "zlib1g-x", "1", "amd64");
	add_package(b, "zlib1g", "1:1.2.13.dfsg-1", "i386");
	diff_is(a, b,
		"- zlib1g 1:1.2.13.dfsg-1\n"
		"+ zlib1g:amd64 1:1.2.13.dfsg-1\n"
		"+ zlib1g:i386 1:1.2.13.dfsg-1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_the_golden_text),
	    cmocka_unit_test(reads_back_what_it_wrote),
	    cmocka_unit_test(finds_a_package),
	    cmocka_unit_test(names_the_file_beside_the_recipe),
	    cmocka_unit_test_setup_teardown(saves_for_all_to_read, make_scratch, drop_scratch),
	    cmocka_unit_test_setup_teardown(keeps_layers_and_steps, make_scratch, drop_scratch),
	    cmocka_unit_test(tells_a_source_from_its_version),
	    cmocka_unit_test_setup_teardown(refuses_what_it_would_not_write, make_scratch,
					    drop_scratch),
	    cmocka_unit_test_setup_teardown(refuses_too_many_packages, make_scratch, drop_scratch),
	    cmocka_unit_test_setup_teardown(refuses_what_is_no_lock, make_scratch, drop_scratch),
	    cmocka_unit_test_setup_teardown(refuses_missing_lists, make_scratch, drop_scratch),
	    cmocka_unit_test_setup_teardown(refuses_repeated_names, make_scratch, drop_scratch),
	    cmocka_unit_test(refuses_a_stale_lock),
	    cmocka_unit_test(says_what_changed),
	    cmocka_unit_test(diffs_architectures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

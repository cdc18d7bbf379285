/* recipe: what a good recipe becomes: every member, every default, and a digest that depends on
 * nothing but the content. */
#include "recipe/recipe.h"

#include "recipe/sections.h"
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

static struct recipe *must_load(const char *path)
{
	struct err e = ERR_INIT;
	struct recipe *r = NULL;

	if (recipe_load(path, &r, &e) != 0)
		fail_msg("%s (%s)", e.msg, e.hint);
	return r;
}

static void list_is(const struct strv *l, const char *joined)
{
	struct buf b = BUF_INIT(4096);

	for (size_t i = 0; i < l->n; i++)
		buf_addf(&b, "%s%s", i == 0 ? "" : "|", l->v[i]);
	assert_string_equal(b.data, joined);
	buf_release(&b);
}

/* path is the project's root and then tail */
static void path_is(const struct recipe *r, const char *path, const char *tail)
{
	assert_int_equal(strncmp(path, r->root, strlen(r->root)), 0);
	assert_string_equal(path + strlen(r->root), tail);
	assert_int_equal(path[0], '/');
}

static void merges_the_base(void **state)
{
	struct recipe *r SCOPED(recipe_freep) = must_load("tests/fixtures/recipes/full.yaml");
	char *pos SCOPED(mem_freep) = recipe_pos_text(&r->apt->pos);

	(void)state;
	assert_string_equal(r->file, "tests/fixtures/recipes/full.yaml");
	assert_string_equal(r->name, "full");
	assert_string_equal(r->version, "16.1.5");
	assert_string_equal(r->apt->suite, "bookworm");
	assert_string_equal(r->apt->arch, "amd64");
	list_is(&r->apt->pockets, "updates|security");
	list_is(&r->apt->mirrors, "system");
	list_is(&r->apt->components, "main");
	path_is(r, r->apt->keyring, "/signing/test.gpg");
	assert_string_equal(pos, "tests/fixtures/recipes/full.yaml:8:5");
	list_is(&r->install, "systemd|openssh-server|cups|samba");
	assert_false(r->docs);
	list_is(&r->enable, "ssh|cups|smbd");
	assert_string_equal(r->fail_on, "high");
	list_is(&r->env, "EMPTY=|LANG=C.UTF-8|ROLE=till");
}

static void types_every_member(void **state)
{
	struct recipe *r SCOPED(recipe_freep) = must_load("tests/fixtures/recipes/full.yaml");

	(void)state;
	list_is(&r->exclude, "linux-image-*");
	list_is(&r->remove, "nano");
	list_is(&r->langs, "en_US");
	assert_true(r->recommends);
	assert_int_equal(r->overlays_n, 1);
	path_is(r, r->overlays[0].from, "/overlays/pos-common");
	assert_string_equal(r->overlays[0].to, "/");
	assert_int_equal(r->overlays[0].uid, 0);
	assert_int_equal(r->overlays[0].gid, 50);
	assert_int_equal(r->groups_n, 1);
	assert_string_equal(r->groups[0].name, "staff-pos");
	assert_int_equal(r->groups[0].gid, 1600);
	list_is(&r->disable, "cron");
	list_is(&r->mask, "rpcbind");
	list_is(&r->start_order, "ssh|cups");
	list_is(&r->profiles, r->profiles.v[0]);
	path_is(r, r->profiles.v[0], "/recipes/profiles/strict.yaml");
	assert_int_equal(r->waivers_n, 1);
	assert_string_equal(r->waivers[0].control, "ssh-forwarding");
	assert_string_equal(r->waivers[0].reason, "the till needs it");
	assert_string_equal(r->waivers[0].by, "release");
	assert_string_equal(r->waivers[0].until, "2028-02-29");
	assert_int_equal(r->pins_n, 1);
	assert_string_equal(r->pins[0].name, "app");
	list_is(&r->pins[0].match, "/usr2/**");
	assert_string_equal(r->compression, "zstd");
	list_is(&r->entrypoint, "/sbin/init");
	list_is(&r->cmd, "--verbose");
	list_is(&r->volumes, "/usr2");
	assert_string_equal(r->user, "1500:1500");
	assert_string_equal(r->workdir, "/usr2");
	assert_string_equal(r->stop_signal, "SIGRTMIN+3");
	assert_true(r->read_only);
}

static void reads_users_and_ports(void **state)
{
	struct recipe *r SCOPED(recipe_freep) = must_load("tests/fixtures/recipes/full.yaml");
	static const struct recipe_port ports[] = {
	    {22, 22, false}, {2000, 2001, false}, {137, 138, true}};

	(void)state;
	assert_int_equal(r->users_n, 2);
	assert_string_equal(r->users[0].name, "rti");
	assert_int_equal(r->users[0].uid, 1500);
	list_is(&r->users[0].groups, "rti|lpadmin");
	assert_string_equal(r->users[0].shell, "/bin/bash");
	assert_string_equal(r->users[0].home, "/home/rti");
	assert_string_equal(r->users[0].gecos, "");
	assert_true(r->users[0].locked);
	assert_string_equal(r->users[1].shell, "/usr/sbin/nologin");
	assert_string_equal(r->users[1].home, "/usr2/kiosk");
	assert_string_equal(r->users[1].gecos, "Till 1");
	assert_true(r->users[1].locked);
	assert_int_equal(r->users[1].groups.n, 0);
	assert_int_equal(r->ports_n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(r->ports[i].first, ports[i].first);
		assert_int_equal(r->ports[i].last, ports[i].last);
		assert_int_equal(r->ports[i].udp, ports[i].udp);
	}
}

static void reads_media_and_steps(void **state)
{
	struct recipe *r SCOPED(recipe_freep) = must_load("tests/fixtures/recipes/full.yaml");
	const struct recipe_media *app = recipe_media_find(r, "app");
	const struct recipe_media *zeta = recipe_media_find(r, "zeta");
	const struct recipe_step *s = &r->steps[0];

	(void)state;
	assert_null(recipe_media_find(r, "none"));
	assert_int_equal(r->media_n, 2);
	assert_true(app->is_file);
	path_is(r, app->url, "/media/app.iso");
	assert_int_equal(app->size, 0);
	assert_int_equal(app->digest.b[31], 0x11);
	assert_false(zeta->is_file);
	assert_string_equal(zeta->url, "https://media.example/z.iso");
	assert_true(zeta->size == UINT64_C(2) << 30);
	assert_int_equal(r->steps_n, 2);
	assert_string_equal(s->name, "install-app");
	assert_int_equal(s->mounts_n, 2);
	assert_string_equal(s->mounts[0].media, "app");
	assert_string_equal(s->mounts[0].at, "/media/app");
	list_is(&s->run, "/media/app/install.pl|--quiet|");
	list_is(&s->writes, "/usr2|/etc");
	assert_int_equal(s->timeout_ms, 1200000);
	assert_false(s->network);
	assert_int_equal(r->steps[1].timeout_ms, 600000);
	assert_int_equal(r->steps[1].writes.n, 0);
	assert_int_equal(r->tests_n, 2);
	list_is(&r->tests[0].run, "perl|-e|exit 0");
	assert_int_equal(r->tests[0].timeout_ms, 5000);
	assert_int_equal(r->tests[1].timeout_ms, 60000);
}

/* A scratch project that the cases below fill. */
struct project {
	char dir[32];
};

static void put(const struct project *p, const char *name, const char *text)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%s", p->dir, name);
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(AT_FDCWD, dir, 0755, &e), 0);
	assert_int_equal(fs_put_path(path, text, strlen(text), 0644, &e), 0);
}

static int make_project(void **state)
{
	struct project *p = mem_zalloc(sizeof(*p));

	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/posmedia-recipe-XXXXXX");
	if (mkdtemp(p->dir) == NULL)
		return -1;
	put(p, "k.gpg", "key");
	*state = p;
	return 0;
}

static int drop_project(void **state)
{
	struct project *p = *state;
	struct err e = ERR_INIT;
	int rc = fs_rmtree(AT_FDCWD, p->dir, &e);

	free(p);
	return rc;
}

static struct recipe *load_in(const struct project *p, const char *name)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%s", p->dir, name);

	return must_load(path);
}

#define HEAD "posmedia: 1\nname: t\nversion: 1\nbase: {apt: {suite: bookworm, keyring: k.gpg}}\n"

static void fills_in_defaults(void **state)
{
	struct project *p = *state;
	struct recipe *r SCOPED(recipe_freep) = NULL;
	struct buf b = BUF_INIT(1 << 16);
	static const char want[] =
	    "{\"base\":{\"apt\":{\"arch\":\"amd64\",\"components\":[\"main\"],"
	    "\"keyring\":\"k.gpg\",\"mirrors\":[\"system\"],\"pockets\":[],"
	    "\"suite\":\"bookworm\"}},\"groups\":[],"
	    "\"hardening\":{\"fail-on\":\"high\",\"profiles\":[],\"waivers\":[]},"
	    "\"layers\":{\"compression\":\"gzip\",\"pin\":[],\"plan\":\"history\"},"
	    "\"media\":{},\"name\":\"t\",\"overlays\":[],"
	    "\"packages\":{\"docs\":false,\"exclude\":[],\"install\":[],\"langs\":[],"
	    "\"recommends\":false,\"remove\":[]},\"ports\":[],\"posmedia\":1,"
	    "\"run\":{\"env\":{},\"volumes\":[]},"
	    "\"services\":{\"disable\":[],\"enable\":[],\"mask\":[]},\"start-order\":[],"
	    "\"steps\":[],\"tests\":[],\"users\":[],\"version\":\"1\"}";

	put(p, "recipes/t.yaml", HEAD);
	r = load_in(p, "recipes/t.yaml");
	assert_string_equal(r->root, p->dir);
	jval_write(r->resolved, &b);
	assert_string_equal(b.data, want);
	buf_release(&b);
	assert_null(r->apt->pockets.v);
}

static void keeps_the_digest_for_the_same_content(void **state)
{
	struct project *p = *state;
	static const char *const same[] = {
	    HEAD "packages: {install: [cups, samba], docs: false}\n"
		 "media:\n"
		 "  a: {url: k.gpg, sha256: "
		 "1111111111111111111111111111111111111111111111111111111111111111}\n"
		 "  b: {url: k.gpg, sha256: "
		 "2222222222222222222222222222222222222222222222222222222222222222}\n"
		 "steps: [{name: x, run: [y], mount: {a: /a, b: /b}, timeout: 2m}]\n"
		 "run: {env: {A: b, C: d}}\n",
	    "# other words, other order\n"
	    "version: \"1\"\n"
	    "run:\n  env:\n    C: d\n    A: b\n"
	    "steps: [{run: [y], timeout: 120s, mount: {b: /b, a: /a}, name: x}]\n"
	    "media:\n"
	    "  b: {sha256: \"sha256:"
	    "2222222222222222222222222222222222222222222222222222222222222222\", url: k.gpg}\n"
	    "  a: {sha256: 1111111111111111111111111111111111111111111111111111111111111111,\n"
	    "      url: k.gpg}\n"
	    "packages: {install: [cups, samba, cups]}\n"
	    "posmedia: 1\nname: t\nbase: {apt: {keyring: k.gpg, suite: bookworm}}\n",
	};
	struct digest d[2];

	for (size_t i = 0; i < 2; i++) {
		struct recipe *r SCOPED(recipe_freep) = NULL;

		put(p, "recipes/t.yaml", same[i]);
		r = load_in(p, "recipes/t.yaml");
		d[i] = r->digest;
	}
	assert_true(digest_equal(&d[0], &d[1]));
}

static void changes_the_digest_with_the_content(void **state)
{
	struct project *p = *state;
	static const char *const other[] = {
	    HEAD,
	    HEAD "packages: {docs: true}\n",
	    HEAD "packages: {install: [a1, b2]}\n",
	    HEAD "packages: {install: [b2, a1]}\n",
	    HEAD "ports: [22/tcp]\n",
	    HEAD "ports: [22/udp]\n",
	    HEAD "users: [{name: a, uid: 5}]\n",
	    HEAD "users: [{name: a, uid: 5, groups: [a]}]\n",
	    HEAD "layers: {compression: zstd}\n",
	    HEAD "layers: {compression: both}\n",
	    HEAD "layers: {plan: single}\n",
	    HEAD "layers: {plan: manual}\n",
	    HEAD "layers: {budget: 5}\n",
	};
	struct digest d[sizeof(other) / sizeof(other[0])];

	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		struct recipe *r SCOPED(recipe_freep) = NULL;

		put(p, "recipes/t.yaml", other[i]);
		r = load_in(p, "recipes/t.yaml");
		d[i] = r->digest;
		for (size_t k = 0; k < i; k++)
			assert_false(digest_equal(&d[i], &d[k]));
	}
}

static void keeps_the_digest_in_another_directory(void **state)
{
	struct project *p = *state;
	struct recipe *here SCOPED(recipe_freep) = NULL, *there SCOPED(recipe_freep) = NULL;
	static const char text[] = HEAD "overlays: [{from: tree}]\n"
					"hardening: {profiles: [p]}\n";
	static const char *const roots[] = {"", "some/where/"};

	for (size_t i = 0; i < 2; i++) {
		static const char *const names[][2] = {{"recipes/t.yaml", text},
						       {"recipes/profiles/p.yaml", "x: y\n"},
						       {"tree/file", "f"},
						       {"k.gpg", "key"}};

		for (size_t k = 0; k < 4; k++) {
			char *name SCOPED(mem_freep) = mem_format("%s%s", roots[i], names[k][0]);

			put(p, name, names[k][1]);
		}
	}
	here = load_in(p, "recipes/t.yaml");
	there = load_in(p, "some/where/recipes/t.yaml");
	assert_string_not_equal(here->root, there->root);
	assert_true(digest_equal(&here->digest, &there->digest));
}

static void finds_the_root_without_recipes(void **state)
{
	struct project *p = *state;
	struct recipe *r SCOPED(recipe_freep) = NULL;

	put(p, "t.yaml", HEAD);
	r = load_in(p, "t.yaml");
	assert_string_equal(r->root, p->dir);
}

/* nearest ancestor, not the outermost; from a directory below it too */
static void finds_the_nearest_root(void **state)
{
	struct project *p = *state;
	struct recipe *r SCOPED(recipe_freep) = NULL;
	char *want SCOPED(mem_freep) = mem_format("%s/recipes/x", p->dir);

	put(p, "recipes/x/k.gpg", "key");
	put(p, "recipes/x/recipes/deep/t.yaml", HEAD);
	r = load_in(p, "recipes/x/recipes/deep/t.yaml");
	assert_string_equal(r->root, want);
}

/* b and c both extend a; a counts once, in the place where it first comes */
static void counts_a_shared_base_once(void **state)
{
	struct project *p = *state;
	struct recipe *r SCOPED(recipe_freep) = NULL;

	put(p, "recipes/a.yaml",
	    "posmedia: 1\npackages: {install: [aa], docs: true}\n"
	    "layers: {compression: gzip}\n");
	put(p, "recipes/b.yaml",
	    "posmedia: 1\nextends: [a.yaml]\npackages: {install: [bb], docs: false}\n");
	put(p, "recipes/c.yaml",
	    "posmedia: 1\nextends: [a.yaml]\npackages: {install: [cc]}\n"
	    "layers: {compression: zstd}\n");
	put(p, "recipes/t.yaml", HEAD "extends: [b.yaml, ./c.yaml]\npackages: {install: [dd]}\n");
	r = load_in(p, "recipes/t.yaml");
	list_is(&r->install, "aa|bb|cc|dd");
	assert_false(r->docs);
	assert_string_equal(r->compression, "zstd");
}

static void takes_16_levels(void **state)
{
	struct project *p = *state;
	struct recipe *r SCOPED(recipe_freep) = NULL;

	put(p, "recipes/16.yaml", "posmedia: 1\npackages: {install: [last]}\n");
	for (int i = 15; i > 0; i--) {
		char *name SCOPED(mem_freep) = mem_format("recipes/%d.yaml", i);
		char *text SCOPED(mem_freep) =
		    mem_format("posmedia: 1\nextends: [%d.yaml]\n", i + 1);

		put(p, name, text);
	}
	put(p, "recipes/t.yaml", HEAD "extends: [1.yaml]\n");
	r = load_in(p, "recipes/t.yaml");
	list_is(&r->install, "last");
}

/* Every key of the tables is a .Cm of the manual. */
static void check_manual(const char *manual, const struct field *f)
{
	for (; f->key != NULL; f++) {
		char *first SCOPED(mem_freep) = mem_format("Cm %s", f->key);
		char *more SCOPED(mem_freep) = mem_format(", %s", f->key);

		if (strstr(manual, first) == NULL && strstr(manual, more) == NULL)
			fail_msg("posmedia-recipe(5) lacks \"%s\"", f->key);
		if (f->read == read_map)
			check_manual(manual, f->how);
		if (f->read == read_array) {
			const struct array *a = f->how;

			check_manual(manual, a->fields);
		}
	}
}

static void has_every_key_in_the_manual(void **state)
{
	struct buf manual = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(fs_get(AT_FDCWD, "builder/man/posmedia-recipe.5", &manual, &e), 0);
	check_manual(manual.data, recipe_fields);
	buf_release(&manual);
}

static void frees_nothing(void **state)
{
	struct recipe *r = NULL;

	(void)state;
	recipe_free(NULL);
	recipe_freep(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(merges_the_base),
	    cmocka_unit_test(types_every_member),
	    cmocka_unit_test(reads_users_and_ports),
	    cmocka_unit_test(reads_media_and_steps),
	    cmocka_unit_test_setup_teardown(fills_in_defaults, make_project, drop_project),
	    cmocka_unit_test_setup_teardown(keeps_the_digest_for_the_same_content, make_project,
					    drop_project),
	    cmocka_unit_test_setup_teardown(changes_the_digest_with_the_content, make_project,
					    drop_project),
	    cmocka_unit_test_setup_teardown(keeps_the_digest_in_another_directory, make_project,
					    drop_project),
	    cmocka_unit_test_setup_teardown(finds_the_root_without_recipes, make_project,
					    drop_project),
	    cmocka_unit_test_setup_teardown(finds_the_nearest_root, make_project, drop_project),
	    cmocka_unit_test_setup_teardown(counts_a_shared_base_once, make_project, drop_project),
	    cmocka_unit_test_setup_teardown(takes_16_levels, make_project, drop_project),
	    cmocka_unit_test(has_every_key_in_the_manual),
	    cmocka_unit_test(frees_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

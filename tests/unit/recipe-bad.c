/* recipe: what is refused, with the position and the words. */
#include "recipe/recipe.h"

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

/* Where the cases run: a project with a key, an overlay, a medium and a profile. */
struct place {
	char dir[32];
	char *back;
};

static void put(const char *name, const char *text)
{
	char *dir SCOPED(mem_freep) = fs_dirname(name);
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(AT_FDCWD, dir, 0755, &e), 0);
	assert_int_equal(fs_put_path(name, text, strlen(text), 0644, &e), 0);
}

static int enter(void **state)
{
	struct place *p = mem_zalloc(sizeof(*p));

	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/posmedia-recipe-XXXXXX");
	p->back = realpath(".", NULL);
	if (mkdtemp(p->dir) == NULL || chdir(p->dir) != 0)
		return -1;
	put("k.gpg", "key");
	put("tree/file", "f");
	put("recipes/profiles/strict.yaml", "posmedia: 1\n");
	*state = p;
	return 0;
}

static int leave(void **state)
{
	struct place *p = *state;
	struct err e = ERR_INIT;
	int rc = chdir(p->back) | fs_rmtree(AT_FDCWD, p->dir, &e);

	free(p->back);
	free(p);
	return rc;
}

/* Loads recipes/t.yaml, which must be refused with this message. */
static void refused(const char *want, const char *text)
{
	struct recipe *r = NULL;
	struct err e = ERR_INIT;

	if (recipe_load("recipes/t.yaml", &r, &e) == 0)
		fail_msg("accepted:\n%s", text);
	assert_null(r);
	if (strcmp(e.msg, want) != 0)
		fail_msg("\n got %s\nwant %s\n%s", e.msg, want, text);
	assert_int_equal(e.kind, ERR_RECIPE);
	if (e.hint[0] == '\0')
		fail_msg("no hint: %s", e.msg);
}

struct bad {
	const char *text; /* follows HEAD, so it begins on line 5 */
	const char *want; /* follows "recipes/t.yaml:" */
};

#define HEAD "posmedia: 1\nname: t\nversion: 1\nbase: {apt: {suite: bookworm, keyring: k.gpg}}\n"
#define SHA  "1111111111111111111111111111111111111111111111111111111111111111"
#define SUP  " is not supported yet by this version"

static const struct bad bads[] = {
    /* keys and kinds */
    {"pakages: {}\n", "5:1: unknown key \"pakages\""},
    {"packages: {instal: [a]}\n", "5:12: unknown key \"instal\""},
    {"users:\n  - {name: a, uid: 5, sheel: /bin/sh}\n", "6:23: unknown key \"sheel\""},
    {"zzz: 1\n", "5:1: unknown key \"zzz\""},
    {"ports: [22/tcp]\nports: [23/tcp]\n", "6:1: duplicate key \"ports\", first at 5:1"},
    {"packages: [a]\n", "5:11: \"packages\" wants a map, not a list"},
    {"packages:\n", "5:10: \"packages\" wants a map, not nothing"},
    {"packages: {install: cups}\n", "5:21: \"install\" wants a list, not text"},
    {"packages: {install: [[cups]]}\n", "5:22: \"install\" wants a value, not a list"},
    {"users: [a]\n", "5:9: \"users\" wants a map, not text"},
    {"users: {name: a}\n", "5:8: \"users\" wants a list, not a map"},
    /* missing keys */
    {"users: [{name: a}]\n", "5:9: missing key \"uid\""},
    {"steps: [{name: a}]\n", "5:9: missing key \"run\""},
    {"media: {a: {url: k.gpg}}\n", "5:12: missing key \"sha256\""},
    {"hardening: {waivers: [{control: a, reason: b, by: c}]}\n", "5:23: missing key \"until\""},
    /* packages */
    {"packages: {install: [Cups]}\n", "5:22: \"install\" wants a package name, not \"Cups\""},
    {"packages: {install: [-o]}\n", "5:22: \"install\" wants a package name, not \"-o\""},
    {"packages: {install: [\"a;b\"]}\n", "5:22: \"install\" wants a package name, not \"a;b\""},
    {"packages: {install: [\"linux-*\"]}\n",
     "5:22: \"install\" wants a package name, not \"linux-*\""},
    {"packages: {install: [a/b]}\n", "5:22: \"install\" wants a package name, not \"a/b\""},
    {"packages: {exclude: [\"a b\"]}\n",
     "5:22: \"exclude\" wants a package name or pattern, not \"a b\""},
    {"packages: {docs: no}\n", "5:18: \"docs\" wants true or false, not \"no\""},
    {"packages: {langs: [../x]}\n", "5:20: \"langs\" wants a language, not \"../x\""},
    {"packages: {install: [cups], remove: [cups]}\n",
     "5:38: \"remove\": \"cups\" is also at recipes/t.yaml:5:22"},
    {"packages: {install: [cups], exclude: [cups]}\n",
     "5:39: \"exclude\": \"cups\" is also at recipes/t.yaml:5:22"},
    /* overlays */
    {"overlays: [{from: nowhere}]\n", "5:19: \"from\": no directory \"nowhere\""},
    {"overlays: [{from: k.gpg}]\n", "5:19: \"from\": no directory \"k.gpg\""},
    {"overlays: [{from: ../tree}]\n", "5:19: \"from\" wants a path, not \"../tree\""},
    {"overlays: [{from: tree, to: etc}]\n", "5:29: \"to\" wants an absolute path, not \"etc\""},
    {"overlays: [{from: tree, to: /etc/..}]\n",
     "5:29: \"to\" wants an absolute path, not \"/etc/..\""},
    {"overlays: [{from: tree, to: /etc//x}]\n",
     "5:29: \"to\" wants an absolute path, not \"/etc//x\""},
    {"overlays: [{from: tree, owner: root}]\n", "5:32: \"owner\" wants UID:GID, not \"root\""},
    {"overlays: [{from: tree, owner: \"0:-1\"}]\n", "5:32: \"owner\" wants UID:GID, not \"0:-1\""},
    /* users and groups */
    {"users: [{name: Rti, uid: 5}]\n", "5:16: \"name\" wants a user or group name, not \"Rti\""},
    {"users: [{name: -rti, uid: 5}]\n", "5:16: \"name\" wants a user or group name, not \"-rti\""},
    {"users: [{name: \"a\\nb\", uid: 5}]\n",
     "5:16: \"name\" wants a user or group name, not \"a b\""},
    {"users: [{name: a, uid: x}]\n", "5:24: \"uid\" wants a user or group id, not \"x\""},
    {"users: [{name: a, uid: 0755}]\n", "5:24: \"uid\" wants a user or group id, not \"0755\""},
    {"users: [{name: a, uid: -1}]\n", "5:24: \"uid\" wants a user or group id, not \"-1\""},
    {"users: [{name: a, uid: 65535}]\n", "5:24: \"uid\" wants a user or group id, not \"65535\""},
    {"users: [{name: a, uid: 4294967295}]\n",
     "5:24: \"uid\" wants a user or group id, not \"4294967295\""},
    {"users: [{name: a, uid: 5, password: hunter2}]\n",
     "5:37: \"password\": an image must not carry a password, everyone who has the image would "
     "know it"},
    {"users: [{name: a, uid: 5, shell: bash}]\n",
     "5:34: \"shell\" wants an absolute path, not \"bash\""},
    {"users: [{name: a, uid: 5, gecos: \"a:b\"}]\n",
     "5:34: \"gecos\" wants one line of text without ':', not \"a:b\""},
    {"users: [{name: a, uid: 5}, {name: a, uid: 6}]\n",
     "5:35: users: duplicate name \"a\", first at recipes/t.yaml:5:16"},
    {"users: [{name: a, uid: 5}, {name: b, uid: 5}]\n",
     "5:43: users: duplicate uid \"5\", first at recipes/t.yaml:5:24"},
    {"users: [{name: toor, uid: 0}]\n", "5:9: user \"toor\" cannot have uid 0"},
    {"users: [{name: root, uid: 5}]\n", "5:9: user \"root\" cannot have uid 5"},
    {"groups: [{name: a, gid: 5}, {name: a, gid: 6}]\n",
     "5:36: groups: duplicate name \"a\", first at recipes/t.yaml:5:17"},
    {"groups: [{name: a, gid: 5}, {name: b, gid: 5}]\n",
     "5:44: groups: duplicate gid \"5\", first at recipes/t.yaml:5:25"},
    {"groups: [{name: a, gid: 5}]\nusers: [{name: b, uid: 5}]\n",
     "5:10: group \"a\" has the gid 5 of user \"b\"'s own group, recipes/t.yaml:6:9"},
    /* services and ports */
    {"services: {enable: [../x]}\n", "5:21: \"enable\" wants a service name, not \"../x\""},
    {"services: {enable: [\"a b\"]}\n", "5:21: \"enable\" wants a service name, not \"a b\""},
    {"services: {enable: [ssh], mask: [ssh]}\n",
     "5:34: \"mask\": \"ssh\" is also at recipes/t.yaml:5:21"},
    {"start-order: [-x]\n", "5:15: \"start-order\" wants a service name, not \"-x\""},
    {"ports: [22]\n", "5:9: \"ports\" wants a port or range, not \"22\""},
    {"ports: [0/tcp]\n", "5:9: \"ports\" wants a port or range, not \"0/tcp\""},
    {"ports: [65536/tcp]\n", "5:9: \"ports\" wants a port or range, not \"65536/tcp\""},
    {"ports: [022/tcp]\n", "5:9: \"ports\" wants a port or range, not \"022/tcp\""},
    {"ports: [22/sctp]\n", "5:9: \"ports\" wants a port or range, not \"22/sctp\""},
    {"ports: [2001-2000/tcp]\n", "5:9: \"ports\" wants a port or range, not \"2001-2000/tcp\""},
    {"ports: [1-2-3/tcp]\n", "5:9: \"ports\" wants a port or range, not \"1-2-3/tcp\""},
    {"ports: [22/tcp-23]\n", "5:9: \"ports\" wants a port or range, not \"22/tcp-23\""},
    /* media */
    {"media: {a: {url: gone.iso, sha256: " SHA "}}\n", "5:18: \"url\": no file \"gone.iso\""},
    {"media: {a: {url: tree, sha256: " SHA "}}\n", "5:18: \"url\": no file \"tree\""},
    {"media: {a: {url: \"s3://b/x\", sha256: " SHA "}}\n", "5:18: \"url: s3://\"" SUP},
    {"media: {a: {url: \"ftp://h/x\", sha256: " SHA "}}\n",
     "5:18: \"url\" wants a path or URL, not \"ftp://h/x\""},
    {"media: {a: {url: \"https://u:p@h/x\", sha256: " SHA "}}\n",
     "5:18: \"url\" wants a path or URL, not \"https://u:p@h/x\""},
    {"media: {a: {url: k.gpg, sha256: abc}}\n", "5:33: \"sha256\" wants a SHA-256, not \"abc\""},
    {"media: {a: {url: k.gpg, sha256: \"sha512:" SHA "\"}}\n",
     "5:33: \"sha256\" wants a SHA-256, not \"sha512:" SHA "\""},
    {"media: {a: {url: k.gpg, sha256: " SHA ", size: 0}}\n",
     "5:105: \"size\" wants a size, not \"0\""},
    {"media: {a: {url: k.gpg, sha256: " SHA ", size: 17G}}\n",
     "5:105: \"size\" wants a size, not \"17G\""},
    {"media: {a: {url: k.gpg, sha256: " SHA ", size: 1.5G}}\n",
     "5:105: \"size\" wants a size, not \"1.5G\""},
    {"media: {a/b: {url: k.gpg, sha256: " SHA "}}\n", "5:9: \"media\" wants a name, not \"a/b\""},
    /* steps and tests */
    {"steps: [{name: a, run: [b], mount: {iso: /m}}]\n", "5:37: \"mount\": no medium \"iso\""},
    {"media: {a: {url: k.gpg, sha256: " SHA "}}\n"
     "steps: [{name: a, run: [b], mount: {a: /}}]\n",
     "6:40: \"mount\": a medium cannot cover /"},
    {"media: {a: {url: k.gpg, sha256: " SHA "}}\n"
     "steps: [{name: a, run: [b], mount: {a: m}}]\n",
     "6:40: \"a\" wants an absolute path, not \"m\""},
    {"steps: [{name: a, run: [b], mount: {a: /m, b: /m}}]\n",
     "5:47: \"mount\": two media at \"/m\""},
    {"steps: [{name: a, run: b c}]\n", "5:24: \"run\" wants a list, not text"},
    {"steps: [{name: a, run: []}]\n", "5:24: \"run\" is empty"},
    {"steps: [{name: a, run: [\"\"]}]\n", "5:25: \"run\" wants a value, not nothing"},
    {"steps: [{name: a, run: [b, {c: d}]}]\n", "5:28: \"run\" wants a list of texts"},
    {"steps: [{name: a, run: [b]}, {name: a, run: [b]}]\n",
     "5:37: steps: duplicate name \"a\", first at recipes/t.yaml:5:16"},
    {"steps: [{name: ../a, run: [b]}]\n", "5:16: \"name\" wants a name, not \"../a\""},
    {"steps: [{name: a, run: [b], answers: x}]\n", "5:38: \"answers\": no file \"x\""},
    {"steps: [{name: a, run: [b], capture: yes}]\n",
     "5:38: \"capture\" wants true or false, not \"yes\""},
    {"steps: [{name: a, run: [b], secrets: [../a]}]\n",
     "5:39: \"secrets\" wants a name, not \"../a\""},
    {"steps: [{name: a, run: [b], limits: {memory: 0}}]\n",
     "5:46: \"memory\" wants a size, not \"0\""},
    {"steps: [{name: a, run: [b], limits: {processes: 1M}}]\n",
     "5:49: \"processes\" wants a number, not \"1M\""},
    {"steps: [{name: a, run: [b], limits: {processes: 30001}}]\n",
     "5:49: \"processes\" wants a number, not \"30001\""},
    {"steps: [{name: a, run: [b], limits: {cpu: 1}}]\n", "5:38: unknown key \"cpu\""},
    {"steps: [{name: a, run: [b], network: host}]\n", "5:38: \"network\" cannot be \"host\""},
    {"steps: [{name: a, run: [b], network: [x]}]\n", "5:38: \"network\" cannot be \"a list\""},
    {"steps: [{name: a, run: [b], network: {proxy: all}}]\n", "5:46: \"proxy\" cannot be \"all\""},
    {"steps: [{name: a, run: [b], network: {proxy: record, allow: [\"http://x\"]}}]\n",
     "5:62: \"allow\" wants a host or a pattern of hosts, not \"http://x\""},
    {"steps: [{name: a, run: [b], network: {proxy: record, allow: [\"x:0\"]}}]\n",
     "5:62: \"allow\" wants a host or a pattern of hosts, not \"x:0\""},
    {"steps: [{name: a, run: [b], network: {proxy: record, allow: [\"[::1\"]}}]\n",
     "5:62: \"allow\" wants a host or a pattern of hosts, not \"[::1\""},
    {"steps: [{name: a, run: [b], writes: [etc]}]\n",
     "5:38: \"writes\" wants an absolute path, not \"etc\""},
    {"steps: [{name: a, run: [b], timeout: 20}]\n",
     "5:38: \"timeout\" wants a duration, not \"20\""},
    {"steps: [{name: a, run: [b], timeout: 0s}]\n",
     "5:38: \"timeout\" wants a duration, not \"0s\""},
    {"steps: [{name: a, run: [b], timeout: 25h}]\n",
     "5:38: \"timeout\" wants a duration, not \"25h\""},
    {"tests: [{name: a, run: [b]}, {name: a, run: [b]}]\n",
     "5:37: tests: duplicate name \"a\", first at recipes/t.yaml:5:16"},
    /* hardening and layers */
    {"hardening: {profiles: [strict, gone]}\n", "5:32: no profile \"gone\""},
    {"hardening: {profiles: [../strict]}\n", "5:24: \"profiles\" wants an id, not \"../strict\""},
    {"hardening: {target: vm}\n", "5:21: \"target\" cannot be \"vm\""},
    {"hardening: {data: [var]}\n", "5:20: \"data\" wants an absolute path, not \"var\""},
    {"hardening: {fail-on: hihg}\n", "5:22: \"fail-on\" cannot be \"hihg\""},
    {"hardening: {waivers: [{control: a, reason: b, by: c, until: 2027-02-29}]}\n",
     "5:61: \"until\" wants a date, not \"2027-02-29\""},
    {"hardening: {waivers: [{control: a, reason: b, by: c, until: soon}]}\n",
     "5:61: \"until\" wants a date, not \"soon\""},
    {"layers: {plan: origin}\n", "5:16: \"plan\" cannot be \"origin\""},
    {"layers: {budget: 0}\n", "5:18: \"budget\" wants a number from 1 to 100, not \"0\""},
    {"layers: {budget: 101}\n", "5:18: \"budget\" wants a number from 1 to 100, not \"101\""},
    {"layers: {budget: ten}\n", "5:18: \"budget\" wants a number from 1 to 100, not \"ten\""},
    {"layers: {compression: xz}\n", "5:23: \"compression\" cannot be \"xz\""},
    {"layers: {pin: [{name: a, match: [/a]}, {name: a, match: [/b]}]}\n",
     "5:47: pin: duplicate name \"a\", first at recipes/t.yaml:5:23"},
    {"layers: {pin: [{name: a, match: [\"a/**\"]}]}\n",
     "5:34: \"match\" wants a pattern of absolute paths, not \"a/**\""},
    /* run */
    {"run: {env: {1A: b}}\n", "5:13: \"env\" wants the name of a variable, not \"1A\""},
    {"run: {env: {A: \"b\\nc\"}}\n", "5:16: \"A\" wants one line of text, not \"b c\""},
    {"run: {user: \"a:b:c\"}\n", "5:13: \"user\" wants USER or USER:GROUP, not \"a:b:c\""},
    {"run: {stop-signal: TERM}\n", "5:20: \"stop-signal\" wants a signal, not \"TERM\""},
    {"run: {stop-signal: 65}\n", "5:20: \"stop-signal\" wants a signal, not \"65\""},
    {"run: {read-only: maybe}\n", "5:18: \"read-only\" wants true or false, not \"maybe\""},
    {"run: {volumes: [../x]}\n", "5:17: \"volumes\" wants an absolute path, not \"../x\""},
    /* known, not here yet */
    {"kickstart: [{file: x}]\n", "5:12: \"kickstart\"" SUP},
};

static void refuses_with_position_and_hint(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		char *text SCOPED(mem_freep) = mem_format("%s%s", HEAD, bads[i].text);
		char *want SCOPED(mem_freep) = mem_format("recipes/t.yaml:%s", bads[i].want);

		put("recipes/t.yaml", text);
		refused(want, text);
	}
}

static const char *const kinds[] = {
    "packages: %s",
    "packages: {install: %s}",
    "packages: {docs: %s}",
    "kickstart: %s",
    "overlays: %s",
    "overlays: [{from: %s}]",
    "overlays: [{from: tree, to: %s}]",
    "overlays: [{from: tree, owner: %s}]",
    "groups: %s",
    "groups: [{name: %s, gid: 5}]",
    "groups: [{name: [x], gid: %s}]",
    "users: %s",
    "users: [{name: a, uid: 5, password: %s}]",
    "users: [{name: a, uid: 5, groups: %s}]",
    "services: %s",
    "services: {enable: %s}",
    "start-order: %s",
    "ports: %s",
    "ports: [%s]",
    "media: %s",
    "media: {a: %s}",
    "media: {a: {url: %s, sha256: " SHA "}}",
    "media: {a: {url: k.gpg, sha256: %s}}",
    "media: {a: {url: k.gpg, sha256: " SHA ", size: %s}}",
    "steps: %s",
    "steps: [{name: a, run: %s}]",
    "steps: [{name: a, run: [b], mount: %s}]",
    "steps: [{name: a, run: [b], mount: {m: %s}}]",
    "steps: [{name: a, run: [b], writes: %s}]",
    "steps: [{name: a, run: [b], timeout: %s}]",
    "steps: [{name: a, run: [b], network: %s}]",
    "steps: [{name: a, run: [b], capture: %s}]",
    "steps: [{name: a, run: [b], answers: %s}]",
    "steps: [{name: a, run: [b], secrets: %s}]",
    "steps: [{name: a, run: [b], limits: %s}]",
    "steps: [{name: a, run: [b], limits: {disk: %s}}]",
    "steps: [{name: a, run: [b], limits: {processes: %s}}]",
    "hardening: %s",
    "hardening: {profiles: %s}",
    "hardening: {fail-on: %s}",
    "hardening: {target: %s}",
    "hardening: {units: %s}",
    "hardening: {data: %s}",
    "hardening: {waivers: %s}",
    "hardening: {waivers: [{control: a, reason: b, by: c, until: %s}]}",
    "layers: %s",
    "layers: {plan: %s}",
    "layers: {pin: %s}",
    "layers: {pin: [{name: a, match: %s}]}",
    "layers: {compression: %s}",
    "layers: {budget: %s}",
    "tests: %s",
    "run: %s",
    "run: {env: %s}",
    "run: {cmd: %s}",
    "run: {stop-signal: %s}",
    "run: {volumes: %s}",
    "run: {read-only: %s}",
    "extends: %s",
    "extends: [%s]",
};

/* Every key with every kind of value that it does not take: none may get past its reader. */
static void refuses_every_wrong_kind(void **state)
{
	static const char *const values[] = {"", "~", "[[x]]", "{a: [x]}"};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) * 4; i++) {
		const char *key = kinds[i / 4], *at = strstr(key, "%s"), *value = values[i % 4];
		char *text SCOPED(mem_freep) =
		    mem_format(HEAD "%.*s%s%s\n", (int)(at - key), key, value, at + 2);
		struct recipe *r = NULL;
		struct err e = ERR_INIT;

		put("recipes/t.yaml", text);
		if (strcmp(key, "ports: [%s]") == 0 && value[0] == '\0')
			continue; /* an empty list */
		if (strcmp(key, "extends: [%s]") == 0 && value[0] == '\0')
			continue;
		if (recipe_load("recipes/t.yaml", &r, &e) == 0)
			fail_msg("accepted:\n%s", text);
		assert_int_equal(e.kind, ERR_RECIPE);
		assert_int_equal(strncmp(e.msg, "recipes/t.yaml:5:", 17), 0);
		assert_true(e.hint[0] != '\0');
	}
}

/* Whole files. */
static const struct bad files[] = {
    {"name: t\n", "1:1: missing key \"posmedia\""},
    {"posmedia: 2\n", "1:11: \"posmedia\" wants the schema version 1"},
    {"posmedia: [1]\n", "1:11: \"posmedia\" wants the schema version 1"},
    {"[a]\n", "1:1: the file is not a map of keys"},
    {"", "1:1: the file is empty"},
    {"posmedia: 1\nname: t\nversion: 1\n", "1:1: missing key \"base\""},
    {"posmedia: 1\nversion: 1\nbase: {}\n", "1:1: missing key \"name\""},
    {"posmedia: 1\nname: Rti\n", "2:7: \"name\" wants an image name, not \"Rti\""},
    {"posmedia: 1\nname: a/b\n", "2:7: \"name\" wants an image name, not \"a/b\""},
    {"posmedia: 1\nname: t\nversion: a:b\n", "3:10: \"version\" wants a version, not \"a:b\""},
    {"posmedia: 1\nname: t\nversion: 1\nbase: {}\n", "4:7: \"base\" names no kind of base"},
    {"posmedia: 1\nname: t\nversion: 1\nbase: {oci: {}}\n", "4:13: missing key \"image\""},
    {"posmedia: 1\nname: t\nversion: 1\nbase: {tar: {}}\n", "4:13: missing key \"url\""},
    {"posmedia: 1\nname: t\nversion: 1\nbase: {scratch: true}\n",
     "4:17: \"scratch\" wants a map, not text"},
    {"posmedia: 1\nname: t\nversion: 1\nbase: {apt: {}, oci: {}}\n",
     "4:22: \"base\" is \"oci\" here and \"apt\" at recipes/t.yaml:4:13"},
    {"posmedia: 1\nname: t\nversion: 1\nbase: {apt: {suite: bookworm}}\n",
     "4:13: missing key \"keyring\""},
    {"posmedia: 1\nname: t\nversion: 1\nbase: {apt: {suite: s, keyring: no.gpg}}\n",
     "4:33: \"keyring\": no file \"no.gpg\""},
    {"posmedia: 1\nname: t\nversion: 1\nbase: {apt: {suite: ../s, keyring: k.gpg}}\n",
     "4:21: \"suite\" wants a suite, not \"../s\""},
    {"posmedia: 1\nname: t\nversion: 1\n"
     "base: {apt: {suite: s, keyring: k.gpg, pockets: [proposed]}}\n",
     "4:50: \"pockets\" wants a pocket, not \"proposed\""},
    {"posmedia: 1\nname: t\nversion: 1\n"
     "base: {apt: {suite: s, keyring: k.gpg, mirrors: [\"http://u:p@h/\"]}}\n",
     "4:50: \"mirrors\" wants \"system\" or a URL, not \"http://u:p@h/\""},
    {"posmedia: 1\nname: t\nversion: 1\n"
     "base: {apt: {suite: s, keyring: k.gpg, mirrors: [system, \"http://h/d\"]}}\n",
     "4:49: \"mirrors\": system does not go with others"},
    {"posmedia: 1\nextends: base.yaml\n", "2:10: \"extends\" wants a list, not text"},
    {"posmedia: 1\nextends: [gone.yaml]\n",
     "2:11: \"extends\": recipes/gone.yaml: No such file or directory"},
    {"posmedia: 1\nextends: [profiles]\n", "2:11: \"extends\": recipes/profiles: not a file"},
    {"posmedia: 1\nextends: [t.yaml]\n",
     "2:11: \"extends\" goes in a circle: recipes/t.yaml -> recipes/t.yaml"},
};

static void refuses_whole_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *want SCOPED(mem_freep) = mem_format("recipes/t.yaml:%s", files[i].want);

		put("recipes/t.yaml", files[i].text);
		refused(want, files[i].text);
	}
}

static void names_the_nearest_key(void **state)
{
	struct recipe *r = NULL;
	struct err e = ERR_INIT;

	(void)state;
	put("recipes/t.yaml", HEAD "pakages: {}\n");
	assert_int_equal(recipe_load("recipes/t.yaml", &r, &e), -1);
	assert_string_equal(e.hint, "Did you mean \"packages\"?");
	put("recipes/t.yaml", HEAD "media: {iso1: {url: k.gpg, sha256: " SHA "}}\n"
				   "steps: [{name: a, run: [b], mount: {iso: /m}}]\n");
	assert_int_equal(recipe_load("recipes/t.yaml", &r, &e), -1);
	assert_string_equal(e.hint, "Did you mean \"iso1\"?");
}

static void keeps_a_password_out_of_messages(void **state)
{
	struct recipe *r = NULL;
	struct err e = ERR_INIT;

	(void)state;
	put("recipes/t.yaml", HEAD "users: [{name: a, uid: 5, password: hunter2}]\n");
	assert_int_equal(recipe_load("recipes/t.yaml", &r, &e), -1);
	assert_null(strstr(e.msg, "hunter2"));
	assert_null(strstr(e.hint, "hunter2"));
}

static void shows_the_circle(void **state)
{
	(void)state;
	put("recipes/a.yaml", "posmedia: 1\nextends: [base/b.yaml]\n");
	put("recipes/base/b.yaml", "posmedia: 1\nextends: [../a.yaml]\n");
	put("recipes/t.yaml", HEAD "extends: [a.yaml]\n");
	{
		struct recipe *r = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(recipe_load("recipes/t.yaml", &r, &e), -1);
		assert_string_equal(e.msg,
				    "recipes/base/b.yaml:2:11: \"extends\" goes in a circle: "
				    "recipes/a.yaml -> recipes/base/b.yaml -> "
				    "recipes/base/../a.yaml");
	}
}

static void refuses_the_17th_level(void **state)
{
	struct recipe *r = NULL;
	struct err e = ERR_INIT;

	(void)state;
	put("recipes/17.yaml", "posmedia: 1\n");
	for (int i = 16; i > 0; i--) {
		char *name SCOPED(mem_freep) = mem_format("recipes/%d.yaml", i);
		char *text SCOPED(mem_freep) =
		    mem_format("posmedia: 1\nextends: [%d.yaml]\n", i + 1);

		put(name, text);
	}
	put("recipes/t.yaml", HEAD "extends: [1.yaml]\n");
	assert_int_equal(recipe_load("recipes/t.yaml", &r, &e), -1);
	assert_string_equal(e.msg, "recipes/16.yaml:2:11: \"extends\" goes deeper than 16 levels");
	assert_int_equal(e.kind, ERR_RECIPE);
}

static void refuses_the_65th_file(void **state)
{
	struct buf names = BUF_INIT(4096);
	char *text SCOPED(mem_freep) = NULL, *list SCOPED(mem_freep) = NULL;
	struct recipe *r = NULL;
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 1; i <= 65; i++) {
		char *name SCOPED(mem_freep) = mem_format("recipes/%d.yaml", i);

		put(name, "posmedia: 1\n");
		buf_addf(&names, "%s%d.yaml", i == 1 ? "" : ", ", i);
	}
	list = buf_take(&names);
	text = mem_format(HEAD "extends: [%s]\n", list);
	put("recipes/t.yaml", text);
	assert_int_equal(recipe_load("recipes/t.yaml", &r, &e), -1);
	assert_non_null(strstr(e.msg, "\"extends\" leads to more than 64 files"));
}

/* Every value keeps the file it came from. */
static void names_the_file_that_is_wrong(void **state)
{
	static const struct {
		const char *base, *extra, *want;
	} cases[] = {
	    {"packages: {install: [Bad]}\n", "packages: {install: [good]}\n",
	     "recipes/base.yaml:2:22: \"install\" wants a package name, not \"Bad\""},
	    {"users: [{name: a, uid: 5}]\n", "users: [{name: a, uid: 6}]\n",
	     "recipes/t.yaml:6:16: users: duplicate name \"a\", first at recipes/base.yaml:2:16"},
	    {"ports: [22/tcp]\n", "ports: 22/tcp\n",
	     "recipes/t.yaml:6:8: \"ports\" is a value here and a list at recipes/base.yaml:2:8"},
	    {"pakages: {}\n", "", "recipes/base.yaml:2:1: unknown key \"pakages\""},
	    {"services: {enable: [ssh]}\n", "services: {mask: [ssh]}\n",
	     "recipes/t.yaml:6:19: \"mask\": \"ssh\" is also at recipes/base.yaml:2:21"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *base SCOPED(mem_freep) = mem_format("posmedia: 1\n%s", cases[i].base);
		char *text SCOPED(mem_freep) =
		    mem_format(HEAD "extends: [base.yaml]\n%s", cases[i].extra);

		put("recipes/base.yaml", base);
		put("recipes/t.yaml", text);
		refused(cases[i].want, text);
	}
}

static void refuses_what_is_no_file(void **state)
{
	struct recipe *r = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(recipe_load("recipes/gone.yaml", &r, &e), -1);
	assert_string_equal(e.msg, "recipes/gone.yaml: No such file or directory");
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_int_equal(recipe_load("recipes", &r, &e), -1);
	assert_string_equal(e.msg, "recipes: not a file");
	assert_int_equal(mkfifo("recipes/pipe.yaml", 0600), 0);
	assert_int_equal(recipe_load("recipes/pipe.yaml", &r, &e), -1);
	assert_string_equal(e.msg, "recipes/pipe.yaml: not a file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(refuses_with_position_and_hint, enter, leave),
	    cmocka_unit_test_setup_teardown(refuses_every_wrong_kind, enter, leave),
	    cmocka_unit_test_setup_teardown(refuses_whole_files, enter, leave),
	    cmocka_unit_test_setup_teardown(names_the_nearest_key, enter, leave),
	    cmocka_unit_test_setup_teardown(keeps_a_password_out_of_messages, enter, leave),
	    cmocka_unit_test_setup_teardown(shows_the_circle, enter, leave),
	    cmocka_unit_test_setup_teardown(refuses_the_17th_level, enter, leave),
	    cmocka_unit_test_setup_teardown(refuses_the_65th_file, enter, leave),
	    cmocka_unit_test_setup_teardown(names_the_file_that_is_wrong, enter, leave),
	    cmocka_unit_test_setup_teardown(refuses_what_is_no_file, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

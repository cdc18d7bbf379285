/* Which login a registry gets, and what is made of its challenge. */
#include "remote/auth.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char dir[64];

static void put(const char *name, const char *text)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%s", dir, name);
	char *parent SCOPED(mem_freep) = fs_dirname(path);
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(AT_FDCWD, parent, 0700, &e), 0);
	assert_int_equal(fs_put_path(path, text, strlen(text), 0755, &e), 0);
}

static void point(const char *variable, const char *name)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%s", dir, name);

	assert_int_equal(setenv(variable, path, 1), 0);
}

static int setup(void **state)
{
	static const char *const names[] = {"XDG_RUNTIME_DIR", "DOCKER_CONFIG", "XDG_CONFIG_HOME",
					    "REGISTRY_AUTH_FILE"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unsetenv(names[i]);
	(void)snprintf(dir, sizeof(dir), "/tmp/posmedia-auth-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	point("HOME", "home");
	return 0;
}

static int teardown(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, dir, &e);
}

/* "user:secret", "user:secret!" for a token, "-" for none; or the error's message. */
static void expect(const char *host, const char *repo, const char *want)
{
	struct auth_login l = {0};
	struct err e = ERR_INIT;
	char *got SCOPED(mem_freep) = NULL;

	if (auth_find(host, repo, &l, &e) != 0)
		got = mem_strdup(e.msg);
	else
		got = l.secret == NULL
			  ? mem_strdup("-")
			  : mem_format("%s:%s%s", l.user, l.secret, l.is_token ? "!" : "");
	auth_login_release(&l);
	if (want[0] == '~')
		assert_non_null(strstr(got, want + 1));
	else
		assert_string_equal(got, want);
}

#define AUTH(user) "{\"auths\":{\"r.example\":{\"username\":\"" user "\",\"password\":\"p\"}}}"

static void test_order_of_files(void **state)
{
	(void)state;
	expect("r.example", "a", "-");
	put("home/.docker/config.json", AUTH("docker"));
	expect("r.example", "a", "docker:p");
	put("docker/config.json", AUTH("docker2"));
	point("DOCKER_CONFIG", "docker");
	expect("r.example", "a", "docker2:p");
	put("home/.config/containers/auth.json", AUTH("home"));
	expect("r.example", "a", "home:p");
	put("config/containers/auth.json", AUTH("config"));
	point("XDG_CONFIG_HOME", "config");
	expect("r.example", "a", "config:p");
	put("run/containers/auth.json", AUTH("run"));
	point("XDG_RUNTIME_DIR", "run");
	expect("r.example", "a", "run:p");
	put("run/containers/auth.json", "{\"auths\":{}}"); /* knows nothing: the next one */
	expect("r.example", "a", "config:p");
	put("only.json", "{\"auths\":{\"other.example\":{}}}");
	point("REGISTRY_AUTH_FILE", "only.json"); /* alone, whatever is in it */
	expect("r.example", "a", "-");
	point("REGISTRY_AUTH_FILE", "missing.json");
	expect("r.example", "a", "~missing.json");
}

static void test_longest_path(void **state)
{
	(void)state;
	put("a.json", "{\"auths\":{"
		      "\"r.example\":{\"auth\":\"aG9zdDpw\"},"
		      "\"r.example/shop\":{\"auth\":\"c2hvcDpwOnE=\"},"
		      "\"r.example/shop/till/deep\":{\"auth\":\"ZGVlcDpw\"},"
		      "\"https://hub.example/v1/\":{\"auth\":\"aHViOnA=\"},"
		      "\"r.example:5000\":{\"identitytoken\":\"tok\"}}}");
	point("REGISTRY_AUTH_FILE", "a.json");
	expect("r.example", "other", "host:p");
	expect("r.example", "shop", "shop:p:q");
	expect("r.example", "shop/till", "shop:p:q");
	expect("r.example", "shop/till/deep/er", "deep:p");
	expect("r.example", "shopping", "host:p");
	expect("r.example:5000", "shop", ":tok!");
	expect("hub.example", "x", "hub:p");
	expect("b.example", "x", "-");
	expect("r.exampl", "e", "-");
}

static void test_bad_files(void **state)
{
	static const char *const v[][2] = {
	    {"{\"auths\":{\"r.example\":{\"auth\":\"!!\"}}}", "~base64"},
	    {"{\"auths\":{\"r.example\":{\"auth\":\"aG9zdA==\"}}}", "~base64"},
	    {"{\"auths\":", "~a.json"},
	    {"{\"auths\":[],\"credHelpers\":3}", "-"},
	    {"[]", "-"},
	    {"{\"auths\":{\"r.example\":{}}}", "-"},
	    {"{\"auths\":{\"r.example\":3}}", "-"},
	};

	(void)state;
	point("REGISTRY_AUTH_FILE", "a.json");
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		put("a.json", v[i][0]);
		expect("r.example", "x", v[i][1]);
	}
}

static void test_helpers(void **state)
{
	char *path SCOPED(mem_freep) = mem_format("%s/bin:%s", dir, getenv("PATH"));
	char *before SCOPED(mem_freep) = mem_strdup(getenv("PATH"));

	(void)state;
	put("bin/docker-credential-good",
	    "#!/bin/sh\n[ \"$1\" = get ] && read h; "
	    "echo '{\"ServerURL\":\"x\",\"Username\":\"u-'$h'\",\"Secret\":\"s\"}'\n");
	put("bin/docker-credential-tok",
	    "#!/bin/sh\necho '{\"Username\":\"<token>\",\"Secret\":\"s\"}'\n");
	put("bin/docker-credential-none",
	    "#!/bin/sh\necho 'credentials not found in native keychain'; exit 1\n");
	put("bin/docker-credential-broken", "#!/bin/sh\necho 'no keyring' >&2; exit 1\n");
	put("bin/docker-credential-odd", "#!/bin/sh\necho '{}'\n");
	put("evil", "#!/bin/sh\necho '{\"Username\":\"x\",\"Secret\":\"y\"}'\n");
	put("a.json", "{\"auths\":{\"good.example\":{\"auth\":\"aG9zdDpw\"},\"plain.example\":"
		      "{\"auth\":\"aG9zdDpw\"},\"empty.example\":{}},\"credHelpers\":{"
		      "\"good.example\":\"good\",\"tok.example\":\"tok\",\"none.example\":\"none\","
		      "\"broken.example\":\"broken\",\"odd.example\":\"odd\","
		      "\"evil.example\":\"x/../../evil\",\"gone.example\":\"nonexistent\"},"
		      "\"credsStore\":\"good\"}");
	point("REGISTRY_AUTH_FILE", "a.json");
	(void)setenv("PATH", path, 1);
	expect("good.example", "x", "u-good.example:s");
	expect("tok.example", "x", "<token>:s!");
	expect("none.example", "x", "-");
	expect("plain.example", "x", "host:p");
	expect("empty.example", "x", "u-empty.example:s"); /* from the store */
	expect("other.example:5000", "x", "u-other.example:5000:s");
	expect("broken.example", "x", "~no keyring");
	expect("odd.example", "x", "~without Username");
	expect("evil.example", "x", "~not a name");
	expect("gone.example", "x", "~docker-credential-nonexistent");
	(void)setenv("PATH", before, 1);
}

/* What is made of a challenge that needs no server. */
static void answer(const char *header, struct auth_login *l, const char *want)
{
	struct http_reply r = {.status = 401};
	const struct auth_ask ask = {&r, "https://r.example", "repository:x:pull", l};
	struct err e = ERR_INIT;
	char *got = NULL;

	strv_addf(&r.headers, "www-authenticate: %s", header);
	if (auth_answer(&ask, &got, &e) != 0)
		got = mem_strdup(e.msg);
	if (want[0] == '~')
		assert_non_null(strstr(got, want + 1));
	else
		assert_string_equal(got, want);
	auth_wipe(got);
	strv_release(&r.headers);
}

static void test_challenges(void **state)
{
	char user[] = "pos", secret[] = "sesame", token[] = "t";
	struct auth_login l = {user, secret, false}, t = {user, token, true}, none = {0};

	(void)state;
	answer("Basic realm=\"x\"", &l, "Basic cG9zOnNlc2FtZQ==");
	answer("basic", &l, "Basic cG9zOnNlc2FtZQ==");
	answer("Basic realm=\"x\"", &none, "~wants a login");
	answer("Basic realm=\"x\"", &t, "~wants a login");
	answer("Negotiate", &l, "~not known here");
	answer("Bearer service=\"x\"", &l, "~not known here");
	answer("Bearer realm=\"http://r.example/t\"", &l, "~down to http"); /* no secrets there */
	answer("Bearer realm=\"https://u@r.example/t\"", &l, "~no good");
	answer("Bearer realm=\"file:///etc/passwd\",service=x", &l, "~file:");
	answer("Bearer realm=\"", &l, "~not known here");
	answer("Bearer realm", &l, "~not known here");
	answer("Bearer ,,,=,", &l, "~not known here");
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_order_of_files), CASE(test_longest_path), CASE(test_bad_files),
	    CASE(test_helpers),        CASE(test_challenges),
	};

	intr_install(); /* a helper may end before it has read its input */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

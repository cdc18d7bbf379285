#include "remote/auth.h"

#include "form/hex.h"
#include "form/json.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20, HELPER_MAX = 1 << 16, HELPER_MS = 60000, PATH_MAX_LEN = 512 };

void auth_wipe(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void auth_login_release(struct auth_login *l)
{
	free(l->user);
	auth_wipe(l->secret);
	*l = (struct auth_login){0};
}

static void wipe_buf(struct buf *b)
{
	if (b->cap > 0)
		explicit_bzero(b->data, b->cap);
	buf_release(b);
}

/* "user:password" in base64, as `podman login` writes it. */
static int decode_auth(const char *text, const char *file, struct auth_login *ret, struct err *e)
{
	struct buf plain SCOPED(wipe_buf) = BUF_INIT(1 << 14);
	char *colon;

	if (base64_decode(text, &plain) != 0 || buf_over(&plain) ||
	    (colon = memchr(plain.data, ':', plain.len)) == NULL)
		return err_set(e, ERR_RECIPE, "%s: an \"auth\" is not base64 of user:password",
			       file);
	ret->user = mem_strndup(plain.data, (size_t)(colon - plain.data));
	ret->secret = mem_strdup(colon + 1);
	return 0;
}

static int read_entry(const struct jval *v, const char *file, struct auth_login *ret, struct err *e)
{
	const char *auth = jval_get_str(v, "auth");
	const char *token = jval_get_str(v, "identitytoken");
	const char *user = jval_get_str(v, "username"), *password = jval_get_str(v, "password");

	if (token != NULL && token[0] != '\0') {
		*ret = (struct auth_login){mem_strdup(user != NULL ? user : ""), mem_strdup(token),
					   true};
		return 0;
	}
	if (auth != NULL && auth[0] != '\0')
		return decode_auth(auth, file, ret, e);
	if (user != NULL && password != NULL)
		*ret = (struct auth_login){mem_strdup(user), mem_strdup(password), false};
	return 0;
}

/* A helper's name becomes a program's: nothing but a plain word. */
static bool helper_name_ok(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return n > 0 && s[n] == '\0' && s[0] != '.';
}

static int read_helper(const struct buf *out, const char *program, struct auth_login *ret,
		       struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	const char *user, *secret;

	if (jval_parse(out->data, out->len, program, &v, e) != 0)
		return -1;
	user = jval_get_str(v, "Username");
	secret = jval_get_str(v, "Secret");
	if (user == NULL || secret == NULL)
		return err_set(e, ERR_FAIL, "%s: answers without Username and Secret", program);
	*ret =
	    (struct auth_login){mem_strdup(user), mem_strdup(secret), strcmp(user, "<token>") == 0};
	return 0;
}

/* Asks docker-credential-NAME; that it knows none is no error. */
static int ask_helper(const char *name, const char *host, struct auth_login *ret, struct err *e)
{
	char *program SCOPED(mem_freep) = mem_format("docker-credential-%s", name);
	const char *const argv[] = {program, "get", NULL};
	struct buf out SCOPED(wipe_buf) = BUF_INIT(HELPER_MAX);
	struct buf said SCOPED(buf_release) = BUF_INIT(HELPER_MAX);
	struct proc_spec spec = {.argv = argv,
				 .env = (const char *const *)environ,
				 .input = host,
				 .input_len = strlen(host),
				 .out = &out,
				 .err = &said,
				 .timeout_ms = HELPER_MS};
	struct proc_result r;

	if (!helper_name_ok(name))
		return err_set(e, ERR_RECIPE, "credential helper \"%.40s\": not a name", name);
	if (proc_run(&spec, &r, e) != 0)
		return err_in(e, "credential helper");
	if (r.status == 0 && !r.timed_out)
		return read_helper(&out, program, ret, e);
	if (strstr(out.data, "credentials not found") != NULL)
		return 0;
	(void)err_set(e, ERR_FAIL, "%s get: %s: %.300s", program,
		      r.timed_out ? "takes too long" : "failed",
		      said.len > 0 ? said.data : out.data);
	return err_hint(e, "run it by hand: echo %s | %s get", host, program);
}

/* docker writes some keys as URLs: "https://HOST/v1/". */
static bool key_is_host(const char *key, const char *host)
{
	const char *at = strstr(key, "://");
	size_t n;

	if (at == NULL)
		return false;
	at += 3;
	n = strcspn(at, "/");
	return n == strlen(host) && strncmp(at, host, n) == 0;
}

struct by_url {
	const char *host;
	struct jval *hit;
};

static int match_url(void *ctx, const char *key, struct jval *val)
{
	struct by_url *b = ctx;

	if (b->hit == NULL && key_is_host(key, b->host))
		b->hit = val;
	return 0;
}

/* HOST/a/b, HOST/a, HOST, and then the keys that are URLs. */
static const struct jval *best_entry(const struct jval *auths, const char *host, const char *repo)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%s", host, repo);
	struct by_url b = {host, NULL};
	char *slash;

	for (;;) {
		const struct jval *hit = jval_get(auths, path);

		if (hit != NULL)
			return hit;
		slash = strrchr(path, '/');
		if (slash == NULL)
			break;
		*slash = '\0';
	}
	(void)jval_each(auths, match_url, &b);
	return b.hit;
}

struct where {
	const char *host, *repo;
};

static int look_in(const struct jval *v, const char *file, const struct where *w,
		   struct auth_login *ret, struct err *e)
{
	const char *helper = jval_get_str(jval_get(v, "credHelpers"), w->host);
	const char *store = jval_get_str(v, "credsStore");
	const struct jval *entry;

	if (helper != NULL)
		return ask_helper(helper, w->host, ret, e);
	entry = best_entry(jval_get(v, "auths"), w->host, w->repo);
	if (entry == NULL && jval_get(v, "auths") == NULL)
		entry = best_entry(v, w->host, w->repo); /* .dockercfg has them at the top */
	if (entry != NULL && read_entry(entry, file, ret, e) != 0)
		return -1;
	if (ret->secret == NULL && store != NULL && store[0] != '\0')
		return ask_helper(store, w->host, ret, e);
	return 0;
}

/* *ret stays empty when the file is absent (and need not be there) or has nothing for us. */
static int look_in_file(const char *file, bool must_be, const struct where *w,
			struct auth_login *ret, struct err *e)
{
	struct buf b SCOPED(wipe_buf) = BUF_INIT(FILE_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;

	if (!must_be && access(file, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fs_get(AT_FDCWD, file, &b, e) != 0)
		return err_in(e, "logins for registries");
	if (jval_parse(b.data, b.len, file, &v, e) != 0 || look_in(v, file, w, ret, e) != 0)
		return -1;
	return 0;
}

static void add_file(struct strv *l, const char *dir, const char *below)
{
	if (dir != NULL && dir[0] == '/')
		strv_addf(l, "%s/%s", dir, below);
}

static void usual_files(struct strv *l)
{
	const char *home = getenv("HOME"), *config = getenv("XDG_CONFIG_HOME");

	add_file(l, getenv("XDG_RUNTIME_DIR"), "containers/auth.json");
	strv_addf(l, "/run/containers/%lu/auth.json", (unsigned long)getuid());
	if (config != NULL && config[0] == '/')
		add_file(l, config, "containers/auth.json");
	else
		add_file(l, home, ".config/containers/auth.json");
	if (getenv("DOCKER_CONFIG") != NULL)
		add_file(l, getenv("DOCKER_CONFIG"), "config.json");
	else
		add_file(l, home, ".docker/config.json");
	add_file(l, home, ".dockercfg");
}

int auth_find(const char *host, const char *repo, struct auth_login *ret, struct err *e)
{
	const char *only = getenv("REGISTRY_AUTH_FILE");
	const struct where w = {host, repo};
	struct strv files SCOPED(strv_release) = {0};
	struct auth_login l = {0};

	if (only != NULL && only[0] != '\0')
		strv_add(&files, only);
	else
		usual_files(&files);
	for (size_t i = 0; i < files.n && l.secret == NULL; i++)
		if (look_in_file(files.v[i], only != NULL && only[0] != '\0', &w, &l, e) != 0) {
			auth_login_release(&l);
			return -1;
		}
	*ret = l;
	return 0;
}

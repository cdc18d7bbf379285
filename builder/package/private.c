#include "package/private.h"

#include "sys/fs.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define APT_TIMEOUT_MS (15ULL * 60 * 1000)

static const char *const dirs[] = {"etc/trusted.gpg.d",
				   "etc/apt.conf.d",
				   "etc/preferences.d",
				   "etc/sources.list.d",
				   "state/lists/partial",
				   "state/mirrors/partial",
				   "log",
				   "cache/archives/partial",
				   "etc/auth.conf.d"};

static const char *const passed_on[] = {"http_proxy", "https_proxy", "no_proxy"};

void private_release(struct private_apt *a)
{
	strv_release(&a->env);
}

static int put(const struct private_apt *a, const char *name, const struct buf *b, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(a->dir, name);

	if (buf_over(b))
		return err_set(e, ERR_RECIPE, "%s for apt is too large", name);
	return fs_put_path(path, b->data, b->len, 0644, e);
}

/* The machine's proxies for apt: `apt-config dump` lines, taken over as they are. A machine where
 * that fails has none. */
static int machine_proxies(struct buf *conf, struct err *e)
{
	static const char *const argv[] = {"apt-config", "dump", NULL};
	struct buf out SCOPED(buf_release) = BUF_INIT(4 << 20);
	struct proc_spec spec = {.argv = argv, .out = &out, .timeout_ms = 60000};
	struct proc_result r = {0};

	if (proc_run(&spec, &r, e) != 0)
		return -1;
	for (const char *p = out.data; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n') {
		size_t n = strcspn(p, "\n");

		if (strncasecmp(p, "Acquire::http::Proxy", 20) == 0 ||
		    strncasecmp(p, "Acquire::https::Proxy", 21) == 0 ||
		    strncasecmp(p, "Acquire::https::CaInfo", 22) == 0)
			buf_addf(conf, "%.*s\n", (int)n, p);
	}
	return 0;
}

static int put_config(const struct private_apt *a, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	const char *d = a->dir;

	if (strpbrk(d, "\"\n\\") != NULL)
		return err_set(e, ERR_FAIL, "%s: apt cannot work in a directory of that name", d);
	buf_addf(&b, "Dir \"%s/\";\nDir::Etc \"%s/etc/\";\n", d, d);
	buf_addf(&b, "Dir::State \"%s/state/\";\nDir::State::status \"%s/status\";\n", d, d);
	buf_addf(&b, "Dir::Cache \"%s/cache/\";\nDir::Log \"%s/log/\";\n", d, d);
	buf_addf(&b, "Dir::Bin::methods \"/usr/lib/apt/methods\";\n");
	buf_addf(&b, "APT::Architecture \"%s\";\nAPT::Architectures { \"%s\"; };\n",
		 a->recipe->apt->arch, a->recipe->apt->arch);
	buf_addf(&b, "APT::Install-Recommends \"%s\";\n", a->recipe->recommends ? "true" : "false");
	buf_addf(&b, "APT::Install-Suggests \"false\";\nAPT::Sandbox::User \"root\";\n"
		     "APT::Update::Error-Mode \"any\";\nAcquire::Languages \"none\";\n"
		     "Acquire::GzipIndexes \"false\";\nAcquire::Retries \"3\";\n"
		     "Acquire::AllowInsecureRepositories \"false\";\n"
		     "Acquire::AllowWeakRepositories \"false\";\n"
		     "Acquire::Check-Valid-Until \"true\";\n"
		     "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
		     "pkgCacheGen::ForceEssential \"none\";\n");
	if (machine_proxies(&b, e) != 0)
		return -1;
	return put(a, "apt.conf", &b, e);
}

/* trusted.gpg.d holds the recipe's keyring alone; its suffix says whether it is armored. */
static int put_keyring(const struct private_apt *a, struct err *e)
{
	static const char armor[] = "-----BEGIN PGP";
	const struct recipe_apt *r = a->recipe->apt;
	struct buf b SCOPED(buf_release) = BUF_INIT(16 << 20);
	bool armored;

	if (r->keyring == NULL || fs_get(AT_FDCWD, r->keyring, &b, e) != 0) {
		char *why SCOPED(mem_freep) =
		    mem_strdup(r->keyring == NULL ? "none given" : e->msg);

		(void)recipe_err(&r->pos, e, "no keyring for the repositories: %s", why);
		return err_hint(e, "base.apt.keyring names the archive's public keys");
	}
	armored = strncmp(b.data, armor, strlen(armor)) == 0;
	return put(a, armored ? "etc/trusted.gpg.d/k.asc" : "etc/trusted.gpg.d/k.gpg", &b, e);
}

int private_pin(struct private_apt *a, const struct strv *names, const struct strv *versions,
		struct err *e)
{
	const struct recipe *r = a->recipe;
	struct buf b SCOPED(buf_release) = BUF_INIT(32 << 20);

	for (size_t i = 0; i < r->exclude.n; i++) {
		const char *glob = r->exclude.v[i];

		if (glob[0] == '\0' ||
		    glob[strspn(glob, "abcdefghijklmnopqrstuvwxyz0123456789+-.*?[]")] != '\0')
			return recipe_err(&r->apt->pos, e,
					  "packages.exclude: \"%s\" is no pattern of package names",
					  glob);
		buf_addf(&b, "Package: %s\nPin: release *\nPin-Priority: -1\n\n", glob);
	}
	for (size_t i = 0; i < names->n; i++)
		buf_addf(&b, "Package: %s\nPin: version %s\nPin-Priority: 1001\n\n", names->v[i],
			 versions->v[i]);
	return put(a, "etc/preferences", &b, e);
}

int private_make(const struct recipe *r, const char *dir, struct private_apt *ret, struct err *e)
{
	struct private_apt a SCOPED(private_release) = {.recipe = r, .dir = dir};
	struct buf none SCOPED(buf_release) = BUF_INIT(1);
	static const struct strv no_pins;
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, dir, &fd, e) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (fs_mkdirs(fd, dirs[i], 0755, e) != 0)
			return -1;
	if (put_keyring(&a, e) != 0 || put_config(&a, e) != 0 ||
	    private_pin(&a, &no_pins, &no_pins, e) != 0 || put(&a, "status", &none, e) != 0)
		return -1;
	strv_add(&a.env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
	strv_add(&a.env, "LC_ALL=C");
	strv_add(&a.env, "TZ=UTC");
	strv_addf(&a.env, "APT_CONFIG=%s/apt.conf", dir);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		if (getenv(passed_on[i]) != NULL)
			strv_addf(&a.env, "%s=%s", passed_on[i], getenv(passed_on[i]));
	*ret = a;
	a = (struct private_apt){0};
	return 0;
}

int private_sources(struct private_apt *a, const struct private_source *v, size_t n, struct err *e)
{
	const struct recipe_apt *r = a->recipe->apt;
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

	for (size_t i = 0; i < n; i++) {
		if (strcmp(v[i].suite, "./") == 0) {
			buf_addf(&b, "deb [trusted=yes] %s ./\n", v[i].uri);
			continue;
		}
		buf_addf(&b, "deb [arch=%s%s] %s %s", r->arch,
			 v[i].old ? " check-valid-until=no" : "", v[i].uri, v[i].suite);
		for (size_t k = 0; k < r->components.n; k++)
			buf_addf(&b, " %s", r->components.v[k]);
		buf_addf(&b, "%s\n", r->components.n == 0 ? " main" : "");
	}
	return put(a, "etc/sources.list", &b, e);
}

int private_run(const struct private_apt *a, const char *const *argv, struct buf *ret_out,
		struct buf *ret_err, int *ret_status, struct err *e)
{
	struct proc_spec spec = {.argv = argv,
				 .env = (const char *const *)(uintptr_t)a->env.v,
				 .cwd = "/",
				 .out = ret_out,
				 .err = ret_err,
				 .timeout_ms = APT_TIMEOUT_MS};
	struct proc_result r = {0};

	if (proc_run(&spec, &r, e) != 0)
		return err_hint(e, "install the package apt");
	if (r.timed_out)
		return err_set(e, ERR_REMOTE, "%s: no end after %llu minutes", argv[0],
			       APT_TIMEOUT_MS / 60000);
	if (buf_over(ret_out))
		return err_set(e, ERR_FAIL, "%s: more output than expected", argv[0]);
	*ret_status = r.status;
	return 0;
}

static bool telling(const char *line)
{
	return strncmp(line, "E: ", 3) == 0 || strncmp(line, "W: GPG error", 12) == 0;
}

char *private_complaint(const struct buf *err)
{
	struct buf b = BUF_INIT(700);

	for (const char *p = err->data; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n')
		if (telling(p))
			buf_addf(&b, "%s%.*s", b.len > 0 ? "; " : "", (int)strcspn(p + 3, "\n"),
				 p + 3);
	if (b.len == 0)
		buf_addf(&b, "no reason given");
	return buf_take(&b);
}

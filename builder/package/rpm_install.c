/* The tree is the root of the sandbox, and rpm is a guest in it: /run, which is not the tree's,
 * has the machine's rpm, its libraries and its configuration. So scriptlets run in the tree with no
 * change of root that could be undone, and the tree needs no rpm of its own. */
#include "package/dnf.h"

#include "base/log.h"
#include "base/map.h"
#include "package/rpmdb.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#if defined(__aarch64__)
#define LOADER "/lib/ld-linux-aarch64.so.1"
#else
#define LOADER "/lib64/ld-linux-x86-64.so.2"
#endif

#define GUEST          "/run/posmedia"
#define RUN_TIMEOUT_MS (60ULL * 60 * 1000)
#define TAIL           4096 /* bytes of output kept for an error */

struct transaction {
	const struct package_install *in;
	char *rpms;      /* packages/, keys/: outside */
	char *libraries; /* of the machine: outside */
	char *loader;    /* inside */
	struct strv env;
	struct buf line, tail;
	char *unverified; /* the first package that is not what was signed, with rpm's words */
	char *failed;     /* the first error of rpm's */
	uint64_t done, total;
};

static void transaction_release(struct transaction *t)
{
	free(t->rpms);
	free(t->libraries);
	free(t->loader);
	free(t->unverified);
	free(t->failed);
	strv_release(&t->env);
	buf_release(&t->line);
	buf_release(&t->tail);
}

static void keep_tail(struct transaction *t)
{
	if (t->tail.len + t->line.len + 3 > TAIL) {
		size_t drop = t->tail.len / 2;

		memmove(t->tail.data, t->tail.data + drop, t->tail.len - drop);
		buf_cut(&t->tail, t->tail.len - drop);
	}
	buf_addf(&t->tail, "%s%s", t->tail.len > 0 ? " | " : "", t->line.data);
}

static void read_line(struct transaction *t)
{
	static const char error[] = "error: ", warning[] = "warning: ";
	const char *line = t->line.data + strspn(t->line.data, " \t");

	/* with -v rpm names each package when it is its turn, alone in a line */
	if (strpbrk(line, " \t") == NULL && t->done < t->total)
		log_progress("install", ++t->done, t->total);
	if (t->unverified == NULL && strstr(line, " does not verify: ") != NULL)
		t->unverified = mem_strdup(line);
	if (t->failed == NULL && strncmp(line, error, sizeof(error) - 1) == 0)
		t->failed = mem_strdup(line + sizeof(error) - 1);
	if (strncmp(line, warning, sizeof(warning) - 1) == 0 && strstr(line, "scriptlet") != NULL)
		log_warn("%s", line + sizeof(warning) - 1);
	keep_tail(t);
}

static int hear(void *ctx, const void *p, size_t n, struct err *e)
{
	struct transaction *t = ctx;
	const char *at = p, *end = at + n;

	if (t->in->out != NULL && sink_write(t->in->out, p, n, e) != 0)
		return -1;
	while (at < end) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		const char *to = nl != NULL ? nl : end;

		buf_add(&t->line, at, (size_t)(to - at));
		if (nl != NULL) {
			read_line(t);
			buf_cut(&t->line, 0);
		}
		at = to + (nl != NULL ? 1 : 0);
	}
	return 0;
}

static void set_env(struct transaction *t)
{
	strv_add(&t->env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strv_add(&t->env, "HOME=/root");
	strv_add(&t->env, "LC_ALL=C");
	strv_add(&t->env, "TZ=UTC");
	strv_add(&t->env, "RPM_CONFIGDIR=" GUEST "/config");
	strv_add(&t->env, "SYSTEMD_OFFLINE=1");
	strv_addf(&t->env, "SOURCE_DATE_EPOCH=%lld", (long long)t->in->lock->epoch);
}

/* Where the machine has its loader has its libraries. */
static int find_libraries(struct transaction *t, struct err *e)
{
	char *real SCOPED(mem_freep) = realpath(LOADER, NULL);
	char *name SCOPED(mem_freep) = NULL;

	if (real == NULL)
		return err_sys(e, "find %s", LOADER);
	name = fs_basename(real);
	t->libraries = fs_dirname(real);
	t->loader = mem_format(GUEST "/lib/%s", name);
	return 0;
}

/* What every run is told: nothing is read from the tree or from root's home, the database is where
 * the release has it, and of several architectures the machine's own wins a file. */
static void common(const struct transaction *t, struct strv *argv)
{
	strv_add(argv, t->loader);
	strv_add(argv, "--library-path");
	strv_add(argv, GUEST "/lib");
	strv_add(argv, GUEST "/rpm");
	strv_add(argv,
		 "--macros=" GUEST "/config/macros:" GUEST "/config/platform/%{_target}/macros");
	strv_add(argv, "--rcfile=" GUEST "/config/rpmrc");
	strv_add(argv, "--noplugins");
	strv_add(argv, "--define=_rpmconfigdir " GUEST "/config");
	strv_add(argv, "--define=_dbpath /var/lib/rpm");
	/* the kernel's, of which nothing can be changed; make_mount_points makes the directory */
	strv_add(argv, "--define=_netsharedpath /proc");
	strv_add(argv, "--define=_keyring fs");
	strv_add(argv, "--define=_keyringpath " GUEST "/in/keys/");
	strv_add(argv, "--define=_pkgverify_level all");
	strv_add(argv, "--define=_transaction_color 3");
	strv_add(argv, "--define=_prefer_color 2");
}

static int run(struct transaction *t, const struct strv *argv, struct err *e)
{
	const struct sandbox_bind binds[] = {
	    {t->libraries, GUEST "/lib", false},
	    {"/usr/lib/rpm", GUEST "/config", false},
	    {"/usr/bin/rpm", GUEST "/rpm", false},
	    {t->rpms, GUEST "/in", false},
	};
	struct sink out = {hear, t};
	struct sandbox_spec spec = {.root = t->in->root,
				    .binds = binds,
				    .binds_n = sizeof(binds) / sizeof(binds[0]),
				    .argv = (const char *const *)(uintptr_t)argv->v,
				    .env = (const char *const *)(uintptr_t)t->env.v,
				    .timeout_ms = RUN_TIMEOUT_MS,
				    .no_sync = true,
				    .out = &out};
	struct sandbox_result r = {0};

	if (access("/usr/bin/rpm", X_OK) != 0) {
		(void)err_sys(e, "find rpm");
		return err_hint(e, "install the package rpm");
	}
	if (sandbox_run(&spec, &r, e) != 0)
		return err_in(e, "install packages");
	if (t->line.len > 0)
		read_line(t);
	if (r.timed_out)
		return err_set(e, ERR_STEP, "rpm: no end after %llu minutes: %s",
			       RUN_TIMEOUT_MS / 60000, t->tail.data);
	if (t->unverified != NULL) {
		(void)err_set(e, ERR_VERIFY, "nothing is installed: %s", t->unverified);
		return err_hint(e, "each package must be signed by a gpgkey of the recipe");
	}
	if (r.status == 0)
		return 0;
	return err_set(e, ERR_STEP, "packages cannot be installed: %s: %s",
		       t->failed != NULL ? t->failed : "rpm", t->tail.data);
}

/* "en_US" keeps what is marked en_US and en: rpm compares up to '_' by itself. */
static char *languages(const struct strv *langs)
{
	struct buf b = BUF_INIT(1 << 16);

	for (size_t i = 0; i < langs->n; i++)
		buf_addf(&b, "%s%s", i > 0 ? ":" : "", langs->v[i]);
	return buf_take(&b);
}

static int install(struct transaction *t, struct err *e)
{
	const struct recipe *r = t->in->recipe;
	const struct lock *l = t->in->lock;
	struct strv argv SCOPED(strv_release) = {0};

	common(t, &argv);
	if (r->langs.n > 0) {
		char *langs SCOPED(mem_freep) = languages(&r->langs);

		strv_addf(&argv, "--define=_install_langs %s", langs);
	}
	if (!r->docs)
		strv_add(&argv, "--excludedocs");
	strv_add(&argv, "-Uv");
	strv_add(&argv, "--");
	for (size_t i = 0; i < l->packages_n; i++)
		strv_addf(&argv, GUEST "/in/packages/%s.%s.rpm", l->packages[i].name,
			  l->packages[i].arch);
	return run(t, &argv, e);
}

static int remove_unwanted(struct transaction *t, struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0};

	if (t->in->recipe->remove.n == 0)
		return 0;
	common(t, &argv);
	strv_add(&argv, "-e");
	strv_add(&argv, "--nodeps");
	strv_add(&argv, "--");
	strv_extend(&argv, &t->in->recipe->remove);
	return run(t, &argv, e);
}

/* NAME.ARCH.rpm for each package. */
static int link_rpm(const struct package_install *in, int dir, const struct lock_package *p,
		    struct err *e)
{
	char *from SCOPED(mem_freep) = in->file_path(in->ctx, p);
	char *name SCOPED(mem_freep) = mem_format("%s.%s.rpm", p->name, p->arch);

	return package_link(from, dir, name, e) == 0 ? 0 : err_in(e, "package %s", p->name);
}

/* Every block of a file on its own: of several rpm reads the first. */
static int put_blocks(int dir, size_t file, const char *text, struct err *e)
{
	size_t n = 0;
	const char *end;

	for (const char *at = text; (at = strstr(at, DNF_KEY_BEGIN)) != NULL; at = end) {
		char *name SCOPED(mem_freep) = mem_format("%zu.%zu.key", file, n++);

		end = strstr(at, DNF_KEY_END);
		if (end == NULL)
			return err_set(e, ERR_RECIPE, "a block of keys has no end");
		end += strlen(DNF_KEY_END);
		if (fs_put(dir, name, at, (size_t)(end - at), 0644, e) != 0)
			return -1;
	}
	return 0;
}

static int put_keys(const struct transaction *t, int dir, struct err *e)
{
	struct strv keys SCOPED(strv_release) = {0};

	recipe_base_files(t->in->recipe, &keys);
	for (size_t i = 0; i < keys.n; i++) {
		struct buf key SCOPED(buf_release) = BUF_INIT(DNF_KEYS_MAX);

		if (fs_get(AT_FDCWD, keys.v[i], &key, e) != 0 ||
		    put_blocks(dir, i, key.data, e) != 0)
			return err_in(e, "%s", keys.v[i]);
	}
	return 0;
}

static int make_rpms(struct transaction *t, struct err *e)
{
	const struct lock *l = t->in->lock;
	int fd SCOPED(fd_closep) = -1, packages SCOPED(fd_closep) = -1, keys SCOPED(fd_closep) = -1;

	t->rpms = fs_join(t->in->scratch, "rpms");
	if (fs_rmtree(AT_FDCWD, t->rpms, e) != 0 || fs_mkdirs(AT_FDCWD, t->rpms, 0755, e) != 0 ||
	    fs_open_dir(AT_FDCWD, t->rpms, &fd, e) != 0 ||
	    fs_mkdirs(fd, "packages", 0755, e) != 0 || fs_mkdirs(fd, "keys", 0755, e) != 0 ||
	    fs_open_dir(fd, "packages", &packages, e) != 0 ||
	    fs_open_dir(fd, "keys", &keys, e) != 0 || put_keys(t, keys, e) != 0)
		return -1;
	for (size_t i = 0; i < l->packages_n; i++)
		if (link_rpm(t->in, packages, &l->packages[i], e) != 0)
			return -1;
	return 0;
}

/* While rpm works other file systems lie over these directories: their modes would go to those. */
static int make_mount_points(const struct transaction *t, struct err *e)
{
	static const struct {
		const char *name;
		mode_t mode;
	} points[] = {{"proc", 0555}, {"dev", 0755}, {"run", 0755}, {"tmp", 01777}};
	int root SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, t->in->root, &root, e) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		if (mkdirat(root, points[i].name, 0755) != 0 ||
		    fchmodat(root, points[i].name, points[i].mode, 0) != 0)
			return err_sys(e, "make directory %s", points[i].name);
	return 0;
}

static int check_one(struct map *missing, const struct rpmdb_package *p, struct err *e)
{
	char *key SCOPED(mem_freep) = mem_format("%s.%s", p->name, p->arch);
	const struct lock_package *want = map_get(missing, key);

	if (want == NULL)
		return err_set(e, ERR_STEP, "package %s is in the tree but not in the lock", key);
	if (strcmp(want->version, p->version) != 0)
		return err_set(e, ERR_STEP, "package %s: installed %s, locked %s", key, p->version,
			       want->version);
	(void)map_put(missing, key, NULL);
	return 0;
}

/* The database has what is locked and is not removed, and nothing else. */
static int check(const struct transaction *t, struct err *e)
{
	const struct lock *l = t->in->lock;
	struct rpmdb db SCOPED(rpmdb_release) = {0};
	struct map missing = {0};
	int root SCOPED(fd_closep) = -1, rc = 0;

	if (fs_open_dir(AT_FDCWD, t->in->root, &root, e) != 0 ||
	    rpmdb_read(root, RPMDB_NAMES, &db, e) != 0)
		return -1;
	for (size_t i = 0; i < l->packages_n; i++) {
		char *key SCOPED(mem_freep) =
		    mem_format("%s.%s", l->packages[i].name, l->packages[i].arch);

		if (!strv_has(&t->in->recipe->remove, l->packages[i].name))
			(void)map_put(&missing, key, &l->packages[i]);
	}
	for (size_t i = 0; rc == 0 && i < db.n; i++)
		rc = check_one(&missing, &db.v[i], e);
	for (size_t i = 0; rc == 0 && i < l->packages_n; i++) {
		char *key SCOPED(mem_freep) =
		    mem_format("%s.%s", l->packages[i].name, l->packages[i].arch);

		if (map_get(&missing, key) != NULL)
			rc = err_set(e, ERR_STEP, "package %s is in the lock but not in the tree",
				     key);
	}
	map_release(&missing, NULL);
	return rc;
}

/* Scriptlets are programs of the image. */
static int check_machine(const struct recipe_dnf *dnf, struct err *e)
{
	struct utsname u;

	if (uname(&u) != 0 || strcmp(u.machine, dnf->arch) == 0)
		return 0;
	return recipe_err(&dnf->pos, e, "packages of %s cannot be installed on a machine of %s",
			  dnf->arch, u.machine);
}

int rpm_install(const struct package_install *in, struct err *e)
{
	struct transaction t SCOPED(transaction_release) = {.in = in,
							    .line = BUF_INIT(TAIL / 4),
							    .tail = BUF_INIT(2 * TAIL),
							    .total = in->lock->packages_n};
	mode_t before = umask(022); /* the caller's must not show in the tree */
	int rc = -1;

	set_env(&t);
	if (check_machine(in->recipe->dnf, e) == 0 && find_libraries(&t, e) == 0 &&
	    make_rpms(&t, e) == 0 && make_mount_points(&t, e) == 0 && install(&t, e) == 0 &&
	    remove_unwanted(&t, e) == 0)
		rc = check(&t, e);
	(void)umask(before);
	return rc;
}

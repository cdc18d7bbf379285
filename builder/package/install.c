#include "package/apt.h"

#include "base/log.h"
#include "package/bootstrap.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEBS           "/run/posmedia" /* inside: a tmpfs, so that no trace stays in the tree */
#define RUN_TIMEOUT_MS (60ULL * 60 * 1000)
#define TAIL           4096 /* bytes of output kept for an error */

/* Reads along with dpkg: how far it is, which package failed, its last words. */
struct watch {
	const struct sink *next; /* may be NULL */
	struct buf line;
	struct buf tail;
	char *failed; /* the package, or NULL */
	uint64_t done, total;
};

struct install {
	const struct package_install *in;
	char *debs; /* the directory of links, outside */
	struct strv env;
	struct strv options; /* of every dpkg run */
	struct watch watch;
};

static void install_release(struct install *s)
{
	free(s->debs);
	strv_release(&s->env);
	strv_release(&s->options);
	buf_release(&s->watch.line);
	buf_release(&s->watch.tail);
	free(s->watch.failed);
}

static bool starts(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* "package NAME:ARCH (--configure):" or "archive FILE.deb (--unpack):" */
static char *failed_name(const char *said)
{
	static const char package[] = "package ", archive[] = "archive " DEBS "/";
	size_t n;

	if (starts(said, package))
		said += strlen(package);
	if (starts(said, archive))
		said += strlen(archive);
	n = strcspn(said, " :");
	if (n > 4 && memcmp(said + n - 4, ".deb", 4) == 0)
		n -= 4;
	return mem_strndup(said, n);
}

static void watch_line(struct watch *w)
{
	static const char error[] = "dpkg: error processing ";
	const char *line = w->line.data;

	if (starts(line, "Unpacking ") || starts(line, "Setting up ")) {
		if (w->done < w->total)
			log_progress("install", ++w->done, w->total);
	} else if (starts(line, error) && w->failed == NULL) {
		w->failed = failed_name(line + strlen(error));
	}
	if (w->tail.len + w->line.len + 1 > TAIL) {
		size_t drop = w->tail.len / 2;

		memmove(w->tail.data, w->tail.data + drop, w->tail.len - drop);
		w->tail.len -= drop;
	}
	buf_addf(&w->tail, "%s%s", w->tail.len > 0 ? " | " : "", line);
}

static int watch_write(void *ctx, const void *p, size_t n, struct err *e)
{
	struct watch *w = ctx;
	const char *at = p, *end = at + n;

	if (w->next != NULL && sink_write(w->next, p, n, e) != 0)
		return -1;
	while (at < end) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		const char *to = nl != NULL ? nl : end;

		buf_add(&w->line, at, (size_t)(to - at)); /* an endless line keeps its beginning */
		if (nl != NULL) {
			watch_line(w);
			buf_release(&w->line);
			w->line = (struct buf)BUF_INIT(TAIL / 4);
		}
		at = to + (nl != NULL ? 1 : 0);
	}
	return 0;
}

/* The end of what was said, for the message. */
static const char *last_words(struct watch *w)
{
	if (w->line.len > 0)
		watch_line(w);
	return w->tail.len > 600 ? w->tail.data + w->tail.len - 600 : w->tail.data;
}

/* Runs dpkg with the options of all runs, `args` and the packages `names`: file names with
 * `files`. */
static int run_dpkg(struct install *s, const char *const *args, const struct strv *names,
		    bool files, struct err *e)
{
	struct sandbox_bind bind = {s->debs, DEBS, false};
	struct sink out = {watch_write, &s->watch};
	struct sandbox_result r = {0};
	struct strv argv SCOPED(strv_release) = {0};
	struct sandbox_spec spec = {.root = s->in->root,
				    .binds = &bind,
				    .binds_n = 1,
				    .env = (const char *const *)(uintptr_t)s->env.v,
				    .timeout_ms = RUN_TIMEOUT_MS,
				    .no_sync = true,
				    .out = &out};

	strv_add(&argv, "dpkg");
	strv_extend(&argv, &s->options);
	for (; *args != NULL; args++)
		strv_add(&argv, *args);
	for (size_t i = 0; i < names->n; i++)
		strv_addf(&argv, files ? DEBS "/%s.deb" : "%s", names->v[i]);
	spec.argv = (const char *const *)(uintptr_t)argv.v;
	if (sandbox_run(&spec, &r, e) != 0)
		return err_in(e, "install packages");
	if (r.timed_out)
		return err_set(e, ERR_STEP, "dpkg: no end after %llu minutes: %s",
			       RUN_TIMEOUT_MS / 60000, last_words(&s->watch));
	if (r.status == 0)
		return 0;
	return err_set(e, ERR_STEP, "package %s cannot be installed: %s",
		       s->watch.failed != NULL ? s->watch.failed : "(unknown)",
		       last_words(&s->watch));
}

/* NAME.deb for each package. */
static int link_deb(const struct package_install *in, int debs, const struct lock_package *p,
		    struct err *e)
{
	char *from SCOPED(mem_freep) = in->file_path(in->ctx, p);
	char *name SCOPED(mem_freep) = mem_format("%s.deb", p->name);

	return package_link(from, debs, name, e) == 0 ? 0 : err_in(e, "package %s", p->name);
}

/* The essential packages, or the others. */
static int link_debs(struct install *s, bool essential, struct err *e)
{
	const struct lock *l = s->in->lock;
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, s->debs, &fd, e) != 0)
		return -1;
	for (size_t i = 0; i < l->packages_n; i++)
		if (l->packages[i].essential == essential &&
		    link_deb(s->in, fd, &l->packages[i], e) != 0)
			return -1;
	return 0;
}

static int make_debs(struct install *s, struct err *e)
{
	s->debs = fs_join(s->in->scratch, "debs");
	if (fs_rmtree(AT_FDCWD, s->debs, e) != 0)
		return -1;
	return fs_mkdirs(AT_FDCWD, s->debs, 0755, e);
}

static void set_env(struct install *s)
{
	strv_add(&s->env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strv_add(&s->env, "HOME=/root");
	strv_add(&s->env, "LC_ALL=C");
	strv_add(&s->env, "TZ=UTC");
	strv_add(&s->env, "DEBIAN_FRONTEND=noninteractive");
	strv_add(&s->env, "DEBCONF_NONINTERACTIVE_SEEN=true");
	strv_addf(&s->env, "SOURCE_DATE_EPOCH=%lld", (long long)s->in->lock->epoch);
}

/* Locales "en_US.UTF-8@x" keep en_US and en. */
static void keep_lang(struct strv *options, const char *lang)
{
	size_t full = strcspn(lang, ".@"), base = strcspn(lang, "_.@");

	strv_addf(options, "--path-include=/usr/share/locale/%.*s/*", (int)full, lang);
	strv_addf(options, "--path-include=/usr/share/man/%.*s/*", (int)full, lang);
	if (base != full) {
		strv_addf(options, "--path-include=/usr/share/locale/%.*s/*", (int)base, lang);
		strv_addf(options, "--path-include=/usr/share/man/%.*s/*", (int)base, lang);
	}
}

/* Later rules win (dpkg(1)): languages first, then documentation, then licences, which stay. */
static void set_options(struct install *s)
{
	static const char *const always[] = {"--force-unsafe-io", "--force-confdef",
					     "--force-confold",   "--abort-after=1",
					     "--no-triggers",     "--log=/dev/null"};
	static const char *const langs[] = {
	    "--path-exclude=/usr/share/locale/*", "--path-include=/usr/share/locale/locale.alias",
	    "--path-exclude=/usr/share/man/*", "--path-include=/usr/share/man/man[0-9]*/*"};
	static const char *const docs[] = {
	    "--path-exclude=/usr/share/doc/*",     "--path-exclude=/usr/share/man/*",
	    "--path-exclude=/usr/share/info/*",    "--path-exclude=/usr/share/groff/*",
	    "--path-exclude=/usr/share/lintian/*", "--path-include=/usr/share/doc/*/copyright"};
	const struct recipe *r = s->in->recipe;

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		strv_add(&s->options, always[i]);
	for (size_t i = 0; r->langs.n > 0 && i < sizeof(langs) / sizeof(langs[0]); i++)
		strv_add(&s->options, langs[i]);
	for (size_t i = 0; i < r->langs.n; i++)
		keep_lang(&s->options, r->langs.v[i]);
	for (size_t i = 0; !r->docs && i < sizeof(docs) / sizeof(docs[0]); i++)
		strv_add(&s->options, docs[i]);
}

/* Services stay off while packages are installed (invoke-rc.d(8)). */
static int put_policy(const struct package_install *in, struct err *e)
{
	static const char text[] = "#!/bin/sh\nexit 101\n";
	char *path SCOPED(mem_freep) = fs_join(in->root, "usr/sbin/policy-rc.d");

	if (fs_put_path(path, text, sizeof(text) - 1, 0755, e) != 0)
		return -1;
	return chmod(path, 0755) == 0 ? 0 : err_sys(e, "chmod %s", path);
}

static int drop_policy(const struct package_install *in, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(in->root, "usr/sbin/policy-rc.d");

	return unlink(path) == 0 ? 0 : err_sys(e, "remove %s", path);
}

static int install_essential(struct install *s, struct err *e)
{
	static const char *const args[] = {"--force-depends", "--install", NULL};
	const struct lock *l = s->in->lock;
	struct strv names SCOPED(strv_release) = {0};

	for (size_t i = 0; i < l->packages_n; i++)
		if (l->packages[i].essential)
			strv_add(&names, l->packages[i].name);
	return run_dpkg(s, args, &names, true, e);
}

static int install_batches(struct install *s, struct err *e)
{
	static const char *const unpack[] = {"--unpack", NULL};
	static const char *const configure[] = {"--configure", NULL};
	const struct lock *l = s->in->lock;

	for (size_t i = 0; i < l->batches_n; i++) {
		const struct lock_batch *b = &l->batches[i];

		if (run_dpkg(s, b->configure ? configure : unpack, &b->names, !b->configure, e) !=
		    0)
			return -1;
	}
	return 0;
}

static int finish(struct install *s, struct err *e)
{
	static const char *const rest[] = {"--triggers", "--configure", "--pending", NULL};
	static const char *const purge[] = {"--triggers", "--force-depends", "--purge", NULL};
	static const struct strv none = {0};

	if (run_dpkg(s, rest, &none, false, e) != 0)
		return -1;
	if (s->in->recipe->remove.n > 0 &&
	    run_dpkg(s, purge, &s->in->recipe->remove, false, e) != 0)
		return -1;
	return 0;
}

static int install_all(struct install *s, struct err *e)
{
	const struct package_install *in = s->in;

	if (make_debs(s, e) != 0 || link_debs(s, true, e) != 0 || bootstrap_tree(in, e) != 0 ||
	    put_policy(in, e) != 0 || install_essential(s, e) != 0 || link_debs(s, false, e) != 0 ||
	    install_batches(s, e) != 0 || finish(s, e) != 0 || drop_policy(in, e) != 0 ||
	    bootstrap_prune(in, e) != 0)
		return -1;
	log_progress("install", s->watch.total, s->watch.total);
	return bootstrap_check(in, e);
}

int apt_install(const struct package_install *in, struct err *e)
{
	struct install s SCOPED(install_release) = {
	    .in = in,
	    .watch = {.next = in->out,
		      .line = BUF_INIT(TAIL / 4),
		      .tail = BUF_INIT(2 * TAIL),
		      .total = 2 * in->lock->packages_n},
	};
	mode_t before = umask(022); /* the caller's must not show in the tree */
	int r;

	set_env(&s);
	set_options(&s);
	r = install_all(&s, e);
	(void)umask(before);
	return r;
}

/* The last look at a tree: nothing that was generated here, no secret and no trace of this machine
 * leaves in an image. */
#include "build/blame.h"
#include "build/leak.h"
#include "build/looked.h"

#include "base/log.h"
#include "base/num.h"
#include "harden/root.h"
#include "harden/secrets.h"
#include "package/package.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHOWN = 3, DAY_S = 24 * 60 * 60 };

static int refuse(const struct strv *found, const char *what, const char *hint, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(900);

	if (found->n == 0)
		return 0;
	for (size_t i = 0; i < found->n; i++)
		log_warn("%s: %s", what, found->v[i]);
	for (size_t i = 0; i < found->n && i < SHOWN; i++)
		buf_addf(&b, "%s%s", i > 0 ? "; " : "", found->v[i]);
	(void)err_set(e, ERR_VERIFY, "%zu %s%s in the image: %s%s", found->n, what,
		      found->n > 1 ? "s" : "", b.data, found->n > SHOWN ? "; ..." : "");
	return err_hint(e, "%s", hint);
}

/* Whether the file is as the package shipped it: nothing that came later has it. */
static bool is_shipped(const struct blame *b, const char *path)
{
	return b->stages > 0 && blame_package(b, path) != NULL && blame_stage(b, path) == 0 &&
	       blame_overlay(b, path) == NULL;
}

/* Keys that the whole world has are no secret: those that a package ships in a directory of tests,
 * examples or documents. */
static bool is_published(const struct blame *b, const struct secret *s)
{
	static const char *const where[] = {
	    "usr/share/doc/**", "usr/share/**/t/**",  "usr/lib/**/t/**",     "usr/**/test/**",
	    "usr/**/tests/**",  "usr/**/testdata/**", "usr/**/test_data/**", "usr/**/examples/**",
	};

	if (s->kind != SECRET_PRIVATE_KEY || !is_shipped(b, s->path))
		return false;
	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++)
		if (root_match(where[i], s->path))
			return true;
	return false;
}

static int find_secrets(const struct blame *b, int rootfd, struct facts *f, struct err *e)
{
	struct secrets s SCOPED(secrets_release) = {0};
	struct strv found SCOPED(strv_release) = {0};

	if (secrets_find(rootfd, f, SECRET_ALL, &s, e) != 0)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		char *who SCOPED(mem_freep) = blame_words(b, s.v[i].path);

		looked_found(b->j->looked, s.v[i].path);
		if (is_published(b, &s.v[i]))
			log_info("/%s: %s of a test or an example, as it is published (%s)",
				 s.v[i].path, s.v[i].what, who);
		else
			strv_addf(&found, "/%s: %s (%s)", s.v[i].path, s.v[i].what, who);
	}
	return refuse(&found, "secret",
		      "Remove them in a step, or keep them out of overlays, media and packages.",
		      e);
}

static void leaks_release(struct leaks *l)
{
	strv_release(&l->hard);
	strv_release(&l->soft);
	strv_release(&l->paths);
}

static int find_leaks(const struct blame *b, int rootfd, struct facts *f, struct err *e)
{
	struct leaks l SCOPED(leaks_release) = {0};
	const struct facts_files *files;

	if (facts_files(f, &files, e) != 0 || leak_find(b, rootfd, files, &l, e) != 0)
		return -1;
	for (size_t i = 0; i < l.paths.n; i++)
		looked_found(b->j->looked, l.paths.v[i]);
	for (size_t i = 0; i < l.soft.n; i++)
		log_warn("trace of this machine: %s", l.soft.v[i]);
	return refuse(&l.hard, "trace of this machine",
		      "What a program writes must not depend on the machine: remove the file in "
		      "a step, or give it by an overlay.",
		      e);
}

/* The day of the last change of a password is never after the image's own; only a clock that
 * should not have been asked says so. */
static void write_row(struct buf *out, const char *row, size_t n, int64_t today)
{
	const char *end = row + n, *at = row;
	char *day SCOPED(mem_freep) = NULL;
	uint64_t v;

	for (int colons = 0; colons < 2 && at < end; at++)
		colons += *at == ':';
	day = mem_strndup(at, strcspn(at, ":\n") < (size_t)(end - at) ? strcspn(at, ":\n")
								      : (size_t)(end - at));
	if (num_u64(day, INT64_MAX, &v) != 0 || (int64_t)v <= today) {
		buf_add(out, row, n);
		return;
	}
	buf_add(out, row, (size_t)(at - row));
	buf_addf(out, "%lld", (long long)today);
	buf_add(out, at + strlen(day), (size_t)(end - at) - strlen(day));
}

static int fix_shadow(const struct job *j, int rootfd, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);
	struct buf out SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);

	if (root_read(rootfd, "etc/shadow", &text, NULL, e) != 0)
		return -1;
	for (const char *p = text.data; *p != '\0';) {
		size_t n = strcspn(p, "\n");

		n += p[n] == '\n';
		write_row(&out, p, n, j->l->epoch / DAY_S);
		p += n;
	}
	if (strcmp(out.data, text.data) == 0)
		return 0;
	log_debug("etc/shadow: days after the image's own are now its day");
	return root_write(rootfd, "etc/shadow", &out, 0640, e);
}

int job_clean(struct job *j, const char *root, struct err *e)
{
	struct strv removed SCOPED(strv_release) = {0};
	int fd SCOPED(fd_closep) = -1;

	if (package_clean(root, &removed, e) != 0 || fs_open_dir(AT_FDCWD, root, &fd, e) != 0 ||
	    fix_shadow(j, fd, e) != 0)
		return err_in(e, "seal");
	for (size_t i = 0; i < removed.n; i++)
		log_debug("removed %s", removed.v[i]);
	return 0;
}

int job_seal(struct job *j, size_t stages, const char *root, struct err *e)
{
	struct blame b;
	struct facts *f SCOPED(facts_freep) = NULL;
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, root, &fd, e) != 0 || blame_init(&b, j, stages, root, e) != 0)
		return err_in(e, "seal");
	f = facts_new(fd);
	facts_use_source(f, looked_source(j->looked));
	if (find_secrets(&b, fd, f, e) != 0 || find_leaks(&b, fd, f, e) != 0)
		return err_in(e, "seal");
	return 0;
}

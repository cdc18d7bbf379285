/* tree.c - one tree from a source to a directory, without a site. */
#include "restore/scanned.h"
#include "restore/survey.h"

#include "base/fault.h"
#include "base/log.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK "unfinished"

struct job {
	const struct restore_opts *o;
	struct source src;
	struct site_source secret;
	struct restore_filter *filter, *fetch;
	struct survey survey;
	struct source_tree tree;
	struct strv lost;  /* of a damaged snapshot: what cannot be read */
	char *to, *beside; /* PARENT/.NAME.restore */
	int tofd, besidefd, lock;
	struct apply_result did;
	uint64_t read_ms, apply_ms, verify_ms, differences;
};

static void job_release(struct job *j)
{
	source_tree_release(&j->tree);
	source_release(&j->src);
	strv_release(&j->lost);
	restore_filter_free(j->filter);
	restore_filter_free(j->fetch);
	survey_release(&j->survey);
	free(j->to);
	free(j->beside);
	fd_closep(&j->tofd);
	fd_closep(&j->besidefd);
	fd_closep(&j->lock);
}

/* PATH of "dir:PATH", absolute and without a link in it, though its last component need not be
 * there. */
static int target_path(const char *to, char **ret, struct err *e)
{
	const char *path = strncmp(to, "dir:", 4) == 0 ? to + 4 : to;
	char *parent SCOPED(mem_freep) = NULL, *base SCOPED(mem_freep) = NULL;
	char *real;
	size_t n = strlen(path);
	char *trimmed SCOPED(mem_freep) = NULL;

	while (n > 1 && path[n - 1] == '/')
		n--;
	trimmed = mem_strndup(path, n);
	parent = fs_dirname(trimmed);
	base = fs_basename(trimmed);
	if (n == 0 || strcmp(base, ".") == 0 || strcmp(base, "..") == 0 || base[0] == '/' ||
	    base[0] == '\0')
		return err_set(e, ERR_USAGE, "--to wants dir:PATH, a directory with a name");
	real = realpath(parent, NULL);
	if (real == NULL)
		return err_sys(e, "look at %s", parent);
	*ret = mem_format("%s/%s", strcmp(real, "/") == 0 ? "" : real, base);
	free(real);
	return 0;
}

/* One that lies in the other would be changed while it is read. */
static int check_apart(const struct job *j, struct err *e)
{
	char *from = NULL;
	bool meets;

	if (j->src.kind != SOURCE_DIR && j->src.kind != SOURCE_ACCOUNT)
		return 0;
	from = realpath(j->src.path, NULL);
	if (from == NULL)
		return err_sys(e, "look at %s", j->src.path);
	meets = fs_within(from, j->to) || fs_within(j->to, from);
	free(from);
	return meets ? err_set(e, ERR_USAGE, "%s and %s lie in each other", j->src.text, j->to) : 0;
}

static int open_places(struct job *j, struct err *e)
{
	char *parent SCOPED(mem_freep) = fs_dirname(j->to),
		     *base SCOPED(mem_freep) = fs_basename(j->to);
	struct stat st;

	j->beside = mem_format("%s/.%s.restore", parent, base);
	if (j->o->dry_run) {
		if (lstat(j->to, &st) != 0 && errno == ENOENT)
			return 0;
	} else if (restore_own_dir(j->beside, &j->besidefd, e) != 0) {
		return -1;
	} else if (mkdir(j->to, 0700) != 0 && errno != EEXIST) {
		return err_sys(e, "make %s", j->to);
	}
	j->tofd = open(j->to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (j->tofd < 0)
		return err_sys(e, "open %s", j->to);
	if (j->o->dry_run && access(j->beside, F_OK) != 0)
		return 0;
	if (j->besidefd < 0 && fs_open_dir(AT_FDCWD, j->beside, &j->besidefd, e) != 0)
		return -1;
	return j->o->dry_run ? 0 : lock_take(j->besidefd, "lock", &j->lock, e);
}

static int read_source(struct job *j, bool later, struct err *e)
{
	const struct survey_of look = {.src = &j->src, .env = j->o->env};
	const struct source_help h = {.work = j->beside,
				      .secret = j->secret.file != NULL ? &j->secret : NULL,
				      .known_hosts = j->o->known_hosts,
				      .signers = j->o->signers,
				      .filter = j->fetch,
				      .env = j->o->env,
				      .last = true,
				      .dry_run = j->o->dry_run};
	const struct source_want w = {.below = "",
				      .filter = j->filter,
				      .threads = j->o->threads,
				      .seenfd = j->besidefd,
				      .seen = "seen",
				      .content = j->o->content,
				      .dry_run = j->o->dry_run,
				      .later = later};

	if (source_ready(&j->src, &h, e) != 0 || survey_make(&look, &j->survey, e) != 0)
		return -1;
	if (j->survey.judge != NULL)
		restore_filter_lend_links(j->survey.judge, "", j->filter);
	return source_tree(&j->src, &w, &j->tree, e);
}

/* What a directory that is not there would get. */
static void count_new(const struct restore_view *v, struct apply_result *ret)
{
	*ret = (struct apply_result){.made = v->m.n, .bytes_written = v->m.bytes};
}

static int mark(const struct job *j, bool on, struct err *e)
{
	char *text SCOPED(mem_freep) = mem_format("%s\n", j->src.text);

	if (on)
		return fs_put(j->besidefd, MARK, text, strlen(text), 0600, e);
	if (unlinkat(j->besidefd, MARK, 0) != 0 && errno != ENOENT)
		return err_sys(e, "remove %s/" MARK, j->beside);
	return fsync(j->besidefd) == 0 ? 0 : err_sys(e, "sync %s", j->beside);
}

static int fill_again(struct job *j, const struct restore_target *to, struct err *e)
{
	/* it is counted anew */
	source_tree_release(&j->tree);
	restore_filter_free(j->filter);
	j->filter = restore_filter_new(j->o->env, j->o->exclude, "");
	return read_source(j, false, e) != 0 ? -1 : restore_fill(&j->tree.view, to, &j->did, e);
}

/* What a damaged snapshot still has. */
static int fill_rest(struct job *j, const struct restore_target *to, struct err *e)
{
	struct err why = ERR_INIT;

	if (e->kind != ERR_VERIFY || j->src.snapshot == NULL)
		return -1;
	if (source_snapshot_drop_lost(j->src.snapshot, &j->lost, &why) != 0 || j->lost.n == 0)
		return -1;
	return fill_again(j, to, e);
}

/* A file that changed between the two looks at it is read at the first one this time, as often as
 * it takes. Of a target that is busy that makes nothing better. */
static int fill_busy(struct job *j, const struct restore_target *to, struct err *e)
{
	if (e->kind != ERR_BUSY || e->sys != 0 ||
	    (j->src.kind != SOURCE_DIR && j->src.kind != SOURCE_ACCOUNT))
		return -1;
	log_info("%s: all is read before any is written", e->msg);
	*e = (struct err)ERR_INIT;
	return fill_again(j, to, e);
}

/* Into a test nothing of a cardholder's goes: what is found goes from the tree and from what it is
 * compared with. */
static int leave_out(struct job *j, const struct restore_target *to, struct err *e)
{
	struct apply_result did = {0};
	struct map drop = {0};
	int rc = restore_scanned(j->to, &j->tree.view.m, j->filter, &drop, e);

	if (rc == 0 && drop.n > 0)
		rc = source_tree_drop(&j->tree, &drop, e) != 0 ||
			     restore_fill(&j->tree.view, to, &did, e) != 0
			 ? -1
			 : 0;
	j->did.removed += did.removed;
	map_release(&drop, NULL);
	return rc;
}

/* All of it, whatever the source does meanwhile; marked as long as it is not whole. */
static int fill_marked(struct job *j, const struct restore_target *to, struct err *e)
{
	uint64_t begun = clock_mono_ms();

	if (mark(j, true, e) != 0)
		return -1;
	fault_point("restore: marked");
	if (restore_fill(&j->tree.view, to, &j->did, e) != 0 && fill_rest(j, to, e) != 0 &&
	    fill_busy(j, to, e) != 0)
		return err_in(e, "%s", j->to);
	if (source_tree_learnt(&j->tree, e) != 0)
		return -1;
	if (j->o->env != SITE_PROD && leave_out(j, to, e) != 0)
		return err_in(e, "%s", j->to);
	j->apply_ms = clock_mono_ms() - begun - j->verify_ms;
	begun = clock_mono_ms();
	/* what a look left out is none of it */
	if (j->o->verify && to->verify == NULL && restore_check(&j->tree.view, to, j->to, e) != 0)
		return -1;
	j->verify_ms += clock_mono_ms() - begun;
	fault_point("restore: filled");
	/* what is not all of it stays marked */
	return j->lost.n > 0 ? 0 : mark(j, false, e);
}

static int fill(struct job *j, struct err *e)
{
	const bool meanwhile = j->o->verify && j->o->env == SITE_PROD;
	const struct restore_target to = {.dirfd = j->tofd,
					  .memfd = j->besidefd,
					  .memory = j->besidefd >= 0 ? "memory" : NULL,
					  .names = j->src.names,
					  .threads = j->o->threads,
					  .dry_run = j->o->dry_run,
					  .verify = meanwhile ? "the tree" : NULL,
					  .differences = &j->differences,
					  .verify_ms = &j->verify_ms};

	if (j->tofd < 0) {
		count_new(&j->tree.view, &j->did);
		return 0;
	}
	if (j->o->dry_run)
		return restore_fill(&j->tree.view, &to, &j->did, e);
	return fill_marked(j, &to, e);
}

static struct jval *report_of(const struct job *j)
{
	struct jval *v = jval_object(), *out = jval_array(), *times = jval_object();
	struct jval *lost = jval_array();
	char *source SCOPED(mem_freep) = restore_told(j->src.text),
		     *to SCOPED(mem_freep) = restore_told(j->to);

	jval_put_text(v, "source", source);
	jval_put_text(v, "to", to);
	restore_report_tree(v, &j->tree.view.m, &j->did);
	restore_filter_report(j->fetch, out);
	restore_filter_report(j->filter, out);
	jval_put_int(v, "excluded-entries",
		     (int64_t)(restore_filter_count(j->filter) + restore_filter_count(j->fetch)));
	jval_put(v, "excluded", out);
	jval_put(v, "by-number", restore_report_list(&j->src.by_number));
	jval_put(v, "dry-run", jval_bool(j->o->dry_run));
	jval_put(v, "verified", jval_bool(j->o->verify && !j->o->dry_run));
	if (j->o->verify && !j->o->dry_run)
		jval_put_int(v, "differences", (int64_t)j->differences);
	for (size_t i = 0; i < j->lost.n; i++) {
		char *shown SCOPED(mem_freep) = manifest_shown(j->lost.v[i]);
		char *told SCOPED(mem_freep) = restore_told(shown);

		jval_push(lost, jval_text(told));
	}
	jval_put(v, "lost", lost);
	jval_put_int(times, "read-ms", (int64_t)j->read_ms);
	jval_put_int(times, "apply-ms", (int64_t)j->apply_ms);
	jval_put_int(times, "verify-ms", (int64_t)j->verify_ms);
	jval_put(v, "times", times);
	return v;
}

int restore_tree(const struct restore_opts *o, const char *to, struct jval **ret, struct err *e)
{
	struct job j SCOPED(job_release) = {
	    .o = o, .src = SOURCE_INIT, .tree = {.fd = -1}, .tofd = -1, .besidefd = -1, .lock = -1};
	uint64_t begun = clock_mono_ms();

	if (o->from == NULL)
		return err_set(e, ERR_USAGE, "--from SOURCE is missing");
	j.secret.file = (char *)(uintptr_t)o->secret_file;
	j.filter = restore_filter_new(o->env, o->exclude, "");
	j.fetch = restore_filter_new(o->env, o->exclude, "");
	if (source_parse(o->from, &j.src, e) != 0 || target_path(to, &j.to, e) != 0 ||
	    check_apart(&j, e) != 0 || open_places(&j, e) != 0 ||
	    read_source(&j, !o->dry_run, e) != 0)
		return -1;
	j.read_ms = clock_mono_ms() - begun;
	if (fill(&j, e) != 0)
		return -1;
	*ret = report_of(&j);
	return 0;
}

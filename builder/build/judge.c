#include "build/judge.h"

#include "base/log.h"
#include "build/looked.h"
#include "build/verdict.h"
#include "form/json.h"
#include "sys/aside.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/self.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REPORT_MAX = 64 << 20 };

struct judging {
	struct job *j;
	size_t stage;
	char *root;  /* where the tree is shown */
	char *found; /* the controls' report, */
	char *paths; /* and the files that they have something against */
	struct aside controls;
	bool sealed;           /* judge_seal was asked */
	int dir;               /* the stage's, whatever its name becomes */
	struct digest_text by; /* this program */
};

/* A stage that was judged has a file of this name: with the digest of the program that did. */
static const char mark[] = "judged";

static int by_whom(struct digest_text *ret, struct err *e)
{
	struct digest d;

	if (self_digest(&d, e) != 0)
		return -1;
	*ret = digest_text(&d);
	return 0;
}

static bool is_marked(int dir, const struct digest_text *by)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(sizeof(by->s));
	struct err quiet = ERR_INIT;

	return fs_get(dir, mark, &b, &quiet) == 0 && strcmp(b.data, by->s) == 0;
}

/* What was written in part is no mark. */
static void set_mark(int dir, const struct digest_text *by)
{
	int fd SCOPED(fd_closep) =
	    openat(dir, mark, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	struct err quiet = ERR_INIT;

	if (fd < 0 || fs_write_all(fd, by->s, strlen(by->s), &quiet) != 0)
		log_debug("a stage is judged again the next time: %s", strerror(errno));
}

/* What the other process has to know. */
static int tell(struct judging *g, struct err *e)
{
	struct job *j = g->j;
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct buf report SCOPED(buf_release) = BUF_INIT(REPORT_MAX);
	struct buf paths SCOPED(buf_release) = BUF_INIT(REPORT_MAX);

	jval_put(v, "found", jval_ref(j->verdict.found));
	jval_put_int(v, "judged", j->verdict.judged);
	jval_put(v, "below", jval_bool(looked_below(j->looked)));
	jval_write(v, &report);
	looked_all_found(j->looked, &paths);
	if (buf_over(&report) || buf_over(&paths))
		return err_set(e, ERR_FAIL, "too much was found in the image's files");
	if (fs_put_unsynced(g->found, report.data, report.len, 0600, e) != 0)
		return -1;
	return fs_put_unsynced(g->paths, paths.data, paths.len, 0600, e);
}

static int controls(void *arg, struct err *e)
{
	struct judging *g = arg;

	return verdict_tree(g->j, g->root, e) == 0 ? tell(g, e) : -1;
}

static int hear(struct judging *g, struct err *e)
{
	struct job *j = g->j;
	struct buf report SCOPED(buf_release) = BUF_INIT(REPORT_MAX);
	struct buf paths SCOPED(buf_release) = BUF_INIT(REPORT_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	int64_t judged = 0;

	if (fs_get_file(AT_FDCWD, g->found, &report, e) != 0 ||
	    fs_get_file(AT_FDCWD, g->paths, &paths, e) != 0 ||
	    jval_parse(report.data, report.len, g->found, &v, e) != 0)
		return -1;
	jval_free(j->verdict.found);
	j->verdict.found = jval_ref((struct jval *)(uintptr_t)jval_get(v, "found"));
	if (jval_get_int(v, "judged", &judged) == 0)
		j->verdict.judged = (unsigned)judged;
	if (jval_get_bool(v, "below"))
		looked_below_clean(j->looked);
	for (size_t i = 0; i < paths.len; i += strlen(paths.data + i) + 1)
		looked_found(j->looked, paths.data + i);
	return 0;
}

static int open_looked(struct job *j, size_t i, struct err *e)
{
	if (job_contents(j, i, e) != 0)
		return -1;
	if (j->looked == NULL && looked_open(j, i, j->trees.v[i], &j->looked, e) != 0)
		return -1;
	looked_finish(j->looked, j->trees.v[i]);
	return 0;
}

static int show(struct judging *g, struct err *e)
{
	if (mkdir(g->root, 0755) != 0)
		return err_sys(e, "make directory %s", g->root);
	return job_mount(g->j, NULL, NULL, g->root, e);
}

bool judge_is_due(const struct job *j)
{
	for (size_t i = 0; i < j->plan->n; i++) {
		const struct plan_stage *st = &j->plan->v[i];
		char *dir SCOPED(mem_freep) = NULL, *file SCOPED(mem_freep) = NULL;

		if (st->kind != PLAN_CONFIG)
			continue;
		dir = plan_stage_path(j->s, &st->key);
		file = fs_join(dir, mark);
		return access(dir, F_OK) == 0 && access(file, F_OK) != 0;
	}
	return false;
}

int judge_begin(struct job *j, size_t i, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(j->trees.v[i]);
	struct judging *g = mem_zalloc(sizeof(*g));

	*g = (struct judging){.j = j,
			      .stage = i,
			      .root = fs_join(j->scratch, "judged"),
			      .found = fs_join(j->scratch, "judged.found"),
			      .paths = fs_join(j->scratch, "judged.paths"),
			      .dir = -1};
	j->judging = g;
	if (fs_open_dir(AT_FDCWD, dir, &g->dir, e) != 0 || by_whom(&g->by, e) != 0)
		return -1;
	if (!j->o->no_cache && is_marked(g->dir, &g->by)) {
		judge_drop(j);
		return 0;
	}
	if (open_looked(j, i, e) != 0 || show(g, e) != 0)
		return -1;
	return aside_start(controls, g, &g->controls, e);
}

int judge_seal(struct job *j, struct err *e)
{
	struct judging *g = j->judging;
	struct err other = ERR_INIT;

	if (g == NULL)
		return 0;
	g->sealed = true;
	if (job_seal(j, g->stage, g->root, e) == 0)
		return 0;
	if (aside_join(&g->controls, &other) != 0)
		*e = other;
	return -1;
}

void judge_first(struct job *j, struct err *e)
{
	struct judging *g = j->judging;
	struct err other = ERR_INIT;

	if (g == NULL || intr_pending())
		return;
	if ((!g->sealed && judge_seal(j, &other) != 0) || aside_join(&g->controls, &other) != 0)
		*e = other;
}

int judge_end(struct job *j, struct err *e)
{
	struct judging *g = j->judging;

	if (g == NULL)
		return 0;
	if (aside_join(&g->controls, e) != 0 || hear(g, e) != 0)
		return -1;
	if (verdict_content(j, e) != 0)
		return err_in(e, "seal");
	if (looked_keep(j->looked, e) != 0 || sandbox_unmount(g->root, e) != 0)
		return -1;
	set_mark(g->dir, &g->by);
	judge_drop(j);
	return 0;
}

void judge_drop(struct job *j)
{
	struct judging *g = j->judging;

	looked_free(j->looked);
	j->looked = NULL;
	j->judging = NULL;
	if (g == NULL)
		return;
	aside_stop(&g->controls);
	fd_closep(&g->dir);
	free(g->root);
	free(g->found);
	free(g->paths);
	free(g);
}

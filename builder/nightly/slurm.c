/* slurm.c - jobs for Slurm: one for each recipe, and one that collects when all have ended. The
 * nodes have the project, the store and the state under the same paths. */
#include "nightly/parts.h"

#include "sys/fs.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SBATCH_TIMEOUT_MS = 60000, JOB_ID_MAX = 32 };

char *put_word(const char *text, const char *place, const char *word)
{
	const char *at = text != NULL ? strstr(text, place) : NULL;

	if (at == NULL)
		return text != NULL ? mem_strdup(text) : NULL;
	return mem_format("%.*s%s%s", (int)(at - text), text, word, at + strlen(place));
}

void job_argv(const struct nightly *n, const struct nightly_how *how, const char *key,
	      struct strv *argv)
{
	strv_add(argv, how->program);
	strv_add(argv, "nightly");
	strv_add(argv, n->file);
	if (key != NULL) {
		strv_addf(argv, "--only=%s", key);
		strv_add(argv, "--worker");
	} else {
		strv_add(argv, "--collect");
	}
	if (how->night != NULL)
		strv_addf(argv, "--night=%s", how->night);
}

/* In single quotes, as sh(1) reads them. */
static void quote(const char *s, struct buf *out)
{
	buf_addf(out, "'");
	for (; *s != '\0'; s++)
		if (*s == '\'')
			buf_addf(out, "'\\''");
		else
			buf_add(out, s, 1);
	buf_addf(out, "'");
}

/* The job's script: the one place where Slurm wants a shell. What it sets is quoted. A worker that
 * a signal has ended, such as when memory ran out, begins again where it stood. */
static void script(const struct nightly *n, const struct nightly_how *how, const char *key,
		   struct buf *out)
{
	struct strv argv SCOPED(strv_release) = {0};

	job_argv(n, how, key, &argv);
	buf_addf(out, "#!/bin/sh\nexport POSMEDIA_STORE=");
	quote(n->slurm.store != NULL ? n->slurm.store : how->store, out);
	if (how->ledger != NULL) {
		buf_addf(out, " POSMEDIA_LEDGER=");
		quote(how->ledger, out);
	}
	buf_addf(out, "\ncd ");
	quote(n->root, out);
	buf_addf(out, " || exit 1\nfor turn in 1 2 3; do\n");
	for (size_t i = 0; i < argv.n; i++) {
		buf_addf(out, i > 0 ? " " : "\t");
		quote(argv.v[i], out);
	}
	/* out of memory or crashed; who was told to end has ended */
	buf_addf(out, "\n\tstatus=$?\n\tcase $status in 134|135|137|139) ;; *) break ;; esac\n"
		      "done\nexit $status\n");
}

/* The architecture of the recipe, as its base says it; "" when it says nothing. */
static char *arch_of(const struct nightly_recipe *at)
{
	struct recipe *r SCOPED(recipe_freep) = NULL;
	struct err why = ERR_INIT;

	/* what is wrong in it is for its own job to say */
	if (recipe_load(at->path, &r, &why) != 0)
		return mem_strdup("");
	return mem_strdup(recipe_platform(r));
}

static void options(const struct nightly *n, const struct nightly_recipe *at, struct strv *argv)
{
	const struct nightly_slurm *s = &n->slurm;
	const char *name = at != NULL ? at->key : "report";

	strv_add(argv, s->program);
	strv_add(argv, "--parsable");
	strv_addf(argv, "--job-name=posmedia-%s-%s", n->name, name);
	/* a node that shares no files has no such directory, and its worker puts its log itself */
	if (n->share.at != NULL)
		strv_add(argv, "--output=/dev/null");
	else
		strv_addf(argv, "--output=%s/log/%s.slurm.log", n->state, name);
	strv_add(argv, "--ntasks=1");
	strv_add(argv, "--requeue"); /* a node that is gone takes no job with it */
	if (s->partition != NULL)
		strv_addf(argv, "--partition=%s", s->partition);
	if (s->account != NULL)
		strv_addf(argv, "--account=%s", s->account);
	if (s->constraint != NULL && at != NULL) {
		char *arch SCOPED(mem_freep) = arch_of(at);
		char *words SCOPED(mem_freep) = put_word(s->constraint, "{arch}", arch);

		strv_addf(argv, "--constraint=%s", words);
	}
}

extern char **environ;

/* "123" or "123;cluster" of --parsable. */
static int take_id(const struct buf *said, char ret[JOB_ID_MAX], struct err *e)
{
	size_t n = strspn(said->data, "0123456789");

	if (n == 0 || n >= JOB_ID_MAX || strchr(";\n", said->data[n]) == NULL)
		return err_set(e, ERR_REMOTE, "sbatch: odd answer: %.80s", said->data);
	memcpy(ret, said->data, n);
	ret[n] = '\0';
	return 0;
}

static int hand_over(const struct strv *argv, const struct buf *text, char ret[JOB_ID_MAX],
		     struct err *e)
{
	struct buf said SCOPED(buf_release) = BUF_INIT(64 << 10);
	struct buf err SCOPED(buf_release) = BUF_INIT(64 << 10);
	struct proc_spec spec = {.argv = (const char *const *)argv->v,
				 .env = (const char *const *)environ,
				 .input = text->data,
				 .input_len = text->len,
				 .out = &said,
				 .err = &err,
				 .timeout_ms = SBATCH_TIMEOUT_MS};

	if (proc_ok(&spec, ERR_REMOTE, e) != 0)
		return -1;
	return take_id(&said, ret, e);
}

static void show(const struct strv *argv, const struct buf *text, struct buf *out)
{
	for (size_t i = 0; i < argv->n; i++)
		buf_addf(out, "%s%s", i > 0 ? " " : "# ", argv->v[i]);
	buf_addf(out, "\n%s", text->data);
}

struct queue {
	const struct nightly *n;
	const struct nightly_how *how;
	bool dry;
	struct strv ids; /* of all jobs so far */
	struct buf *out;
};

/* at: NULL = the job that collects, when all others have ended. */
static int one_job(struct queue *q, const struct nightly_recipe *at, struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(64 << 10);
	char id[JOB_ID_MAX];

	options(q->n, at, &argv);
	script(q->n, q->how, at != NULL ? at->key : NULL, &text);
	if (at == NULL && q->ids.n > 0) {
		struct buf after SCOPED(buf_release) = BUF_INIT(64 << 10);

		for (size_t i = 0; i < q->ids.n; i++)
			buf_addf(&after, ":%s", q->ids.v[i]);
		strv_addf(&argv, "--dependency=afterany%s", after.data);
	}
	if (q->dry) {
		show(&argv, &text, q->out);
		return 0;
	}
	if (hand_over(&argv, &text, id, e) != 0)
		return err_in(e, "%s", at != NULL ? at->key : "the report");
	buf_addf(q->out, "%s %s\n", id, at != NULL ? at->key : "report");
	strv_add(&q->ids, id);
	return 0;
}

/* A program that the nodes can start: not by a name that means another one there. */
static int own_path(char ret[PATH_MAX], struct err *e)
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);

	if (n <= 0)
		return err_sys(e, "find this program");
	ret[n] = '\0';
	return 0;
}

/* Those that are asked for, the longest first; the caller frees *ret. */
static size_t in_order(const struct nightly *n, const struct nightly_how *how,
		       const struct nightly_recipe ***ret)
{
	const struct nightly_recipe **of SCOPED(mem_freep) =
	    mem_zalloc((n->recipes_n + 1) * sizeof(*of));
	size_t *order SCOPED(mem_freep) = mem_zalloc((n->recipes_n + 1) * sizeof(*order));
	size_t count = 0;

	for (size_t i = 0; i < n->recipes_n; i++)
		if (how->only->n == 0 || strv_has(how->only, n->recipes[i].key))
			of[count++] = &n->recipes[i];
	past_order(n, of, count, order);
	*ret = mem_zalloc((count + 1) * sizeof(**ret));
	for (size_t i = 0; i < count; i++)
		(*ret)[i] = of[order[i]];
	return count;
}

int submit_slurm(const struct nightly *n, const struct nightly_how *how,
		 const struct nightly_submit *s, struct buf *out, struct err *e)
{
	struct nightly_how there = *how;
	struct queue q = {.n = n, .how = &there, .dry = s->dry, .out = out};
	const struct nightly_recipe **of SCOPED(mem_freep) = NULL;
	char *logs SCOPED(mem_freep) = fs_join(n->state, "log");
	char program[PATH_MAX];
	int rc;

	if (own_path(program, e) != 0 || (!s->dry && fs_mkdirs(AT_FDCWD, logs, 0755, e) != 0))
		return -1;
	there.program = program;
	rc = 0;
	for (size_t i = 0, count = in_order(n, how, &of); i < count && rc == 0; i++)
		rc = one_job(&q, of[i], e);
	if (rc == 0 && !s->named)
		rc = one_job(&q, NULL, e);
	strv_release(&q.ids);
	return rc;
}

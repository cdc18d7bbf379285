#include "build/job.h"

#include <signal.h>

void job_env(const struct job *j, struct strv *ret)
{
	strv_add(ret, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strv_add(ret, "HOME=/root");
	strv_add(ret, "LC_ALL=C");
	strv_add(ret, "TZ=UTC");
	strv_add(ret, "TERM=dumb");
	strv_add(ret, "SYSTEMD_OFFLINE=1");
	strv_add(ret, "DEBIAN_FRONTEND=noninteractive");
	strv_addf(ret, "SOURCE_DATE_EPOCH=%lld", (long long)j->l->epoch);
}

/* How a program in the sandbox ended, as an error unless it ended well. */
static int judge(struct job *j, const char *what, const struct sandbox_result *res, struct err *e)
{
	if (res->status == 0 && !res->timed_out)
		return 0;
	if (res->timed_out)
		(void)err_set(e, ERR_STEP, "%s: took too long and was ended", what);
	else if (res->signal != 0)
		(void)err_set(e, ERR_STEP, "%s: killed by signal %d", what, res->signal);
	else
		(void)err_set(e, ERR_STEP, "%s: exit status %d", what, res->status);
	return job_said(j, e);
}

/* A file that grows past its limit ends a program by a signal; a shell in between makes a status
 * of it. */
static bool file_too_large(const struct sandbox_spec *spec, const struct sandbox_result *res)
{
	return spec->file_max != 0 && (res->signal == SIGXFSZ || res->status == 128 + SIGXFSZ);
}

static int run(struct job *j, const char *what, const struct sandbox_spec *spec, struct err *e)
{
	struct sandbox_result res = {0};

	if (sandbox_run(spec, &res, e) != 0) {
		(void)err_in(e, "%s", what);
		return e->kind == ERR_STEP ? job_said(j, e) : -1;
	}
	if (!file_too_large(spec, &res))
		return judge(j, what, &res, e);
	(void)err_set(e, ERR_STEP, "%s: a file grew beyond %llu bytes", what,
		      (unsigned long long)spec->file_max);
	(void)err_hint(e, "raise limits: file: of the step if it is meant");
	return job_said(j, e);
}

int job_sandbox(struct job *j, const char *what, struct sandbox_spec *spec, struct err *e)
{
	struct strv env SCOPED(strv_release) = {0};

	job_env(j, &env);
	strv_extend(&env, &j->step_env);
	buf_cut(&j->said, 0);
	spec->env = (const char *const *)env.v;
	spec->out = &j->output;
	return run(j, what, spec, e);
}

int job_run(struct job *j, const char *root, const char *what, const char *const *argv,
	    struct err *e)
{
	struct sandbox_spec spec = {.root = root, .argv = argv, .no_sync = true};

	return job_sandbox(j, what, &spec, e);
}

#include "build/job.h"

#include "build/looked.h"
#include "build/verdict.h"

/* systemctl itself knows aliases, Also=, presets of SysV scripts and templates; offline it only
 * makes and removes symlinks. */
static int services(struct job *j, const char *root, const char *verb, const struct strv *units,
		    struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0};
	char *what SCOPED(mem_freep) = mem_format("services: %s", verb);

	if (units->n == 0)
		return 0;
	strv_add(&argv, "systemctl");
	strv_add(&argv, "--root=/");
	strv_add(&argv, verb);
	strv_extend(&argv, units);
	return job_run(j, root, what, (const char *const *)argv.v, e);
}

int job_services(struct job *j, const char *root, struct err *e)
{
	if (services(j, root, "enable", &j->r->enable, e) != 0 ||
	    services(j, root, "disable", &j->r->disable, e) != 0)
		return -1;
	return services(j, root, "mask", &j->r->mask, e);
}

/* What it comes to is judged beside what follows (judge.h). */
int job_config(struct job *j, const char *root, const char *upper, struct err *e)
{
	if (looked_open(j, j->trees.n, upper, &j->looked, e) != 0)
		return -1;
	return verdict_fix(j, root, e) == 0 ? job_clean(j, root, e) : -1;
}

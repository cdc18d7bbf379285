#include "build/job.h"

#include "base/log.h"
#include "build/looked.h"
#include "harden/harden.h"
#include "sys/clock.h"

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

static void tell(const struct harden_report *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].status == HARDEN_FAIL)
			log_warn("control %s fails: %s", r->v[i].id, r->v[i].detail);
		else if (r->v[i].fixed != NULL)
			log_debug("control %s: %s", r->v[i].id, r->v[i].fixed);
}

static int harden_with(struct job *j, const char *profile, const char *root, struct err *e)
{
	struct harden_profile *p SCOPED(harden_profile_freep) = NULL;
	struct harden_context c = {.recipe = j->r,
				   .today = clock_epoch_s(),
				   .epoch = j->l->epoch,
				   .files = looked_source(j->looked)};
	struct harden_report rep SCOPED(harden_report_release) = {0};

	if (harden_profile_load(profile, &p, e) != 0 || harden_apply(p, root, &c, &rep, e) != 0)
		return err_in(e, "hardening");
	tell(&rep);
	log_info("hardened by %s: %zu pass, %zu fail, %zu waived, %zu not applicable",
		 harden_profile_id(p), rep.count[HARDEN_PASS], rep.count[HARDEN_FAIL],
		 rep.count[HARDEN_WAIVED], rep.count[HARDEN_NOT_APPLICABLE]);
	return harden_gate(&rep, j->r->fail_on, e);
}

int job_services(struct job *j, const char *root, struct err *e)
{
	if (services(j, root, "enable", &j->r->enable, e) != 0 ||
	    services(j, root, "disable", &j->r->disable, e) != 0)
		return -1;
	return services(j, root, "mask", &j->r->mask, e);
}

static int configure(struct job *j, const char *root, struct err *e)
{
	for (size_t i = 0; i < j->r->profiles.n; i++)
		if (harden_with(j, j->r->profiles.v[i], root, e) != 0)
			return -1;
	return job_seal(j, root, e);
}

/* What was looked into for the image before and did not change is not read again; with no_cache
 * everything is. */
int job_config(struct job *j, const char *root, const char *upper, struct err *e)
{
	int rc = looked_open(j, upper, &j->looked, e);

	if (rc == 0)
		rc = configure(j, root, e);
	if (rc == 0)
		rc = looked_keep(j->looked, e);
	looked_free(j->looked);
	j->looked = NULL;
	return rc;
}

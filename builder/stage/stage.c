#include "stage/parts.h"

#include "base/fault.h"
#include "base/log.h"
#include "sign/policy.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/guard.h"
#include "sys/intr.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONFIG_MAX = 4 << 20, ENGINE_BACK_S = 120 };

void stage_outcome_release(struct stage_outcome *r)
{
	free(r->container);
	strv_release(&r->did);
	*r = (struct stage_outcome){0};
}

void stage_did(struct stage *st, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strv_take(&st->out.did, mem_vformat(fmt, ap));
	va_end(ap);
	st->out.changed = true;
}

/* "HOST/REPO" of what a signature, or a site, calls an image. */
static char *repository(const char *text, bool identity)
{
	struct ref r SCOPED(ref_release) = {0};
	struct err quiet = ERR_INIT;
	char *name SCOPED(mem_freep) = NULL;

	if ((identity ? ref_parse_docker(text, &r, &quiet) : ref_parse(text, &r, &quiet)) != 0)
		return mem_strdup("");
	if (r.kind == REF_DOCKER)
		return mem_format("%s/%s", r.host, r.path);
	name = fs_basename(r.path);
	return mem_format("localhost/%s", name);
}

static int check_application(const struct site *s, const struct stage_image *i, struct err *e)
{
	char *want SCOPED(mem_freep) = repository(s->image.reference, false);
	char *got SCOPED(mem_freep) = repository(i->identity, true);

	if (strcmp(want, got) == 0)
		return 0;
	(void)err_set(e, ERR_VERIFY, "%s is not the application of shop %s, which is %s",
		      i->identity, s->shop, want);
	return err_hint(e, "the site file names it: image.reference");
}

static int check_policy(const struct site *s, const struct stage_image *i, struct err *e)
{
	struct sign_policy *p SCOPED(sign_policy_freep) = NULL;
	struct sign_report report = {0};
	int rc;

	if (sign_policy_load(s->image.policy, &p, e) != 0)
		return -1;
	sign_policy_demand(p, (int)s->env);
	rc = sign_policy_verify(p, i->layout, &i->manifest, i->identity, &report, e);
	if (rc == 0)
		sign_report_release(&report);
	return rc;
}

/* What this pair of image and site is, under this program's filter. */
static struct stage_one generation_of(const struct stage *st, const struct stage_image *i,
				      const struct oci_manifest *m)
{
	struct stage_one one = {.manifest = i->manifest.digest,
				.config = m->config.digest,
				.site = st->s->digest,
				.identity = mem_strdup(i->identity)};
	const char *created = jval_get_str(st->config, "created");
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);

	(void)(created != NULL && clock_parse(created, &one.created) == 0);
	jval_put_int(v, "version", 2); /* of what spec.c makes */
	jval_put_text(v, "manifest", digest_text(&one.manifest).s);
	jval_put_text(v, "config", digest_text(&one.config).s);
	jval_put_text(v, "site", digest_text(&one.site).s);
	jval_put(v, "seccomp", jval_ref(st->seccomp));
	jval_write(v, &text);
	one.generation = digest_of(text.data, text.len);
	one.container = mem_format("pos-%s-%s-%.16s", st->s->shop, site_env_word(st->s->env),
				   digest_hex(&one.generation).s);
	return one;
}

static int read_config(struct stage *st, const struct stage_image *i, struct oci_manifest *ret,
		       struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct buf config SCOPED(buf_release) = BUF_INIT(CONFIG_MAX);
	struct oci_desc image SCOPED(oci_desc_release) = {0};
	struct oci_manifest m = {0};

	if (oci_layout_image(i->layout, &i->manifest, &image, e) != 0 ||
	    oci_layout_read(i->layout, &image.digest, &text, e) != 0 ||
	    oci_manifest_parse(text.data, text.len, &m, e) != 0)
		return -1;
	if (oci_layout_read(i->layout, &m.config.digest, &config, e) != 0 ||
	    jval_parse(config.data, config.len, "the image's config", &st->config, e) != 0) {
		oci_manifest_release(&m);
		return -1;
	}
	*ret = m;
	return 0;
}

int stage_note(const struct stage *st, struct err *e)
{
	struct stage_record r = st->r; /* borrowed */

	if (r.current.container == NULL)
		r.current = st->lost;
	return stage_record_write(st->ownfd, &r, e);
}

int stage_drop_pending(struct stage *st, const struct stage_one *keep, struct err *e)
{
	if (st->r.pending.container == NULL)
		return 0;
	if (stage_same(&st->r.pending, &st->r.previous))
		stage_one_release(&st->r.pending);
	else if (stage_same(&st->r.pending, keep))
		return 0;
	else if (stage_drop(st, &st->r.pending, e) != 0)
		return -1;
	return stage_note(st, e);
}

static int make(struct stage *st, const struct stage_image *i, const struct oci_manifest *m,
		const struct stage_one *one, struct err *e)
{
	struct engine_state s SCOPED(engine_state_release) = {0};
	struct jval *spec SCOPED(jval_freep) = NULL;

	if (stage_put_files(st, one, e) != 0 || stage_seed(st, i, m, e) != 0 ||
	    stage_look(st, one, &s, e) != 0)
		return -1;
	fault_point("stage: seeded");
	/* one that may have run already does not show what its image has */
	if (s.there && !stage_image_noted(st, one)) {
		if (stage_stop(st, one, e) != 0 || engine_remove(st->en, one->container, e) != 0)
			return -1;
		s.there = false;
	}
	if (!s.there) {
		spec = stage_spec(st, one);
		if (stage_end_lost(st, one, e) != 0 || stage_forget_image(st, one, e) != 0 ||
		    engine_create(st->en, one->container, spec, e) != 0)
			return -1;
		stage_did(st, "made %s", one->container);
		fault_point("stage: made");
		if (stage_note_image(st, one, e) != 0)
			return -1;
	}
	fault_point("stage: noted");
	return 0;
}

/* Between the end of one instance and the record of the next. */
struct takeover {
	const struct stage *st;
	const struct stage_one *from, *to;
};

/* In a process of its own, after ours has died: the record decides. While it names the former
 * instance that one runs, and the new one does not. */
static void take_over(void *arg)
{
	const struct takeover *t = arg;
	struct stage_record r SCOPED(stage_record_release) = {0};
	struct engine *en SCOPED(engine_freep) = NULL;
	struct site *then SCOPED(site_freep) = NULL;
	struct stage st = *t->st; /* the rest of it ends with this process */
	struct err why = ERR_INIT;

	if (stage_record_read(t->st->ownfd, &r, &why) != 0 || !stage_same(&r.current, t->from))
		return;
	/* it may have died with us */
	for (int i = 0; i < ENGINE_BACK_S && engine_open(t->st->o->socket, &en, &why) != 0; i++)
		(void)sleep(1);
	st.en = en;
	if (en == NULL || stage_stop_others(&st, t->from, &why) != 0 ||
	    stage_stop_wholly(&st, t->from, &why) != 0 ||
	    stage_site_of(&st, t->from, &then, &why) != 0)
		return;
	st.s = then;
	if (stage_net_start(&st, t->from, &why) == 0) {
		struct aside a SCOPED(stage_net_announced) = {0};

		stage_net_announce(&st, t->from, &a);
	}
}

/* The new one did not get well: the old one runs again, and if not by this process, then by the
 * guard when it ends. The new one goes only after that. */
static int go_back(struct stage *st, struct guard *g, struct err *e)
{
	const struct stage_one *former = &st->r.current;
	struct err why = ERR_INIT;

	/* what interrupted the one must not keep the other from running */
	(void)stage_not_done(&st->r.pending, e);
	intr_forget();
	if (stage_stop_others(st, former, &why) != 0 ||
	    (former->container != NULL && (stage_stop_wholly(st, former, &why) != 0 ||
					   stage_start_former(st, former, &why) != 0))) {
		log_warn("%s", why.msg);
		return err_hint(e, former->container != NULL
				       ? "what was before is not back: a process in the "
					 "background starts it once more"
				       : "what was begun may still run");
	}
	fault_point("stage: the former runs");
	guard_done(g);
	if (stage_drop_pending(st, former, &why) != 0)
		log_warn("%s", why.msg);
	return err_hint(e, former->container != NULL ? "what was before runs again"
						     : "nothing was there before");
}

/* From here on others see that it comes, and what it has of the host's networks. */
static int begin(struct stage *st, const struct stage_one *one, struct err *e)
{
	bool networked = st->s->network.interface != NULL;
	struct err why = ERR_INIT;
	int lock SCOPED(fd_closep) = -1;

	if ((networked && stage_net_lock(st, &lock, e) != 0) || stage_net_ready(st, one, e) != 0)
		return -1;
	/* the way back must not depend on it */
	st->net_ready = true;
	stage_one_release(&st->r.pending);
	stage_one_copy(one, &st->r.pending);
	if (stage_note(st, e) != 0)
		return -1;
	fault_point("stage: begun");
	if (stage_check_alone(st, e) == 0)
		return networked ? stage_put_files(st, one, e) : 0;
	stage_one_release(&st->r.pending);
	if (stage_note(st, &why) != 0)
		log_warn("%s", why.msg);
	return -1;
}

static int change(struct stage *st, const struct stage_image *i, const struct oci_manifest *m,
		  const struct stage_one *one, struct err *e)
{
	const struct takeover t = {st, &st->r.current, one};
	struct guard g = {0};

	if (begin(st, one, e) != 0 || stage_load(st, i, m, e) != 0 || make(st, i, m, one, e) != 0 ||
	    stage_rehearse(st, &st->r.current, one, e) != 0)
		return -1;
	fault_point("stage: furnished");
	if (st->r.current.container != NULL &&
	    guard_start(take_over, (void *)(uintptr_t)&t, &g, e) != 0)
		return -1;
	if (stage_stop_others(st, one, e) != 0)
		return go_back(st, &g, e);
	fault_point("stage: stopped");
	if (stage_bring_over(st, &st->r.current, one, e) != 0 || stage_start(st, one, e) != 0)
		return go_back(st, &g, e);
	fault_point("stage: started");
	if (stage_same(&st->r.previous, one))
		stage_one_release(&st->r.previous);
	stage_one_release(&st->r.pending);
	/* the one that has to go stays on record until it is gone */
	if (st->r.current.container != NULL) {
		st->r.pending = st->r.previous;
		st->r.previous = st->r.current;
	}
	stage_one_copy(one, &st->r.current);
	stage_one_release(&st->lost);
	if (stage_note(st, e) != 0)
		return -1;
	fault_point("stage: recorded");
	guard_done(&g);
	stage_keep_first(st, one);
	return stage_drop_pending(st, one, e);
}

/* The generation that should run is the one that does, or did: it is not made anew when it is
 * there. */
static int keep(struct stage *st, const struct stage_one *one, bool *ret_done, struct err *e)
{
	struct engine_state s SCOPED(engine_state_release) = {0};

	*ret_done = false;
	if (!stage_same(&st->r.current, one))
		return 0;
	if (stage_look(st, one, &s, e) != 0)
		return -1;
	/* gone, or begun anew and not furnished yet */
	if (!s.there || stage_same(&st->r.pending, one)) {
		st->lost = st->r.current;
		st->r.current = (struct stage_one){0};
		return 0;
	}
	*ret_done = true;
	if (stage_net_renew(st, one, e) != 0)
		return -1;
	if (st->o->dry_run && s.running)
		return stage_net_give(st, one, e);
	if (st->o->dry_run) {
		stage_did(st, "started %s", one->container);
		return 0;
	}
	if (stage_stop_others(st, one, e) != 0)
		return -1;
	return s.running ? stage_net_give(st, one, e) : stage_start(st, one, e);
}

void stage_conclude(struct stage *st, const struct stage_one *one, struct stage_outcome *ret)
{
	*ret = st->out;
	st->out = (struct stage_outcome){0};
	ret->container = mem_strdup(one->container);
	ret->generation = one->generation;
	ret->manifest = one->manifest;
	ret->config = one->config;
}

static int would(struct stage *st, const struct stage_image *i, const struct oci_manifest *m,
		 const struct stage_one *one, struct err *e)
{
	if (stage_check_alone(st, e) != 0 || stage_net_ready(st, one, e) != 0 ||
	    stage_load(st, i, m, e) != 0)
		return -1;
	stage_did(st, "made %s", one->container);
	if (st->r.current.container != NULL)
		stage_did(st, "stopped %s", st->r.current.container);
	stage_did(st, "started %s", one->container);
	return 0;
}

static int run(struct stage *st, const struct stage_image *i, const struct oci_manifest *m,
	       struct stage_outcome *ret, struct err *e)
{
	struct stage_one one SCOPED(stage_one_release) = generation_of(st, i, m);
	bool done = false;

	if (!st->o->dry_run && stage_drop_pending(st, &one, e) != 0)
		return -1;
	if (keep(st, &one, &done, e) != 0)
		return -1;
	if (!done && (stage_read_only_ready(st, e) != 0 || stage_cgroup_ready(st, e) != 0))
		return -1;
	if (!done && (st->o->dry_run ? would(st, i, m, &one, e) : change(st, i, m, &one, e)) != 0)
		return -1;
	stage_conclude(st, &one, ret);
	return 0;
}

int stage_run(const struct site *s, const struct stage_image *i, const struct stage_opts *o,
	      struct stage_outcome *ret, struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	if (check_application(s, i, e) != 0 || check_policy(s, i, e) != 0 ||
	    stage_make_own(s, o, e) != 0 || stage_open(s, o, &st, e) != 0 ||
	    stage_check_stopped(&st, e) != 0 || stage_check_restored(&st, e) != 0 ||
	    read_config(&st, i, &m, e) != 0)
		return -1;
	return run(&st, i, &m, ret, e);
}

/* As the site of then has it: that one will live here. */
static int check_alone_as_then(struct stage *st, const struct stage_one *one, struct err *e)
{
	const struct site *now = st->s;
	struct site *then SCOPED(site_freep) = NULL;
	int rc;

	if (stage_site_of(st, one, &then, e) != 0)
		return -1;
	st->s = then;
	rc = stage_check_alone(st, e);
	st->s = now;
	return rc;
}

static int begin_back(struct stage *st, struct err *e)
{
	struct err why = ERR_INIT;
	int lock SCOPED(fd_closep) = -1;

	if (stage_net_lock(st, &lock, e) != 0 ||
	    stage_net_ready_former(st, &st->r.previous, e) != 0)
		return -1;
	st->net_ready = true;
	stage_one_release(&st->r.pending);
	stage_one_copy(&st->r.previous, &st->r.pending);
	if (stage_note(st, e) != 0)
		return -1;
	if (check_alone_as_then(st, &st->r.previous, e) == 0)
		return 0;
	stage_one_release(&st->r.pending);
	if (stage_note(st, &why) != 0)
		log_warn("%s", why.msg);
	return -1;
}

/* The two change places. */
static int swap(struct stage *st, struct err *e)
{
	const struct takeover t = {st, &st->r.current, &st->r.previous};
	struct guard g = {0};

	if (stage_rehearse(st, &st->r.current, &st->r.previous, e) != 0 || begin_back(st, e) != 0 ||
	    guard_start(take_over, (void *)(uintptr_t)&t, &g, e) != 0)
		return -1;
	if (stage_stop_others(st, &st->r.previous, e) != 0 ||
	    stage_bring_over(st, &st->r.current, &st->r.previous, e) != 0 ||
	    stage_start_former(st, &st->r.previous, e) != 0)
		return go_back(st, &g, e);
	fault_point("stage: back");
	SWAP(st->r.current, st->r.previous);
	stage_one_release(&st->r.pending);
	if (stage_note(st, e) != 0)
		return -1;
	guard_done(&g);
	return 0;
}

/* The image of before was verified when it came, and its layout may be gone. What can be asked is
 * whether the site's policy still has a rule for it. */
static int check_rule(const struct site *s, const struct stage_one *one, struct err *e)
{
	struct sign_policy *p SCOPED(sign_policy_freep) = NULL;

	if (sign_policy_load(s->image.policy, &p, e) != 0)
		return -1;
	sign_policy_demand(p, (int)s->env);
	return sign_policy_fits(p, one->identity, e);
}

int stage_rollback(const struct site *s, const struct stage_opts *o, struct stage_outcome *ret,
		   struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};
	struct engine_state now SCOPED(engine_state_release) = {0};

	if (stage_open_staged(s, o, &st, e) != 0 || stage_check_stopped(&st, e) != 0 ||
	    stage_check_restored(&st, e) != 0)
		return -1;
	if (st.r.previous.container == NULL || st.r.current.container == NULL)
		return err_set(e, ERR_BUSY, "shop %s in %s: there is nothing to go back to",
			       s->shop, site_env_word(s->env));
	if (check_rule(s, &st.r.previous, e) != 0 || stage_look(&st, &st.r.previous, &now, e) != 0)
		return -1;
	if (!now.there)
		return err_set(e, ERR_BUSY, "%s is gone", st.r.previous.container);
	if (o->dry_run) {
		stage_did(&st, "started %s", st.r.previous.container);
		stage_conclude(&st, &st.r.previous, ret);
		return 0;
	}
	if (stage_drop_pending(&st, &st.r.current, e) != 0 || swap(&st, e) != 0)
		return -1;
	stage_conclude(&st, &st.r.current, ret);
	return 0;
}

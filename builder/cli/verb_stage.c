#include "cli/host.h"
#include "cli/noted.h"
#include "cli/object.h"
#include "cli/pulled.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "sign/policy.h"
#include "stage/closed.h"
#include "sys/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct opt opts[] = {
    {0, "check", NULL, "Only read the site file and its policy, and say what is in them."},
    {0, "rollback", NULL, "Go back to the instance before."},
    {0, "closed", "HOW", "Let nobody in: \"real\", \"private\", or ADDRESS/BITS of its own."},
    {0, "open", NULL, "Let people in to an instance that is closed."},
    HOST_OPTS,
    {0, "identity", "HOST/REPO:TAG", "What the signature must call the image."},
    OBJECT_PLAIN,
    {0, "dry-run", NULL, "Only say what would be done."},
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

static void check_json(const struct site *s, const struct strv *findings)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *list = jval_array();

	for (size_t i = 0; i < findings->n; i++)
		jval_push(list, jval_text(findings->v[i]));
	jval_put(v, "site", jval_ref(s->resolved));
	jval_put_text(v, "digest", digest_text(&s->digest).s);
	jval_put(v, "findings", list);
	screen_json(v);
}

static void check_text(const struct site *s, const struct strv *findings)
{
	printf("shop %s in %s: %s\n", s->shop, site_env_word(s->env), s->hostname);
	printf("image %s\n", s->image.reference);
	if (s->network.interface != NULL)
		printf("address %s by %s of %s\n", s->network.address.text,
		       site_mode_word(s->network.mode), s->network.interface);
	for (size_t i = 0; i < s->data_n; i++)
		printf("keeps %s as %s\n", s->data[i].at, s->data[i].name);
	printf("%zu users, %zu printers, %zu secrets, %zu tunnels, %zu checks\n", s->users_n,
	       s->printers_n, s->secrets_n, s->vpn.peers_n, s->health_n);
	for (size_t i = 0; i < findings->n; i++)
		printf("finding: %s\n", findings->v[i]);
}

static int check(const struct args *a, const struct site *s, struct err *e)
{
	struct sign_policy *p SCOPED(sign_policy_freep) = NULL;
	struct strv findings SCOPED(strv_release) = {0};

	if (sign_policy_load(s->image.policy, &p, e) != 0)
		return -1;
	site_findings(s, &findings);
	if (args_has(a, "json"))
		check_json(s, &findings);
	else
		check_text(s, &findings);
	return 0;
}

static int stage_image(const struct args *a, const struct site *s, const struct stage_opts *o,
		       struct stage_outcome *ret, struct err *e)
{
	const char *name = a->rest.n > 1 ? a->rest.v[1] : s->image.reference;
	struct pulled p SCOPED(pulled_end) = PULLED_INIT;
	struct image i SCOPED(image_release) = {0};
	char *identity SCOPED(mem_freep) = NULL;

	if (pulled_image(a, name, &p, &i, e) != 0 || input_identity(a, &i, &identity, e) != 0)
		return -1;
	const struct stage_image what = {i.layout, i.manifest, identity};

	return stage_run(s, &what, o, ret, e);
}

/* What is to be done of the four: two of them are none. */
static int check_words(const struct args *a, struct err *e)
{
	static const char *const words[] = {"check", "rollback", "closed", "open"};
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		n += args_has(a, words[i]) ? 1 : 0;
	if (n > 1)
		return err_set(e, ERR_USAGE,
			       "--check, --rollback, --closed and --open exclude each other");
	return 0;
}

static int close_site(const struct args *a, const struct site *s, const struct stage_opts *o,
		      struct err *e)
{
	struct stage_mark how SCOPED(stage_mark_release) = {0};

	if (!args_has(a, "closed"))
		return 0;
	if (stage_mark_parse(args_get(a, "closed"), &how, e) != 0)
		return -1;
	if (how.how == STAGE_GONE)
		return err_set(e, ERR_USAGE, "a shop is gone behind \"cutover --reverse\" only");
	return stage_close(s, o, &how, e);
}

static int act(const struct args *a, const struct site *s, const struct stage_opts *o,
	       struct stage_outcome *ret, struct err *e)
{
	if (args_has(a, "rollback"))
		return stage_rollback(s, o, ret, e);
	if (args_has(a, "open"))
		return stage_open_now(s, o, ret, e);
	return close_site(a, s, o, e) != 0 ? -1 : stage_image(a, s, o, ret, e);
}

static int note(const struct args *a, const struct site *s, const struct stage_outcome *r,
		uint64_t ms, struct err *e)
{
	struct jval *v = jval_object();
	const char *action = "stage";

	if (args_has(a, "rollback"))
		action = "rollback";
	else if (args_has(a, "open"))
		action = "open";
	jval_put_text(v, "action", action);
	jval_put_text(v, "container", r->container);
	jval_put_text(v, "hostname", s->hostname);
	jval_put_text(v, "image", s->image.reference);
	jval_put_text(v, "manifest", digest_text(&r->manifest).s);
	jval_put_text(v, "config", digest_text(&r->config).s);
	jval_put(v, "changed", jval_bool(r->changed));
	jval_put_int(v, "ms", (int64_t)ms);
	return noted_site(a, s, "stage", v, e) != 0 ? -1 : host_noted(a, r, e);
}

static int run(const struct args *a, struct err *e)
{
	struct site *s SCOPED(site_freep) = NULL;
	struct stage_outcome out SCOPED(stage_outcome_release) = {0};
	char *seccomp SCOPED(mem_freep) = NULL, *is SCOPED(mem_freep) = NULL;
	struct stage_opts o;
	uint64_t start = clock_mono_ms();

	if (check_words(a, e) != 0 || site_load(a->rest.v[0], &s, e) != 0)
		return -1;
	if (args_has(a, "check"))
		return check(a, s, e);
	seccomp = mem_format("%s/recipes/hosts/seccomp.yaml", s->root);
	if (host_options(a, &o, e) != 0)
		return -1;
	o.seccomp = seccomp;
	if (act(a, s, &o, &out, e) != 0)
		return -1;
	is = mem_format("runs %s", digest_text(&out.manifest).s);
	host_print(a, &out, is);
	return note(a, s, &out, clock_mono_ms() - start, e);
}

const struct verb verb_stage = {
    .name = "stage",
    .args = "SITE [IMAGE]",
    .help = "Bring a verified image to run at a site, or check the site's file.",
    .min = 1,
    .max = 2,
    .opts = opts,
    .run = run,
};

#include "cli/screen.h"
#include "cli/verb.h"

#include "sign/policy.h"
#include "site/site.h"
#include <stdio.h>

static const struct opt opts[] = {
    {0, "check", NULL, "Only read the site file and its policy, and say what is in them."},
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

static void print_json(const struct site *s, const struct strv *findings)
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

static void print_site(const struct site *s, const struct strv *findings)
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

static int check(const struct args *a, struct err *e)
{
	struct site *s SCOPED(site_freep) = NULL;
	struct sign_policy *p SCOPED(sign_policy_freep) = NULL;
	struct strv findings SCOPED(strv_release) = {0};

	if (site_load(a->rest.v[0], &s, e) != 0 || sign_policy_load(s->image.policy, &p, e) != 0)
		return -1;
	site_findings(s, &findings);
	if (args_has(a, "json"))
		print_json(s, &findings);
	else
		print_site(s, &findings);
	return 0;
}

static int run(const struct args *a, struct err *e)
{
	if (args_has(a, "check"))
		return check(a, e);
	(void)err_set(e, ERR_USAGE, "this version does not start instances");
	return err_hint(e, "posmedia stage --check SITE reads a site file");
}

const struct verb verb_stage = {
    .name = "stage",
    .args = "SITE",
    .help = "Check the file of a site (--check).",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};

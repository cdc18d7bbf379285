#include "cli/object.h"
#include "cli/pulled.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "sign/policy.h"
#include "stage/stage.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct opt opts[] = {
    {0, "check", NULL, "Only read the site file and its policy, and say what is in them."},
    {0, "rollback", NULL, "Go back to the instance before."},
    {0, "engine", "SOCKET", "The engine's socket; dockerd's or podman's when absent."},
    {0, "state", "DIR", "Where instances keep their data; /srv/pos when absent."},
    {0, "runtime", "DIR", "Where their secrets are while they run; /run/posmedia when absent."},
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

static const char *or_else(const struct args *a, const char *name, const char *otherwise)
{
	const char *given = args_get(a, name);

	return given != NULL ? given : otherwise;
}

static struct stage_opts options(const struct args *a, const char *seccomp)
{
	const char *own =
	    access("/run/docker.sock", F_OK) == 0 ? "/run/docker.sock" : "/run/podman/podman.sock";

	return (struct stage_opts){.state = or_else(a, "state", "/srv/pos"),
				   .runtime = or_else(a, "runtime", "/run/posmedia"),
				   .socket = or_else(a, "engine", own),
				   .seccomp = seccomp,
				   .dry_run = args_has(a, "dry-run")};
}

/* Engines and mounts want absolute paths. */
static int check_options(const struct stage_opts *o, struct err *e)
{
	if (o->state[0] == '/' && o->runtime[0] == '/' && o->socket[0] == '/')
		return 0;
	return err_set(e, ERR_USAGE, "--state, --runtime and --engine want absolute paths");
}

static void print(const struct args *a, const struct stage_outcome *r)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *did = jval_array();

	for (size_t i = 0; i < r->did.n; i++)
		jval_push(did, jval_text(r->did.v[i]));
	jval_put_text(v, "container", r->container);
	jval_put_text(v, "generation", digest_text(&r->generation).s);
	jval_put_text(v, "manifest", digest_text(&r->manifest).s);
	jval_put_text(v, "config", digest_text(&r->config).s);
	jval_put(v, "changed", jval_bool(r->changed));
	jval_put(v, "did", did);
	if (args_has(a, "json")) {
		screen_json(v);
		return;
	}
	for (size_t i = 0; i < r->did.n; i++)
		printf("%s%s\n", args_has(a, "dry-run") ? "would: " : "", r->did.v[i]);
	if (!r->changed)
		puts("nothing changed");
	printf("%s runs %s\n", r->container, digest_text(&r->manifest).s);
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

static int run(const struct args *a, struct err *e)
{
	struct site *s SCOPED(site_freep) = NULL;
	struct stage_outcome out SCOPED(stage_outcome_release) = {0};
	char *seccomp SCOPED(mem_freep) = NULL;
	struct stage_opts o;

	if (site_load(a->rest.v[0], &s, e) != 0)
		return -1;
	if (args_has(a, "check"))
		return check(a, s, e);
	seccomp = mem_format("%s/recipes/hosts/seccomp.yaml", s->root);
	o = options(a, seccomp);
	if (check_options(&o, e) != 0)
		return -1;
	if ((args_has(a, "rollback") ? stage_rollback(s, &o, &out, e)
				     : stage_image(a, s, &o, &out, e)) != 0)
		return -1;
	print(a, &out);
	return 0;
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

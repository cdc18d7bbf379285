/* kube.c - jobs for Kubernetes, in JSON, which kubectl(1) reads as it reads YAML: a Job for each
 * recipe, or a CronJob where the file has a schedule. The project, the store and the state are on
 * one volume, at the project's own path. */
#include "nightly/parts.h"

#include "sys/fs.h"
#include "sys/proc.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { KUBECTL_TIMEOUT_MS = 120000, RETRIES = 2, KEEP_S = 86400, NAME_MAX_KUBE = 52 };

static struct jval *pair(const char *name, const char *value)
{
	struct jval *v = jval_object();

	jval_put_text(v, "name", name);
	jval_put_text(v, "value", value);
	return v;
}

static struct jval *one_text(const char *key, const char *value)
{
	struct jval *v = jval_object();

	jval_put_text(v, key, value);
	return v;
}

/* A label of DNS (RFC 1123): lower case, digits and dashes, at most 52 bytes, so that a CronJob
 * can add to it. The caller owns it. */
static char *job_name(const struct nightly *n, const char *key)
{
	char *name = mem_format("posmedia-%s-%s", n->name, key);
	size_t len;

	for (char *p = name; *p != '\0'; p++)
		*p = isalnum((unsigned char)*p) ? (char)tolower((unsigned char)*p) : '-';
	if (strlen(name) > NAME_MAX_KUBE) { /* two long names stay two */
		struct digest d = digest_of(name, strlen(name));
		char *cut = mem_format("%.*s-%.8s", NAME_MAX_KUBE - 9, name, digest_hex(&d).s);

		free(name);
		name = cut;
	}
	len = strlen(name);
	while (len > 0 && name[len - 1] == '-')
		name[--len] = '\0';
	return name;
}

static struct jval *labels(const struct nightly *n)
{
	struct jval *v = jval_object();

	jval_put_text(v, "app.kubernetes.io/name", "posmedia-nightly");
	jval_put_text(v, "app.kubernetes.io/instance", n->name);
	return v;
}

/* What a build needs of a pod in a user namespace of its own (hostUsers): namespaces and mounts. */
static struct jval *security(void)
{
	struct jval *v = jval_object(), *caps = jval_object(), *add = jval_array();

	jval_push(add, jval_text("SYS_ADMIN"));
	jval_put(caps, "add", add);
	jval_put(v, "capabilities", caps);
	jval_put_text(v, "procMount", "Unmasked");
	jval_put_int(v, "runAsUser", 0);
	jval_put(v, "seccompProfile", one_text("type", "Unconfined"));
	return v;
}

static struct jval *resources(const struct nightly_kubernetes *k)
{
	struct jval *v = jval_object(), *requests = jval_object();

	if (k->cpu != NULL)
		jval_put_text(requests, "cpu", k->cpu);
	if (k->memory != NULL)
		jval_put_text(requests, "memory", k->memory);
	jval_put(v, "requests", requests);
	return v;
}

static struct jval *mount(const char *name, const char *at)
{
	struct jval *v = one_text("name", name);

	jval_put_text(v, "mountPath", at);
	return v;
}

static struct jval *env_from(const char *secret)
{
	struct jval *v = jval_array(), *one = jval_object();

	jval_put(one, "secretRef", one_text("name", secret));
	jval_push(v, one);
	return v;
}

static struct jval *container(const struct nightly *n, const struct nightly_how *how,
			      const char *key)
{
	const struct nightly_kubernetes *k = &n->kubernetes;
	struct strv argv SCOPED(strv_release) = {0};
	struct nightly_how there = *how;
	struct jval *v = jval_object(), *command = jval_array(), *env = jval_array();
	struct jval *mounts = jval_array();

	there.program = "posmedia";
	job_argv(n, &there, key, &argv);
	for (size_t i = 0; i < argv.n; i++)
		jval_push(command, jval_text(argv.v[i]));
	jval_push(env, pair("POSMEDIA_STORE", k->store != NULL ? k->store : how->store));
	if (how->ledger != NULL)
		jval_push(env, pair("POSMEDIA_LEDGER", how->ledger));
	if (k->volume != NULL)
		jval_push(mounts, mount("project", n->root));
	if (k->store != NULL)
		jval_push(mounts, mount("store", k->store));
	if (k->secret != NULL)
		jval_put(v, "envFrom", env_from(k->secret));
	jval_put_text(v, "name", "nightly");
	jval_put_text(v, "image", k->image);
	jval_put(v, "command", command);
	jval_put(v, "env", env);
	jval_put_text(v, "workingDir", n->root);
	jval_put(v, "volumeMounts", mounts);
	jval_put(v, "securityContext", security());
	if (k->cpu != NULL || k->memory != NULL)
		jval_put(v, "resources", resources(k));
	return v;
}

static struct jval *pod(const struct nightly *n, const struct nightly_how *how,
			const struct nightly_recipe *at)
{
	const struct nightly_kubernetes *k = &n->kubernetes;
	struct recipe *r SCOPED(recipe_freep) = NULL;
	struct err why = ERR_INIT;
	struct jval *v = jval_object(), *containers = jval_array(), *volumes = jval_array();

	jval_push(containers, container(n, how, at->key));
	jval_put(v, "containers", containers);
	if (k->volume != NULL) {
		struct jval *volume = one_text("name", "project");

		jval_put(volume, "persistentVolumeClaim", one_text("claimName", k->volume));
		jval_push(volumes, volume);
	}
	if (k->store != NULL) {
		struct jval *own = one_text("name", "store");

		jval_put(own, "emptyDir", jval_object());
		jval_push(volumes, own);
	}
	jval_put(v, "volumes", volumes);
	jval_put_text(v, "restartPolicy", "Never");
	jval_put(v, "hostUsers", jval_bool(false));
	jval_put(v, "automountServiceAccountToken", jval_bool(false));
	if (k->account != NULL)
		jval_put_text(v, "serviceAccountName", k->account);
	/* what is wrong in the recipe is for its own job to say */
	if (recipe_load(at->path, &r, &why) == 0)
		jval_put(v, "nodeSelector", one_text("kubernetes.io/arch", recipe_platform(r)));
	return v;
}

static struct jval *meta(const struct nightly *n, const char *key, bool named_anew)
{
	char *name SCOPED(mem_freep) = job_name(n, key);
	char *prefix SCOPED(mem_freep) = mem_format("%s-", name);
	struct jval *v = jval_object();

	if (named_anew) /* each night's Job is another one */
		jval_put_text(v, "generateName", prefix);
	else
		jval_put_text(v, "name", name);
	if (n->kubernetes.space != NULL)
		jval_put_text(v, "namespace", n->kubernetes.space);
	jval_put(v, "labels", labels(n));
	return v;
}

static struct jval *job_spec(const struct nightly *n, const struct nightly_how *how,
			     const struct nightly_recipe *at)
{
	struct jval *v = jval_object(), *template = jval_object(), *m = jval_object();

	jval_put(m, "labels", labels(n));
	jval_put(template, "metadata", m);
	jval_put(template, "spec", pod(n, how, at));
	jval_put(v, "template", template);
	jval_put_int(v, "backoffLimit", RETRIES);
	jval_put_int(v, "ttlSecondsAfterFinished", KEEP_S);
	if (n->timeout_ms > 0)
		jval_put_int(v, "activeDeadlineSeconds", (int64_t)(n->timeout_ms / 1000));
	return v;
}

static struct jval *job(const struct nightly *n, const struct nightly_how *how,
			const struct nightly_recipe *at)
{
	const char *schedule = n->kubernetes.schedule;
	struct jval *v = jval_object(), *spec = job_spec(n, how, at);

	jval_put_text(v, "apiVersion", "batch/v1");
	jval_put_text(v, "kind", schedule != NULL ? "CronJob" : "Job");
	jval_put(v, "metadata", meta(n, at->key, schedule == NULL));
	if (schedule != NULL) {
		struct jval *template = jval_object(), *each = jval_object();

		jval_put(template, "spec", spec);
		jval_put_text(each, "schedule", schedule);
		jval_put_text(each, "concurrencyPolicy", "Forbid");
		jval_put(each, "jobTemplate", template);
		spec = each;
	}
	jval_put(v, "spec", spec);
	return v;
}

static int check(const struct nightly *n, const struct nightly_how *how, struct err *e)
{
	if (n->kubernetes.image == NULL) {
		(void)recipe_err(&n->pos, e, "there is no \"kubernetes\" in %s", n->file);
		return err_hint(e,
				"It says which image has posmedia, and which volume the project.");
	}
	if (n->kubernetes.volume == NULL && n->share.at == NULL) {
		(void)recipe_err(&n->pos, e, "there is no \"volume\" in %s", n->file);
		return err_hint(e, "Pods without one have a project of their own, and \"share\".");
	}
	if (n->share.at != NULL && n->file[0] == '/')
		return 0;
	if ((n->kubernetes.store != NULL || fs_within(how->store, n->root)) &&
	    fs_within(n->state, n->root) &&
	    (how->ledger == NULL || fs_within(how->ledger, n->root)) &&
	    strncmp(n->file, "/", 1) == 0)
		return 0;
	(void)err_set(e, ERR_USAGE, "store, state, ledger or %s is not on the project's volume, %s",
		      n->file, n->root);
	return err_hint(e, "Name the file by its absolute path, and keep all of it below that.");
}

static int hand_over(const struct nightly *n, const struct buf *text, struct buf *out,
		     struct err *e)
{
	extern char **environ;
	const char *const argv[] = {n->kubernetes.program, "create", "-f", "-", NULL};
	struct buf err SCOPED(buf_release) = BUF_INIT(64 << 10);
	struct proc_spec spec = {.argv = argv,
				 .env = (const char *const *)environ,
				 .input = text->data,
				 .input_len = text->len,
				 .out = out,
				 .err = &err,
				 .timeout_ms = KUBECTL_TIMEOUT_MS};

	return proc_ok(&spec, ERR_REMOTE, e);
}

int submit_kubernetes(const struct nightly *n, const struct nightly_how *how,
		      const struct nightly_submit *s, struct buf *out, struct err *e)
{
	struct jval *list SCOPED(jval_freep) = jval_object(), *items = jval_array();
	struct buf text SCOPED(buf_release) = BUF_INIT(32 << 20);

	jval_put_text(list, "apiVersion", "v1");
	jval_put_text(list, "kind", "List");
	jval_put(list, "items", items);
	if (check(n, how, e) != 0)
		return -1;
	for (size_t i = 0; i < n->recipes_n; i++)
		if (how->only->n == 0 || strv_has(how->only, n->recipes[i].key))
			jval_push(items, job(n, how, &n->recipes[i]));
	jval_write_pretty(list, &text);
	if (s->dry) {
		buf_add(out, text.data, text.len);
		return 0;
	}
	return hand_over(n, &text, out, e);
}

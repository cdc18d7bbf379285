#include "cli/keys.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "base/log.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {
    {'k', "key", "FILE", "rotate: the key that is replaced."},
    {0, "uid", "TEXT", "The user id in the OpenPGP keyring (default: posmedia)."},
    {0, "passphrase-file", "FILE", "The first line of FILE opens the key, or the new one."},
    {0, "as", "FORM", "export: pkcs8, cosign, openpgp or request."},
    {'o', "output", "FILE", "export: the file to write, which must not be there."},
    {0, "export-passphrase-file", "FILE", "export: the first line of FILE closes the copy."},
    {0, "subject", "NAME=VALUE,…", "export --as request: whom the certificate is for."},
    {0, "overlap", "DAYS", "rotate: how long the old key still counts (default: 30)."},
    {0, "max-age", "DAYS", "age: refuse keys that are older (default: 365)."},
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

int key_show(const struct args *a, const char *path, struct err *e)
{
	struct sign_public *k SCOPED(sign_public_freep) = NULL;
	struct jval *v SCOPED(jval_freep) = jval_object();
	char *base SCOPED(mem_freep) = key_base(path);
	char *uid SCOPED(mem_freep) = NULL, *when SCOPED(mem_freep) = NULL;
	char *fpr SCOPED(mem_freep) = NULL;
	struct err quiet = ERR_INIT;
	struct digest id;
	int64_t created;

	if (sign_public_load(path, &k, e) != 0)
		return -1;
	id = sign_public_id(k);
	jval_put_text(v, "id", digest_text(&id).s);
	jval_put_text(v, "public", path);
	/* of a stranger's key only this much is known */
	if (sign_key_about(base, &created, &uid, &quiet) == 0) {
		when = clock_rfc3339(created);
		fpr = sign_openpgp_fingerprint(k, created);
		jval_put_text(v, "created", when);
		jval_put_text(v, "uid", uid);
		jval_put_text(v, "openpgp", fpr);
	}
	if (args_has(a, "json"))
		screen_json(v);
	else
		printf("%s %s%s%s\n", digest_text(&id).s, path, when != NULL ? " made " : "",
		       when != NULL ? when : "");
	return 0;
}

static int make(const struct args *a, struct err *e)
{
	const char *uid = args_get(a, "uid"), *path = a->rest.v[1];
	char *secret SCOPED(passphrase_freep) = NULL;
	char *public SCOPED(mem_freep) = mem_format("%s.pub", path);

	if (input_passphrase(a, &secret, e) != 0 ||
	    sign_key_new(path, uid != NULL ? uid : "posmedia", secret, e) != 0)
		return -1;
	log_info("wrote %s (private; keep it), %s.pub and %s.gpg (public)", path, path, path);
	return key_show(a, public, e) != 0 ? -1 : key_note(a, "new", path, e);
}

static int import(const struct args *a, struct err *e)
{
	const char *uid = args_get(a, "uid"), *path = a->rest.v[2];
	char *secret SCOPED(passphrase_freep) = NULL;
	char *public SCOPED(mem_freep) = mem_format("%s.pub", path);

	if (input_passphrase(a, &secret, e) != 0 ||
	    sign_key_import(path, a->rest.v[1], uid != NULL ? uid : "posmedia", secret, e) != 0)
		return -1;
	return key_show(a, public, e) != 0 ? -1 : key_note(a, "import", path, e);
}

static int show(const struct args *a, struct err *e)
{
	return key_show(a, a->rest.v[1], e);
}

static const struct {
	const char *name;
	size_t min, max; /* arguments after it */
	int (*run)(const struct args *a, struct err *e);
} actions[] = {
    {"age", 1, 64, key_age}, {"export", 1, 1, key_export},  {"import", 2, 2, import},
    {"new", 1, 1, make},     {"rotate", 1, 64, key_rotate}, {"show", 1, 1, show},
};

static int run(const struct args *a, struct err *e)
{
	size_t n = a->rest.n - 1;

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(a->rest.v[0], actions[i].name) != 0)
			continue;
		if (n < actions[i].min || n > actions[i].max)
			return err_set(e, ERR_USAGE, "key %s: wrong number of arguments",
				       actions[i].name);
		return actions[i].run(a, e);
	}
	(void)err_set(e, ERR_USAGE, "key %s: no such action", a->rest.v[0]);
	return err_hint(e, "it knows age, export, import, new, rotate and show");
}

const struct verb verb_key = {
    .name = "key",
    .args = "new|show|import|export|rotate|age FILE…",
    .help = "Make, show, carry and replace signing keys.",
    .min = 2,
    .max = 65,
    .opts = opts,
    .run = run,
};

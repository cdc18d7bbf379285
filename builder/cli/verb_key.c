#include "cli/input.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "base/log.h"
#include "sign/sign.h"
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {
    {0, "uid", "TEXT", "new: the user id in the OpenPGP keyring (default: posmedia)."},
    {0, "passphrase-file", "FILE", "new: encrypt the key with the first line of FILE."},
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

static int show(const struct args *a, const char *path, struct err *e)
{
	struct sign_public *k SCOPED(sign_public_freep) = NULL;
	struct digest id;

	if (sign_public_load(path, &k, e) != 0)
		return -1;
	id = sign_public_id(k);
	if (args_has(a, "json")) {
		struct jval *v SCOPED(jval_freep) = jval_object();

		jval_put_text(v, "id", digest_text(&id).s);
		jval_put_text(v, "public", path);
		screen_json(v);
		return 0;
	}
	printf("%s %s\n", digest_text(&id).s, path);
	return 0;
}

static int run(const struct args *a, struct err *e)
{
	const char *uid = args_get(a, "uid");
	const char *path = a->rest.v[1];
	char *secret SCOPED(passphrase_freep) = NULL;
	char *public SCOPED(mem_freep) = mem_format("%s.pub", path);

	if (strcmp(a->rest.v[0], "show") == 0)
		return show(a, path, e);
	if (strcmp(a->rest.v[0], "new") != 0) {
		(void)err_set(e, ERR_USAGE, "key %s: no such action", a->rest.v[0]);
		return err_hint(e, "key new FILE, or key show FILE.pub");
	}
	if (input_passphrase(a, &secret, e) != 0 ||
	    sign_key_new(path, uid != NULL ? uid : "posmedia", secret, e) != 0)
		return -1;
	log_info("wrote %s (private; keep it), %s.pub and %s.gpg (public)", path, path, path);
	return show(a, public, e);
}

const struct verb verb_key = {
    .name = "key",
    .args = "new FILE | show FILE.pub",
    .help = "Make a signing key, or show a public one.",
    .min = 2,
    .max = 2,
    .opts = opts,
    .run = run,
};

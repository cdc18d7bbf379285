#include "cli/caching.h"

#include <stdlib.h>

void caching_release(struct caching *c)
{
	ref_release(&c->at);
	keys_release(&c->keys);
	*c = (struct caching){.wanted = NULL};
}

/* Each time anew: nobody else has the key in memory meanwhile. */
static int open_key(void *ctx, struct sign_key **ret, struct err *e)
{
	const struct caching *c = ctx;
	char *secret SCOPED(passphrase_freep) = NULL;

	if (input_passphrase_of(c->args, "cache-passphrase-file", &secret, e) != 0)
		return -1;
	return sign_key_load(args_get(c->args, "cache-key"), secret, ret, e);
}

static int check(const struct args *a, struct err *e)
{
	static const char *const with[] = {"cache-pub", "cache-key", "cache-passphrase-file",
					   "cache-lease"};

	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++)
		if (!args_has(a, "cache") && args_has(a, with[i]))
			return err_set(e, ERR_USAGE, "--%s wants --cache", with[i]);
	if (!args_has(a, "cache") || args_has(a, "cache-pub") || args_has(a, "cache-key"))
		return 0;
	(void)err_set(e, ERR_USAGE, "--cache: nobody's stages are to be used, and none put");
	return err_hint(e, "name whom to believe with --cache-pub, or sign with --cache-key");
}

static int read_place(const struct args *a, struct ref *ret, struct err *e)
{
	const char *text = args_get(a, "cache");

	if (ref_parse(text, ret, e) != 0)
		return err_in(e, "--cache");
	if ((ret->kind == REF_DOCKER || ret->kind == REF_S3) && ret->tag[0] == '\0' &&
	    !ret->has_digest)
		return 0;
	return err_set(e, ERR_USAGE, "--cache %s: wants docker://HOST/REPO or s3://BUCKET/PREFIX",
		       text);
}

int caching_read(const struct args *a, struct caching *ret, struct err *e)
{
	uint64_t lease = 0;

	if (check(a, e) != 0 || args_num(a, "cache-lease", STASH_LEASE_MAX_S, &lease, e) != 0)
		return -1;
	if (!args_has(a, "cache"))
		return 0;
	if (read_place(a, &ret->at, e) != 0 || input_keys_of(a, "cache-pub", &ret->keys, e) != 0)
		return -1;
	ret->args = a;
	ret->opts = (struct stash_opts){.at = &ret->at,
					.keys = ret->keys.v,
					.keys_n = ret->keys.n,
					.key = args_has(a, "cache-key") ? open_key : NULL,
					.ctx = ret,
					.lease_s = lease};
	ret->wanted = &ret->opts;
	return 0;
}

#include "cli/signing.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

void signing_release(struct signing *s)
{
	sign_key_free(s->key);
	sign_stamper_free(s->stamper);
	sign_chain_free(s->chain);
	*s = (struct signing){0};
}

enum { SIGNER_MAX_S = 3600 };

static void program_release(struct sign_program *p)
{
	strv_release(&p->argv);
}

static int open_key(const struct args *a, struct sign_key **ret, struct err *e)
{
	char *secret SCOPED(passphrase_freep) = NULL;
	const char *path = args_get(a, "key"), *signer = args_get(a, "signer");
	struct sign_program p SCOPED(program_release) = {0};
	uint64_t seconds = 0;

	if (path == NULL) {
		(void)err_set(e, ERR_USAGE, "wants --key FILE");
		return err_hint(e, "posmedia key new FILE makes one");
	}
	if (signer == NULL && args_has(a, "signer-arg"))
		return err_set(e, ERR_USAGE, "--signer-arg wants --signer");
	if (signer == NULL && args_has(a, "signer-timeout"))
		return err_set(e, ERR_USAGE, "--signer-timeout wants --signer");
	if (args_num(a, "signer-timeout", SIGNER_MAX_S, &seconds, e) != 0 ||
	    input_passphrase(a, &secret, e) != 0)
		return -1;
	if (signer == NULL)
		return sign_key_load(path, secret, ret, e);
	strv_add(&p.argv, signer);
	for (size_t i = 0; args_nth(a, "signer-arg", i) != NULL; i++)
		strv_add(&p.argv, args_nth(a, "signer-arg", i));
	p.secret = secret;
	p.timeout_ms = seconds * 1000;
	return sign_key_outside(path, &p, ret, e);
}

int signing_open(const struct args *a, struct signing *ret, struct err *e)
{
	const char *key = args_get(a, "tsa-key"), *cert = args_get(a, "tsa-cert");
	struct signing s SCOPED(signing_release) = {0};

	if ((key == NULL) != (cert == NULL))
		return err_set(e, ERR_USAGE, "--tsa-key and --tsa-cert go together");
	if (open_key(a, &s.key, e) != 0 ||
	    (key != NULL && sign_stamper_load(key, cert, &s.stamper, e) != 0))
		return -1;
	if (args_has(a, "chain") &&
	    sign_chain_load(args_get(a, "chain"), sign_key_public(s.key), &s.chain, e) != 0)
		return -1;
	sign_key_stamps(s.key, s.stamper);
	sign_key_certified(s.key, s.chain);
	*ret = s;
	s = (struct signing){0};
	return 0;
}

int signing_turn(const struct args *a, int *ret_fd, struct err *e)
{
	struct store *s SCOPED(store_freep) = NULL;
	int fd SCOPED(fd_closep) = -1;

	if (strncmp(a->rest.v[0], "docker:", 7) != 0)
		return 0;
	if (input_store(a, &s, e) != 0)
		return -1;
	fd = openat(store_fd(s), "signing.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) != 0)
		return err_sys(e, "wait for another that signs");
	*ret_fd = STEAL_FD(fd);
	return 0;
}

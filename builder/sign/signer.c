#include "sign/signer.h"

#include "base/strv.h"
#include "sys/proc.h"
#include <stdlib.h>
#include <string.h>

enum { REPLY_MAX = 4096, TIMEOUT_MS = 60 * 1000 };

struct signer {
	struct strv argv;
	char *secret; /* its second line of input, or NULL */
	uint64_t timeout_ms;
};

void signer_free(struct signer *s)
{
	if (s == NULL)
		return;
	strv_release(&s->argv);
	if (s->secret != NULL)
		explicit_bzero(s->secret, strlen(s->secret));
	free(s->secret);
	free(s);
}

/* What the program reads: the digest, and where one was given the passphrase, a line each. */
static void ask(const struct signer *s, const struct digest *d, struct buf *out)
{
	buf_addf(out, "%s\n", digest_hex(d).s);
	if (s->secret != NULL)
		buf_addf(out, "%s\n", s->secret);
}

int signer_sign(const struct signer *s, const struct sign_public *key, const struct digest *d,
		struct buf *ret_der, struct err *e)
{
	struct buf in SCOPED(buf_release) = BUF_INIT(REPLY_MAX);
	struct buf out SCOPED(buf_release) = BUF_INIT(REPLY_MAX);
	struct buf said SCOPED(buf_release) = BUF_INIT(REPLY_MAX);
	struct proc_spec spec = {.argv = (const char *const *)s->argv.v,
				 .out = &out,
				 .err = &said,
				 .timeout_ms = s->timeout_ms};
	int rc;

	ask(s, d, &in);
	spec.input = in.data;
	spec.input_len = in.len;
	rc = proc_ok(&spec, ERR_FAIL, e);
	explicit_bzero(in.data, in.len);
	if (rc != 0)
		return err_in(e, "signer");
	if (sign_verify_digest(key, d, out.data, out.len, e) != 0) {
		e->kind = ERR_FAIL;
		return err_in(e, "signer %s: what it gave is no signature by the key",
			      s->argv.v[0]);
	}
	buf_add(ret_der, out.data, out.len);
	return buf_over(ret_der) ? err_set(e, ERR_FAIL, "signer: no room") : 0;
}

/* The public half is PATH (SPKI PEM), or PATH.pub; the time is in the .json that key new made. */
int sign_key_outside(const char *path, const struct sign_program *p, struct sign_key **ret,
		     struct err *e)
{
	struct sign_key *k SCOPED(sign_key_freep) = mem_zalloc(sizeof(*k));
	size_t n = strlen(path);
	char *base SCOPED(mem_freep) =
	    mem_strndup(path, n > 4 && strcmp(path + n - 4, ".pub") == 0 ? n - 4 : n);
	char *pub SCOPED(mem_freep) = mem_format("%s.pub", base);

	if (sign_public_load(pub, &k->pub, e) != 0 ||
	    sign_key_about(base, &k->created, NULL, e) != 0)
		return -1;
	k->signer = mem_zalloc(sizeof(*k->signer));
	for (size_t i = 0; i < p->argv.n; i++)
		strv_add(&k->signer->argv, p->argv.v[i]);
	k->signer->secret = p->secret == NULL ? NULL : mem_strdup(p->secret);
	k->signer->timeout_ms = p->timeout_ms != 0 ? p->timeout_ms : TIMEOUT_MS;
	*ret = STEAL(k);
	return 0;
}

/* Any bytes as an OpenPGP message; and as both forms of a payload. No message is by our key. */
#include "fuzz.h"

#include "sign/sign.h"
#include "sys/fs.h"

static struct sign_public *new_key(void)
{
	char dir[] = "/tmp/posmedia-fuzz-XXXXXX";
	struct sign_public *key = NULL;
	struct err e = ERR_INIT;
	char *path SCOPED(mem_freep) = NULL, *pub SCOPED(mem_freep) = NULL;

	HOLDS(mkdtemp(dir) != NULL);
	path = mem_format("%s/key", dir);
	pub = mem_format("%s.pub", path);
	HOLDS(sign_key_new(path, "fuzz", NULL, &e) == 0);
	HOLDS(sign_public_load(pub, &key, &e) == 0);
	HOLDS(fs_rmtree(AT_FDCWD, dir, &e) == 0);
	return key;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct sign_public *key;
	struct buf payload SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct digest d = digest_of("", 0);
	struct err e = ERR_INIT;

	if (key == NULL)
		key = new_key();
	HOLDS(sign_openpgp_open(key, p, n, &payload, &e) != 0);
	HOLDS(sign_verify(key, "x", 1, p, n, &e) != 0);
	(void)!sign_payload_check(SIGN_OPENPGP, (const char *)p, n, NULL, &d, &e);
	(void)!sign_payload_check(SIGN_COSIGN, (const char *)p, n, "localhost/x:1", &d, &e);
	return 0;
}

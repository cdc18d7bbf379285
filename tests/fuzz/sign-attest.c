/* Any bytes as a statement, and as an envelope, which is by no key of ours. */
#include "fuzz.h"

#include "sign/attest.h"
#include "sys/fs.h"

/* a key that nobody signs with */
static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
			  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEtqSBpm96RoVS/WGO20gR2fWznC5G\n"
			  "Pl7xvMOoi8ZXFp8l+HlBvLWhndhEyoLyb77XjzYHOUZ/7UoAtTCFlr5THg==\n"
			  "-----END PUBLIC KEY-----\n";

static struct sign_public *load_key(void)
{
	char path[] = "/tmp/posmedia-fuzz-XXXXXX";
	int fd = mkstemp(path);
	struct sign_public *key = NULL;
	struct err e = ERR_INIT;

	HOLDS(fd >= 0 && fs_write_all(fd, pem, strlen(pem), &e) == 0);
	HOLDS(sign_public_load(path, &key, &e) == 0);
	HOLDS(close(fd) == 0 && unlink(path) == 0);
	return key;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct sign_public *key;
	struct buf in SCOPED(buf_release) = BUF_INIT(n);
	struct buf statement SCOPED(buf_release) = BUF_INIT(ATTEST_MAX);
	struct digest d = digest_of("", 0);
	struct err e = ERR_INIT;

	if (key == NULL)
		key = load_key();
	buf_add(&in, p, n);
	(void)!attest_check(&in, "fuzz", &d, &e);
	HOLDS(attest_open(&in, key, &statement, &e) != 0);
	return 0;
}

#include "form/sums.h"

#include "form/hex.h"
#include <errno.h>
#include <openssl/evp.h>
#include <unistd.h>

enum { SHA1_BYTES = 20, CHUNK = 1 << 18 };

static void finish(EVP_MD_CTX *c, struct hash *h, struct sums *ret)
{
	unsigned char b[EVP_MAX_MD_SIZE] = {0};

	(void)EVP_DigestFinal_ex(c, b, NULL);
	hex_encode(b, SHA1_BYTES, ret->sha1);
	ret->sha256 = hash_final(h);
}

static int read_all(int fd, EVP_MD_CTX *c, struct hash *h, struct err *e)
{
	char *chunk SCOPED(mem_freep) = mem_zalloc(CHUNK);
	ssize_t n;

	while ((n = read(fd, chunk, CHUNK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read");
		hash_add(h, chunk, (size_t)n);
		(void)EVP_DigestUpdate(c, chunk, (size_t)n);
	}
	return 0;
}

int sums_fd(int fd, struct sums *ret, struct err *e)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	int rc = -1;

	if (c == NULL || EVP_DigestInit_ex(c, EVP_sha1(), NULL) != 1)
		(void)err_set(e, ERR_FAIL, "OpenSSL has no SHA-1");
	else
		rc = read_all(fd, c, h, e);
	if (rc == 0)
		finish(c, h, ret);
	EVP_MD_CTX_free(c);
	return rc;
}

void sums_of(const void *p, size_t n, struct sums *ret)
{
	unsigned char b[EVP_MAX_MD_SIZE] = {0};

	(void)EVP_Digest(p, n, b, NULL, EVP_sha1(), NULL);
	hex_encode(b, SHA1_BYTES, ret->sha1);
	ret->sha256 = digest_of(p, n);
}

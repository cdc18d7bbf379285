#include "form/md5.h"

#include "form/hex.h"
#include <errno.h>
#include <openssl/evp.h>
#include <unistd.h>

enum { CHUNK = 1 << 18 };

static int feed(EVP_MD_CTX *c, int fd, uint64_t from, uint64_t n, struct err *e)
{
	char *chunk SCOPED(mem_freep) = mem_zalloc(CHUNK);

	while (n > 0) {
		ssize_t r = pread(fd, chunk, n < CHUNK ? (size_t)n : CHUNK, (off_t)from);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return err_sys(e, "read a part");
		(void)EVP_DigestUpdate(c, chunk, (size_t)r);
		from += (uint64_t)r;
		n -= (uint64_t)r;
	}
	return 0;
}

int md5_part(int fd, uint64_t from, uint64_t n, char ret[MD5_HEX + 1], struct err *e)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	unsigned char sum[EVP_MAX_MD_SIZE];
	char hex[MD5_HEX + 1] = "";
	int rc = 0;

	if (c == NULL)
		mem_exhausted();
	if (EVP_DigestInit_ex(c, EVP_md5(), NULL) == 1) {
		rc = feed(c, fd, from, n, e);
		if (EVP_DigestFinal_ex(c, sum, NULL) == 1)
			hex_encode(sum, MD5_HEX / 2, hex);
	}
	EVP_MD_CTX_free(c);
	if (rc != 0)
		return -1;
	for (int i = 0; i <= MD5_HEX; i++)
		ret[i] = hex[i];
	return 0;
}

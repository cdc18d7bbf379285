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

/* A read of the file has so many whole blocks. */
static int blocks_of(EVP_MD_CTX *c, const char *chunk, size_t n, size_t block, struct buf *ret)
{
	unsigned char sum[EVP_MAX_MD_SIZE];

	for (size_t at = 0; at < n; at += block) {
		size_t len = n - at < block ? n - at : block;

		if (EVP_DigestInit_ex(c, NULL, NULL) != 1 ||
		    EVP_DigestUpdate(c, chunk + at, len) != 1 ||
		    EVP_DigestFinal_ex(c, sum, NULL) != 1)
			return -1;
		buf_add(ret, sum, MD5_BYTES);
	}
	return 0;
}

static int read_blocks(EVP_MD_CTX *c, int fd, const struct md5_blocks *of, struct buf *ret,
		       struct err *e)
{
	const size_t most = (CHUNK / of->block + 1) * of->block;
	char *chunk SCOPED(mem_freep) = mem_zalloc(most);

	for (uint64_t from = 0; from < of->n;) {
		size_t want = of->n - from < most ? (size_t)(of->n - from) : most;
		ssize_t r = pread(fd, chunk, want, (off_t)from);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, "read blocks");
		if ((size_t)r != want)
			return err_set(e, ERR_FAIL, "a file became shorter");
		if (of->all != NULL)
			hash_add(of->all, chunk, want);
		if (blocks_of(c, chunk, want, of->block, ret) != 0)
			return err_set(e, ERR_FAIL, "there is no MD5");
		from += want;
	}
	return 0;
}

int md5_blocks(int fd, const struct md5_blocks *of, struct buf *ret, struct err *e)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	int rc;

	if (c == NULL)
		mem_exhausted();
	rc = EVP_DigestInit_ex(c, EVP_md5(), NULL) == 1 ? read_blocks(c, fd, of, ret, e)
							: err_set(e, ERR_FAIL, "there is no MD5");
	EVP_MD_CTX_free(c);
	return rc;
}

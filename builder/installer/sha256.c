/* These calls are deprecated for those that look for a provider first, with all its algorithms. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "installer/sha256.h"

#include "base/mem.h"
#include <openssl/sha.h>

struct sha256 sha256_of(const void *p, size_t n)
{
	struct sha256 ret;
	SHA256_CTX c;

	/* they only fail for what is not there */
	if (SHA256_Init(&c) != 1 || SHA256_Update(&c, p, n) != 1 || SHA256_Final(ret.b, &c) != 1)
		mem_exhausted();
	return ret;
}

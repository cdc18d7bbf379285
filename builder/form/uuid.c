#include "form/uuid.h"

#include "base/buf.h"
#include "form/hex.h"
#include <openssl/evp.h>
#include <string.h>

enum { UUID_BYTES = 16, SHA1_BYTES = 20 };

/* drawn once; whoever has the same name space and name has the same UUID */
static const uint8_t space[UUID_BYTES] = {0x3c, 0x5f, 0x0b, 0x6e, 0x92, 0x41, 0x4d, 0x0a,
					  0x8b, 0x57, 0x61, 0xe0, 0x9d, 0x2c, 0x74, 0x18};

struct uuid_text uuid_of(const void *name, size_t n)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(n + UUID_BYTES);
	uint8_t sha[SHA1_BYTES];
	char hex[2 * UUID_BYTES + 1];
	struct uuid_text ret;

	buf_add(&b, space, sizeof(space));
	buf_add(&b, name, n);
	/* names, and secures nothing: version 5 knows no other hash */
	if (EVP_Digest(b.data, b.len, sha, NULL, EVP_sha1(), NULL) != 1)
		mem_exhausted();
	sha[6] = (uint8_t)((sha[6] & 0x0f) | 0x50);
	sha[8] = (uint8_t)((sha[8] & 0x3f) | 0x80);
	hex_encode(sha, UUID_BYTES, hex);
	for (size_t from = 0, to = 0; from < 2 * UUID_BYTES; from++) {
		if (from == 8 || from == 12 || from == 16 || from == 20)
			ret.s[to++] = '-';
		ret.s[to++] = hex[from];
	}
	ret.s[sizeof(ret.s) - 1] = '\0';
	return ret;
}

#include "form/digest.h"

#include "form/hex.h"
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct hash {
	EVP_MD_CTX *ctx;
};

int digest_parse_hex(const char *hex, struct digest *ret)
{
	struct digest d;

	if (strlen(hex) != DIGEST_HEX || hex_decode(hex, DIGEST_HEX, d.b) != 0)
		return -1;
	*ret = d;
	return 0;
}

int digest_parse(const char *text, struct digest *ret)
{
	static const char prefix[] = "sha256:";

	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0)
		return -1;
	return digest_parse_hex(text + sizeof(prefix) - 1, ret);
}

struct digest_hex digest_hex(const struct digest *d)
{
	struct digest_hex h;

	hex_encode(d->b, DIGEST_BYTES, h.s);
	return h;
}

struct digest_text digest_text(const struct digest *d)
{
	struct digest_text t;

	memcpy(t.s, "sha256:", 7);
	hex_encode(d->b, DIGEST_BYTES, t.s + 7);
	return t;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, DIGEST_BYTES) == 0;
}

/* The one algorithm is built into every OpenSSL; a failure here means no memory. */
static void start(struct hash *h)
{
	if (EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1)
		mem_exhausted();
}

struct hash *hash_new(void)
{
	struct hash *h = mem_zalloc(sizeof(*h));

	h->ctx = EVP_MD_CTX_new();
	if (h->ctx == NULL)
		mem_exhausted();
	start(h);
	return h;
}

void hash_add(struct hash *h, const void *p, size_t n)
{
	if (EVP_DigestUpdate(h->ctx, p, n) != 1)
		mem_exhausted();
}

struct digest hash_final(struct hash *h)
{
	struct digest d;

	if (EVP_DigestFinal_ex(h->ctx, d.b, NULL) != 1)
		mem_exhausted();
	start(h);
	return d;
}

void hash_free(struct hash *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void hash_freep(struct hash **h)
{
	hash_free(*h);
	*h = NULL;
}

struct digest digest_of(const void *p, size_t n)
{
	struct hash *h SCOPED(hash_freep) = hash_new();

	hash_add(h, p, n);
	return hash_final(h);
}

int digest_fd(int fd, struct digest *ret, uint64_t *ret_size, struct err *e)
{
	enum { CHUNK = 1 << 18 };
	struct hash *h SCOPED(hash_freep) = hash_new();
	char *chunk SCOPED(mem_freep) = mem_zalloc(CHUNK);
	uint64_t size = 0;
	ssize_t r;

	while ((r = read(fd, chunk, CHUNK)) != 0) {
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, "read");
		hash_add(h, chunk, (size_t)r);
		size += (uint64_t)r;
	}
	*ret = hash_final(h);
	if (ret_size != NULL)
		*ret_size = size;
	return 0;
}

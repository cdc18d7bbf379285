#include "form/hex.h"

#include <stdbool.h>
#include <string.h>

static const char std64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void hex_encode(const uint8_t *p, size_t n, char *out)
{
	static const char d[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = d[p[i] >> 4];
		*out++ = d[p[i] & 15];
	}
	*out = '\0';
}

/* One more than what a digit stands for, 0 = none. */
static const uint8_t nibbles[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

int hex_decode(const char *s, size_t digits, uint8_t *out)
{
	if (digits % 2 != 0)
		return -1;
	for (size_t i = 0; i < digits; i += 2) {
		unsigned hi = nibbles[(unsigned char)s[i]];
		unsigned lo = hi == 0 ? 0 : nibbles[(unsigned char)s[i + 1]];

		if (lo == 0)
			return -1;
		*out++ = (uint8_t)((hi - 1) << 4 | (lo - 1));
	}
	return 0;
}

static char *encode(const void *p, size_t n, const char *alphabet, bool pad)
{
	const uint8_t *in = p;
	char *s = mem_zalloc((n + 2) / 3 * 4 + 1);
	size_t o = 0;

	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i < 3 ? n - i : 3;
		uint32_t v = (uint32_t)in[i] << 16;

		if (left > 1)
			v |= (uint32_t)in[i + 1] << 8;
		if (left > 2)
			v |= in[i + 2];
		s[o++] = alphabet[v >> 18];
		s[o++] = alphabet[v >> 12 & 63];
		if (left > 1 || pad)
			s[o++] = left > 1 ? alphabet[v >> 6 & 63] : '=';
		if (left > 2 || pad)
			s[o++] = left > 2 ? alphabet[v & 63] : '=';
	}
	return s;
}

char *base64_encode(const void *p, size_t n)
{
	return encode(p, n, std64, true);
}

char *base64url_encode(const void *p, size_t n)
{
	return encode(p, n, url64, false);
}

static int sextet(char c)
{
	const char *at = c == '\0' ? NULL : strchr(std64, c);

	if (at == NULL && (c == '-' || c == '_'))
		return c == '-' ? 62 : 63;
	return at == NULL ? -1 : (int)(at - std64);
}

int base64_decode(const char *s, struct buf *ret)
{
	size_t n = strlen(s), pad = 0;
	uint32_t v = 0;
	unsigned bits = 0;

	while (pad < 2 && n > 0 && s[n - 1] == '=') {
		n--;
		pad++;
	}
	if (n % 4 == 1 || (pad > 0 && (n + pad) % 4 != 0))
		return -1;
	for (size_t i = 0; i < n; i++) {
		int six = sextet(s[i]);

		if (six < 0)
			return -1;
		v = v << 6 | (uint32_t)six;
		bits += 6;
		if (bits >= 8) {
			char byte = (char)(v >> (bits - 8) & 255);

			bits -= 8;
			v &= (UINT32_C(1) << bits) - 1;
			buf_add(ret, &byte, 1);
		}
	}
	return v == 0 && !buf_over(ret) ? 0 : -1;
}

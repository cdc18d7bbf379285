#include "base/num.h"

#include <stdbool.h>
#include <string.h>

/* Parses leading digits; returns how many characters, 0 on none or overflow. */
static size_t digits(const char *s, unsigned base, uint64_t *ret)
{
	uint64_t v = 0;
	size_t n = 0;

	for (; s[n] >= '0' && (unsigned)(s[n] - '0') < base; n++)
		if (__builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s[n] - '0'), &v))
			return 0;
	*ret = v;
	return n;
}

int num_u64(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t v;
	size_t n = digits(s, 10, &v);

	if (n == 0 || s[n] != '\0' || v > max)
		return -1;
	*ret = v;
	return 0;
}

int num_mode(const char *s, unsigned *ret)
{
	uint64_t v;
	size_t n = digits(s, 8, &v);

	if (n == 0 || s[n] != '\0' || v > 07777)
		return -1;
	*ret = (unsigned)v;
	return 0;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static int with_unit(const char *s, const struct unit *units, uint64_t *ret)
{
	uint64_t v;
	size_t n = digits(s, 10, &v);

	if (n == 0)
		return -1;
	for (; units->name != NULL; units++)
		if (strcmp(s + n, units->name) == 0)
			break;
	if (units->name == NULL || __builtin_mul_overflow(v, units->factor, &v))
		return -1;
	*ret = v;
	return 0;
}

int num_bytes(const char *s, uint64_t *ret)
{
	static const struct unit units[] = {
	    {"", 1},
	    {"K", UINT64_C(1) << 10},
	    {"M", UINT64_C(1) << 20},
	    {"G", UINT64_C(1) << 30},
	    {"T", UINT64_C(1) << 40},
	    {NULL, 0},
	};

	return with_unit(s, units, ret);
}

int num_duration_ms(const char *s, uint64_t *ret)
{
	static const struct unit units[] = {
	    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0},
	};

	return with_unit(s, units, ret);
}

char *num_human(uint64_t bytes)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
	double v = (double)bytes / 1000.0;
	size_t u = 0;

	if (bytes < 1000)
		return mem_format("%u B", (unsigned)bytes);
	while (v >= 999.95 && u + 1 < sizeof(units) / sizeof(units[0])) {
		v /= 1000.0;
		u++;
	}
	return mem_format("%.1f %s", v, units[u]);
}

/* Any bytes as a header of an rpm database: nothing outside of them is read. */
#include "fuzz.h"

#include "package/rpm_header.h"
#include <string.h>

static void texts(const struct rpm_header *h, uint32_t tag)
{
	uint32_t n = rpm_header_texts(h, tag);
	const char **v = rpm_header_list(h, tag);

	HOLDS((n == 0) == (v == NULL));
	for (uint32_t i = 0; i < n; i++)
		HOLDS(strlen(v[i]) < h->data_n);
	free((void *)v);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct err e = ERR_INIT;
	struct rpm_header h;

	if (rpm_header_parse(p, n, &h, &e) != 0)
		return 0;
	for (uint32_t tag = 1000; tag < 1130; tag++) {
		const char *s = rpm_header_text(&h, tag);
		uint32_t numbers = rpm_header_numbers(&h, tag), sum = 0;

		HOLDS(s == NULL || strlen(s) < h.data_n);
		for (uint32_t i = 0; i < numbers; i++)
			sum += rpm_header_number(&h, tag, i);
		HOLDS(numbers > 0 || sum == 0);
		texts(&h, tag);
	}
	return 0;
}

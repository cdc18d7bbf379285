/* Any bytes as lines of a terminal so many columns wide: all of them are taken, and of what is left
 * a terminal obeys nothing. */
#include "fuzz.h"

#include "menu/line.h"
#include <locale.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static bool ready;
	const char *text = (const char *)p + 1;
	size_t columns = n > 0 ? p[0] % 100u : 0, at = 0;

	if (!ready)
		ready = setlocale(LC_CTYPE, "C.UTF-8") != NULL;
	while (n > 0 && at < n - 1) {
		struct buf b SCOPED(buf_release) = BUF_INIT(1 << 14);
		size_t took = line_fit(text + at, n - 1 - at, columns, &b);

		HOLDS(took > 0 && took <= n - 1 - at);
		HOLDS(strlen(b.data) == b.len);
		for (size_t i = 0; i < b.len; i++) {
			uint8_t c = (uint8_t)b.data[i];

			HOLDS(c >= ' ' && c != 0x7f);
			HOLDS(c != 0xc2 || (uint8_t)b.data[i + 1] >= 0xa0);
		}
		at += took;
	}
	return 0;
}

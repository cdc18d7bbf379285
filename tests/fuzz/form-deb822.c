/* Any text as stanzas of a package index. */
#include "fuzz.h"

#include "form/deb822.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char *const fields[] = {"Package", "version", "Depends", "SHA256", ""};
	struct deb822 text = {(const char *)p, n}, stanza;

	while (deb822_next(&text, &stanza)) {
		HOLDS(stanza.n > 0 && stanza.p >= (const char *)p);
		HOLDS(stanza.p + stanza.n <= (const char *)p + n);
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			free(deb822_field(&stanza, fields[i]));
	}
	return 0;
}

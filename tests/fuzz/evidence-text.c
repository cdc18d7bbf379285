/* Any bytes as what an image says: it comes out as characters that show, quoted. */
#include "fuzz.h"

#include "evidence/parts.h"
#include "form/yaml_text.h"

static void is_fit(const char *text)
{
	for (size_t n = strlen(text); n > 0;) {
		uint32_t c = 0;
		size_t len = utf8_decode(text, n, &c);

		HOLDS(len > 0 && !utf8_is_control(c) && c >= 0x20);
		text += len;
		n -= len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text SCOPED(mem_freep) = fuzz_text(p, n);
	char *clean SCOPED(mem_freep) = text_clean(text, 100);
	char *path SCOPED(mem_freep) = NULL;
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	unsigned line;

	is_fit(clean);
	HOLDS(strlen(clean) < 200);
	path = evidence_place(clean, &line);
	HOLDS(path == NULL || strlen(path) < strlen(clean));
	markup_text(clean, &b);
	HOLDS(strpbrk(b.data, "<>\"'") == NULL);
	return 0;
}

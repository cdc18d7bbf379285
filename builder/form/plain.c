#include "form/plain.h"

#include "form/yaml_text.h"
#include <string.h>

bool plain_is_odd(uint32_t c)
{
	return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || c == 0x061c || c == 0x00ad ||
	       (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

static void make_plain(char *text, bool lines)
{
	size_t n = strlen(text);
	char *to = text;

	for (const char *p = text, *end = text + n; p < end;) {
		uint32_t c = 0;
		size_t len = utf8_decode(p, (size_t)(end - p), &c);

		if (lines && p[0] == '\r' && p[1] == '\n') {
			p++;
			continue;
		}
		if (len == 0 || (c == '\n' && !lines) || utf8_is_control(c) || plain_is_odd(c)) {
			*to++ = '?';
		} else {
			memmove(to, p, len);
			to += len;
		}
		p += len > 0 ? len : 1;
	}
	*to = '\0';
}

void plain_text(char *text)
{
	make_plain(text, true);
}

void plain_line(char *text)
{
	make_plain(text, false);
}

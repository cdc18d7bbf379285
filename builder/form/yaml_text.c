#include "form/yaml_text.h"

#include <string.h>

size_t utf8_decode(const char *p, size_t n, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char c = (unsigned char)p[0];
	size_t len = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0;
	uint32_t v;

	if (len == 0 || len > n)
		return 0;
	v = len == 1 ? c : c & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if (((unsigned char)p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | ((unsigned char)p[i] & 0x3f);
	}
	if (v < least[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*ret = v;
	return len;
}

bool utf8_is_control(uint32_t c)
{
	if (c == '\n' || c == '\t')
		return false;
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
	       (c & 0xfffe) == 0xfffe;
}

struct place {
	const char *file;
	unsigned line, col;
};

static int refuse(const struct place *at, uint32_t c, struct err *e)
{
	err_set(e, ERR_RECIPE, "%s:%u:%u: control character U+%04X", at->file, at->line, at->col,
		(unsigned)c);
	if (c == '\r')
		return err_hint(e, "Save the file with Unix line ends.");
	if (c == 0xfeff)
		return err_hint(e, "Save the file as UTF-8 without a byte order mark.");
	return err_hint(e, "Remove it, or write it as an escape in double quotes.");
}

int yaml_text_check(const char *p, size_t n, const char *file, struct err *e)
{
	struct place at = {file, 1, 1};
	bool leading = true;

	for (size_t i = 0, len; i < n; i += len) {
		uint32_t c;

		len = utf8_decode(p + i, n - i, &c);
		if (len == 0) {
			err_set(e, ERR_RECIPE, "%s:%u:%u: not UTF-8", file, at.line, at.col);
			return err_hint(e, "Save the file as UTF-8.");
		}
		if (utf8_is_control(c))
			return refuse(&at, c, e);
		if (c == '\t' && leading) {
			err_set(e, ERR_RECIPE, "%s:%u:%u: tab in the indentation", file, at.line,
				at.col);
			return err_hint(e, "Indent with blanks.");
		}
		leading = c == '\n' || (leading && (c == ' ' || c == '-'));
		at.col++;
		if (c == '\n') {
			at.line++;
			at.col = 1;
		}
	}
	return 0;
}

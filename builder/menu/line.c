#include "menu/line.h"

#include "form/plain.h"
#include <string.h>
#include <wchar.h>

enum { TAB = 8, LINE_MAX_BYTES = 1 << 14 };

/* One character: how many bytes, how many columns; columns of 0 = it is shown as '?'. */
static size_t one(const char *p, size_t n, size_t *ret_columns)
{
	mbstate_t state = {0};
	wchar_t c = 0;
	size_t len = mbrtowc(&c, p, n, &state);
	int width;

	*ret_columns = 0;
	if (len == (size_t)-1 || len == (size_t)-2 || len == 0)
		return 1;
	width = wcwidth(c);
	/* what has no width of its own could be heaped upon a character without end */
	if (width > 0 && !plain_is_odd((uint32_t)c))
		*ret_columns = (size_t)width;
	return len;
}

size_t line_fit(const char *p, size_t n, size_t columns, struct buf *ret)
{
	size_t at = 0, used = 0;

	while (at < n) {
		size_t width, len = one(p + at, n - at, &width);
		size_t tab = TAB - used % TAB;

		if (p[at] == '\t')
			width = tab > columns - used ? columns - used : tab;
		if (used + (width > 0 ? width : 1) > columns)
			break;
		if (p[at] == '\t')
			buf_addf(ret, "%*s", (int)width, "");
		else if (width == 0)
			buf_add(ret, "?", 1);
		else
			buf_add(ret, p + at, len);
		used += width > 0 ? width : 1;
		at += len;
	}
	return at > 0 || n == 0 ? at : 1;
}

char *line_cut(const char *text, size_t columns)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(LINE_MAX_BYTES);

	if (text != NULL)
		(void)line_fit(text, strlen(text), columns, &b);
	return buf_take(&b);
}

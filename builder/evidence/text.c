/* text.c - text that came from an image, made fit to be shown. */
#include "evidence/parts.h"

#include "form/yaml_text.h"
#include <stdlib.h>
#include <string.h>

/* What shows as something else than it is: marks of direction (Unicode TR 36), and code points
 * that XML 1.0 has no way to write. */
static bool is_unfit(uint32_t c)
{
	return utf8_is_control(c) || c < 0x20 || c == 0x061c || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
	       (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
}

/* Appends one character as it is, or byte by byte as \xHH. */
static void add_char(const char *s, size_t len, uint32_t c, struct buf *out)
{
	if (len > 0 && !is_unfit(c)) {
		buf_add(out, s, len);
		return;
	}
	for (size_t i = 0; i < (len > 0 ? len : 1); i++)
		buf_addf(out, "\\x%02x", (unsigned char)s[i]);
}

char *text_clean(const char *s, size_t max)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(max + 64);
	size_t n = strlen(s), at = 0;

	while (n > 0 && s[n - 1] == ' ')
		n--;
	while (at < n && s[at] == ' ')
		at++;
	while (at < n && b.len < max) {
		uint32_t c = 0;
		size_t len = utf8_decode(s + at, n - at, &c);

		add_char(s + at, len, c, &b);
		at += len > 0 ? len : 1;
	}
	if (at < n)
		buf_addf(&b, "… (%zu bytes more)", n - at);
	return buf_take(&b);
}

void markup_text(const char *s, struct buf *out)
{
	static const struct {
		char c;
		const char *as;
	} marks[] = {
	    {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"},
	};

	while (*s != '\0') {
		size_t n = strcspn(s, "&<>\"'");

		buf_add(out, s, n);
		s += n;
		for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
			if (*s == marks[i].c)
				buf_addf(out, "%s", marks[i].as);
		s += *s != '\0';
	}
}

void markup_element(const char *name, const char *text, struct buf *out)
{
	buf_addf(out, "<%s>", name);
	markup_text(text, out);
	buf_addf(out, "</%s>", name);
}

char *evidence_seen(const struct evidence_result *r)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

	for (size_t i = 0; i < r->seen.n; i++)
		buf_addf(&b, "%s%s", i == 0 ? "" : "; ", r->seen.v[i]);
	return buf_take(&b);
}

char *evidence_place(const char *seen, unsigned *ret_line)
{
	const char *end = strstr(seen, ": ");
	size_t n = end == NULL ? 0 : (size_t)(end - seen), digits = 0;

	*ret_line = 0;
	if (seen[0] != '/' || n < 2)
		return NULL;
	while (digits < n && strchr("0123456789", seen[n - 1 - digits]) != NULL)
		digits++;
	if (digits > 0 && digits < 9 && n > digits + 2 && seen[n - 1 - digits] == ':') {
		*ret_line = (unsigned)strtoul(seen + n - digits, NULL, 10);
		n -= digits + 1;
	}
	return mem_strndup(seen + 1, n - 1);
}

struct jval *evidence_list(const struct strv *l)
{
	struct jval *j = jval_array();

	for (size_t i = 0; i < l->n; i++)
		jval_push(j, jval_text(l->v[i]));
	return j;
}

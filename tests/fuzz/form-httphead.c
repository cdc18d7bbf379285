/* Any bytes as the head of a request: what is taken has plain parts, and written plainly it is
 * taken again, the same. */
#include "fuzz.h"

#include "base/buf.h"
#include "form/httphead.h"

static bool has_control(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' && *s != '\t')
			return true;
	return false;
}

static void write_plainly(const struct httphead *h, struct buf *to)
{
	buf_addf(to, "%s %s HTTP/1.%d\r\n", h->method, h->target, h->old ? 0 : 1);
	for (size_t i = 0; i < h->names.n; i++) {
		HOLDS(!has_control(h->names.v[i]) && !has_control(h->values.v[i]));
		buf_addf(to, "%s: %s\r\n", h->names.v[i], h->values.v[i]);
	}
	buf_addf(to, "\r\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct httphead h SCOPED(httphead_release) = {0}, again SCOPED(httphead_release) = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(2 * HTTPHEAD_MAX);
	size_t whole = httphead_size((const char *)p, n);
	struct err e = ERR_INIT;

	HOLDS(whole <= n);
	if (httphead_parse((const char *)p, whole, &h, &e) != 0)
		return 0;
	HOLDS(whole > 0 && h.names.n == h.values.n && strchr(h.target, ' ') == NULL);
	write_plainly(&h, &text);
	if (text.len > HTTPHEAD_MAX)
		return 0; /* blanks were added after colons */
	HOLDS(httphead_size(text.data, text.len) == text.len);
	HOLDS(httphead_parse(text.data, text.len, &again, &e) == 0);
	HOLDS(again.names.n == h.names.n && again.has_body == h.has_body && again.old == h.old);
	return 0;
}

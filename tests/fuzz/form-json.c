/* Any text as JSON: what is taken is written the same way twice. */
#include "fuzz.h"

#include "form/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct jval *v SCOPED(jval_freep) = NULL, *again SCOPED(jval_freep) = NULL;
	struct buf one SCOPED(buf_release) = BUF_INIT(64 << 20);
	struct buf two SCOPED(buf_release) = BUF_INIT(64 << 20);
	struct err e = ERR_INIT;

	if (jval_parse((const char *)p, n, "fuzz", &v, &e) != 0) {
		HOLDS(v == NULL && e.msg[0] != '\0');
		return 0;
	}
	jval_write(v, &one);
	HOLDS(!buf_over(&one));
	if (jval_parse(one.data, one.len, "again", &again, &e) != 0)
		return 0; /* numbers that are no integers are not written as they were */
	jval_write(again, &two);
	HOLDS(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
	return 0;
}

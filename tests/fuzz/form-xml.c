/* What a bucket's server answers with. */
#include "form/xml.h"
#include "fuzz.h"

static int leaf(void *ctx, const char *path, const char *text, struct err *e)
{
	size_t *n = ctx;

	(void)e;
	*n += path[0] != '\0' && text[0] != '\0';
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = 0;
	const struct xml_reader r = {leaf, NULL, &n};
	struct err e = ERR_INIT;

	(void)!xml_read((const char *)data, size, &r, &e);
	return 0;
}

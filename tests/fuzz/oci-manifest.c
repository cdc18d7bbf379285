/* Any text as an image manifest: what is taken is written so that it is taken again, the same. */
#include "fuzz.h"

#include "oci/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct oci_manifest again SCOPED(oci_manifest_release) = {0};
	struct buf one SCOPED(buf_release) = BUF_INIT(16 << 20);
	struct buf two SCOPED(buf_release) = BUF_INIT(16 << 20);
	struct err e = ERR_INIT;

	if (oci_manifest_parse((const char *)p, n, &m, &e) != 0)
		return 0;
	HOLDS(m.layers_n <= OCI_LAYERS_MAX);
	oci_manifest_write(&m, &one);
	HOLDS(oci_manifest_parse(one.data, one.len, &again, &e) == 0);
	oci_manifest_write(&again, &two);
	HOLDS(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
	return 0;
}

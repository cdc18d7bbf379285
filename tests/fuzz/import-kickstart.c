/* Any text as a kickstart, in a directory that has nothing else. */
#include "import-lib.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	return import_bytes(p, n, import_kickstart);
}

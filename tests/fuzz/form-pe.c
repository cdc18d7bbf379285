/* Any bytes as a program for UEFI: what is taken has its fields in its head, which is there. */
#include "fuzz.h"

#include "form/pe.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct err e = ERR_INIT;
	struct pe pe;

	if (pe_parse(p, n, &pe, &e) != 0) {
		HOLDS(e.kind == ERR_RECIPE && e.msg[0] != '\0');
		return 0;
	}
	HOLDS(pe.head <= n && pe.sections > 0 && pe.sections <= PE_SECTIONS_MAX);
	HOLDS(pe.coff < pe.optional && pe.optional < pe.checksum);
	HOLDS(pe.checksum + 4 <= pe.security && pe.security + 8 <= pe.table);
	HOLDS(pe.table + pe.sections * PE_SECTION_BYTES <= pe.head);
	HOLDS(pe.head <= pe.end && pe.top <= UINT32_MAX && pe.align > 0 && pe.file_align > 0);
	return 0;
}

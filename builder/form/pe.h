/* pe.h - what is where in a program for UEFI on x86-64 (PE32+: Microsoft's PE format). */
#ifndef FORM_PE_H
#define FORM_PE_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

enum {
	PE_HEAD_MAX = 64 << 10,
	PE_SECTION_BYTES = 40, /* of a section's header */
	PE_NAME_MAX = 8,
	PE_SECTIONS_MAX = 64,
};

/* Offsets in the file, of fields that somebody may write to; all of them lie in the head. */
struct pe {
	size_t coff;     /* the first header: 20 bytes */
	size_t optional; /* the second */
	size_t checksum; /* 4 bytes of it */
	size_t security; /* 8 bytes of it: where certificates are, and how long */
	size_t table;    /* the section's headers, one behind the other */
	size_t sections;
	uint32_t head;              /* bytes before the first section */
	uint32_t file_align, align; /* of sections in the file and in memory */
	uint32_t end;               /* where the last section ends in the file, */
	uint64_t top;               /* and in memory */
	uint32_t certificates;      /* bytes; 0 = it is not signed */
};

/* Reads the head of one, of which n bytes are there. Its sections follow one another without a gap,
 * behind the head: of another it is disputed which bytes a signature covers. ERR_RECIPE. */
int pe_parse(const void *p, size_t n, struct pe *ret, struct err *e) MUST_CHECK;

/* Numbers, the least byte first. */
uint16_t pe_get16(const void *p);
uint32_t pe_get32(const void *p);
void pe_put16(void *p, uint16_t v);
void pe_put32(void *p, uint32_t v);

#endif

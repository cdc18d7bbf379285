#include "form/pe.h"

#include <stdbool.h>
#include <string.h>

enum {
	POINTER_AT = 0x3c, /* in the head of DOS: where "PE" is */
	COFF_BYTES = 20,
	OPTIONAL_BYTES = 240, /* with all 16 directories */
	MACHINE_X86_64 = 0x8664,
	MAGIC_64 = 0x20b,
	/* in the second header */
	SECTION_ALIGN_AT = 32,
	FILE_ALIGN_AT = 36,
	HEAD_AT = 60,
	CHECKSUM_AT = 64,
	DIRECTORIES_AT = 108,
	SECURITY_AT = 112 + 4 * 8,
	ALIGN_MAX = 1 << 20,
};

uint16_t pe_get16(const void *p)
{
	const uint8_t *b = p;

	return (uint16_t)(b[0] | b[1] << 8);
}

uint32_t pe_get32(const void *p)
{
	const uint8_t *b = p;

	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

void pe_put16(void *p, uint16_t v)
{
	uint8_t *b = p;

	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
}

void pe_put32(void *p, uint32_t v)
{
	pe_put16(p, (uint16_t)v);
	pe_put16((uint8_t *)p + 2, (uint16_t)(v >> 16));
}

static int bad(struct err *e, const char *what)
{
	return err_set(e, ERR_RECIPE, "no program for UEFI on x86-64: %s", what);
}

static bool align_ok(uint32_t n)
{
	return n > 0 && n <= ALIGN_MAX && (n & (n - 1)) == 0;
}

/* Where the headers are. */
static int read_headers(const uint8_t *b, size_t n, struct pe *pe, struct err *e)
{
	const uint8_t *optional;

	if (n < POINTER_AT + 4 || b[0] != 'M' || b[1] != 'Z')
		return bad(e, "its first bytes");
	pe->coff = pe_get32(b + POINTER_AT);
	if (pe->coff > n || n - pe->coff < 4 + COFF_BYTES + OPTIONAL_BYTES ||
	    memcmp(b + pe->coff, "PE\0", 4) != 0)
		return bad(e, "its header");
	pe->coff += 4;
	pe->optional = pe->coff + COFF_BYTES;
	pe->checksum = pe->optional + CHECKSUM_AT;
	pe->security = pe->optional + SECURITY_AT;
	pe->table = pe->optional + OPTIONAL_BYTES;
	optional = b + pe->optional;
	if (pe_get16(b + pe->coff) != MACHINE_X86_64 || pe_get16(optional) != MAGIC_64 ||
	    pe_get16(b + pe->coff + 16) != OPTIONAL_BYTES ||
	    pe_get32(optional + DIRECTORIES_AT) != 16)
		return bad(e, "its kind");
	pe->sections = pe_get16(b + pe->coff + 2);
	pe->align = pe_get32(optional + SECTION_ALIGN_AT);
	pe->file_align = pe_get32(optional + FILE_ALIGN_AT);
	pe->head = pe_get32(optional + HEAD_AT);
	pe->certificates = pe_get32(b + pe->security + 4);
	if (!align_ok(pe->align) || !align_ok(pe->file_align) || pe->head % pe->file_align != 0)
		return bad(e, "how it is aligned");
	return 0;
}

static int read_sections(const uint8_t *b, size_t n, struct pe *pe, struct err *e)
{
	uint64_t end = pe->head;

	if (pe->sections == 0 || pe->sections > PE_SECTIONS_MAX || pe->head > n ||
	    pe->table + pe->sections * PE_SECTION_BYTES > pe->head)
		return bad(e, "its sections");
	for (size_t i = 0; i < pe->sections; i++) {
		const uint8_t *s = b + pe->table + i * PE_SECTION_BYTES;
		const uint64_t size = pe_get32(s + 8), from = pe_get32(s + 12),
			       bytes = pe_get32(s + 16), at = pe_get32(s + 20);

		if (bytes > 0 && (at != end || bytes % pe->file_align != 0))
			return bad(e, "there is something between its sections");
		if (from < pe->top)
			return bad(e, "its sections are in another order");
		end += bytes;
		/* what of its bytes is behind its size is not loaded */
		pe->top = from + (size > 0 ? size : bytes);
	}
	if (end > UINT32_MAX || pe->top > UINT32_MAX)
		return bad(e, "it is too large");
	pe->end = (uint32_t)end;
	return 0;
}

int pe_parse(const void *p, size_t n, struct pe *ret, struct err *e)
{
	struct pe pe = {0};

	if (read_headers(p, n, &pe, e) != 0 || read_sections(p, n, &pe, e) != 0)
		return -1;
	*ret = pe;
	return 0;
}

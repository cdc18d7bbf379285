#include "media/uki.h"

#include "form/pe.h"
#include "sys/fs.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	CHUNK = 1 << 18,
	SECTION_CODE = 0x20,
	SECTION_DATA = 0x40,
	SECTION_READ = 0x40000000,
	/* in the first header: where its symbols are, and how many */
	SECTIONS_AT = 2,
	SYMBOLS_AT = 8,
	/* in the second */
	IMAGE_SIZE_AT = 56,
};

static const uint64_t uki_max = (uint64_t)1 << 30;

struct uki {
	const struct buf *stub;
	struct pe pe;
	uint8_t *head;
	int to;
};

static uint64_t up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* The header of section i, behind those that are there. */
static int add_header(struct uki *u, const struct uki_section *s, struct err *e)
{
	struct pe *pe = &u->pe;
	uint8_t *h = u->head + pe->table + pe->sections * PE_SECTION_BYTES;
	const uint64_t at = up(pe->top, pe->align > PAGE ? pe->align : PAGE),
		       bytes = up(s->n, pe->file_align);
	/* kernels of old are run where they lie */
	const uint32_t kind = strcmp(s->name, ".linux") == 0 ? SECTION_CODE : SECTION_DATA;

	if (s->n == 0 || s->n > uki_max || at + bytes > uki_max || pe->end + bytes > uki_max)
		return err_set(e, ERR_RECIPE, "the entry is too large, or its %s is empty",
			       s->name);
	memset(h, 0, PE_SECTION_BYTES);
	memcpy(h, s->name, strnlen(s->name, PE_NAME_MAX));
	pe_put32(h + 8, (uint32_t)s->n);
	pe_put32(h + 12, (uint32_t)at);
	pe_put32(h + 16, (uint32_t)bytes);
	pe_put32(h + 20, pe->end);
	pe_put32(h + 36, kind | SECTION_READ);
	pe->sections++;
	pe->end += (uint32_t)bytes;
	pe->top = at + s->n;
	return 0;
}

/* The stub's head with the new sections; what it has behind its own, symbols, is left out. */
static int make_head(struct uki *u, const struct uki_section *v, size_t n, struct err *e)
{
	struct pe *pe = &u->pe;

	if (pe_parse(u->stub->data, u->stub->len, pe, e) != 0)
		return -1;
	if (pe->certificates != 0 || pe->end > u->stub->len || pe->sections + n > PE_SECTIONS_MAX ||
	    pe->table + (pe->sections + n) * PE_SECTION_BYTES > pe->head)
		return err_set(e, ERR_RECIPE, "the stub has no room, or is signed or cut off");
	u->head = mem_zalloc(pe->head);
	memcpy(u->head, u->stub->data, pe->head);
	for (size_t i = 0; i < n; i++)
		if (add_header(u, &v[i], e) != 0)
			return -1;
	pe_put16(u->head + pe->coff + SECTIONS_AT, (uint16_t)pe->sections);
	memset(u->head + pe->coff + SYMBOLS_AT, 0, 8);
	memset(u->head + pe->checksum, 0, 4);
	pe_put32(u->head + pe->optional + IMAGE_SIZE_AT, (uint32_t)up(pe->top, pe->align));
	return 0;
}

static int write_file(const struct uki_section *s, int to, struct err *e)
{
	char *chunk SCOPED(mem_freep) = mem_zalloc(CHUNK);

	for (size_t done = 0; done < s->n;) {
		const size_t want = s->n - done < CHUNK ? s->n - done : CHUNK;
		ssize_t n = pread(s->fd, chunk, want, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_sys(e, "read %s", s->name)
				     : err_set(e, ERR_FAIL, "%s ends early", s->name);
		if (fs_write_all(to, chunk, (size_t)n, e) != 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static int write_section(const struct uki *u, const struct uki_section *s, struct err *e)
{
	const size_t rest = (size_t)up(s->n, u->pe.file_align) - s->n;
	char *zeros SCOPED(mem_freep) = mem_zalloc(rest + 1);

	if ((s->p != NULL ? fs_write_all(u->to, s->p, s->n, e) : write_file(s, u->to, e)) != 0)
		return -1;
	return fs_write_all(u->to, zeros, rest, e);
}

static int write_all(struct uki *u, const struct uki_section *v, size_t n, struct err *e)
{
	struct pe stub;

	if (pe_parse(u->stub->data, u->stub->len, &stub, e) != 0 ||
	    fs_write_all(u->to, u->head, stub.head, e) != 0 ||
	    fs_write_all(u->to, u->stub->data + stub.head, stub.end - stub.head, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (write_section(u, &v[i], e) != 0)
			return -1;
	return 0;
}

int uki_write(const struct buf *stub, const struct uki_section *v, size_t n, int to, struct err *e)
{
	struct uki u = {.stub = stub, .to = to};
	int rc = make_head(&u, v, n, e) != 0 ? -1 : write_all(&u, v, n, e);

	mem_freep(&u.head);
	return rc;
}

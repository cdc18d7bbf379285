/* media/uki and form/pe: what is behind a stub's sections, and which stubs are refused. */
#include "harden-lib.h"

#include "form/pe.h"
#include "media/uki.h"
#include <sys/mman.h>

enum { COFF = 68, OPTIONAL = COFF + 20, TABLE = OPTIONAL + 240, HEAD = 1024, ALIGN = 512 };

/* A stub of two sections and a symbol behind them; of the second less is loaded than is there. */
static void make_stub(uint8_t *b)
{
	uint8_t *text = b + TABLE, *data = text + PE_SECTION_BYTES;

	memset(b, 0, HEAD + 2 * ALIGN);
	memcpy(b, "MZ", 2);
	pe_put32(b + 0x3c, COFF - 4);
	memcpy(b + COFF - 4, "PE", 2);
	pe_put16(b + COFF, 0x8664);
	pe_put16(b + COFF + 2, 2);
	pe_put32(b + COFF + 8, HEAD + 2 * ALIGN);
	pe_put32(b + COFF + 12, 1);
	pe_put16(b + COFF + 16, 240);
	pe_put16(b + OPTIONAL, 0x20b);
	pe_put32(b + OPTIONAL + 32, ALIGN);
	pe_put32(b + OPTIONAL + 36, ALIGN);
	pe_put32(b + OPTIONAL + 60, HEAD);
	pe_put32(b + OPTIONAL + 64, 12345);
	pe_put32(b + OPTIONAL + 108, 16);
	memcpy(text, ".text", 5);
	pe_put32(text + 8, 500);
	pe_put32(text + 12, 0x4000);
	pe_put32(text + 16, ALIGN);
	pe_put32(text + 20, HEAD);
	memcpy(data, ".data", 5);
	pe_put32(data + 8, 16);
	pe_put32(data + 12, 0x4200);
	pe_put32(data + 16, ALIGN);
	pe_put32(data + 20, HEAD + ALIGN);
	memset(b + HEAD, 't', ALIGN);
	memset(b + HEAD + ALIGN, 'd', ALIGN);
}

static struct buf stub_buf(uint8_t *b)
{
	struct buf stub = BUF_INIT(1 << 20);

	buf_add(&stub, b, HEAD + 2 * ALIGN);
	buf_add(&stub, "symbol", 6);
	return stub;
}

static int file_of(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

static int write_two(uint8_t *b, int to, struct err *e)
{
	struct buf stub SCOPED(buf_release) = stub_buf(b);
	int from SCOPED(fd_closep) = file_of("kernel");
	const struct uki_section v[] = {{".cmdline", "ro quiet", 8, -1}, {".linux", NULL, 6, from}};

	return uki_write(&stub, v, 2, to, e);
}

static void puts_sections_behind_its_own(void **state)
{
	uint8_t b[HEAD + 2 * ALIGN], is[HEAD + 5 * ALIGN];
	int to SCOPED(fd_closep) = file_of("");
	struct err e = ERR_INIT;
	struct pe pe;

	(void)state;
	make_stub(b);
	assert_int_equal(write_two(b, to, &e), 0);
	assert_int_equal(pread(to, is, sizeof(is), 0), HEAD + 4 * ALIGN);
	assert_int_equal(pe_parse(is, HEAD, &pe, &e), 0);
	assert_int_equal(pe.sections, 4);
	assert_int_equal(pe.end, HEAD + 4 * ALIGN);
	assert_int_equal(pe.certificates, 0);
	/* no symbols, no checksum; the image ends behind the kernel */
	assert_int_equal(pe_get32(is + COFF + 8) + pe_get32(is + COFF + 12), 0);
	assert_int_equal(pe_get32(is + OPTIONAL + 64), 0);
	assert_int_equal(pe_get32(is + OPTIONAL + 56), 0x6200);
	assert_memory_equal(is + TABLE + 80, ".cmdline", 8);
	assert_int_equal(pe_get32(is + TABLE + 80 + 8), 8);
	assert_int_equal(pe_get32(is + TABLE + 80 + 12), 0x5000);
	assert_int_equal(pe_get32(is + TABLE + 80 + 36), 0x40000040);
	assert_memory_equal(is + TABLE + 120, ".linux\0", 8);
	assert_int_equal(pe_get32(is + TABLE + 120 + 8), 6);
	assert_int_equal(pe_get32(is + TABLE + 120 + 12), 0x6000);
	assert_int_equal(pe_get32(is + TABLE + 120 + 36), 0x40000020);
	assert_memory_equal(is + HEAD, b + HEAD, 2 * ALIGN);
	assert_memory_equal(is + HEAD + 2 * ALIGN, "ro quiet\0", 9);
	assert_memory_equal(is + HEAD + 3 * ALIGN, "kernel\0", 7);
}

/* Four bytes of the stub that make another of it. */
static const struct {
	size_t at;
	uint32_t value;
	const char *says;
} bad[] = {
    {0, 0, "its first bytes"},
    {0x3c, 0xfffffff0, "its header"},
    {0x3c, HEAD + 2 * ALIGN, "its header"},
    {COFF - 4, 0, "its header"},
    {COFF, 0x0002aa64, "its kind"},
    {OPTIONAL, 0x10b, "its kind"},
    {OPTIONAL + 108, 4, "its kind"},
    {COFF, 0x00008664, "its sections"},
    {COFF, 0xffff8664, "its sections"},
    {OPTIONAL + 60, 0x80000000, "its sections"},
    {OPTIONAL + 60, HEAD + 2, "how it is aligned"},
    {OPTIONAL + 32, 0, "how it is aligned"},
    {OPTIONAL + 36, 3, "how it is aligned"},
    {TABLE + 20, HEAD + 2, "something between its sections"},
    {TABLE + 16, ALIGN - 1, "something between its sections"},
    {TABLE + 40 + 20, HEAD + 2 * ALIGN, "something between its sections"},
    {TABLE + 40 + 12, 0x4000, "in another order"},
    {TABLE + 40 + 8, 0xffffff00, "it is too large"},
    {TABLE + 40 + 8, 0x7fffff00, "the entry is too large"},
    {OPTIONAL + 112 + 36, 8, "has no room, or is signed"},
    {TABLE + 40 + 16, 4 * ALIGN, "has no room, or is signed or cut off"},
};

static void refuses_other_stubs(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t b[HEAD + 2 * ALIGN];
		int to SCOPED(fd_closep) = file_of("");
		struct err e = ERR_INIT;

		make_stub(b);
		pe_put32(b + bad[i].at, bad[i].value);
		assert_int_equal(write_two(b, to, &e), -1);
		assert_int_equal(e.kind, ERR_RECIPE);
		if (strstr(e.msg, bad[i].says) == NULL)
			fail_msg("row %zu: %s", i, e.msg);
	}
}

static void refuses_what_has_no_room(void **state)
{
	uint8_t b[HEAD + 2 * ALIGN];
	struct uki_section v[20];
	struct err e = ERR_INIT;
	int to SCOPED(fd_closep) = file_of(""), from SCOPED(fd_closep) = file_of("short");
	struct buf stub SCOPED(buf_release) = BUF_INIT(1);

	(void)state;
	make_stub(b);
	stub = stub_buf(b);
	for (size_t i = 0; i < 20; i++)
		v[i] = (struct uki_section){".x", "x", 1, -1};
	assert_int_equal(uki_write(&stub, v, 15, to, &e), 0);
	assert_int_equal(uki_write(&stub, v, 16, to, &e), -1);
	assert_non_null(strstr(e.msg, "no room"));
	v[0] = (struct uki_section){".linux", NULL, 0, from};
	assert_int_equal(uki_write(&stub, v, 1, to, &e), -1);
	assert_non_null(strstr(e.msg, "its .linux is empty"));
	v[0].n = 6;
	assert_int_equal(uki_write(&stub, v, 1, to, &e), -1);
	assert_non_null(strstr(e.msg, ".linux ends early"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(puts_sections_behind_its_own),
	    cmocka_unit_test(refuses_other_stubs),
	    cmocka_unit_test(refuses_what_has_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "sys/self.h"

#include "base/mem.h"
#include "sys/fs.h"
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

/* The linker's digest of a program among its notes, at p: *ret, borrowed, and its length, or 0. */
static size_t build_id_in(const char *p, size_t n, const char **ret)
{
	while (n >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) note;
		size_t name, desc, whole;

		memcpy(&note, p, sizeof(note));
		name = ((size_t)note.n_namesz + 3) & ~(size_t)3;
		desc = ((size_t)note.n_descsz + 3) & ~(size_t)3;
		whole = sizeof(note) + name + desc;
		if (whole > n)
			return 0;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    memcmp(p + sizeof(note), ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0) {
			*ret = p + sizeof(note) + name;
			return note.n_descsz;
		}
		p += whole;
		n -= whole;
	}
	return 0;
}

/* The first object is the program itself. */
static int take_build_id(struct dl_phdr_info *info, size_t size, void *ctx)
{
	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const char *id;
		size_t n = 0;

		if (ph->p_type == PT_NOTE)
			n = build_id_in((const char *)(info->dlpi_addr + ph->p_vaddr), ph->p_memsz,
					&id);
		if (n > 0) {
			hash_add(ctx, id, n);
			return 1;
		}
	}
	return -1;
}

int self_digest(struct digest *ret, struct err *e)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	int fd SCOPED(fd_closep) = -1;

	if (dl_iterate_phdr(take_build_id, h) > 0) {
		*ret = hash_final(h);
		return 0;
	}
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open /proc/self/exe");
	return digest_fd(fd, ret, NULL, e);
}

char *self_boot_id(void)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(128);
	struct err quiet = ERR_INIT;

	if (fs_get(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &b, &quiet) != 0)
		return mem_strdup("unknown");
	return mem_strndup(b.data, strcspn(b.data, "\n"));
}

#include "media/slot_what.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct digest of_zeros(void)
{
	char *block SCOPED(mem_freep) = mem_zalloc(MEDIUM_BLOCK);

	return digest_of(block, MEDIUM_BLOCK);
}

struct digest slot_kernel(const struct digest *blocks, size_t n)
{
	const struct digest zeros = of_zeros();

	while (n > 0 && digest_equal(&blocks[n - 1], &zeros))
		n--;
	return digest_of(blocks, n * sizeof(*blocks));
}

int slot_kernel_of(const struct making *m, const char *file, struct digest *ret, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(m->to, file);
	char *block SCOPED(mem_freep) = mem_zalloc(MEDIUM_BLOCK);
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct digest *v SCOPED(mem_freep) = NULL;
	struct stat st;
	size_t n;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "open %s", path);
	n = ((size_t)st.st_size + MEDIUM_BLOCK - 1) / MEDIUM_BLOCK;
	v = mem_zalloc((n + 1) * sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		memset(block, 0, MEDIUM_BLOCK);
		if (pread(fd, block, MEDIUM_BLOCK, (off_t)(i * MEDIUM_BLOCK)) <= 0)
			return err_sys(e, "read %s", path);
		v[i] = digest_of(block, MEDIUM_BLOCK);
	}
	*ret = slot_kernel(v, n);
	return 0;
}

void slot_name(const char *identity, char *ret)
{
	const char *tag = identity != NULL ? strrchr(identity, ':') : NULL;
	const size_t n = tag != NULL ? (size_t)(tag - identity) : 0;

	memset(ret, 0, SLOT_NAME);
	if (n < SLOT_NAME)
		memcpy(ret, n > 0 ? identity : "", n);
}

void slot_of_medium(const struct medium *m, struct slot_record *ret)
{
	char *name SCOPED(mem_freep) = slot_part("boot", SLOT_A);
	const struct medium_part *p = medium_part_named(m, name);

	ret->image = m->image;
	ret->top = m->verity.top;
	ret->salt = m->verity.salt;
	ret->blocks = m->verity.blocks;
	slot_name(m->identity, ret->name);
	if (p != NULL)
		ret->kernel =
		    slot_kernel(m->blocks + p->at / MEDIUM_BLOCK, (size_t)(p->size / MEDIUM_BLOCK));
}

#include "media/entry.h"

#include "harden/root.h"
#include "media/uki.h"
#include "sign/authenticode.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STUB "usr/lib/systemd/boot/efi/linuxx64.efi.stub"

enum {
	STUB_MAX = 1 << 20,
	OSREL_MAX = 64 << 10,
	ENTRY_REST = 2 << 20, /* stub, texts, signature, and what fills up sections */
	CPIO_ALIGN = 4,
	SECTIONS_MAX = 5,
};

static int open_key(const struct media_opts *o, struct authenticode **ret, struct err *e)
{
	const struct authenticode_files f = {o->boot->key, o->boot->cert, o->boot->passphrase};

	return authenticode_open(&f, ret, e);
}

int entry_check(const struct media_opts *o, struct err *e)
{
	struct authenticode *a SCOPED(authenticode_freep) = NULL;

	return o->boot == NULL ? 0 : open_key(o, &a, e);
}

uint64_t entry_room(const struct making *m, uint64_t files)
{
	return m->o->boot == NULL ? 0 : files + ENTRY_REST;
}

/* The image's goes before the machine's: it is of the image's own systemd. */
static int read_stub(int root, struct buf *ret, struct err *e)
{
	bool there;

	if (root_read(root, STUB, ret, &there, e) != 0)
		return -1;
	if (there)
		return 0;
	if (access("/" STUB, F_OK) == 0)
		return fs_get_file(AT_FDCWD, "/" STUB, ret, e);
	(void)err_set(e, ERR_FAIL, "there is no /" STUB ", in the image or here");
	return err_hint(e, "Install the package systemd-boot-efi.");
}

static int open_file(int root, const char *path, int *ret, size_t *ret_size, struct err *e)
{
	int fd SCOPED(fd_closep) = root_open(root, path, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "open /%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_RECIPE, "/%s is no file", path);
	*ret_size = (size_t)st.st_size;
	*ret = STEAL_FD(fd);
	return 0;
}

/* The image's initial file system and ours behind it, as one file without a name. */
static int join_initrds(const struct making *m, const struct loader *l, int root, int *ret,
			struct err *e)
{
	static const char zeros[CPIO_ALIGN] = "";
	int fd SCOPED(fd_closep) = open(m->to, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int from SCOPED(fd_closep) = -1;
	size_t n;

	if (fd < 0)
		return err_sys(e, "make a file in %s", m->to);
	if (open_file(root, l->b->initrd, &from, &n, e) != 0 ||
	    fs_copy_fd(from, fd, NULL, e) != 0 ||
	    fs_write_all(fd, zeros, (CPIO_ALIGN - n % CPIO_ALIGN) % CPIO_ALIGN, e) != 0 ||
	    fs_write_all(fd, l->more->data, l->more->len, e) != 0)
		return -1;
	*ret = STEAL_FD(fd);
	return 0;
}

/* Opened for this alone: nothing of the image is unpacked or run meanwhile. */
static int sign(const struct making *m, int fd, struct err *e)
{
	struct authenticode *a SCOPED(authenticode_freep) = NULL;

	return open_key(m->o, &a, e) != 0 ? -1 : authenticode_sign(a, fd, m->epoch, e);
}

static int write_entry(const struct making *m, const struct uki_section *v, size_t n, int root,
		       struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(m->to, "entry");
	struct buf stub SCOPED(buf_release) = BUF_INIT(STUB_MAX);
	int fd SCOPED(fd_closep) = -1;

	if (read_stub(root, &stub, e) != 0)
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, "make %s", path);
	if (uki_write(&stub, v, n, fd, e) != 0 || sign(m, fd, e) != 0)
		return err_in(e, "the signed entry");
	return 0;
}

int entry_make(const struct making *m, const struct loader *l, struct err *e)
{
	struct buf os SCOPED(buf_release) = BUF_INIT(OSREL_MAX);
	int root SCOPED(fd_closep) = -1, kernel SCOPED(fd_closep) = -1;
	int initrd SCOPED(fd_closep) = -1;
	struct uki_section v[SECTIONS_MAX];
	size_t n = 0, size;
	off_t end;

	if (fs_open_dir(AT_FDCWD, m->tree, &root, e) != 0 ||
	    root_read(root, "etc/os-release", &os, NULL, e) != 0 ||
	    open_file(root, l->b->kernel, &kernel, &size, e) != 0 ||
	    join_initrds(m, l, root, &initrd, e) != 0)
		return -1;
	end = lseek(initrd, 0, SEEK_END);
	if (end < 0)
		return err_sys(e, "the initial file systems");
	if (os.len > 0)
		v[n++] = (struct uki_section){".osrel", os.data, os.len, -1};
	v[n++] = (struct uki_section){".uname", l->b->release, strlen(l->b->release), -1};
	v[n++] = (struct uki_section){".cmdline", l->args, strlen(l->args), -1};
	v[n++] = (struct uki_section){".linux", NULL, size, kernel};
	v[n++] = (struct uki_section){".initrd", NULL, (size_t)end, initrd};
	return write_entry(m, v, n, root, e);
}

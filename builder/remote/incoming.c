#include "remote/incoming.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { LARGE = 1 << 20 };

static const char prefix[] = ".partial-";

/* Opens and locks. 1: another process has it, or has just ended with it. */
static int open_named(int dir, const char *name, int *ret_fd, struct err *e)
{
	int fd SCOPED(fd_closep) =
	    openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FAIL, "%s: not a file", name);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &st) != 0 || st.st_nlink == 0)
		return 1;
	*ret_fd = STEAL_FD(fd);
	return 0;
}

static int open_unnamed(int dir, int *ret_fd, struct err *e)
{
	char *name SCOPED(mem_freep) = mem_format(".pull.%ld", (long)getpid());
	int fd SCOPED(fd_closep) =
	    openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || unlinkat(dir, name, 0) != 0)
		return err_sys(e, "make a file");
	*ret_fd = STEAL_FD(fd);
	return 0;
}

/* Hashes what is there, up to the blob's size: what is past it cannot be right. */
static int take_up(struct incoming *in, struct err *e)
{
	enum { CHUNK = 1 << 18 };
	char *chunk SCOPED(mem_freep) = mem_zalloc(CHUNK);
	struct stat st;

	if (fstat(in->fd, &st) != 0)
		return err_sys(e, "read what is there");
	if ((uint64_t)st.st_size > in->d->size)
		return incoming_restart(in, e);
	while (in->have < (uint64_t)st.st_size) {
		uint64_t left = (uint64_t)st.st_size - in->have;
		size_t n = left < CHUNK ? (size_t)left : CHUNK;

		if (fs_read_all(in->fd, chunk, n, e) != 0)
			return -1;
		hash_add(in->hash, chunk, n);
		in->have += n;
	}
	return 0;
}

int incoming_open(struct oci_layout *l, const struct oci_desc *d, struct incoming *ret,
		  struct err *e)
{
	struct incoming in = {.l = l, .d = d, .fd = -1};
	char *name SCOPED(mem_freep) = mem_format("%s%s", prefix, digest_hex(&d->digest).s);
	int rc = open_named(oci_layout_fd(l), name, &in.fd, e);

	if (rc > 0)
		rc = open_unnamed(oci_layout_fd(l), &in.fd, e);
	else if (rc == 0)
		in.name = STEAL(name);
	in.hash = hash_new();
	if (rc != 0 || take_up(&in, e) != 0) {
		incoming_close(&in);
		return err_in(e, "%s", oci_layout_path(l));
	}
	*ret = in;
	return 0;
}

int incoming_write(struct incoming *in, const void *p, size_t n, struct err *e)
{
	if (n > in->d->size - in->have)
		return err_set(e, ERR_VERIFY, "has more than %llu bytes",
			       (unsigned long long)in->d->size);
	if (in->behind == NULL && in->d->size >= LARGE)
		in->behind = behind_new(in->fd, in->hash);
	if (in->behind != NULL) {
		if (behind_add(in->behind, p, n, e) != 0)
			return -1;
		in->have += n;
		return 0;
	}
	if (fs_write_all(in->fd, p, n, e) != 0)
		return -1;
	hash_add(in->hash, p, n);
	in->have += n;
	return 0;
}

int incoming_restart(struct incoming *in, struct err *e)
{
	behind_free(STEAL(in->behind));
	if (ftruncate(in->fd, 0) != 0 || lseek(in->fd, 0, SEEK_SET) != 0)
		return err_sys(e, "begin a download anew");
	hash_free(in->hash);
	in->hash = hash_new();
	in->have = 0;
	return 0;
}

int incoming_keep(struct incoming *in, struct err *e)
{
	struct digest got;
	int rc;

	if (in->behind != NULL && behind_wait(in->behind, e) != 0)
		return -1;
	got = hash_final(in->hash);
	if (!digest_equal(&got, &in->d->digest) || in->have != in->d->size)
		return err_set(e, ERR_VERIFY, "is %s of %llu bytes", digest_text(&got).s,
			       (unsigned long long)in->have);
	if (in->name != NULL)
		rc = oci_layout_adopt(in->l, in->name, in->fd, &got, e);
	else if (lseek(in->fd, 0, SEEK_SET) != 0)
		rc = err_sys(e, "read what came");
	else
		rc = oci_layout_add_fd(in->l, in->fd, &got, in->have, e);
	if (rc != 0)
		return -1;
	free(STEAL(in->name)); /* it is the blob's now */
	incoming_close(in);
	return 0;
}

void incoming_close(struct incoming *in)
{
	behind_free(STEAL(in->behind));
	if (in->name != NULL && in->have == 0)
		(void)unlinkat(oci_layout_fd(in->l), in->name, 0);
	fd_closep(&in->fd);
	hash_freep(&in->hash);
	free(STEAL(in->name));
}

void incoming_sweep(const struct oci_layout *l)
{
	struct strv names SCOPED(strv_release) = {0};
	struct err quiet = ERR_INIT;
	int dir = oci_layout_fd(l);

	if (fs_list(dir, ".", &names, &quiet) != 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		int fd SCOPED(fd_closep) = -1;

		if (strncmp(names.v[i], prefix, sizeof(prefix) - 1) == 0 &&
		    open_named(dir, names.v[i], &fd, &quiet) == 0)
			(void)unlinkat(dir, names.v[i], 0);
	}
}

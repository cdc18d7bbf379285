#include "site/secret.h"

#include "sys/fs.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMMAND_MS = 30000 };

/* All the room at once: a buffer that grows leaves what it held behind. */
static void make_room(struct buf *b)
{
	char *zeros SCOPED(mem_freep) = mem_zalloc(SITE_SECRET_MAX);

	buf_add(b, zeros, SITE_SECRET_MAX);
	buf_cut(b, 0);
}

void site_secret_release(struct buf *b)
{
	if (b->cap > 0)
		explicit_bzero(b->data, b->cap);
	buf_release(b);
}

static int check_owner(const char *path, const struct stat *st, struct err *e)
{
	if (!S_ISREG(st->st_mode))
		return err_set(e, ERR_VERIFY, "%s: a secret must be a regular file", path);
	if ((st->st_mode & 077) != 0) {
		(void)err_set(e, ERR_VERIFY, "%s: others may read this secret (mode %04o)", path,
			      (unsigned)(st->st_mode & 07777));
		return err_hint(e, "chmod 0600 %.200s, and give out a new secret", path);
	}
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return err_set(e, ERR_VERIFY, "%s: the secret belongs to another user (%u)", path,
			       (unsigned)st->st_uid);
	if (st->st_size > SITE_SECRET_MAX)
		return err_set(e, ERR_VERIFY, "%s: larger than %d bytes", path, SITE_SECRET_MAX);
	return 0;
}

static int read_file(const char *path, struct buf *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "read the secret %s", path);
	if (check_owner(path, &st, e) != 0)
		return -1;
	do {
		char chunk[1024];

		n = read(fd, chunk, sizeof(chunk));
		if (n > 0)
			buf_add(ret, chunk, (size_t)n);
		explicit_bzero(chunk, sizeof(chunk));
	} while (n > 0);
	if (n < 0)
		return err_sys(e, "read the secret %s", path);
	return buf_over(ret) ? err_set(e, ERR_VERIFY, "%s: larger than it said", path) : 0;
}

static int read_credential(const char *name, struct buf *ret, struct err *e)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char *path SCOPED(mem_freep) = NULL;

	if (dir == NULL || dir[0] != '/') {
		(void)err_set(e, ERR_FAIL, "the credential \"%s\": no CREDENTIALS_DIRECTORY", name);
		return err_hint(e, "start it by systemd with LoadCredential=%s", name);
	}
	path = fs_join(dir, name);
	return read_file(path, ret, e);
}

static int read_command(const struct strv *command, struct buf *ret, struct err *e)
{
	struct proc_result r = {0};
	const struct proc_spec spec = {
	    .argv = (const char *const *)command->v, .out = ret, .timeout_ms = COMMAND_MS};

	if (proc_run(&spec, &r, e) != 0)
		return -1;
	if (r.timed_out)
		return err_set(e, ERR_FAIL, "%s gave no secret within 30 s", command->v[0]);
	if (r.status != 0)
		return err_set(e, ERR_FAIL, "%s gave no secret: exit %d", command->v[0], r.status);
	return buf_over(ret) ? err_set(e, ERR_FAIL, "%s says more than %d bytes", command->v[0],
				       SITE_SECRET_MAX)
			     : 0;
}

size_t site_secret_length(const struct buf *b)
{
	size_t n = b->len;

	while (n > 0 && (b->data[n - 1] == '\n' || b->data[n - 1] == '\r'))
		n--;
	return n;
}

int site_secret_read(const struct site_source *from, struct buf *ret, struct err *e)
{
	struct buf b SCOPED(site_secret_release) = BUF_INIT(SITE_SECRET_MAX);
	int rc;

	make_room(&b);
	if (from->file != NULL)
		rc = read_file(from->file, &b, e);
	else if (from->credential != NULL)
		rc = read_credential(from->credential, &b, e);
	else
		rc = read_command(&from->command, &b, e);
	if (rc == 0 && b.len == 0)
		rc = err_set(e, ERR_VERIFY, "the secret is empty");
	if (rc != 0)
		return -1;
	*ret = b;
	b = (struct buf)BUF_INIT(0);
	return 0;
}

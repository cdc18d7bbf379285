/* compare.c - two trees or manifests, and every difference. */
#include "restore/parts.h"

#include "sign/file.h"
#include "sys/par.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int restore_check_signed(const char *path, const struct manifest *m, const struct sign_wanted *by,
			 struct err *e)
{
	struct sign_report r SCOPED(sign_report_release) = {0};
	const struct digest root = manifest_root(m);
	struct digest d;

	if (sign_file_verify(path, by, &d, &r, e) != 0)
		return -1;
	return digest_equal(&d, &root)
		   ? 0
		   : err_set(e, ERR_VERIFY, "%s is not what was read of it before", path);
}

/* One of the two. */
struct side {
	const struct restore_compare *c;
	const char *path;
	int fd;
	bool file; /* of a manifest; else a tree */
	struct manifest m;
	int rc;
	struct err err;
};

static void side_release(struct side *s)
{
	fd_closep(&s->fd);
	manifest_release(&s->m);
}

static int open_side(struct side *s, const char *what, struct err *e)
{
	struct stat st;

	s->path = strncmp(what, "dir:", 4) == 0 ? what + 4 : what;
	s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0 || fstat(s->fd, &st) != 0)
		return err_sys(e, "open %s", s->path);
	s->file = !S_ISDIR(st.st_mode);
	return 0;
}

static void read_side(void *ctx, size_t n)
{
	struct side *s = (struct side *)ctx + n;
	const struct restore_making how = {.threads = s->c->threads, .what = "read"};

	s->rc = s->file ? manifest_read(s->fd, s->path, &s->m, &s->err)
			: restore_make(s->fd, &how, &s->m, &s->err);
}

static int check_side(const struct side *s, struct err *e)
{
	if (!s->file || s->c->signers == NULL)
		return 0;
	return restore_check_signed(s->path, &s->m, s->c->signers, e);
}

/* A text is read while a tree is listed; two trees come one after the other. */
static int read_both(struct side v[2], struct err *e)
{
	if (v[0].file || v[1].file)
		par_each(2, 2, read_side, v);
	else
		for (size_t i = 0; i < 2 && v[0].rc == 0; i++)
			read_side(v, i);
	if (v[0].rc == 0 && v[1].rc == 0)
		return 0;
	*e = v[v[0].rc != 0 ? 0 : 1].err;
	return -1;
}

static int compare(struct side v[2], uint64_t *ret, struct err *e)
{
	const struct restore_compare *c = v[0].c;

	if (open_side(&v[0], c->a, e) != 0 || open_side(&v[1], c->b, e) != 0)
		return -1;
	if (c->signers != NULL && !v[0].file && !v[1].file)
		return err_set(e, ERR_USAGE, "--pub wants a manifest's file, and both are trees");
	if (read_both(v, e) != 0 || check_side(&v[0], e) != 0 || check_side(&v[1], e) != 0)
		return -1;
	*ret = manifest_compare(&v[0].m, &v[1].m, c->fn, c->ctx);
	return 0;
}

int restore_compare(const struct restore_compare *c, uint64_t *ret, struct err *e)
{
	struct side v[2] = {{.c = c, .fd = -1, .err = ERR_INIT},
			    {.c = c, .fd = -1, .err = ERR_INIT}};
	int rc = compare(v, ret, e);

	side_release(&v[0]);
	side_release(&v[1]);
	return rc;
}

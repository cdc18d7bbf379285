#include "snapshot/objects.h"

#include "sys/fs.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_MAX = 8 << 20 };

void object_list_release(struct object_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].name);
	free(l->v);
	*l = (struct object_list){0};
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct object *)a)->name, ((const struct object *)b)->name);
}

int objects_open(const char *where, bool make, struct objects **ret, struct err *e)
{
	struct objects *o = mem_zalloc(sizeof(*o));
	int rc;

	o->where = mem_strdup(where);
	if (strncmp(where, "dir:", 4) == 0 && where[4] != '\0')
		rc = objects_dir(where + 4, make, o, e);
	else if (where[0] == '/')
		rc = objects_dir(where, make, o, e);
	else if (strncmp(where, "s3://", 5) == 0)
		rc = objects_s3(where + 5, o, e);
	else
		rc = err_set(e, ERR_USAGE, "%s: a repository is dir:PATH or s3://BUCKET/PREFIX",
			     where);
	if (rc != 0) {
		objects_free(o);
		return -1;
	}
	*ret = o;
	return 0;
}

void objects_free(struct objects *o)
{
	if (o == NULL)
		return;
	if (o->ctx != NULL)
		o->ops->free(o->ctx);
	free(o->where);
	free(o);
}

/* Says which object of which repository it was. */
static int in(const struct objects *o, const char *name, struct err *e)
{
	return err_in(e, "%s: %s", o->where, name);
}

int objects_put(struct objects *o, const char *name, int fd, struct err *e)
{
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < 0 || lseek(fd, 0, SEEK_SET) != 0)
		(void)err_sys(e, "seek");
	else if (o->ops->put(o->ctx, name, fd, (uint64_t)size, e) == 0)
		return 0;
	return in(o, name, e);
}

int objects_put_bytes(struct objects *o, const char *name, const void *p, size_t n, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (objects_temp(o, &fd, e) != 0 || fs_write_all(fd, p, n, e) != 0)
		return in(o, name, e);
	return objects_put(o, name, fd, e);
}

int objects_get(struct objects *o, const char *name, struct buf *ret, struct err *e)
{
	for (;;) {
		size_t before = ret->len, room = ret->max - ret->len;
		size_t n = room + 1 < READ_MAX ? room + 1 : READ_MAX;
		uint8_t *p SCOPED(mem_freep) = mem_resize(NULL, n, 1);
		struct object_part part = {.p = p, .n = n};
		int rc = o->ops->read(o->ctx, name, before, &part, e);

		if (rc != 0)
			return rc < 0 ? in(o, name, e) : rc;
		buf_add(ret, p, part.got);
		if (buf_over(ret)) {
			(void)err_set(e, ERR_VERIFY, "larger than %zu bytes", ret->max);
			return in(o, name, e);
		}
		if (part.got < n)
			return 0;
	}
}

int objects_read(struct objects *o, const char *name, uint64_t from, void *p, size_t n,
		 struct err *e)
{
	struct object_part part = {.p = p, .n = n};
	int rc = o->ops->read(o->ctx, name, from, &part, e);

	if (rc == 0 && part.got == n)
		return 0;
	if (rc == 1)
		(void)err_set(e, ERR_VERIFY, "is not there");
	else if (rc == 0)
		(void)err_set(e, ERR_VERIFY, "is cut short");
	return in(o, name, e);
}

int objects_list(struct objects *o, const char *folder, struct object_list *ret, struct err *e)
{
	struct object_list l = {0};

	if (o->ops->list(o->ctx, folder, &l, e) != 0) {
		object_list_release(&l);
		return in(o, folder, e);
	}
	if (l.n > 0)
		qsort(l.v, l.n, sizeof(*l.v), by_name);
	*ret = l;
	return 0;
}

int objects_remove(struct objects *o, const char *name, struct err *e)
{
	return o->ops->remove(o->ctx, name, e) == 0 ? 0 : in(o, name, e);
}

int objects_may_remove(struct objects *o, struct err *e)
{
	return o->ops->may_remove(o->ctx, e) == 0 ? 0 : err_in(e, "%s", o->where);
}

int objects_temp(struct objects *o, int *ret_fd, struct err *e)
{
	return o->ops->temp(o->ctx, ret_fd, e);
}

int objects_lock(struct objects *o, bool alone, struct err *e)
{
	return o->ops->lock(o->ctx, alone, e) == 0 ? 0 : err_in(e, "%s", o->where);
}

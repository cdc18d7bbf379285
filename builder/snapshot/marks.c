#include "snapshot/marks.h"

#include "base/num.h"
#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

enum { MARKS_MAX = 16 << 20 };

void marks_release(struct marks *m)
{
	map_release(&m->times, free);
	strv_release(&m->objects);
	*m = (struct marks){0};
}

/* Lines of a time and a name; the earliest time counts. */
static int take_lines(struct marks *m, const struct buf *b, struct err *e)
{
	const char *at = b->data;

	while (*at != '\0') {
		size_t n = strcspn(at, "\n"), first = strcspn(at, " \n");
		char *time = mem_strndup(at, first);
		char *name SCOPED(mem_freep) = NULL;
		uint64_t s, before;
		const char *old;

		if (first == n || num_u64(time, INT64_MAX, &s) != 0) {
			free(time);
			return err_set(e, ERR_VERIFY, "is damaged");
		}
		name = mem_strndup(at + first + 1, n - first - 1);
		old = map_get(&m->times, name);
		if (old != NULL && num_u64(old, INT64_MAX, &before) == 0 && before <= s)
			free(time);
		else
			free(map_put(&m->times, name, time));
		at += n + (at[n] == '\n');
	}
	return 0;
}

int marks_read(struct snapshot_repo *r, struct marks *ret, struct err *e)
{
	struct object_list l SCOPED(object_list_release) = {0};

	if (objects_list(r->objects, "marks", &l, e) != 0)
		return -1;
	for (size_t i = 0; i < l.n; i++) {
		char *object = mem_format("marks/%s", l.v[i].name);
		struct buf sealed SCOPED(buf_release) = BUF_INIT(MARKS_MAX);
		struct buf plain SCOPED(buf_release) = BUF_INIT(MARKS_MAX);

		strv_take(&ret->objects, object);
		if (objects_get(r->objects, object, &sealed, e) != 0 ||
		    seal_unwhole(&r->key, SEAL_MARKS, "", &sealed, &plain, e) != 0 ||
		    take_lines(ret, &plain, e) != 0)
			return err_in(e, "%s", object);
	}
	return 0;
}

int marks_put(struct snapshot_repo *r, const struct strv *packs, struct err *e)
{
	struct buf plain SCOPED(buf_release) = BUF_INIT(MARKS_MAX);
	struct buf sealed SCOPED(buf_release) = BUF_INIT(MARKS_MAX);
	char *object SCOPED(mem_freep) = NULL;
	struct digest d;

	for (size_t i = 0; i < packs->n; i++)
		buf_addf(&plain, "%lld %s\n", (long long)clock_wall_s(), packs->v[i]);
	seal_whole(&r->key, SEAL_MARKS, "", &plain, &sealed);
	if (buf_over(&plain) || buf_over(&sealed))
		return err_set(e, ERR_FAIL, "too many packs at once");
	d = digest_of(sealed.data, sealed.len);
	object = mem_format("marks/%s", digest_hex(&d).s);
	return objects_put_bytes(r->objects, object, sealed.data, sealed.len, e);
}

bool marks_has(const struct marks *m, const char *pack)
{
	return map_has(&m->times, pack);
}

bool marks_before(const struct marks *m, const char *pack, int64_t time)
{
	const char *at = map_get(&m->times, pack);
	uint64_t s;

	return at != NULL && num_u64(at, INT64_MAX, &s) == 0 && (int64_t)s <= time;
}

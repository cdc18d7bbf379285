#include "restore/record.h"

#include "base/fault.h"
#include "stage/parts.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORD_MAX = 256 << 10 };

static const char *const words[] = {"none",     "filling", "exchanging", "exchanged",
				    "restored", "undoing", "committing", "undone"};

#ifdef POSMEDIA_FAULTS
static const char *const points[] = {"",
				     "restore: filling",
				     "restore: exchanging",
				     "restore: exchanged",
				     "restore: restored",
				     "restore: undoing",
				     "restore: committing",
				     "restore: undone"};
#endif

const char *restore_phase_word(enum restore_phase p)
{
	return words[p];
}

void restore_record_release(struct restore_record *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].name);
	free(r->v);
	free(r->source);
	free(r->roots);
	*r = (struct restore_record){0};
}

static int read_data(const struct jval *list, struct restore_record *r)
{
	r->v = mem_zalloc(sizeof(*r->v) * (jval_len(list) + 1));
	for (size_t i = 0; i < jval_len(list); i++) {
		const struct jval *o = jval_at(list, i);
		const char *name = jval_get_str(o, "name");
		int64_t live, fresh;

		if (name == NULL || !fs_relative_ok(name) || strchr(name, '/') != NULL ||
		    jval_get_int(o, "live", &live) != 0 || jval_get_int(o, "new", &fresh) != 0 ||
		    live < 0 || fresh < 0)
			return -1;
		r->v[r->n++] =
		    (struct restore_data){mem_strdup(name), (uint64_t)live, (uint64_t)fresh};
	}
	return 0;
}

static int read_record(const struct jval *v, struct restore_record *r)
{
	const char *phase = jval_get_str(v, "phase"), *source = jval_get_str(v, "source"),
		   *roots = jval_get_str(v, "roots");
	size_t p = RESTORE_FILLING;

	if (phase == NULL || source == NULL || jval_get_int(v, "since", &r->since) != 0)
		return -1;
	while (p <= RESTORE_UNDONE && strcmp(words[p], phase) != 0)
		p++;
	if (p > RESTORE_UNDONE)
		return -1;
	r->phase = (enum restore_phase)p;
	r->by_hand = jval_get_bool(v, "by-hand");
	r->source = mem_strdup(source);
	r->roots = roots != NULL ? mem_strdup(roots) : NULL;
	return read_data(jval_get(v, "data"), r);
}

int restore_record_read(int ownfd, struct restore_record *ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct restore_record r SCOPED(restore_record_release) = {0};

	if (faccessat(ownfd, STAGE_RESTORE, F_OK, 0) != 0 && errno == ENOENT)
		return 0;
	if (fs_get_file(ownfd, STAGE_RESTORE, &text, e) != 0 ||
	    jval_parse(text.data, text.len, STAGE_RESTORE, &v, e) != 0)
		return -1;
	if (read_record(v, &r) != 0)
		return err_set(e, ERR_RECIPE, STAGE_RESTORE " of the site is damaged");
	*ret = r;
	r = (struct restore_record){0};
	return 0;
}

int restore_record_write(int ownfd, const struct restore_record *r, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object(), *list = jval_array();
	struct buf text SCOPED(buf_release) = BUF_INIT(RECORD_MAX);

	for (size_t i = 0; i < r->n; i++) {
		struct jval *o = jval_object();

		jval_put_text(o, "name", r->v[i].name);
		jval_put_int(o, "live", (int64_t)r->v[i].live);
		jval_put_int(o, "new", (int64_t)r->v[i].fresh);
		jval_push(list, o);
	}
	jval_put_int(v, "version", 1);
	jval_put_text(v, "phase", words[r->phase]);
	jval_put_text(v, "source", r->source != NULL ? r->source : "");
	if (r->roots != NULL)
		jval_put_text(v, "roots", r->roots);
	jval_put_int(v, "since", r->since);
	jval_put(v, "by-hand", jval_bool(r->by_hand));
	jval_put(v, "data", list);
	jval_write_pretty(v, &text);
	if (fs_put(ownfd, STAGE_RESTORE, text.data, text.len, 0600, e) != 0)
		return -1;
	fault_point(points[r->phase]);
	return 0;
}

int restore_record_remove(int ownfd, struct err *e)
{
	if (unlinkat(ownfd, STAGE_RESTORE, 0) != 0 && errno != ENOENT)
		return err_sys(e, "remove " STAGE_RESTORE);
	return fsync(ownfd) == 0 ? 0 : err_sys(e, "sync the site's directory");
}

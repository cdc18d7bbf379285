/* record.c - what runs, what ran before, what is being made: state.json of a site. */
#include "stage/parts.h"

#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORD_MAX = 64 << 10 };

#define FILE_NAME "state.json"

void stage_one_release(struct stage_one *o)
{
	free(o->container);
	free(o->identity);
	*o = (struct stage_one){0};
}

void stage_one_copy(const struct stage_one *o, struct stage_one *ret)
{
	struct stage_one copy = *o;

	if (o->container != NULL)
		copy.container = mem_strdup(o->container);
	if (o->identity != NULL)
		copy.identity = mem_strdup(o->identity);
	*ret = copy;
}

void stage_record_release(struct stage_record *r)
{
	stage_one_release(&r->current);
	stage_one_release(&r->previous);
	stage_one_release(&r->pending);
}

static void put_one(struct jval *all, const char *key, const struct stage_one *o)
{
	struct jval *v;

	if (o->container == NULL)
		return;
	v = jval_object();
	jval_put_text(v, "container", o->container);
	jval_put_text(v, "identity", o->identity);
	jval_put_text(v, "generation", digest_text(&o->generation).s);
	jval_put_text(v, "manifest", digest_text(&o->manifest).s);
	jval_put_text(v, "config", digest_text(&o->config).s);
	jval_put_text(v, "site", digest_text(&o->site).s);
	if (o->created != 0) {
		char *created SCOPED(mem_freep) = clock_rfc3339(o->created);

		jval_put_text(v, "created", created);
	}
	jval_put(all, key, v);
}

static int read_digest(const struct jval *v, const char *key, struct digest *ret)
{
	const char *text = jval_get_str(v, key);

	return text != NULL ? digest_parse(text, ret) : -1;
}

static int read_one(const struct jval *all, const char *key, struct stage_one *ret)
{
	const struct jval *v = jval_get(all, key);
	const char *container = jval_get_str(v, "container");
	const char *identity = jval_get_str(v, "identity");
	const char *created = jval_get_str(v, "created");
	struct stage_one o = {0};

	if (v == NULL)
		return 0;
	if (container == NULL || identity == NULL ||
	    read_digest(v, "generation", &o.generation) != 0 ||
	    read_digest(v, "manifest", &o.manifest) != 0 ||
	    read_digest(v, "config", &o.config) != 0 || read_digest(v, "site", &o.site) != 0 ||
	    (created != NULL && clock_parse(created, &o.created) != 0))
		return -1;
	o.container = mem_strdup(container);
	o.identity = mem_strdup(identity);
	*ret = o;
	return 0;
}

int stage_record_read(int dirfd, struct stage_record *ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct stage_record r SCOPED(stage_record_release) = {0};

	if (faccessat(dirfd, FILE_NAME, F_OK, 0) != 0 && errno == ENOENT)
		return 0;
	if (fs_get_file(dirfd, FILE_NAME, &text, e) != 0 ||
	    jval_parse(text.data, text.len, FILE_NAME, &v, e) != 0)
		return -1;
	if (read_one(v, "current", &r.current) != 0 || read_one(v, "previous", &r.previous) != 0 ||
	    read_one(v, "pending", &r.pending) != 0)
		return err_set(e, ERR_RECIPE, FILE_NAME " of the site is damaged");
	r.stopped = jval_get_bool(v, "stopped");
	*ret = r;
	r = (struct stage_record){0};
	return 0;
}

int stage_record_write(int dirfd, const struct stage_record *r, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct buf text SCOPED(buf_release) = BUF_INIT(RECORD_MAX);

	jval_put_int(v, "version", 1);
	put_one(v, "current", &r->current);
	put_one(v, "previous", &r->previous);
	put_one(v, "pending", &r->pending);
	if (r->stopped)
		jval_put(v, "stopped", jval_bool(true));
	jval_write_pretty(v, &text);
	return fs_put(dirfd, FILE_NAME, text.data, text.len, 0644, e);
}

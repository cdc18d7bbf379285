#include "diff/side.h"

#include "oci/unpack.h"
#include "package/package.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>

static void fact_free(void *p)
{
	struct fact *f = p;

	free(f->text);
	free(f->note);
	free(f);
}

struct fact *side_fact(struct side *s, enum diff_topic t, const char *name, char *text)
{
	struct fact *f = map_get(&s->facts[t], name);

	if (f == NULL) {
		f = mem_zalloc(sizeof(*f));
		f->text = text;
		(void)map_put(&s->facts[t], name, f);
		return f;
	}
	char *both = mem_format("%s, %s", f->text, text);

	free(f->text);
	free(text);
	f->text = both;
	return f;
}

static int read_config(struct side *s, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	if (oci_layout_read(s->in->layout, &s->manifest.config.digest, &text, e) != 0)
		return -1;
	return jval_parse(text.data, text.len, "image configuration", &s->config, e);
}

static int open_root(struct side *s, const struct diff_opts *o, struct err *e)
{
	if (s->in->layout == NULL) {
		s->root = mem_strdup(s->in->dir);
	} else {
		if (store_scratch(o->store, "diff", &s->root, e) != 0)
			return -1;
		s->store = o->store;
		if (oci_unpack(s->in->layout, s->in->manifest, s->root, &s->manifest, e) != 0 ||
		    read_config(s, e) != 0)
			return -1;
	}
	return fs_open_dir(AT_FDCWD, s->root, &s->fd, e);
}

int side_open(struct side *s, const struct diff_input *in, const struct diff_opts *o, struct err *e)
{
	*s = (struct side){.in = in, .fd = -1};
	for (int t = 0; t < DIFF_TOPICS; t++)
		s->unknown[t] = in->only_packages && t != DIFF_PACKAGES;
	if (in->list != NULL) {
		side_list(s);
		return 0;
	}
	if (in->only_packages) {
		if (open_root(s, o, e) != 0 || side_packages(s, e) != 0)
			return err_in(e, "%s", in->object);
		return 0;
	}
	if (open_root(s, o, e) != 0 || tree_scan(s->fd, &s->tree, NULL, e) != 0 ||
	    package_owned(s->root, &s->owner, &s->owners, e) != 0 || side_packages(s, e) != 0 ||
	    side_accounts(s, e) != 0 || side_controls(s, o, e) != 0)
		return err_in(e, "%s", in->object);
	side_privileges(s);
	side_services(s);
	side_config(s);
	return 0;
}

int side_close(struct side *s, struct err *e)
{
	int rc = s->store != NULL ? store_scratch_drop(s->store, s->root, e) : 0;

	for (int t = 0; t < DIFF_TOPICS; t++)
		map_release(&s->facts[t], fact_free);
	jval_free(s->config);
	oci_manifest_release(&s->manifest);
	map_release(&s->owner, NULL);
	strv_release(&s->owners);
	tree_release(&s->tree);
	fd_closep(&s->fd);
	free(s->root);
	*s = (struct side){.fd = -1};
	return rc;
}

/* known.c - a record beside the cache, one a recipe: under which key statements were made, which
 * files they went into, and what hangs on the images of the layout since. */
#include "statement/statement.h"

#include "base/log.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>

enum { RECORD_MAX = 4 << 20 };

static char *record_path(const struct statements_place *p)
{
	return mem_format("%s/cache/statements/%s", store_path(p->store), p->recipe);
}

/* What hangs on any image of the layout: {tag: digest}. */
static struct jval *hanging(const struct oci_layout *l)
{
	struct jval *v = jval_object();
	size_t n;
	const struct oci_desc *all = oci_layout_entries(l, &n);

	for (size_t i = 0; i < n; i++)
		if (strncmp(oci_desc_tag(&all[i]), "sha256-", 7) == 0)
			jval_put_text(v, oci_desc_tag(&all[i]), digest_text(&all[i].digest).s);
	return v;
}

/* 0 = the file in the directory *ctx has the digest that the record says. */
static int differs(void *ctx, const char *name, struct jval *want)
{
	const char *text = jval_str(want);
	int fd SCOPED(fd_closep) =
	    openat(*(const int *)ctx, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct err quiet = ERR_INIT;
	struct digest d;

	if (fd < 0 || text == NULL || digest_fd(fd, &d, NULL, &quiet) != 0)
		return 1;
	return strcmp(digest_text(&d).s, text) != 0;
}

static bool files_are(const struct statements_place *p, const struct jval *files)
{
	int dir SCOPED(fd_closep) = -1;
	struct err quiet = ERR_INIT;

	if (p->dir == NULL)
		return true;
	return jval_get(files, "provenance.statement.json") != NULL &&
	       fs_open_dir(AT_FDCWD, p->dir, &dir, &quiet) == 0 &&
	       jval_each(files, differs, &dir) == 0;
}

bool statements_known(const struct statements_place *p, const struct digest *key)
{
	char *path SCOPED(mem_freep) = record_path(p);
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct jval *was SCOPED(jval_freep) = NULL, *now SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const char *of;

	if (fs_get_file(AT_FDCWD, path, &b, &quiet) != 0 ||
	    jval_parse(b.data, b.len, path, &was, &quiet) != 0)
		return false;
	of = jval_get_str(was, "key");
	if (of == NULL || strcmp(of, digest_text(key).s) != 0)
		return false;
	now = hanging(p->l);
	return jval_equal(jval_get(was, "hanging"), now) && files_are(p, jval_get(was, "files"));
}

void statements_remember(const struct statements_place *p, const struct digest *key,
			 const struct statements *s)
{
	char *path SCOPED(mem_freep) = record_path(p);
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *files = jval_object();
	struct err e = ERR_INIT;

	for (size_t i = 0; p->dir != NULL && i < s->n; i++) {
		const struct digest d = digest_of(s->v[i].text.data, s->v[i].text.len);

		jval_put_text(files, s->v[i].name, digest_text(&d).s);
	}
	jval_put_text(v, "key", digest_text(key).s);
	jval_put(v, "hanging", hanging(p->l));
	jval_put(v, "files", files);
	jval_write(v, &b);
	if (buf_over(&b) || fs_mkdirs(store_fd(p->store), "cache/statements", 0700, &e) != 0 ||
	    fs_put_unsynced(path, b.data, b.len, 0600, &e) != 0)
		log_debug("the statements will be made again: %s", e.msg);
}

#include "plan/plan.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { RECORD_MAX = 64 << 20 };

char *plan_capture_path(const struct digest *key)
{
	return mem_format(PLAN_CAPTURES "/%s.json", digest_hex(key).s);
}

void plan_capture_release(struct plan_capture *c)
{
	jval_free(c->marks);
	*c = (struct plan_capture){0};
}

bool plan_capture_load(const struct store *s, const struct digest *key, struct plan_capture *ret)
{
	char *path SCOPED(mem_freep) = plan_capture_path(key);
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct plan_capture c = {0};
	struct err quiet = ERR_INIT;
	const char *blob;
	struct stat st;

	if (fstatat(store_fd(s), path, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    fs_get_file(store_fd(s), path, &b, &quiet) != 0 ||
	    jval_parse(b.data, b.len, path, &v, &quiet) != 0)
		return false;
	blob = jval_get_str(v, "blob");
	if (blob == NULL || digest_parse(blob, &c.blob) != 0 || !store_has(s, &c.blob, NULL) ||
	    !jval_is_object(jval_get(v, "marks")))
		return false;
	c.marks = jval_ref(jval_get(v, "marks"));
	c.made_ns = st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
	*ret = c;
	return true;
}

int plan_capture_save(struct store *s, const struct digest *key, const struct digest *blob,
		      struct jval *marks, struct err *e)
{
	char *name SCOPED(mem_freep) = plan_capture_path(key);
	char *path SCOPED(mem_freep) = fs_join(store_path(s), name);
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct jval *v SCOPED(jval_freep) = jval_object();

	jval_put_text(v, "blob", digest_text(blob).s);
	jval_put(v, "marks", jval_ref(marks));
	jval_write(v, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "the step removed too much to be captured");
	if (fs_mkdirs(store_fd(s), PLAN_CAPTURES, 0755, e) != 0)
		return -1;
	return fs_put_path(path, b.data, b.len, 0644, e);
}

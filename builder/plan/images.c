#include "plan/plan.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define IMAGES "cache/images"

enum { RECORD_MAX = 64 << 20 };

char *plan_image_path(const struct digest *key)
{
	return mem_format(IMAGES "/%s.json", digest_hex(key).s);
}

void plan_image_release(struct plan_image *i)
{
	free(i->blobs);
	free(i->stages);
	lock_recorded_free(i->recorded, i->recorded_n);
	free(i->records);
	*i = (struct plan_image){0};
}

static int digests(const struct jval *list, struct digest **ret, size_t *ret_n)
{
	size_t n = jval_len(list);

	*ret = mem_zalloc(n * sizeof(**ret));
	for (*ret_n = 0; *ret_n < n; (*ret_n)++) {
		const char *text = jval_str(jval_at(list, *ret_n));

		if (text == NULL || digest_parse(text, &(*ret)[*ret_n]) != 0)
			return -1;
	}
	return 0;
}

/* Absent in records of before there were any. */
static int recorded(const struct jval *list, struct plan_image *i)
{
	struct err quiet = ERR_INIT;

	return list == NULL
		   ? 0
		   : lock_recorded_parse(list, "image", &i->recorded, &i->recorded_n, &quiet);
}

bool plan_image_load(const struct store *s, const struct digest *key, struct plan_image *ret)
{
	char *path SCOPED(mem_freep) = plan_image_path(key);
	struct plan_image i SCOPED(plan_image_release) = {.key = *key};
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const char *manifest;
	struct stat st;

	if (fs_get_file(store_fd(s), path, &b, &quiet) != 0 ||
	    fstatat(store_fd(s), path, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    jval_parse(b.data, b.len, path, &v, &quiet) != 0)
		return false;
	manifest = jval_get_str(v, "manifest");
	if (manifest == NULL || digest_parse(manifest, &i.manifest) != 0 ||
	    digests(jval_get(v, "blobs"), &i.blobs, &i.blobs_n) != 0 ||
	    digests(jval_get(v, "stages"), &i.stages, &i.stages_n) != 0 ||
	    digests(jval_get(v, "records"), &i.records, &i.records_n) != 0 ||
	    recorded(jval_get(v, "recorded"), &i) != 0)
		return false;
	i.used_ns = st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
	*ret = i;
	i = (struct plan_image){0};
	return true;
}

static int last_used_first(const void *a, const void *b)
{
	const struct plan_image *x = a, *y = b;

	if (x->used_ns != y->used_ns)
		return x->used_ns > y->used_ns ? -1 : 1;
	return memcmp(x->key.b, y->key.b, sizeof(x->key.b));
}

/* The key in "HEX.json". */
static bool key_of(const char *name, struct digest *ret)
{
	const char *dot = strchr(name, '.');
	char *hex SCOPED(mem_freep) = NULL;

	if (dot == NULL || strcmp(dot, ".json") != 0)
		return false;
	hex = mem_strndup(name, (size_t)(dot - name));
	return digest_parse_hex(hex, ret) == 0;
}

int plan_images(const struct store *s, struct plan_image **ret, size_t *ret_n, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	struct plan_image *v;
	size_t n = 0;

	if (fs_mkdirs(store_fd(s), IMAGES, 0755, e) != 0 ||
	    fs_list(store_fd(s), IMAGES, &names, e) != 0)
		return -1;
	v = mem_zalloc(names.n * sizeof(*v));
	for (size_t i = 0; i < names.n; i++) {
		struct digest key;

		if (key_of(names.v[i], &key) && plan_image_load(s, &key, &v[n]))
			n++;
	}
	if (n > 0)
		qsort(v, n, sizeof(*v), last_used_first);
	*ret = v;
	*ret_n = n;
	return 0;
}

void plan_use_image(struct store *s, const struct plan_stage *st)
{
	char *path SCOPED(mem_freep) = plan_image_path(&st->key);

	(void)utimensat(store_fd(s), path, NULL, 0);
}

int plan_remember_image(struct store *s, const struct plan_stage *st, const struct jval *image,
			struct err *e)
{
	char *name SCOPED(mem_freep) = plan_image_path(&st->key);
	char *path SCOPED(mem_freep) = fs_join(store_path(s), name);
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);

	jval_write(image, &b);
	if (fs_mkdirs(store_fd(s), IMAGES, 0755, e) != 0)
		return -1;
	return fs_put_path(path, b.data, b.len, 0644, e);
}

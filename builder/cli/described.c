#include "cli/described.h"

#include "cli/host.h"

#include "archive/unpack.h"
#include "base/log.h"
#include "harden/root.h"
#include "oci/unpack.h"
#include "sandbox/sandbox.h"
#include "site/site.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { ACCOUNTS_MAX = 64 << 20, THREADS_MAX = 64 };

#define STATE "/srv/pos"

struct describing {
	const struct args *a;
	const char *object; /* without the word for what it is */
	struct manifest_names *names;
	struct manifest_seen *seen;
	struct site *site; /* whose data it is; or NULL */
	uint64_t threads;
};

static void describing_release(struct describing *d)
{
	manifest_names_free(d->names);
	manifest_seen_free(d->seen);
}

static void told(void *ctx, const struct manifest_progress *p)
{
	(void)ctx;
	log_files(p->files, p->files_total);
	log_progress("manifest", p->bytes, p->bytes_total);
}

bool described_is_data(void *ctx, const char *path, enum manifest_type type)
{
	const struct site *s = ctx;
	size_t n = strcspn(path, "/");

	(void)type;
	if (s == NULL || path[0] == '\0')
		return true;
	for (size_t i = 0; i < s->data_n; i++)
		if (strncmp(s->data[i].name, path, n) == 0 && s->data[i].name[n] == '\0')
			return true;
	return false;
}

struct jval *described_difference(const struct manifest_difference *d)
{
	struct jval *v = jval_object();

	jval_put_text(v, "path", d->path);
	jval_put_text(v, "field", d->field);
	if (d->a != NULL)
		jval_put_text(v, "a", d->a);
	if (d->b != NULL)
		jval_put_text(v, "b", d->b);
	return v;
}

static int make(struct describing *d, int fd, struct manifest *ret, struct err *e)
{
	const struct manifest_opts o = {
	    .names = d->names,
	    .threads = (unsigned)d->threads,
	    .wants = described_is_data,
	    .progress = told,
	    .ctx = d->site,
	    .seen = d->seen,
	};

	return manifest_make(fd, &o, ret, e);
}

static int seen_path(const struct args *a, char **ret_name, int *ret_dir, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(args_get(a, "seen"));

	if (fs_open_dir(AT_FDCWD, dir, ret_dir, e) != 0)
		return -1;
	*ret_name = fs_basename(args_get(a, "seen"));
	return 0;
}

static int of_dir(struct describing *d, const char *path, struct manifest *ret, struct err *e)
{
	char *name SCOPED(mem_freep) = NULL;
	int fd SCOPED(fd_closep) = -1, dir SCOPED(fd_closep) = -1;
	bool seen = args_has(d->a, "seen");

	if (fs_open_dir(AT_FDCWD, path, &fd, e) != 0)
		return -1;
	if (seen && (seen_path(d->a, &name, &dir, e) != 0 ||
		     manifest_seen_load(dir, name, &d->seen, e) != 0))
		return -1;
	if (make(d, fd, ret, e) != 0)
		return err_in(e, "%s", path);
	return seen ? manifest_seen_save(d->seen, dir, name, e) : 0;
}

/* By its own accounts, for its numbers are those. That of its root no archive need have. */
static int of_unpacked(struct describing *d, const char *path, struct manifest *ret, struct err *e)
{
	struct buf passwd SCOPED(buf_release) = BUF_INIT(ACCOUNTS_MAX);
	struct buf group SCOPED(buf_release) = BUF_INIT(ACCOUNTS_MAX);
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, path, &fd, e) != 0)
		return -1;
	if (d->names == NULL && (root_read(fd, "etc/passwd", &passwd, NULL, e) != 0 ||
				 root_read(fd, "etc/group", &group, NULL, e) != 0 ||
				 manifest_names_of(passwd.data, group.data, &d->names, e) != 0))
		return -1;
	if (make(d, fd, ret, e) != 0)
		return -1;
	ret->v[0].mode = 0755;
	ret->v[0].mtime = 0;
	ret->v[0].mtime_ns = 0;
	return 0;
}

static int unpack_image(struct describing *d, const struct image *i, const char *dir, struct err *e)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	(void)d;
	return oci_unpack(i->layout, &i->manifest, dir, &m, e);
}

static int unpack_tar(struct describing *d, const struct image *i, const char *dir, struct err *e)
{
	const struct unpack_opts o = {.what = d->object, .keep_owner = true};
	int fd SCOPED(fd_closep) = open(d->object, O_RDONLY | O_CLOEXEC);

	(void)i;
	return fd < 0 ? err_sys(e, "open %s", d->object) : unpack(fd, dir, &o, e);
}

/* Into a scratch of the store, which is dropped in any case. */
static int of_packed(struct describing *d, const struct image *i, struct manifest *ret,
		     struct err *e)
{
	struct store *s SCOPED(store_freep) = NULL;
	char *dir SCOPED(mem_freep) = NULL;
	struct err drop = ERR_INIT;
	int rc;

	/* before the scratch is made: in there it would be someone else's */
	if (sandbox_enter(e) != 0 || input_store(d->a, &s, e) != 0 ||
	    store_scratch(s, "manifest", &dir, e) != 0)
		return -1;
	rc = (i != NULL ? unpack_image : unpack_tar)(d, i, dir, e);
	if (rc == 0)
		rc = of_unpacked(d, dir, ret, e);
	if (store_scratch_drop(s, dir, &drop) != 0)
		log_warn("leaves %s behind: %s", dir, drop.msg);
	return rc;
}

static int of_image(struct describing *d, struct manifest *ret, struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct image i SCOPED(image_release) = {0};

	return object_image(d->a, d->object, &v, &i, e) == 0 ? of_packed(d, &i, ret, e) : -1;
}

static int of_site(struct describing *d, struct manifest *ret, struct err *e)
{
	struct site *s SCOPED(site_freep) = NULL;
	char *path SCOPED(mem_freep) = NULL;
	int rc;

	if (site_load(d->object, &s, e) != 0)
		return -1;
	path = mem_format("%s/%s/%s", host_or_else(d->a, "state", STATE), s->shop,
			  site_env_word(s->env));
	d->site = s;
	rc = of_dir(d, path, ret, e);
	d->site = NULL;
	return rc;
}

static int of_file(const char *path, struct manifest *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		return manifest_read(fd, path, ret, e);
	(void)err_sys(e, "open %s", path);
	return err_hint(e, "a directory is named dir:PATH, an archive tar:FILE");
}

int described_names(const struct args *a, struct manifest_names **ret, struct err *e)
{
	struct buf passwd SCOPED(buf_release) = BUF_INIT(ACCOUNTS_MAX);
	struct buf group SCOPED(buf_release) = BUF_INIT(ACCOUNTS_MAX);

	if (args_has(a, "passwd") != args_has(a, "group"))
		return err_set(e, ERR_USAGE, "--passwd and --group go together");
	if (!args_has(a, "passwd"))
		return 0;
	if (fs_get(AT_FDCWD, args_get(a, "passwd"), &passwd, e) != 0 ||
	    fs_get(AT_FDCWD, args_get(a, "group"), &group, e) != 0)
		return -1;
	return manifest_names_of(passwd.data, group.data, ret, e);
}

int described(const struct args *a, const char *object, struct manifest *ret, struct err *e)
{
	struct describing d SCOPED(describing_release) = {.a = a, .object = object};
	static const char *const words[] = {"dir:", "tar:", "site:"};
	size_t kind = 0;

	if (args_num(a, "threads", THREADS_MAX, &d.threads, e) != 0 ||
	    described_names(a, &d.names, e) != 0)
		return -1;
	while (kind < 3 && strncmp(object, words[kind], strlen(words[kind])) != 0)
		kind++;
	if (kind < 3)
		d.object += strlen(words[kind]);
	/* of two that are compared it is for the one that is such */
	if (kind != 0 && kind != 2 && args_has(a, "seen") && !args_has(a, "compare"))
		return err_set(e, ERR_USAGE, "--seen is for a directory or a site");
	if (kind < 3)
		return kind == 0   ? of_dir(&d, d.object, ret, e)
		       : kind == 1 ? of_packed(&d, NULL, ret, e)
				   : of_site(&d, ret, e);
	return object_is_image(object) ? of_image(&d, ret, e) : of_file(object, ret, e);
}

#include "rebuild/again.h"

#include "base/log.h"
#include "build/embed.h"
#include "oci/unpack.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *again_layout(const struct again *a)
{
	return fs_join(a->place, "out/image");
}

/* The image's lock, copied out of the tree before it is parsed by name. */
static int read_lock(struct again *a, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(a->scratch, "recipe.lock");
	struct buf text SCOPED(buf_release) = BUF_INIT(64 << 20);
	int root SCOPED(fd_closep) = -1, dir SCOPED(fd_closep) = -1;
	struct err none = ERR_INIT;

	if (fs_open_dir(AT_FDCWD, a->was_root, &root, e) != 0)
		return -1;
	if (fs_open_in_root(root, EMBED_DIR, O_RDONLY | O_DIRECTORY, &dir, &none) != 0) {
		(void)err_set(e, ERR_RECIPE, "the image does not carry its inputs: no " EMBED_DIR);
		return err_hint(e, "Images made by an older posmedia do not; build it anew.");
	}
	if (fs_get(dir, "recipe.lock", &text, e) != 0 ||
	    fs_put_path(path, text.data, text.len, 0600, e) != 0)
		return -1;
	return lock_load(path, &a->l, e);
}

static int take_apart(struct again *a, struct err *e)
{
	a->was_root = fs_join(a->scratch, "was");
	if (mkdir(a->was_root, 0755) != 0)
		return err_sys(e, "make %s", a->was_root);
	log_info("unpacking the image");
	if (oci_unpack(a->o->layout, a->o->manifest, a->was_root, &a->was, e) != 0)
		return -1;
	return read_lock(a, e);
}

static void command(const struct again *a, struct strv *argv)
{
	char *layout SCOPED(mem_freep) = again_layout(a);

	if (a->user != NULL) {
		strv_add(argv, "setpriv");
		strv_addf(argv, "--reuid=%u", (unsigned)a->uid);
		strv_addf(argv, "--regid=%u", (unsigned)a->gid);
		strv_add(argv, "--init-groups");
		strv_add(argv, "--");
	}
	strv_addf(argv, "%s/posmedia", a->place);
	strv_add(argv, "build");
	strv_take(argv, again_recipe(a));
	strv_addf(argv, "--lock=%s/recipe.lock", a->place);
	strv_addf(argv, "--store=%s/store", a->place);
	strv_addf(argv, "--output=oci:%s:rebuilt", layout);
	strv_addf(argv, "--threads=%u", a->threads);
	strv_add(argv, "--no-cache");
	strv_extend(argv, a->o->options);
}

/* The child's own messages say what went wrong; its status says of what kind that is. */
static int conclude(const struct proc_result *res, struct err *e)
{
	bool known = res->status >= ERR_FAIL && res->status <= ERR_BUSY;

	if (res->status == 0)
		return 0;
	if (res->signal != 0)
		return err_set(e, ERR_FAIL, "the new build was killed by signal %d", res->signal);
	return err_set(e, known ? (enum err_kind)res->status : ERR_FAIL,
		       "the new build failed with exit status %d", res->status);
}

static int build_again(struct again *a, struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct proc_result res = {0};
	struct proc_spec spec = {.cwd = a->place, .err_fd = STDERR_FILENO};
	mode_t before = umask(077);
	int rc;

	command(a, &argv);
	spec.argv = (const char *const *)argv.v;
	spec.env = (const char *const *)a->env.v;
	log_info("building again in %s as %s", a->place, a->user != NULL ? a->user : "before");
	rc = proc_run(&spec, &res, e);
	(void)umask(before);
	return rc == 0 ? conclude(&res, e) : -1;
}

static int run(struct again *a, struct err *e)
{
	if (take_apart(a, e) != 0 || again_vary(a, e) != 0 || again_lay_out(a, e) != 0 ||
	    build_again(a, e) != 0)
		return -1;
	return again_compare(a, e);
}

static void again_release(struct again *a)
{
	oci_manifest_release(&a->was);
	recipe_free(a->r);
	lock_free(a->l);
	strv_release(&a->env);
	strv_release(&a->words);
	strv_release(&a->meanings);
	free(a->user);
	free(a->place);
	free(a->was_root);
	free(a->scratch);
}

int rebuild(const struct rebuild_opts *o, struct rebuild_result *ret, struct err *e)
{
	struct rebuild_result res SCOPED(rebuild_release) = {0};
	struct again a = {.o = o, .ret = &res};
	struct err late = ERR_INIT;
	int hold SCOPED(fd_closep) = -1; /* what the store has stays there */
	int rc = store_share(o->store, &hold, e);

	if (rc == 0)
		rc = store_scratch(o->store, "rebuild", &a.scratch, e);
	if (rc == 0)
		rc = run(&a, e);
	if (again_leave(&a, &late) != 0)
		log_warn("leaves %s behind: %s", a.place, late.msg);
	if (a.scratch != NULL && store_scratch_drop(o->store, a.scratch, &late) != 0)
		log_warn("leaves %s behind: %s", a.scratch, late.msg);
	again_release(&a);
	if (rc != 0)
		return -1;
	*ret = res;
	res = (struct rebuild_result){0};
	return 0;
}

static void files_release(struct rebuild_result *r)
{
	for (size_t i = 0; i < r->files_n; i++) {
		free(r->files[i].path);
		free(r->files[i].detail);
		free(r->files[i].cause);
		free(r->files[i].by);
	}
	free(r->files);
}

void rebuild_release(struct rebuild_result *r)
{
	for (size_t i = 0; i < r->layers_n; i++) {
		free(r->layers[i].name);
		free(r->layers[i].tar);
	}
	for (size_t i = 0; i < r->varied_n; i++) {
		free(r->varied[i].was);
		free(r->varied[i].is);
		free(r->varied[i].why_not);
	}
	free(r->layers);
	free(r->varied);
	files_release(r);
	strv_release(&r->config);
	*r = (struct rebuild_result){0};
}

#include "audit/audit.h"

#include "archive/unpack.h"
#include "audit/kept.h"
#include "base/log.h"
#include "harden/facts.h"
#include "sandbox/sandbox.h"
#include "scan/allow.h"
#include "scan/scan.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Who looks into files when the profile asks. */
struct looking {
	const struct audit_opts *o;
	struct kept *kept; /* of an image, with the next two; else NULL */
	const struct oci_layout *layout;
	const struct oci_desc *manifest;
	struct jval *report;
};

static void looking_release(struct looking *k)
{
	jval_free(k->report);
}

/* Notes what the recipe answers for. */
static void apply_exceptions(const struct audit_opts *o, struct jval *report)
{
	for (size_t i = 0; o->recipe != NULL && i < o->recipe->allow_n; i++)
		allow_apply_one(&(struct scan_allow){.sha256 = o->recipe->allow[i].sha256,
						     .cls = o->recipe->allow[i].cls,
						     .reason = o->recipe->allow[i].reason,
						     .until = o->recipe->allow[i].until},
				report, o->today);
}

/* Into every file: the lists of packages' files lie in the tree, where whoever made it may name any
 * file of his. */
static int look_into(const struct looking *k, int rootfd, const struct facts_files *files,
		     struct jval **ret, struct err *e)
{
	const char **paths SCOPED(mem_freep) = mem_zalloc((files->n + 1) * sizeof(*paths));
	const struct scan_opts o = {.today = k->o->today};
	size_t n = 0;

	for (size_t i = 0; i < files->n; i++)
		if (S_ISREG(files->v[i].st.st_mode) && files->v[i].st.st_size > 0)
			paths[n++] = files->v[i].path;
	if (k->kept != NULL && kept_hidden(k->kept))
		return scan_image(k->layout, k->manifest, "image", &o, ret, e);
	return scan_files(rootfd, paths, n, &o, ret, e);
}

static int look(void *ctx, int rootfd, const struct facts_files *files, const struct jval **ret,
		struct err *e)
{
	struct looking *k = ctx;

	if (k->report == NULL) {
		if (k->kept != NULL)
			k->report = kept_found(k->kept);
		if (k->report == NULL) {
			if (look_into(k, rootfd, files, &k->report, e) != 0)
				return -1;
			if (k->kept != NULL)
				kept_note(k->kept, k->report);
		}
		apply_exceptions(k->o, k->report);
	}
	*ret = k->report;
	return 0;
}

static int check_context(const char *root, const struct harden_context *c,
			 const struct audit_opts *o, struct audit *ret, struct err *e)
{
	if (harden_profile_load(o->profile, &ret->profile, e) != 0)
		return -1;
	return harden_check(ret->profile, root, c, &ret->report, e);
}

static int check(const char *root, const struct harden_image *image, struct looking *k,
		 const char *scratch, struct audit *ret, struct err *e)
{
	char *full SCOPED(mem_freep) = realpath(root, NULL);
	const char *const lower[] = {full};
	const struct harden_gates gates = {.lower = lower, .lower_n = 1, .scratch = scratch};
	const struct harden_content content = {.look = look, .ctx = k};
	const struct harden_context c = {.recipe = k->o->recipe,
					 .target = k->o->target,
					 .today = k->o->today,
					 .files = k->kept != NULL ? kept_source(k->kept) : NULL,
					 .image = image,
					 .content = &content,
					 .gates = scratch != NULL ? &gates : NULL};

	if (full == NULL)
		return err_sys(e, "find %s", root);
	return check_context(root, &c, k->o, ret, e);
}

/* With a directory for copies of the tree, when programs are to be run. */
static int check_tree(const char *root, const struct harden_image *image, struct looking *k,
		      struct audit *ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = NULL;
	struct err drop = ERR_INIT;
	int rc;

	if (!k->o->gates)
		return check(root, image, k, NULL, ret, e);
	if (sandbox_enter(e) != 0 || store_scratch(k->o->store, "gates", &dir, e) != 0)
		return -1;
	rc = check(root, image, k, dir, ret, e);
	if (store_scratch_drop(k->o->store, dir, &drop) != 0 && rc == 0) {
		*e = drop;
		rc = -1;
	}
	return rc;
}

int audit_tree(const char *root, const char *object, const struct audit_opts *o, struct audit *ret,
	       struct err *e)
{
	struct audit a SCOPED(audit_release) = {.object = mem_strdup(object)};
	struct looking k SCOPED(looking_release) = {.o = o};

	if (check_tree(root, NULL, &k, &a, e) != 0)
		return err_in(e, "audit of %s", object);
	*ret = a;
	a = (struct audit){0};
	return 0;
}

/* The process may end while it is looked at: what is open then answers with an error, and another
 * of the same number is not taken for it. */
static int check_running(uint64_t pid, const struct audit_opts *o, struct audit *ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = mem_format("/proc/%llu", (unsigned long long)pid);
	struct harden_instance in = {.proc = -1};
	int proc SCOPED(fd_closep) = -1;
	char *root SCOPED(mem_freep) = NULL;

	if (fs_open_dir(AT_FDCWD, dir, &proc, e) != 0)
		return e->sys == ENOENT ? err_set(e, ERR_USAGE, "no process has the id %llu",
						  (unsigned long long)pid)
					: -1;
	in.proc = proc;
	const struct harden_context c = {
	    .recipe = o->recipe, .target = o->target, .today = o->today, .instance = &in};

	root = mem_format("/proc/self/fd/%d/root", proc);
	return check_context(root, &c, o, ret, e);
}

int audit_instance(uint64_t pid, const char *object, const struct audit_opts *o, struct audit *ret,
		   struct err *e)
{
	struct audit a SCOPED(audit_release) = {.object = mem_strdup(object)};

	if (check_running(pid, o, &a, e) != 0)
		return err_in(e, "audit of %s", object);
	*ret = a;
	a = (struct audit){0};
	return 0;
}

static int unpack_tar(const char *path, const char *dir, struct err *e)
{
	const struct unpack_opts o = {.what = path, .layer = true, .keep_owner = true};
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", path);
	return unpack(fd, dir, &o, e);
}

/* Unpacks into a scratch directory, checks, and drops it again in any case. */
static int check_tar(const char *path, const struct audit_opts *o, struct audit *ret, struct err *e)
{
	struct looking k SCOPED(looking_release) = {.o = o};
	char *dir SCOPED(mem_freep) = NULL;
	struct err drop = ERR_INIT;
	int rc;

	/* before the scratch is made: in there it would be someone else's */
	if (sandbox_enter(e) != 0 || store_scratch(o->store, "audit", &dir, e) != 0)
		return -1;
	rc = unpack_tar(path, dir, e);
	if (rc == 0)
		rc = check_tree(dir, NULL, &k, ret, e);
	if (store_scratch_drop(o->store, dir, &drop) != 0 && rc == 0) {
		*e = drop;
		rc = -1;
	}
	return rc;
}

int audit_tar(const char *path, const char *object, const struct audit_opts *o, struct audit *ret,
	      struct err *e)
{
	struct audit a SCOPED(audit_release) = {.object = mem_strdup(object)};

	if (check_tar(path, o, &a, e) != 0)
		return err_in(e, "audit of %s", object);
	*ret = a;
	a = (struct audit){0};
	return 0;
}

/* What the image says of itself; the caller owns *ret_config. */
static int read_config(const struct oci_layout *l, struct audit *ret, struct jval **ret_config,
		       struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct jval *j SCOPED(jval_freep) = NULL;
	const struct jval *labels;
	const char *name, *version, *created;

	if (oci_layout_read(l, &ret->config, &b, e) != 0 ||
	    jval_parse(b.data, b.len, "image configuration", &j, e) != 0)
		return -1;
	labels = jval_get(jval_get(j, "config"), "Labels");
	name = jval_get_str(labels, "org.opencontainers.image.title");
	version = jval_get_str(labels, "org.opencontainers.image.version");
	created = jval_get_str(j, "created");
	ret->name = mem_strdup(name == NULL ? "" : name);
	ret->version = mem_strdup(version == NULL ? "" : version);
	if (created != NULL && clock_parse(created, &ret->created) != 0)
		log_warn("the image says it was made at \"%s\", which is no time", created);
	*ret_config = STEAL(j);
	return 0;
}

static int check_layers(const struct oci_layout *l, const struct oci_desc *manifest,
			const struct audit_opts *o, struct audit *ret, struct err *e)
{
	struct kept *kept SCOPED(kept_freep) = NULL;
	struct jval *config SCOPED(jval_freep) = NULL;
	struct looking k SCOPED(looking_release) = {.o = o, .layout = l, .manifest = manifest};
	struct harden_image image = {.signatures = o->keys ? o->signatures : -1};

	if (kept_open(o->store, l, manifest, &kept, e) != 0)
		return -1;
	k.kept = kept;
	ret->image = manifest->digest;
	ret->config = kept_manifest(kept)->config.digest;
	if (read_config(l, ret, &config, e) != 0)
		return -1;
	image.config = config;
	if (check_tree(kept_tree(kept), &image, &k, ret, e) != 0)
		return -1;
	kept_leave(kept);
	return 0;
}

int audit_image(const struct oci_layout *l, const struct oci_desc *manifest, const char *object,
		const struct audit_opts *o, struct audit *ret, struct err *e)
{
	struct audit a SCOPED(audit_release) = {.object = mem_strdup(object), .is_image = true};

	/* before the scratch is made: in there it would be someone else's */
	if (geteuid() != 0 && sandbox_enter(e) != 0)
		return -1;
	if (check_layers(l, manifest, o, &a, e) != 0)
		return err_in(e, "audit of %s", object);
	*ret = a;
	a = (struct audit){0};
	return 0;
}

void audit_release(struct audit *a)
{
	free(a->object);
	free(a->name);
	free(a->version);
	harden_report_release(&a->report);
	harden_profile_free(a->profile);
	*a = (struct audit){0};
}

/* op_kernel_args.c - what the boot loader gives the kernel. */
#include "harden/bls.h"
#include "harden/grub.h"
#include "harden/lines.h"
#include "harden/op.h"
#include "harden/want.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define OURS    "etc/default/grub.d/60-posmedia.cfg"
#define DEFAULT "etc/default/grub"

struct kernel_args {
	struct yaml *args;
	struct want *wants;
	size_t n;
	bool alone; /* nothing reads /etc/default/grub.d */
};

static const struct field kernel_args_fields[] = {
    {"args", FIELD_NODE, offsetof(struct kernel_args, args), true},
    {"default-only", FIELD_BOOL, offsetof(struct kernel_args, alone), false},
    {0},
};

static int kernel_args_finish(void *want, const struct yaml *at, struct err *e)
{
	struct kernel_args *w = want;

	if (w->args->kind != YAML_MAP || w->args->n == 0)
		return yaml_err(at, e, "args wants a map");
	w->wants = mem_zalloc(w->args->n * sizeof(*w->wants));
	for (size_t i = 0; i < w->args->n; i++)
		if (want_read(w->args->pairs[i].key, w->args->pairs[i].val, &w->wants[w->n++], e) !=
		    0)
			return -1;
	return 0;
}

static void kernel_args_release(void *want)
{
	struct kernel_args *w = want;

	for (size_t i = 0; i < w->n; i++)
		want_release(&w->wants[i]);
	free(w->wants);
}

/* Appends what of it is not as wanted in these arguments, by index. */
static bool wrong(const struct want *one, const char *args, char **ret)
{
	*ret = grub_arg(args, one->key);
	return *ret == NULL ? !one->absent && !one->unset_ok : !want_holds(one, *ret, false);
}

static void found(const struct op_run *r, const struct want *one, const char *val,
		  const char *where)
{
	char *text SCOPED(mem_freep) = want_text(one);

	strv_addf(r->found, "%s: kernel argument %s is %s%s%s, wants %s", where, one->key,
		  val == NULL ? "not set" : "\"", val == NULL ? "" : val, val == NULL ? "" : "\"",
		  text);
}

static void look(const struct op_run *r, const struct kernel_args *w, const char *args,
		 const char *where)
{
	for (size_t i = 0; i < w->n; i++) {
		char *val SCOPED(mem_freep) = NULL;

		if (wrong(&w->wants[i], args, &val))
			found(r, &w->wants[i], val, where);
		else if (r->held != NULL)
			strv_addf(r->held, "%s: %s is \"%s\"", where, w->wants[i].key,
				  val == NULL ? "not set" : val);
	}
}

/* GRUB_CMDLINE_LINUX_DEFAULT stands behind and may take back what the other one says. */
static void look_default(const struct op_run *r, const struct kernel_args *w,
			 const struct grub_vars *v)
{
	char *both SCOPED(mem_freep) = mem_format("%s %s", v->every, v->usual);

	look(r, w, v->every, "/" DEFAULT);
	for (size_t i = 0; i < w->n; i++) {
		char *alone SCOPED(mem_freep) = NULL, *val SCOPED(mem_freep) = NULL;

		if (!wrong(&w->wants[i], v->every, &alone) && wrong(&w->wants[i], both, &val))
			found(r, &w->wants[i], val, "/" DEFAULT ": GRUB_CMDLINE_LINUX_DEFAULT");
	}
}

static int look_cfg(const struct op_run *r, const struct kernel_args *w, const char *path,
		    struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};

	if (lines_read(r->rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t k = 0; k < lines.n; k++) {
		const char *args = grub_entry_args(lines.v[k]);
		char *where SCOPED(mem_freep) = mem_format("/%s:%zu", path, k + 1);

		if (args != NULL)
			look(r, w, args, where);
	}
	return 0;
}

static int find_entries(const struct op_run *r, struct strv *ret, struct err *e)
{
	return root_glob(r->rootfd, BLS_ENTRIES, ret, e) != 0 ||
		       root_glob(r->rootfd, BLS_ENTRIES_EFI, ret, e) != 0
		   ? -1
		   : 0;
}

/* The arguments of an entry that is there; its lines too. */
static int entry_args(const struct op_run *r, const char *path, struct strv *ret_lines, char **ret,
		      struct err *e)
{
	struct strv env SCOPED(strv_release) = {0};

	if (lines_read(r->rootfd, path, ret_lines, NULL, e) != 0 ||
	    bls_env(r->rootfd, &env, e) != 0)
		return -1;
	return bls_args(ret_lines, &env, ret, e) != 0 ? err_in(e, "/%s", path) : 0;
}

/* What entries of kernels to come are made with; NULL when the file is not there. */
static int coming_args(const struct op_run *r, struct strv *ret_lines, char **ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);
	bool there;

	if (lines_read(r->rootfd, BLS_CMDLINE, ret_lines, &there, e) != 0)
		return -1;
	for (size_t i = 0; i < ret_lines->n; i++)
		buf_addf(&b, "%s ", ret_lines->v[i][0] == '#' ? "" : ret_lines->v[i]);
	*ret = there ? mem_strdup(b.len == 0 ? "" : b.data) : NULL;
	return 0;
}

static int kernel_args_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct kernel_args *w = want;
	struct strv cfgs SCOPED(strv_release) = {0}, entries SCOPED(strv_release) = {0};
	struct strv coming SCOPED(strv_release) = {0};
	struct grub_vars vars SCOPED(grub_vars_release) = {0};
	char *next SCOPED(mem_freep) = NULL;

	if (grub_cmdline(r->rootfd, w->alone, &vars, e) != 0 ||
	    coming_args(r, &coming, &next, e) != 0 ||
	    root_glob(r->rootfd, GRUB_CFG, &cfgs, e) != 0 || find_entries(r, &entries, e) != 0)
		return -1;
	look_default(r, w, &vars);
	if (next != NULL)
		look(r, w, next, "/" BLS_CMDLINE);
	for (size_t i = 0; i < cfgs.n; i++)
		if (look_cfg(r, w, cfgs.v[i], e) != 0)
			return -1;
	for (size_t i = 0; i < entries.n; i++) {
		struct strv lines SCOPED(strv_release) = {0};
		char *args SCOPED(mem_freep) = NULL;
		char *where SCOPED(mem_freep) = mem_format("/%s", entries.v[i]);

		if (entry_args(r, entries.v[i], &lines, &args, e) != 0)
			return -1;
		look(r, w, args, where);
	}
	return 0;
}

/* The arguments that have to be added to `args`. */
static void lacking(const struct kernel_args *w, const char *args, struct strv *ret)
{
	for (size_t i = 0; i < w->n; i++) {
		char *val SCOPED(mem_freep) = NULL, *set SCOPED(mem_freep) = NULL;

		if (!wrong(&w->wants[i], args, &val))
			continue;
		set = want_value(&w->wants[i]);
		if (set != NULL)
			strv_addf(ret, "%s=%s", w->wants[i].key, set);
	}
}

/* Appends an assignment to the variable of that name for each argument that `args` lacks, and has
 * *v as it is then. */
static int assign(const struct kernel_args *w, const char *name, const char *args,
		  struct strv *lines, struct grub_vars *v, struct err *e)
{
	struct strv more SCOPED(strv_release) = {0}, added SCOPED(strv_release) = {0};

	lacking(w, args, &more);
	for (size_t i = 0; i < more.n; i++) {
		strv_addf(&added, "%s=\"$%s %s\"", name, name, more.v[i]);
		strv_add(lines, added.v[i]);
	}
	return grub_sourced(&added, v, e);
}

/* The assignments that are lacking; none when they do not help, behind a "--". */
static int assignments(const struct op_run *r, const struct kernel_args *w, struct strv *ret,
		       struct err *e)
{
	struct strv left SCOPED(strv_release) = {0};
	struct grub_vars v SCOPED(grub_vars_release) = {0};
	char *both SCOPED(mem_freep) = NULL, *then SCOPED(mem_freep) = NULL;

	if (grub_cmdline(r->rootfd, w->alone, &v, e) != 0 ||
	    assign(w, "GRUB_CMDLINE_LINUX", v.every, ret, &v, e) != 0)
		return -1;
	both = mem_format("%s %s", v.every, v.usual);
	if (assign(w, "GRUB_CMDLINE_LINUX_DEFAULT", both, ret, &v, e) != 0)
		return -1;
	then = mem_format("%s %s", v.every, v.usual);
	lacking(w, v.every, &left);
	lacking(w, then, &left);
	if (left.n > 0)
		strv_release(ret);
	return 0;
}

static int mend_default(const struct op_run *r, const struct kernel_args *w, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0}, more SCOPED(strv_release) = {0};
	const char *path = w->alone ? DEFAULT : OURS;
	bool there;

	if (assignments(r, w, &more, e) != 0 || lines_read(r->rootfd, path, &lines, &there, e) != 0)
		return -1;
	if (more.n == 0)
		return 0;
	if (!there)
		strv_add(&lines, "# Written by posmedia from a hardening profile.");
	for (size_t i = 0; i < more.n; i++) {
		strv_add(&lines, more.v[i]);
		strv_addf(r->done, "/%s: %s added", path, more.v[i]);
	}
	return lines_write(r->rootfd, path, &lines, 0644, e);
}

static int mend_cfg(const struct op_run *r, const struct kernel_args *w, const char *path,
		    struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};
	size_t n = 0;

	if (lines_read(r->rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t k = 0; k < lines.n; k++) {
		const char *args = grub_entry_args(lines.v[k]);
		struct strv more SCOPED(strv_release) = {0};

		if (args != NULL)
			lacking(w, args, &more);
		for (size_t i = 0; i < more.n; i++, n++) {
			char *text SCOPED(mem_freep) = grub_with(lines.v[k], more.v[i]);

			lines_replace(&lines, k, text);
		}
	}
	if (n == 0)
		return 0;
	strv_addf(r->done, "/%s: %zu argument%s added", path, n, n == 1 ? "" : "s");
	return lines_write(r->rootfd, path, &lines, 0600, e);
}

/* Adds what is lacking to the last line that has options, or as one more; `word` is what such a
 * line begins with. */
static int mend_options(const struct op_run *r, const char *path, const char *word,
			struct strv *lines, const struct strv *more, struct err *e)
{
	size_t at = lines->n;

	for (size_t i = 0; i < lines->n; i++)
		if (*word == '\0' ? lines->v[i][0] != '#' : bls_options(lines->v[i]) != NULL)
			at = i;
	if (at == lines->n)
		strv_add(lines, word);
	for (size_t i = 0; i < more->n; i++) {
		char *text SCOPED(mem_freep) = grub_with(lines->v[at], more->v[i]);

		lines_replace(lines, at, text);
		strv_addf(r->done, "/%s: %s added", path, more->v[i]);
	}
	return lines_write(r->rootfd, path, lines, 0644, e);
}

static int mend_entries(const struct op_run *r, const struct kernel_args *w, struct err *e)
{
	struct strv entries SCOPED(strv_release) = {0}, coming SCOPED(strv_release) = {0};
	struct strv next SCOPED(strv_release) = {0};
	char *cmdline SCOPED(mem_freep) = NULL;

	if (find_entries(r, &entries, e) != 0 || coming_args(r, &coming, &cmdline, e) != 0)
		return -1;
	if (cmdline != NULL)
		lacking(w, cmdline, &next);
	if (next.n > 0 && mend_options(r, BLS_CMDLINE, "", &coming, &next, e) != 0)
		return -1;
	for (size_t i = 0; i < entries.n; i++) {
		struct strv lines SCOPED(strv_release) = {0}, more SCOPED(strv_release) = {0};
		char *args SCOPED(mem_freep) = NULL;

		if (entry_args(r, entries.v[i], &lines, &args, e) != 0)
			return -1;
		lacking(w, args, &more);
		if (more.n > 0 && mend_options(r, entries.v[i], "options", &lines, &more, e) != 0)
			return -1;
	}
	return 0;
}

static int kernel_args_fix(const struct op_run *r, const void *want, struct err *e)
{
	struct strv cfgs SCOPED(strv_release) = {0};

	if (mend_default(r, want, e) != 0 || root_glob(r->rootfd, GRUB_CFG, &cfgs, e) != 0)
		return -1;
	for (size_t i = 0; i < cfgs.n; i++)
		if (mend_cfg(r, want, cfgs.v[i], e) != 0)
			return -1;
	return mend_entries(r, want, e);
}

const struct op_kind op_kernel_args = {
    .name = "kernel-args",
    .size = sizeof(struct kernel_args),
    .fields = kernel_args_fields,
    .finish = kernel_args_finish,
    .check = kernel_args_check,
    .fix = kernel_args_fix,
    .release = kernel_args_release,
};

/* op_tree.c - what is asked of every file of a tree: set-id bits, capabilities, write permission
 * for all, owners. */
#include "harden/op.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

struct allow {
	struct strv allow; /* patterns */
};

static const struct field allow_fields[] = {
    {"allow", FIELD_PATHS, offsetof(struct allow, allow), false},
    {0},
};

/* Something is wrong with this file: "" when not. */
typedef const char *judge_fn(const struct op_run *r, const struct facts_file *f);

static bool allowed(const struct strv *patterns, const char *path)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (root_match(patterns->v[i], path))
			return true;
	return false;
}

static int each(const struct op_run *r, const struct allow *w, judge_fn *judge, struct err *e)
{
	const struct facts_files *files;

	if (facts_files(r->facts, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files->n; i++) {
		const char *what = judge(r, &files->v[i]);

		if (*what != '\0' && !allowed(&w->allow, files->v[i].path))
			strv_addf(r->found, "/%s: %s", files->v[i].path, what);
	}
	return 0;
}

/* Calls fix for every file that judge names. */
static int mend(const struct op_run *r, const struct allow *w, judge_fn *judge,
		int (*fix)(const struct op_run *, const struct facts_file *, struct err *),
		struct err *e)
{
	const struct facts_files *files;

	if (facts_files(r->facts, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files->n; i++) {
		const struct facts_file *f = &files->v[i];

		if (*judge(r, f) == '\0' || allowed(&w->allow, f->path))
			continue;
		if (fix(r, f, e) != 0)
			return -1;
		strv_addf(r->done, "/%s: mended", f->path);
	}
	return 0;
}

static const char *judge_suid(const struct op_run *r, const struct facts_file *f)
{
	(void)r;
	if (!S_ISREG(f->st.st_mode))
		return "";
	if ((f->st.st_mode & S_ISUID) != 0)
		return "set-user-id, not on the list";
	return (f->st.st_mode & S_ISGID) != 0 ? "set-group-id, not on the list" : "";
}

static int fix_suid(const struct op_run *r, const struct facts_file *f, struct err *e)
{
	return root_chmod(r->rootfd, f->path, f->st.st_mode & 01777, e);
}

static int suid_check(const struct op_run *r, const void *want, struct err *e)
{
	return each(r, want, judge_suid, e);
}

static int suid_fix(const struct op_run *r, const void *want, struct err *e)
{
	return mend(r, want, judge_suid, fix_suid, e);
}

const struct op_kind op_suid = {
    .name = "suid",
    .whole_tree = true,
    .size = sizeof(struct allow),
    .fields = allow_fields,
    .check = suid_check,
    .fix = suid_fix,
};

static const char *judge_capability(const struct op_run *r, const struct facts_file *f)
{
	int fd SCOPED(fd_closep) = -1;
	char byte[64];

	/* capabilities work on programs only */
	if (f->bare || !S_ISREG(f->st.st_mode) || (f->st.st_mode & 0111) == 0)
		return "";
	fd = root_open(r->rootfd, f->path, O_RDONLY | O_NOFOLLOW);
	if (fd < 0)
		return "";
	return fgetxattr(fd, "security.capability", byte, sizeof(byte)) >= 0 || errno == ERANGE
		   ? "has file capabilities, not on the list"
		   : "";
}

static int fix_capability(const struct op_run *r, const struct facts_file *f, struct err *e)
{
	int fd SCOPED(fd_closep) = root_open(r->rootfd, f->path, O_RDONLY | O_NOFOLLOW);

	if (fd < 0 || fremovexattr(fd, "security.capability") != 0)
		return err_sys(e, "%s: remove capabilities", f->path);
	return 0;
}

static int capabilities_check(const struct op_run *r, const void *want, struct err *e)
{
	return each(r, want, judge_capability, e);
}

static int capabilities_fix(const struct op_run *r, const void *want, struct err *e)
{
	return mend(r, want, judge_capability, fix_capability, e);
}

const struct op_kind op_capabilities = {
    .name = "capabilities",
    .whole_tree = true,
    .size = sizeof(struct allow),
    .fields = allow_fields,
    .check = capabilities_check,
    .fix = capabilities_fix,
};

static const char *judge_writable(const struct op_run *r, const struct facts_file *f)
{
	(void)r;
	return S_ISREG(f->st.st_mode) && (f->st.st_mode & S_IWOTH) != 0 ? "anyone may write it"
									: "";
}

static int fix_writable(const struct op_run *r, const struct facts_file *f, struct err *e)
{
	return root_chmod(r->rootfd, f->path, f->st.st_mode & 07775, e);
}

static int writable_check(const struct op_run *r, const void *want, struct err *e)
{
	return each(r, want, judge_writable, e);
}

static int writable_fix(const struct op_run *r, const void *want, struct err *e)
{
	return mend(r, want, judge_writable, fix_writable, e);
}

const struct op_kind op_writable = {
    .name = "world-writable",
    .whole_tree = true,
    .size = sizeof(struct allow),
    .fields = allow_fields,
    .check = writable_check,
    .fix = writable_fix,
};

static const char *judge_sticky(const struct op_run *r, const struct facts_file *f)
{
	(void)r;
	if (!S_ISDIR(f->st.st_mode) || (f->st.st_mode & S_IWOTH) == 0)
		return "";
	if ((f->st.st_mode & S_ISVTX) == 0)
		return "anyone may write into it, without the sticky bit";
	return f->st.st_uid == 0 ? "" : "anyone may write into it and it is not root's";
}

static int fix_sticky(const struct op_run *r, const struct facts_file *f, struct err *e)
{
	mode_t m = f->st.st_mode & 07777;

	/* whose it is may be on purpose: then it is not for everyone */
	m = f->st.st_uid == 0 ? m | S_ISVTX : m & ~(mode_t)S_IWOTH;
	return root_chmod(r->rootfd, f->path, m, e);
}

static int sticky_check(const struct op_run *r, const void *want, struct err *e)
{
	return each(r, want, judge_sticky, e);
}

static int sticky_fix(const struct op_run *r, const void *want, struct err *e)
{
	return mend(r, want, judge_sticky, fix_sticky, e);
}

const struct op_kind op_sticky = {
    .name = "sticky",
    .whole_tree = true,
    .size = sizeof(struct allow),
    .fields = allow_fields,
    .check = sticky_check,
    .fix = sticky_fix,
};

static const char *judge_owned(const struct op_run *r, const struct facts_file *f)
{
	const struct accounts *a;
	struct err ignored = ERR_INIT;

	if (facts_accounts(r->facts, &a, &ignored) != 0)
		return "";
	if (accounts_uid(a, f->st.st_uid) == NULL)
		return "its owner is no account";
	return accounts_gid(a, f->st.st_gid) == NULL ? "its group does not exist" : "";
}

static int owned_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct accounts *a;

	if (facts_accounts(r->facts, &a, e) != 0)
		return -1;
	return each(r, want, judge_owned, e);
}

static int fix_owned(const struct op_run *r, const struct facts_file *f, struct err *e)
{
	return root_chown(r->rootfd, f->path, 0, 0, e);
}

static int owned_fix(const struct op_run *r, const void *want, struct err *e)
{
	return mend(r, want, judge_owned, fix_owned, e);
}

const struct op_kind op_owned = {
    .name = "owned",
    .whole_tree = true,
    .size = sizeof(struct allow),
    .fields = allow_fields,
    .check = owned_check,
    .fix = owned_fix,
};

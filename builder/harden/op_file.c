/* op_file.c - whole files: absent ones, ones with a fixed text, and banners. */
#include "harden/lines.h"
#include "harden/op.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

struct absent {
	struct strv paths, except;
};

static const struct field absent_fields[] = {
    {"paths", FIELD_PATHS, offsetof(struct absent, paths), true},
    {"except", FIELD_PATHS, offsetof(struct absent, except), false},
    {0},
};

static int absent_find(const struct op_run *r, const struct absent *w, struct strv *ret,
		       struct err *e)
{
	struct strv all SCOPED(strv_release) = {0};

	if (root_globs(r->rootfd, &w->paths, &all, e) != 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		bool spared = false;

		for (size_t k = 0; k < w->except.n && !spared; k++)
			spared = root_match(w->except.v[k], all.v[i]);
		if (!spared)
			strv_add(ret, all.v[i]);
	}
	return 0;
}

static int absent_check(const struct op_run *r, const void *want, struct err *e)
{
	struct strv found SCOPED(strv_release) = {0};

	if (absent_find(r, want, &found, e) != 0)
		return -1;
	for (size_t i = 0; i < found.n; i++)
		strv_addf(r->found, "/%s: is there", found.v[i]);
	return 0;
}

static int absent_fix(const struct op_run *r, const void *want, struct err *e)
{
	struct strv found SCOPED(strv_release) = {0};

	if (absent_find(r, want, &found, e) != 0)
		return -1;
	for (size_t i = 0; i < found.n; i++) {
		if (root_remove(r->rootfd, found.v[i], e) != 0)
			return -1;
		strv_addf(r->done, "/%s: removed", found.v[i]);
	}
	return 0;
}

const struct op_kind op_absent = {
    .name = "absent",
    .size = sizeof(struct absent),
    .fields = absent_fields,
    .check = absent_check,
    .fix = absent_fix,
};

struct file {
	char *path, *text;
	struct opt mode;
};

static const struct field file_fields[] = {
    {"path", FIELD_PATH, offsetof(struct file, path), true},
    {"text", FIELD_TEXT, offsetof(struct file, text), true},
    {"mode", FIELD_MODE, offsetof(struct file, mode), false},
    {0},
};

static int write_text(const struct op_run *r, const char *path, const char *text, mode_t mode,
		      struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);

	buf_add(&b, text, strlen(text));
	if (root_write(r->rootfd, path, &b, mode, e) != 0)
		return -1;
	strv_addf(r->done, "/%s: written", path);
	return 0;
}

static int file_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct file *w = want;
	struct buf text SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);
	bool there;

	if (root_read(r->rootfd, w->path, &text, &there, e) != 0)
		return -1;
	if (!there)
		strv_addf(r->found, "/%s: is not there", w->path);
	else if (strcmp(text.data, w->text) != 0 || strlen(text.data) != text.len)
		strv_addf(r->found, "/%s: has another text than the profile gives", w->path);
	return 0;
}

static int file_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct file *w = want;

	return write_text(r, w->path, w->text, w->mode.set ? (mode_t)w->mode.v : 0644, e);
}

static char *file_contradicts(const void *a, const void *b)
{
	const struct file *one = a, *other = b;

	if (strcmp(one->path, other->path) != 0 || strcmp(one->text, other->text) == 0)
		return NULL;
	return mem_format("/%s cannot have two texts", one->path);
}

const struct op_kind op_file = {
    .name = "file",
    .size = sizeof(struct file),
    .fields = file_fields,
    .check = file_check,
    .fix = file_fix,
    .contradicts = file_contradicts,
};

struct banner {
	struct strv paths, contains;
	char *text;
};

static const struct field banner_fields[] = {
    {"paths", FIELD_PATHS, offsetof(struct banner, paths), true},
    {"contains", FIELD_LIST, offsetof(struct banner, contains), false},
    {"text", FIELD_TEXT, offsetof(struct banner, text), true},
    {0},
};

/* Escapes of agetty(8) that tell the system's name or version. */
static bool has_escape(const char *s)
{
	for (; (s = strchr(s, '\\')) != NULL; s++)
		if (s[1] != '\0' && strchr("mrsvnolS4", s[1]) != NULL)
			return true;
	return false;
}

/* What the banner of an image may not tell: the name of the distribution. */
static bool names_system(const struct op_run *r, const char *text)
{
	struct strv lines SCOPED(strv_release) = {0};
	struct err ignored = ERR_INIT;

	if (lines_read(r->rootfd, "etc/os-release", &lines, NULL, &ignored) != 0)
		return false;
	for (size_t i = 0; i < lines.n; i++) {
		char *name = lines.v[i];

		if (strncmp(name, "ID=", 3) != 0)
			continue;
		name += 3 + strspn(name + 3, "\"'");
		name[strcspn(name, "\"'")] = '\0';
		return *name != '\0' && strcasestr(text, name) != NULL;
	}
	return false;
}

static int banner_look(const struct op_run *r, const struct banner *w, const char *path,
		       struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 16);
	bool there;

	if (root_read(r->rootfd, path, &text, &there, e) != 0)
		return -1;
	if (!there)
		strv_addf(r->found, "/%s: is not there", path);
	else if (has_escape(text.data))
		strv_addf(r->found, "/%s: has an escape that tells the system", path);
	else if (names_system(r, text.data))
		strv_addf(r->found, "/%s: names the distribution", path);
	for (size_t i = 0; there && i < w->contains.n; i++)
		if (strcasestr(text.data, w->contains.v[i]) == NULL)
			strv_addf(r->found, "/%s: does not say \"%s\"", path, w->contains.v[i]);
	return 0;
}

static int banner_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct banner *w = want;

	for (size_t i = 0; i < w->paths.n; i++)
		if (banner_look(r, w, w->paths.v[i], e) != 0)
			return -1;
	return 0;
}

static int banner_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct banner *w = want;

	for (size_t i = 0; i < w->paths.n; i++) {
		struct strv found SCOPED(strv_release) = {0};
		struct op_run one = *r;

		one.found = &found;
		if (banner_look(&one, w, w->paths.v[i], e) != 0)
			return -1;
		if (found.n > 0 && write_text(r, w->paths.v[i], w->text, 0644, e) != 0)
			return -1;
	}
	return 0;
}

const struct op_kind op_banner = {
    .name = "banner",
    .size = sizeof(struct banner),
    .fields = banner_fields,
    .check = banner_check,
    .fix = banner_fix,
};

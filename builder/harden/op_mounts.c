/* op_mounts.c - file systems of their own, what they are mounted with, and swap. */
#include "harden/lines.h"
#include "harden/mounts.h"
#include "harden/op.h"

#include <stddef.h>
#include <string.h>

struct mounts_want {
	struct strv at; /* kept without the leading slash */
	struct strv options;
	bool swap_encrypted;
};

static const struct field mounts_fields[] = {
    {"at", FIELD_PATHS, offsetof(struct mounts_want, at), false},
    {"options", FIELD_LIST, offsetof(struct mounts_want, options), false},
    {"swap-encrypted", FIELD_BOOL, offsetof(struct mounts_want, swap_encrypted), false},
    {0},
};

static void look_entry(const struct op_run *r, const struct mounts_want *w,
		       const struct mount_entry *en)
{
	size_t n = r->found->n;

	if (w->options.n == 0 && mount_has_option(en->options, "noauto"))
		strv_addf(r->found, "/%s:%zu: %s is not mounted at boot (noauto)", en->file,
			  en->line, en->at);
	for (size_t i = 0; i < w->options.n; i++)
		if (!mount_has_option(en->options, w->options.v[i]))
			strv_addf(r->found, "/%s:%zu: %s is mounted without %s (\"%s\")", en->file,
				  en->line, en->at, w->options.v[i], en->options);
	if (r->held != NULL && r->found->n == n)
		strv_addf(r->held, "/%s:%zu: %s, \"%s\"", en->file, en->line, en->at, en->options);
}

static int look_at(const struct op_run *r, const struct mounts_want *w, const char *path,
		   struct err *e)
{
	char *at SCOPED(mem_freep) = mem_format("/%s", path);
	struct mounts m SCOPED(mounts_release) = {0};

	if (mounts_at(r->rootfd, at, &m, e) != 0)
		return -1;
	if (m.n == 0)
		strv_addf(r->found, "/etc/fstab: %s is no file system of its own", at);
	for (size_t i = 0; i < m.n; i++)
		look_entry(r, w, &m.v[i]);
	return 0;
}

/* Whether crypttab(5) makes the device. */
static bool is_encrypted(const struct strv *crypttab, const char *device)
{
	static const char mapper[] = "/dev/mapper/";

	if (strncmp(device, mapper, strlen(mapper)) != 0)
		return false;
	for (size_t i = 0; i < crypttab->n; i++) {
		struct strv w SCOPED(strv_release) = {0};

		line_words(crypttab->v[i], &w);
		if (w.n >= 2 && w.v[0][0] != '#' && strcmp(w.v[0], device + strlen(mapper)) == 0)
			return true;
	}
	return false;
}

static int swap_lines(const struct op_run *r, struct mounts *ret, struct err *e)
{
	struct strv crypttab SCOPED(strv_release) = {0}, lines SCOPED(strv_release) = {0};
	size_t n = 0;

	if (lines_read(r->rootfd, "etc/crypttab", &crypttab, NULL, e) != 0 ||
	    lines_read(r->rootfd, "etc/fstab", &lines, NULL, e) != 0 ||
	    mounts_parse_fstab(&lines, ret, e) != 0)
		return -1;
	/* what is no plain swap goes to the end, where release finds it */
	for (size_t i = 0; i < ret->n; i++) {
		struct mount_entry en = ret->v[i];

		if (strcmp(en.type, "swap") != 0 || is_encrypted(&crypttab, en.what))
			continue;
		ret->v[i] = ret->v[n];
		ret->v[n++] = en;
	}
	return (int)n;
}

static int look_swap(const struct op_run *r, struct err *e)
{
	struct mounts m SCOPED(mounts_release) = {0};
	struct strv units SCOPED(strv_release) = {0};
	int n = swap_lines(r, &m, e);

	if (n < 0 || root_glob(r->rootfd, "etc/systemd/system/*.swap", &units, e) != 0)
		return -1;
	for (int i = 0; i < n; i++)
		strv_addf(r->found, "/%s:%zu: swap on %s is not encrypted", m.v[i].file,
			  m.v[i].line, m.v[i].what);
	for (size_t i = 0; i < units.n; i++)
		strv_addf(r->found, "/%s: swap by a unit cannot be judged", units.v[i]);
	return r->c->live != NULL ? r->c->live->swaps(r->c->live->ctx, r->found, e) : 0;
}

static int mounts_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct mounts_want *w = want;

	for (size_t i = 0; i < w->at.n; i++)
		if (look_at(r, w, w->at.v[i], e) != 0)
			return -1;
	return w->swap_encrypted ? look_swap(r, e) : 0;
}

/* The line with its fourth field replaced; the caller owns it. */
static char *with_options(const char *line, const char *options)
{
	struct strv w SCOPED(strv_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);

	line_words(line, &w);
	for (size_t i = 0; i < w.n || i < 4; i++)
		buf_addf(&b, "%s%s", i == 0 ? "" : "\t", i == 3 ? options : w.v[i]);
	return buf_take(&b);
}

static int mend_at(const struct op_run *r, const struct mounts_want *w, const char *path,
		   struct err *e)
{
	char *at SCOPED(mem_freep) = mem_format("/%s", path);
	struct mounts m SCOPED(mounts_release) = {0};
	struct strv lines SCOPED(strv_release) = {0};
	size_t changed = 0;

	if (mounts_at(r->rootfd, at, &m, e) != 0 ||
	    lines_read(r->rootfd, "etc/fstab", &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < m.n; i++) {
		struct buf options SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);
		char *text SCOPED(mem_freep) = NULL;

		buf_addf(&options, "%s", m.v[i].options);
		for (size_t k = 0; k < w->options.n; k++)
			if (!mount_has_option(options.data, w->options.v[k]))
				buf_addf(&options, ",%s", w->options.v[k]);
		if (m.v[i].line == 0 || strcmp(options.data, m.v[i].options) == 0)
			continue;
		text = with_options(lines.v[m.v[i].line - 1], options.data);
		lines_replace(&lines, m.v[i].line - 1, text);
		strv_addf(r->done, "/etc/fstab: %s is mounted with %s", at, options.data);
		changed++;
	}
	return changed == 0 ? 0 : lines_write(r->rootfd, "etc/fstab", &lines, 0644, e);
}

static int mend_swap(const struct op_run *r, struct err *e)
{
	struct mounts m SCOPED(mounts_release) = {0};
	struct strv lines SCOPED(strv_release) = {0};
	int n = swap_lines(r, &m, e);

	if (n <= 0)
		return n;
	if (lines_read(r->rootfd, "etc/fstab", &lines, NULL, e) != 0)
		return -1;
	for (int i = 0; i < n; i++) {
		char *text SCOPED(mem_freep) =
		    mem_format("# posmedia: %s", lines.v[m.v[i].line - 1]);

		lines_replace(&lines, m.v[i].line - 1, text);
		strv_addf(r->done, "/etc/fstab:%zu: commented out", m.v[i].line);
	}
	return lines_write(r->rootfd, "etc/fstab", &lines, 0644, e);
}

static int mounts_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct mounts_want *w = want;

	for (size_t i = 0; i < w->at.n; i++)
		if (mend_at(r, w, w->at.v[i], e) != 0)
			return -1;
	return w->swap_encrypted ? mend_swap(r, e) : 0;
}

const struct op_kind op_mounts = {
    .name = "mounts",
    .size = sizeof(struct mounts_want),
    .fields = mounts_fields,
    .check = mounts_check,
    .fix = mounts_fix,
};

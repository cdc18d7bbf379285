/* report.c - differences for people: on a terminal, or as a section of release notes. */
#include "diff/diff.h"

#include "base/num.h"
#include "form/yaml_text.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILES_SHOWN = 10 };

struct out {
	struct buf *b;
	bool md;
	bool all;
};

static const char *const topics[] = {
    [DIFF_PACKAGES] = "packages",
    [DIFF_PRIVILEGED] = "set-uid and set-gid files",
    [DIFF_CAPABILITIES] = "file capabilities",
    [DIFF_USERS] = "users",
    [DIFF_GROUPS] = "groups",
    [DIFF_PORTS] = "ports",
    [DIFF_SERVICES] = "services",
    [DIFF_CONTROLS] = "controls",
    [DIFF_RUN] = "run configuration",
};

/* Kinds of changed files, in the order they are told. */
static const struct {
	unsigned how;
	const char *what;
} kinds[] = {
    {DIFF_ADDED, "added"},
    {DIFF_REMOVED, "removed"},
    {DIFF_CONTENT, "with other content"},
    {DIFF_TYPE | DIFF_LINK | DIFF_OWNER | DIFF_MODE | DIFF_XATTRS,
     "with another type, target, owner, mode or attribute"},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* Whether a character could change what a terminal shows of the rest. */
static bool is_harmful(uint32_t c)
{
	return c == '\n' || c == '\t' || utf8_is_control(c) || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

static void plain(const struct out *o, const char *s)
{
	size_t left = strlen(s);

	while (left > 0) {
		uint32_t c = 0;
		size_t n = utf8_decode(s, left, &c);
		bool ok = n > 0 && !is_harmful(c) && !(o->md && c == '`');

		n = n > 0 ? n : 1;
		if (ok)
			buf_add(o->b, s, n);
		for (size_t i = 0; !ok && i < n; i++)
			buf_addf(o->b, "\\x%02x", (unsigned char)s[i]);
		s += n;
		left -= n;
	}
}

/* A name or a value; Markdown reads nothing into it as code. */
static void word(const struct out *o, const char *s)
{
	if (s[0] == '\0')
		return;
	buf_addf(o->b, "%s", o->md ? " `" : " ");
	plain(o, s);
	buf_addf(o->b, "%s", o->md ? "`" : "");
}

static void wordf(const struct out *o, const char *fmt, ...) PRINTF(2, 3);

static void wordf(const struct out *o, const char *fmt, ...)
{
	char *s SCOPED(mem_freep) = NULL;
	va_list ap;

	va_start(ap, fmt);
	s = mem_vformat(fmt, ap);
	va_end(ap);
	word(o, s);
}

static void arrow(const struct out *o)
{
	buf_addf(o->b, " %s", o->md ? "→" : "->");
}

static void heading(const struct out *o, const char *what)
{
	if (o->md)
		buf_addf(o->b, "\n### %c%s: ", what[0] - 'a' + 'A', what + 1);
	else
		buf_addf(o->b, "\n%s: ", what);
}

static void heading_end(const struct out *o)
{
	buf_addf(o->b, "%s", o->md ? "\n\n" : "\n");
}

static void begin(const struct out *o, bool was, bool is)
{
	if (o->md)
		buf_addf(o->b, "- %s", !was ? "added" : !is ? "removed" : "changed");
	else
		buf_addf(o->b, "  %c", !was ? '+' : !is ? '-' : '~');
}

/* "2 added, 1 changed"; what there is none of is not said. */
static void count(const struct out *o, size_t n, const char *what, bool *any)
{
	if (n == 0)
		return;
	buf_addf(o->b, "%s%zu %s", *any ? ", " : "", n, what);
	*any = true;
}

static void item_text(const struct out *o, const struct diff_item *d)
{
	begin(o, d->was != NULL, d->is != NULL);
	word(o, d->name);
	if (d->was != NULL && d->is != NULL && strcmp(d->was, d->is) != 0) {
		word(o, d->was[0] != '\0' ? d->was : "\"\"");
		arrow(o);
		word(o, d->is[0] != '\0' ? d->is : "\"\"");
	} else {
		word(o, d->is != NULL ? d->is : d->was);
	}
	if (d->note != NULL) {
		buf_addf(o->b, " (");
		plain(o, d->note);
		buf_addf(o->b, ")");
	}
	if (d->files > 0)
		buf_addf(o->b, " (%zu %s)", d->files, d->files == 1 ? "file" : "files");
	buf_addf(o->b, "\n");
}

static void count_changes(const struct out *o, const struct diff_list *l)
{
	size_t added = 0, removed = 0;
	bool any = false;

	for (size_t i = 0; i < l->n; i++) {
		added += l->v[i].was == NULL;
		removed += l->v[i].is == NULL;
	}
	count(o, added, "added", &any);
	count(o, removed, "removed", &any);
	count(o, l->n - added - removed, "changed", &any);
}

/* What an image is against the list of a server. */
static void count_states(const struct out *o, const struct diff_list *l)
{
	static const char *const states[] = {"missing", "extra", "older", "newer"};
	bool any = false;

	for (size_t s = 0; s < 4; s++) {
		size_t n = 0;

		for (size_t i = 0; i < l->n; i++)
			n += strcmp(l->v[i].note, states[s]) == 0;
		count(o, n, states[s], &any);
	}
}

static void topic_text(const struct out *o, const char *what, const struct diff_list *l,
		       bool states)
{
	if (l->n == 0)
		return;
	heading(o, what);
	if (states)
		count_states(o, l);
	else
		count_changes(o, l);
	heading_end(o);
	for (size_t i = 0; i < l->n; i++)
		item_text(o, &l->v[i]);
}

static const char *type_name(mode_t m)
{
	return S_ISDIR(m) ? "directory" : S_ISLNK(m) ? "symlink" : "file";
}

/* What is there to say of an entry that came or went. */
static void meta_text(const struct out *o, const struct diff_meta *m)
{
	char *size SCOPED(mem_freep) = num_human(m->size);

	if (m->link != NULL) {
		buf_addf(o->b, ", symlink to");
		word(o, m->link);
	} else {
		buf_addf(o->b, ", %s", S_ISDIR(m->mode) ? "directory" : size);
	}
}

static void changes_text(const struct out *o, const struct diff_file *f)
{
	const struct diff_meta *a = &f->was, *b = &f->is;
	char *x SCOPED(mem_freep) = num_human(a->size), *y SCOPED(mem_freep) = num_human(b->size);

	if ((f->how & DIFF_TYPE) != 0)
		buf_addf(o->b, ", %s, was %s", type_name(b->mode), type_name(a->mode));
	if ((f->how & DIFF_CONTENT) != 0)
		buf_addf(o->b, ", content (%s%s%s)", strcmp(x, y) != 0 ? x : "",
			 strcmp(x, y) != 0 ? (o->md ? " → " : " -> ") : "", y);
	if ((f->how & DIFF_LINK) != 0) {
		buf_addf(o->b, ", link");
		word(o, a->link);
		arrow(o);
		word(o, b->link);
	}
	if ((f->how & DIFF_OWNER) != 0) {
		buf_addf(o->b, ", owner");
		wordf(o, "%u:%u", a->uid, a->gid);
		arrow(o);
		wordf(o, "%u:%u", b->uid, b->gid);
	}
	if ((f->how & DIFF_MODE) != 0) {
		buf_addf(o->b, ", mode");
		wordf(o, "%04o", a->mode & 07777U);
		arrow(o);
		wordf(o, "%04o", b->mode & 07777U);
	}
	if ((f->how & DIFF_XATTRS) != 0)
		buf_addf(o->b, ", attributes");
}

static void file_text(const struct out *o, const struct diff_file *f)
{
	begin(o, (f->how & DIFF_ADDED) == 0, (f->how & DIFF_REMOVED) == 0);
	wordf(o, "/%s", f->path);
	if ((f->how & DIFF_ADDED) != 0)
		meta_text(o, &f->is);
	else if ((f->how & DIFF_REMOVED) != 0)
		meta_text(o, &f->was);
	else
		changes_text(o, f);
	if (f->package != NULL) {
		buf_addf(o->b, " (of");
		word(o, f->package);
		buf_addf(o->b, ")");
	}
	buf_addf(o->b, "\n");
}

static uint64_t weight(const struct diff_file *f)
{
	return f->was.size > f->is.size ? f->was.size : f->is.size;
}

static int by_weight(const void *a, const void *b)
{
	const struct diff_file *const *x = a, *const *y = b;

	if (weight(*x) != weight(*y))
		return weight(*x) > weight(*y) ? -1 : 1;
	return strcmp((*x)->path, (*y)->path);
}

/* A file is of the first kind that fits. */
static size_t kind_of(const struct diff_file *f)
{
	size_t k = 0;

	while (k < KINDS - 1 && (f->how & kinds[k].how) == 0)
		k++;
	return k;
}

static void kind_text(const struct out *o, const struct diff_file **v, size_t n)
{
	size_t shown = o->all || n <= FILES_SHOWN ? n : FILES_SHOWN;

	if (n > 1)
		qsort(v, n, sizeof(const struct diff_file *), by_weight);
	for (size_t i = 0; i < shown; i++)
		file_text(o, v[i]);
	if (n > shown)
		buf_addf(o->b, "%s and %zu more %s\n", o->md ? "-" : "   ", n - shown,
			 kinds[kind_of(v[0])].what);
}

static void files_text(const struct out *o, const struct diff *d)
{
	const struct diff_file **v[KINDS];
	size_t n[KINDS] = {0}, folded = 0;
	bool any = false;

	if (d->files_n == 0)
		return;
	for (size_t k = 0; k < KINDS; k++)
		v[k] = mem_zalloc((d->files_n + 1) * sizeof(const struct diff_file *));
	for (size_t i = 0; i < d->files_n; i++) {
		size_t k = kind_of(&d->files[i]);

		if (d->files[i].folded && !o->all)
			folded++;
		else
			v[k][n[k]++] = &d->files[i];
	}
	heading(o, "files");
	for (size_t k = 0; k < KINDS; k++)
		count(o, n[k], kinds[k].what, &any);
	count(o, folded, "with the packages that changed", &any);
	heading_end(o);
	for (size_t k = 0; k < KINDS; k++) {
		kind_text(o, v[k], n[k]);
		free(v[k]);
	}
}

static uint64_t layer_bytes(const struct diff_side *s, bool only_own)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->layers_n; i++)
		if (!only_own || !s->layers[i].shared)
			sum += s->layers[i].size;
	return sum;
}

static void own_layers(const struct out *o, const struct diff_side *s, bool is)
{
	for (size_t i = 0; i < s->layers_n; i++) {
		char *size SCOPED(mem_freep) = num_human(s->layers[i].size);

		if (s->layers[i].shared)
			continue;
		begin(o, !is, is);
		if (s->layers[i].name != NULL)
			word(o, s->layers[i].name);
		word(o, digest_text(&s->layers[i].digest).s);
		buf_addf(o->b, ", %s\n", size);
	}
}

static void layers_text(const struct out *o, const struct diff *d)
{
	char *all SCOPED(mem_freep) = num_human(layer_bytes(&d->is, false));
	char *new SCOPED(mem_freep) = num_human(layer_bytes(&d->is, true));
	size_t shared = 0;

	if (!d->was.is_image || !d->is.is_image)
		return;
	for (size_t i = 0; i < d->is.layers_n; i++)
		shared += d->is.layers[i].shared;
	if (shared == d->is.layers_n && shared == d->was.layers_n)
		return;
	heading(o, "layers");
	buf_addf(o->b, "%zu of %zu as before, %s of %s to fetch", shared, d->is.layers_n, new, all);
	heading_end(o);
	own_layers(o, &d->was, false);
	own_layers(o, &d->is, true);
}

static void side_text(const struct out *o, const char *label, const struct diff_side *s)
{
	char *size SCOPED(mem_freep) = num_human(s->bytes);

	buf_addf(o->b, "%s%-3s", o->md ? "- " : "", label);
	word(o, s->object);
	if (s->is_image)
		word(o, digest_text(&s->image).s);
	if (s->only_packages)
		buf_addf(o->b, "%s %zu packages\n", o->md ? ":" : "", s->packages);
	else
		buf_addf(o->b, "%s %llu files, %s\n", o->md ? ":" : "",
			 (unsigned long long)s->files, size);
}

/* What was not compared is said: silence would read as "the same". */
static void unknown_text(const struct out *o, const struct diff *d)
{
	bool any = false;

	for (int t = 0; t < DIFF_TOPICS; t++) {
		if (!d->lists[t].unknown)
			continue;
		buf_addf(o->b, "%s%s", any ? ", " : "\nnot compared: ", topics[t]);
		any = true;
	}
	if (any)
		buf_addf(o->b, "\n");
}

void diff_report(const struct diff *d, enum diff_format format, bool all_files, struct buf *out)
{
	const struct out o = {.b = out, .md = format == DIFF_MARKDOWN, .all = all_files};
	bool list = d->was.only_packages;
	size_t start;

	if (o.md)
		buf_addf(out, "## What changed\n\n");
	side_text(&o, "was", &d->was);
	side_text(&o, "is", &d->is);
	start = out->len;
	for (int t = 0; t < DIFF_TOPICS; t++)
		topic_text(&o, topics[t], &d->lists[t], list);
	files_text(&o, d);
	layers_text(&o, d);
	if (out->len == start)
		buf_addf(out,
			 diff_any(d) ? "\nnothing but times and history\n" : "\nno difference\n");
	unknown_text(&o, d);
}

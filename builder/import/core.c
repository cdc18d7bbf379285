#include "import/parts.h"

#include "form/yaml.h"
#include "form/yaml_text.h"
#include "recipe/grammar.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAMES_BYTES_MAX = 64 << 20, SHOWN_MAX = 200, BASE_MAX = 1 << 20 };

bool is_one_of(const char *w, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(w, *list) == 0)
			return true;
	return false;
}

char *harmless(const char *p, size_t n)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(SHOWN_MAX * 4);

	char *bare SCOPED(mem_freep) = NULL;

	if (has_userinfo(p, n)) {
		p = bare = without_userinfo(NULL, p, n);
		n = strlen(bare);
	}
	for (size_t i = 0; i < n && b.len < SHOWN_MAX;) {
		uint32_t c = 0;
		size_t len = utf8_decode(p + i, n - i, &c);

		if (len == 0 || utf8_is_control(c) || c == '\n')
			buf_add(&b, "?", 1);
		else
			buf_add(&b, c == '\t' ? " " : p + i, c == '\t' ? 1 : len);
		i += len == 0 ? 1 : len;
	}
	if (b.len >= SHOWN_MAX)
		buf_add(&b, "...", 3);
	return buf_take(&b);
}

void mark(const struct spot *at, enum mark m)
{
	if (at->src != NULL && at->line >= 1 && at->line <= at->src->lines)
		at->src->marks[at->line] |= (uint8_t)m;
}

void mark_lines(const struct spot *at, unsigned last, enum mark m)
{
	struct spot s = *at;

	for (; s.line <= last && s.line <= s.src->lines; s.line++)
		mark(&s, m);
}

void found(const struct spot *at, enum rule r, const char *fmt, ...)
{
	struct import *im = at->im;
	char *text SCOPED(mem_freep) = NULL;
	struct finding *f;
	va_list ap;

	mark(at, MARK_FOUND);
	va_start(ap, fmt);
	text = mem_vformat(fmt, ap);
	va_end(ap);
	note_userinfo(at, text, strlen(text));
	if (im->findings_n == FINDINGS_MAX) {
		im->too_many = true;
		return;
	}
	if (im->findings_n == im->findings_cap) {
		im->findings_cap = im->findings_cap ? im->findings_cap * 2 : 64;
		im->findings = mem_resize(im->findings, im->findings_cap, sizeof(*f));
	}
	f = &im->findings[im->findings_n++];
	*f = (struct finding){at->src->name, at->line, r, im->findings_n,
			      harmless(text, strlen(text))};
}

struct source *source_add(struct import *im, const char *name, char *data, size_t n)
{
	struct source *s;
	unsigned lines = 1;

	if (im->sources_n == SOURCES_MAX || im->sources_bytes + n > SOURCE_BYTES_MAX) {
		free(data);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		lines += data[i] == '\n';
	if (n > 0 && data[n - 1] == '\n')
		lines--;
	s = mem_zalloc(sizeof(*s));
	*s = (struct source){harmless(name, strlen(name)), data, n, mem_zalloc(lines + 2),
			     n > 0 ? lines : 0};
	im->sources = mem_resize(im->sources, im->sources_n + 1, sizeof(struct source *));
	im->sources[im->sources_n++] = s;
	im->sources_bytes += n;
	return s;
}

int source_load(struct import *im, const char *path, struct source **ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(4 << 20);
	struct source *s;
	size_t n;

	if (fs_get_file(AT_FDCWD, path, &b, e) != 0) {
		e->kind = ERR_RECIPE;
		return -1;
	}
	n = b.len;
	s = source_add(im, path, buf_take(&b), n);
	if (s == NULL)
		return err_set(e, ERR_RECIPE, "%s:1:1: more than %d files, or 16 MiB of them", path,
			       SOURCES_MAX);
	*ret = s;
	return 0;
}

/* ---- the names that repositories have */

static int known_of_lock(struct import *im, const struct buf *b, const char *path, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	const struct jval *list;

	if (jval_parse(b->data, b->len, path, &v, e) != 0)
		return -1;
	list = jval_get(v, "packages");
	for (size_t i = 0; i < jval_len(list); i++) {
		const char *name = jval_get_str(jval_at(list, i), "name");

		if (name != NULL)
			map_put(&im->known, name, im);
	}
	return 0;
}

/* A lock, or lines whose first word is a name. */
static int read_known(struct import *im, const char *path, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(NAMES_BYTES_MAX);
	int rc = 0;

	if (fs_get_file(AT_FDCWD, path, &b, e) != 0)
		return err_in(e, "--repository-names");
	if (b.data[0] == '{') {
		rc = known_of_lock(im, &b, path, e);
	} else {
		for (char *p = b.data; *p != '\0'; p += strspn(p, "\n")) {
			size_t line = strcspn(p, "\n"), word = strcspn(p, " \t\r\n");
			char *name SCOPED(mem_freep) = mem_strndup(p, word);

			if (word > 0)
				map_put(&im->known, name, im);
			p += line;
		}
	}
	if (rc == 0 && im->known.n == 0)
		return err_set(e, ERR_RECIPE, "%s:1:1: no name of a package", path);
	return rc;
}

/* ---- begin and end */

static void cut_suffix(char *base)
{
	static const char *const suffixes[] = {".ks", ".cfg", ".kickstart", ".dockerfile", NULL};

	for (const char *const *s = suffixes; *s != NULL; s++) {
		size_t n = strlen(base), len = strlen(*s);

		if (n > len && strcasecmp(base + n - len, *s) == 0)
			base[n - len] = '\0';
	}
}

/* The file's name without suffix, as an image may be called: "centos7-rti". */
static char *image_name_of(const char *path)
{
	char *base SCOPED(mem_freep) = fs_basename(path);
	struct buf b SCOPED(buf_release) = BUF_INIT(120);
	cut_suffix(base);
	for (const char *p = base; *p != '\0' && b.len < 100; p++) {
		char c = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
		char last = b.len > 0 ? b.data[b.len - 1] : '-';

		if (is_letter(c))
			buf_add(&b, &c, 1);
		else if (strchr("._-", last) == NULL)
			buf_add(&b, c == '.' ? "." : "-", 1);
	}
	while (b.len > 0 && strchr("._-", b.data[b.len - 1]) != NULL)
		buf_cut(&b, b.len - 1);
	return b.len > 0 ? buf_take(&b) : mem_strdup("imported");
}

/* Whether names of packages, units and files are Debian's: the base has apt. One that is not there
 * yet, or has its base from another, is told by its name. */
static bool is_debian(const struct import_opts *o)
{
	char *path SCOPED(mem_freep) = NULL;
	struct buf text SCOPED(buf_release) = BUF_INIT(BASE_MAX);
	struct yaml *y SCOPED(yaml_freep) = NULL;
	struct err quiet = ERR_INIT;
	const struct yaml *base;

	if (o->base == NULL)
		return false;
	path = fs_join(o->dir != NULL ? o->dir : ".", o->base);
	if (fs_get_file(AT_FDCWD, path, &text, &quiet) != 0 ||
	    yaml_parse(text.data, text.len, path, &y, &quiet) != 0 ||
	    (base = yaml_get(y, "base")) == NULL)
		return strstr(o->base, "debian") != NULL;
	return yaml_get(base, "apt") != NULL;
}

int import_begin(const char *path, const char *kind, const struct import_opts *o,
		 struct import **ret, struct err *e)
{
	struct import *im SCOPED(import_freep) = mem_zalloc(sizeof(*im));

	im->o = *o;
	im->kind = kind;
	im->name = o->name != NULL ? mem_strdup(o->name) : image_name_of(path);
	im->debian = is_debian(o);
	im->release = 9;
	im->next_id = 1000;
	im->d.docs = im->d.recommends = -1;
	if (!grammar_ok(&grammar_image_name, im->name)) {
		(void)err_set(e, ERR_USAGE, "--name: not an image name: %s", im->name);
		return err_hint(e, "%s", grammar_image_name.hint);
	}
	if (o->release != NULL) {
		if (o->release[0] < '7' || o->release[0] > '9' || o->release[1] != '\0')
			return err_set(e, ERR_USAGE, "--release: 7, 8 or 9, not %s", o->release);
		im->release = (unsigned)(o->release[0] - '0');
	}
	if (o->names != NULL && read_known(im, o->names, e) != 0)
		return -1;
	*ret = STEAL(im);
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	int c = strcmp(x->file, y->file);

	if (c != 0)
		return c;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

void import_end(struct import *im)
{
	for (size_t i = 0; i < im->sources_n; i++) {
		struct source *s = im->sources[i];
		struct spot at = {im, s, 0};

		for (at.line = 1; at.line <= s->lines; at.line++)
			if (s->marks[at.line] == 0)
				found(&at, RULE_NOT_UNDERSTOOD, "nothing is known of this line");
	}
	packages_check(im);
	if (im->findings_n > 0)
		qsort(im->findings, im->findings_n, sizeof(*im->findings), by_place);
}

static void draft_release(struct draft *d)
{
	struct strv *all[] = {&d->notes,    &d->base,    &d->install, &d->exclude,   &d->langs,
			      &d->overlays, &d->groups,  &d->users,   &d->media,     &d->steps,
			      &d->enable,   &d->disable, &d->mask,    &d->ports,     &d->profiles,
			      &d->cmd,      &d->env,     &d->volumes, &d->entrypoint};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		strv_release(all[i]);
	for (size_t i = 0; i < d->files_n; i++) {
		free(d->files[i].path);
		free(d->files[i].data);
	}
	free(d->files);
	free(d->user);
	free(d->workdir);
	free(d->stop_signal);
}

void import_freep(struct import **im)
{
	struct import *i = *im;

	*im = NULL;
	if (i == NULL)
		return;
	for (size_t k = 0; k < i->sources_n; k++) {
		free(i->sources[k]->name);
		free(i->sources[k]->data);
		free(i->sources[k]->marks);
		free(i->sources[k]);
	}
	for (size_t k = 0; k < i->findings_n; k++)
		free(i->findings[k].message);
	free(i->sources);
	free(i->findings);
	free(i->name);
	free(i->install_at.v);
	free(i->exclude_at.v);
	draft_release(&i->d);
	map_release(&i->known, NULL);
	map_release(&i->media, NULL);
	map_release(&i->seen, NULL);
	map_release(&i->urls, free);
	strv_release(&i->repos);
	strv_release(&i->excluded);
	free(i);
}

const char *import_name(const struct import *im)
{
	return im->name;
}

bool import_has(const struct import *im, enum import_severity least)
{
	for (size_t i = 0; i < im->findings_n; i++)
		if (rule_text(im->findings[i].rule)->severity >= least)
			return true;
	return im->too_many && least != IMPORT_NEVER;
}

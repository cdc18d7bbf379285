#include "form/kickstart.h"

#include "import/kickstart.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One source while it is read. */
struct reader {
	struct import *im;
	struct source *src;
	struct kickstart k;
	const char *dir;
	unsigned depth;
	bool sections;
};

/* ---- includes */

/* Reads a regular file below dir: links in it do not lead out. *ret is NULL when there is none. */
static int read_below(const char *dir, const char *path, struct buf *ret, bool *ret_there,
		      struct err *e)
{
	int root SCOPED(fd_closep) = -1, fd SCOPED(fd_closep) = -1;
	struct err quiet = ERR_INIT;
	char chunk[4096];
	struct stat st;
	ssize_t n;

	*ret_there = false;
	if (fs_open_dir(AT_FDCWD, dir, &root, &quiet) != 0 ||
	    fs_open_in_root(root, path, O_RDONLY | O_NONBLOCK, &fd, &quiet) != 0 ||
	    fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(ret, chunk, (size_t)n);
	if (n < 0)
		return err_sys(e, "read %s", path);
	if (buf_over(ret))
		return err_set(e, ERR_RECIPE, "%s:1:1: the file is larger than 4 MiB", path);
	*ret_there = true;
	return 0;
}

static int refuse(const struct spot *at, struct err *e, const char *what)
{
	(void)err_set(e, ERR_RECIPE, "%s:%u:1: %s", at->src->name, at->line, what);
	return err_hint(e, "Take the circle out of the included files.");
}

int ks_include(const struct spot *at, const char *path, const struct ks_section *in,
	       struct source **ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(KICKSTART_BYTES);
	char *name SCOPED(mem_freep) = NULL;
	bool there = false;
	size_t n;

	*ret = NULL;
	if (!fs_relative_ok(path)) {
		found(at, RULE_UNRESOLVED_INCLUDE, "\"%s\" is made or fetched while installing",
		      path);
		return 0;
	}
	name = fs_join(in->dir, path);
	if (in->depth >= INCLUDES_DEEP)
		return refuse(at, e, "files are included deeper than 16, or include themselves");
	if (read_below(in->dir, path, &b, &there, e) != 0)
		return -1;
	if (!there) {
		found(at, RULE_UNRESOLVED_INCLUDE, "there is no file \"%s\" beside the kickstart",
		      path);
		return 0;
	}
	at->im->a.includes++;
	n = b.len;
	*ret = source_add(at->im, name, buf_take(&b), n);
	return *ret != NULL ? 0 : refuse(at, e, "more than 64 files, or 16 MiB of them");
}

static int read_source(struct reader *r, struct err *e);

static int include(struct reader *r, const struct spot *at, const char *path, struct err *e)
{
	const struct ks_section in = {.depth = r->depth, .dir = r->dir};
	struct reader next = {.im = r->im, .dir = r->dir, .depth = r->depth + 1};
	int rc = ks_include(at, path, &in, &next.src, e);

	if (rc != 0 || next.src == NULL)
		return rc;
	mark(at, MARK_CARRIED);
	rc = read_source(&next, e);
	r->sections |= next.sections;
	return rc;
}

/* ---- lines */

static int command_line(struct reader *r, const struct spot *at, struct strv *words, struct err *e)
{
	struct ks_command c;

	if (strcmp(words->v[0], "%include") == 0 || strcmp(words->v[0], "%ksappend") == 0) {
		struct tally *t = &r->im->a.commands;
		int rc = include(r, at, words->n > 1 ? words->v[1] : "", e);

		t->in++;
		if (rc == 0 && (at->src->marks[at->line] & MARK_CARRIED) != 0)
			t->carried++;
		else
			t->found++;
		return rc;
	}
	if (r->sections)
		found(at, RULE_COMMAND_AFTER_SECTION, "\"%s\" stands behind a section",
		      words->v[0]);
	ks_command_parse(at, words, &c);
	ks_command_run(&c);
	ks_command_release(&c);
	return 0;
}

static int one_command(struct reader *r, const struct spot *at, const struct kickstart_line *l,
		       struct err *e)
{
	struct strv words = {0};
	int rc = 0;

	if (!kickstart_words(r->src->data + l->from, l->to - l->from, &words))
		found(at, RULE_UNCLOSED_QUOTE, "a quote is not closed");
	if (words.n > 0)
		rc = command_line(r, at, &words, e);
	strv_release(&words);
	return rc;
}

/* ---- sections */

static int dispatch(struct ks_section *s, struct err *e)
{
	const char *name = s->header.name;

	if (strcmp(name, "%packages") == 0)
		return ks_packages(s, e);
	if (strcmp(name, "%addon") == 0) {
		ks_addon(s);
		return 0;
	}
	if (strcmp(name, "%anaconda") == 0 || strcmp(name, "%certificate") == 0) {
		ks_installer_section(s);
		return 0;
	}
	return ks_script(s, e);
}

/* Reads the section whose header is line i; *ret_next is the line behind it. */
static int section(struct reader *r, size_t i, size_t *ret_next, struct err *e)
{
	const struct kickstart_line *l = &r->k.lines[i];
	struct ks_section s = {.k = &r->k, .first = i + 1, .depth = r->depth, .dir = r->dir};
	struct spot at = {r->im, r->src, (unsigned)i + 1};
	struct strv words = {0};
	size_t end = i + 1;
	int rc;

	while (end < r->k.n && r->k.lines[end].kind == KICKSTART_BODY)
		end++;
	s.last = end;
	if (!kickstart_words(r->src->data + l->from, l->to - l->from, &words))
		found(&at, RULE_UNCLOSED_QUOTE, "a quote is not closed");
	ks_command_parse(&at, &words, &s.header);
	if (end == r->k.n || r->k.lines[end].kind != KICKSTART_END) {
		found(&at, RULE_MISSING_END, "%s has no %%end", s.header.name);
	} else {
		struct spot last = {r->im, r->src, (unsigned)end + 1};

		mark(&last, MARK_CARRIED);
		end++;
	}
	rc = dispatch(&s, e);
	ks_command_release(&s.header);
	strv_release(&words);
	r->sections = true;
	*ret_next = end;
	return rc;
}

static int one_line(struct reader *r, size_t i, size_t *ret_next, struct err *e)
{
	const struct kickstart_line *l = &r->k.lines[i];
	struct spot at = {r->im, r->src, (unsigned)i + 1};
	char *text SCOPED(mem_freep) = NULL;

	*ret_next = i + 1;
	switch (l->kind) {
	case KICKSTART_BLANK:
		mark(&at, MARK_BLANK);
		return 0;
	case KICKSTART_COMMENT:
		text = kept_comment(&at, r->src->data + l->from, l->to - l->from);
		if (text != NULL)
			strv_addf(&r->im->d.notes, "%s", text + strspn(text, " "));
		return 0;
	case KICKSTART_COMMAND:
		return one_command(r, &at, l, e);
	case KICKSTART_HEADER:
		return section(r, i, ret_next, e);
	case KICKSTART_BODY:
	case KICKSTART_END:
		break;
	}
	found(&at, RULE_MISSING_END, "%%end without a section");
	return 0;
}

static void note_line_ends(struct reader *r)
{
	struct spot at = {r->im, r->src, 1};
	size_t n = 0;

	for (size_t i = 0; i < r->k.n; i++) {
		n += r->k.lines[i].crlf;
		if (n == 1 && r->k.lines[i].crlf)
			at.line = (unsigned)i + 1;
	}
	if (n > 0)
		found(&at, RULE_LINE_ENDS, "%zu lines end in CR LF", n);
	at.line = 1;
	if (r->k.bom > 0)
		found(&at, RULE_LINE_ENDS, "the file begins with a byte order mark");
}

/* What is excluded is known before any script, wherever the sections stand. */
static void note_excluded(struct reader *r)
{
	struct strv words = {0};

	for (size_t i = 0; i < r->k.n && r->im->excluded.n < EXCLUDED_MAX; i++) {
		const struct kickstart_line *l = &r->k.lines[i], *h = &r->k.lines[l->header];
		const char *p = r->src->data + l->from;

		if (l->kind != KICKSTART_BODY || l->to == l->from || *p != '-' ||
		    strncmp(r->src->data + h->from, "%packages", 9) != 0)
			continue;
		(void)kickstart_words(p + 1, l->to - l->from - 1, &words);
		if (words.n > 0)
			strv_add(&r->im->excluded, words.v[0]);
		strv_release(&words);
	}
}

static int read_source(struct reader *r, struct err *e)
{
	size_t i = 0;
	int rc = 0;

	if (kickstart_read(r->src->data, r->src->n, r->src->name, &r->k, e) != 0)
		return -1;
	note_line_ends(r);
	note_excluded(r);
	while (i < r->k.n && rc == 0)
		rc = one_line(r, i, &i, e);
	kickstart_release(&r->k);
	return rc;
}

/* A system that was installed starts as one. */
static void add_start(struct import *im)
{
	struct spot top = {im, im->sources[0], 1};

	strv_add(&im->d.entrypoint, "/sbin/init");
	im->d.stop_signal = mem_strdup("SIGRTMIN+3");
	found(&top, RULE_IMPLICIT, "the image starts /sbin/init, as an installed system does");
}

int import_kickstart(const char *path, const struct import_opts *o, struct import **ret,
		     struct err *e)
{
	struct import *im SCOPED(import_freep) = NULL;
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	struct reader r = {.dir = dir};

	if (import_begin(path, "kickstart", o, &im, e) != 0 ||
	    source_load(im, path, &r.src, e) != 0)
		return -1;
	r.im = im;
	if (read_source(&r, e) != 0)
		return -1;
	ks_base(im);
	add_start(im);
	import_end(im);
	*ret = STEAL(im);
	return 0;
}

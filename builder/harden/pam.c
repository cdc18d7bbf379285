#include "harden/pam.h"

#include "base/num.h"
#include "harden/lines.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { INCLUDE_DEPTH = 16, STACK_MAX = 4000 };

void pam_line_release(struct pam_line *l)
{
	free(l->type);
	free(l->control);
	free(l->module);
	free(l->file);
	strv_release(&l->args);
	*l = (struct pam_line){0};
}

void pam_release(struct pam_stack *s)
{
	for (size_t i = 0; i < s->n; i++)
		pam_line_release(&s->v[i]);
	free(s->v);
	*s = (struct pam_stack){0};
}

/* Words of a line; what is in [brackets] is one word. */
static void split(const char *text, struct strv *ret)
{
	for (;;) {
		size_t n;

		text += strspn(text, " \t\r");
		if (*text == '\0' || *text == '#')
			return;
		n = *text == '[' ? strcspn(text, "]") + 1 : strcspn(text, " \t\r");
		n = n > strlen(text) ? strlen(text) : n;
		strv_take(ret, mem_strndup(text, n));
		text += n;
	}
}

bool pam_parse(const char *text, struct pam_line *ret, char **ret_include)
{
	struct strv w SCOPED(strv_release) = {0};

	split(text, &w);
	if (w.n == 2 && strcmp(w.v[0], "@include") == 0 && ret_include != NULL)
		*ret_include = mem_strdup(w.v[1]);
	if (w.n < 3 || w.v[0][0] == '@')
		return false;
	*ret = (struct pam_line){
	    .type = mem_strdup(w.v[0] + (w.v[0][0] == '-' ? 1 : 0)),
	    .control = mem_strdup(w.v[1]),
	    .module = mem_strdup(w.v[2]),
	};
	for (size_t i = 3; i < w.n; i++)
		strv_add(&ret->args, w.v[i]);
	return true;
}

char *pam_format(const struct pam_line *l)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

	buf_addf(&b, "%s\t%s\t%s", l->type, l->control, l->module);
	for (size_t i = 0; i < l->args.n; i++)
		buf_addf(&b, " %s", l->args.v[i]);
	return buf_take(&b);
}

void pam_join(struct strv *lines)
{
	for (size_t i = lines->n; i-- > 1;) {
		const char *first = lines->v[i - 1];
		size_t n = strlen(first);
		char *both SCOPED(mem_freep) = NULL;

		if (n == 0 || first[n - 1] != '\\' || first[strspn(first, " \t")] == '#')
			continue;
		both = mem_format("%.*s %s", (int)(n - 1), first, lines->v[i]);
		lines_replace(lines, i - 1, both);
		lines_replace(lines, i, "");
	}
}

struct reader {
	int rootfd;
	struct pam_stack *ret;
	unsigned depth, level;
};

static int read_file(struct reader *r, const char *name, const char *type, struct err *e);

static int push(struct reader *r, struct pam_line *l, struct err *e)
{
	if (r->ret->n == STACK_MAX)
		return err_set(e, ERR_FAIL, "/%s: more than %d lines", l->file, STACK_MAX);
	l->level = r->level;
	r->ret->v = mem_resize(r->ret->v, r->ret->n + 1, sizeof(*r->ret->v));
	r->ret->v[r->ret->n++] = *l;
	*l = (struct pam_line){0};
	return 0;
}

static int read_substack(struct reader *r, struct pam_line *l, struct err *e)
{
	char *name SCOPED(mem_freep) = mem_strdup(l->module);
	char *type SCOPED(mem_freep) = mem_strdup(l->type);

	if (push(r, l, e) != 0)
		return -1;
	r->level++;
	if (read_file(r, name, type, e) != 0)
		return -1;
	r->level--;
	return 0;
}

static int take_line(struct reader *r, struct pam_line *l, const char *type, struct err *e)
{
	if (type != NULL && strcasecmp(type, l->type) != 0)
		return 0;
	if (strcasecmp(l->control, "include") == 0)
		return read_file(r, l->module, l->type, e);
	return strcasecmp(l->control, "substack") == 0 ? read_substack(r, l, e) : push(r, l, e);
}

static int read_lines(struct reader *r, const char *path, const struct strv *lines,
		      const char *type, struct err *e)
{
	for (size_t i = 0; i < lines->n; i++) {
		struct pam_line l SCOPED(pam_line_release) = {0};
		char *include SCOPED(mem_freep) = NULL;

		if (pam_parse(lines->v[i], &l, &include)) {
			l.file = mem_strdup(path);
			l.line = i + 1;
			if (take_line(r, &l, type, e) != 0)
				return -1;
		}
		if (include != NULL && read_file(r, include, type, e) != 0)
			return -1;
	}
	return 0;
}

/* type: only lines of this type, for "include"; NULL = all. */
static int read_file(struct reader *r, const char *name, const char *type, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};
	char *path SCOPED(mem_freep) =
	    name[0] == '/' ? mem_strdup(name + 1) : mem_format("etc/pam.d/%s", name);

	if (++r->depth > INCLUDE_DEPTH)
		return err_set(e, ERR_FAIL, "/%s: included too deep", path);
	if (lines_read(r->rootfd, path, &lines, NULL, e) != 0)
		return -1;
	pam_join(&lines);
	if (read_lines(r, path, &lines, type, e) != 0)
		return -1;
	r->depth--;
	return 0;
}

int pam_read(int rootfd, const char *name, struct pam_stack *ret, struct err *e)
{
	struct pam_stack s SCOPED(pam_release) = {0};
	struct reader r = {.rootfd = rootfd, .ret = &s};

	if (read_file(&r, name, NULL, e) != 0)
		return -1;
	*ret = s;
	s = (struct pam_stack){0};
	return 0;
}

/* "[success=1 default=ignore]" with each jump past `left` lines shifted; NULL when none is. */
static char *shift_control(const char *control, size_t left, int by)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);
	struct strv words SCOPED(strv_release) = {0};
	bool shifted = false;

	if (control[0] != '[')
		return NULL;
	line_words(control + 1, &words);
	for (size_t i = 0; i < words.n; i++) {
		char *val = strchr(words.v[i], '=');
		uint64_t n;

		words.v[i][strcspn(words.v[i], "]")] = '\0';
		buf_addf(&b, "%s", i == 0 ? "[" : " ");
		if (val != NULL && num_u64(val + 1, 1000, &n) == 0 && n > left) {
			*val = '\0';
			buf_addf(&b, "%s=%llu", words.v[i],
				 (unsigned long long)(by < 0 ? n - 1 : n + 1));
			shifted = true;
		} else {
			buf_addf(&b, "%s", words.v[i]);
		}
	}
	buf_addf(&b, "]");
	return shifted ? buf_take(&b) : NULL;
}

void pam_jumps_shift(struct strv *lines, size_t at, const char *type, int by)
{
	size_t left = 0; /* lines of the type between this one and `at` */

	for (size_t i = at; i-- > 0;) {
		struct pam_line l SCOPED(pam_line_release) = {0};
		char *control SCOPED(mem_freep) = NULL, *text SCOPED(mem_freep) = NULL;

		if (!pam_parse(lines->v[i], &l, NULL) || strcmp(l.type, type) != 0)
			continue;
		control = shift_control(l.control, left, by);
		left++;
		if (control == NULL)
			continue;
		free(l.control);
		l.control = STEAL(control);
		text = pam_format(&l);
		lines_replace(lines, i, text);
	}
}

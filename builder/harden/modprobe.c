#include "harden/modprobe.h"

#include "base/glob.h"
#include "harden/conf_dirs.h"
#include "harden/lines.h"
#include <stdlib.h>
#include <string.h>

enum { MODPROBE_MAX = 100000 };

void modprobe_release(struct modprobe *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].module);
		free(m->v[i].command);
		free(m->v[i].file);
	}
	free(m->v);
	*m = (struct modprobe){0};
}

/* "usb-storage" and "usb_storage" are one module; the caller owns it. */
static char *module_name(const char *s)
{
	char *ret = mem_strdup(s);

	for (char *p = ret; *p != '\0'; p++)
		if (*p == '-')
			*p = '_';
	return ret;
}

static int take(struct modprobe *m, const char *text, const char *file, size_t line, struct err *e)
{
	struct strv w SCOPED(strv_release) = {0};
	struct modprobe_line l = {.line = line};

	line_words(text, &w);
	if (w.n < 2 || (strcmp(w.v[0], "install") != 0 && strcmp(w.v[0], "blacklist") != 0))
		return 0;
	if (m->n == MODPROBE_MAX)
		return err_set(e, ERR_FAIL, "/%s: more than %d lines", file, MODPROBE_MAX);
	l.is_install = strcmp(w.v[0], "install") == 0;
	l.module = module_name(w.v[1]);
	l.command = mem_strdup(w.n > 2 ? strstr(text, w.v[2]) : "");
	l.file = mem_strdup(file);
	if ((m->n & (m->n - 1)) == 0)
		m->v = mem_resize(m->v, m->n == 0 ? 1 : m->n * 2, sizeof(l));
	m->v[m->n++] = l;
	return 0;
}

int modprobe_parse(const struct strv *lines, const char *file, struct modprobe *ret, struct err *e)
{
	for (size_t i = 0; i < lines->n; i++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);
		size_t first = i + 1, n = strlen(lines->v[i]);

		buf_add(&text, lines->v[i], n);
		/* a line that ends in '\' goes on */
		while (n > 0 && text.data[text.len - 1] == '\\' && i + 1 < lines->n) {
			text.data[text.len - 1] = ' ';
			i++;
			n = strlen(lines->v[i]);
			buf_add(&text, lines->v[i], n);
		}
		if (text.len > 0 && take(ret, text.data, file, first, e) != 0)
			return -1;
	}
	return 0;
}

int modprobe_read(int rootfd, struct modprobe *ret, struct err *e)
{
	struct strv files SCOPED(strv_release) = {0};

	if (conf_dirs_list(rootfd, "modprobe.d", ".conf", &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files.n; i++) {
		struct strv lines SCOPED(strv_release) = {0};

		if (lines_read(rootfd, files.v[i], &lines, NULL, e) != 0 ||
		    modprobe_parse(&lines, files.v[i], ret, e) != 0)
			return -1;
	}
	return 0;
}

const struct modprobe_line *modprobe_install(const struct modprobe *m, const char *module)
{
	char *name SCOPED(mem_freep) = module_name(module);

	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].is_install && glob_match(m->v[i].module, name))
			return &m->v[i];
	return NULL;
}

const struct modprobe_line *modprobe_blacklist(const struct modprobe *m, const char *module)
{
	char *name SCOPED(mem_freep) = module_name(module);

	for (size_t i = 0; i < m->n; i++)
		if (!m->v[i].is_install && strcmp(m->v[i].module, name) == 0)
			return &m->v[i];
	return NULL;
}

bool modprobe_loads_nothing(const struct modprobe_line *l)
{
	static const char *const programs[] = {"/bin/false", "/bin/true", "/usr/bin/false",
					       "/usr/bin/true"};
	struct strv w SCOPED(strv_release) = {0};

	line_words(l->command, &w);
	for (size_t i = 0; w.n == 1 && i < sizeof(programs) / sizeof(programs[0]); i++)
		if (strcmp(w.v[0], programs[i]) == 0)
			return true;
	return false;
}

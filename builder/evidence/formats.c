/* formats.c - the formats by name, and all files of one run. */
#include "evidence/parts.h"

#include <string.h>

enum { FILE_BYTES = 16 << 20 };

static const struct {
	const char *name, *file;
	void (*write)(const struct evidence *v, struct buf *out); /* NULL: knows the others */
} formats[EVIDENCE_FORMATS] = {
    [EVIDENCE_JSON] = {"json", "audit.json", format_json},
    [EVIDENCE_OSCAL] = {"oscal", "oscal-ar.json", format_oscal},
    [EVIDENCE_XCCDF] = {"xccdf", "xccdf-results.xml", format_xccdf},
    [EVIDENCE_SARIF] = {"sarif", "audit.sarif", format_sarif},
    [EVIDENCE_JUNIT] = {"junit", "junit.xml", format_junit},
    [EVIDENCE_HTML] = {"html", "audit.html", format_html},
    [EVIDENCE_INTOTO] = {"intoto", "statement.json", NULL},
};

const char *evidence_file_name(enum evidence_format f)
{
	return formats[f].file;
}

static int add_format(const char *name, size_t n, unsigned *set, struct err *e)
{
	for (unsigned i = 0; i < EVIDENCE_FORMATS; i++) {
		if (strlen(formats[i].name) != n || strncmp(formats[i].name, name, n) != 0)
			continue;
		if ((*set & 1u << i) != 0)
			return err_set(e, ERR_USAGE, "format \"%s\" is named twice",
				       formats[i].name);
		*set |= 1u << i;
		return 0;
	}
	(void)err_set(e, ERR_USAGE, "format \"%.*s\" is not known", n < 100 ? (int)n : 100, name);
	return err_hint(e, "Use json, oscal, xccdf, sarif, junit, intoto, html, with commas.");
}

int evidence_formats(const char *list, unsigned *ret, struct err *e)
{
	unsigned set = 0;

	for (const char *p = list;; p++) {
		size_t n = strcspn(p, ",");

		if (add_format(p, n, &set, e) != 0)
			return -1;
		p += n;
		if (*p == '\0')
			break;
	}
	*ret = set;
	return 0;
}

void evidence_files_init(struct evidence_files *f)
{
	for (unsigned i = 0; i < EVIDENCE_FORMATS; i++)
		f->files[i] = (struct buf)BUF_INIT(FILE_BYTES);
}

void evidence_files_release(struct evidence_files *f)
{
	for (unsigned i = 0; i < EVIDENCE_FORMATS; i++)
		buf_release(&f->files[i]);
}

void evidence_make(const struct evidence *v, unsigned set, struct evidence_files *ret)
{
	for (unsigned i = 0; i < EVIDENCE_FORMATS; i++)
		if ((set & 1u << i) != 0 && formats[i].write != NULL)
			formats[i].write(v, &ret->files[i]);
	if ((set & 1u << EVIDENCE_INTOTO) != 0)
		format_intoto(v, set, ret, &ret->files[EVIDENCE_INTOTO]);
}

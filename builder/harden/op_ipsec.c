/* op_ipsec.c - how strongSwan's connections agree on keys and what they encrypt with. */
#include "harden/lines.h"
#include "harden/op.h"
#include "harden/swanctl.h"

#include <stddef.h>
#include <string.h>

struct ipsec {
	struct strv files;
	struct strv algorithms; /* all that a proposal may name */
};

static const struct field ipsec_fields[] = {
    {"files", FIELD_PATHS, offsetof(struct ipsec, files), true},
    {"algorithms", FIELD_LIST, offsetof(struct ipsec, algorithms), true},
    {0},
};

static void look_proposals(const struct op_run *r, const struct ipsec *w,
			   const struct swanctl_setting *s)
{
	struct strv proposals SCOPED(strv_release) = {0};

	line_fields(s->val, ',', &proposals);
	for (size_t i = 0; i < proposals.n; i++) {
		struct strv parts SCOPED(strv_release) = {0};

		line_fields(line_trim(proposals.v[i]), '-', &parts);
		for (size_t k = 0; k < parts.n; k++)
			if (!strv_has(&w->algorithms, parts.v[k]))
				strv_addf(r->found, "/%s:%zu: %s of %s has \"%s\"", s->file,
					  s->line, s->key, s->section, parts.v[k]);
	}
}

/* How many names a section has: "connections.shop" has 2. */
static size_t depth(const char *section)
{
	size_t n = 1;

	for (; *section != '\0'; section++)
		n += *section == '.';
	return n;
}

static void want_setting(const struct op_run *r, const struct swanctl *s, const char *section,
			 const char *key, const char *val)
{
	const struct swanctl_setting *one = swanctl_get(s, section, key);

	if (one == NULL)
		strv_addf(r->found, "%s does not say its %s", section, key);
	else if (val != NULL && strcmp(one->val, val) != 0)
		strv_addf(r->found, "/%s:%zu: %s of %s is \"%s\", wants %s", one->file, one->line,
			  key, section, one->val, val);
	else if (r->held != NULL)
		strv_addf(r->held, "/%s:%zu: %s of %s is \"%s\"", one->file, one->line, key,
			  section, one->val);
}

static void look_section(const struct op_run *r, const struct swanctl *s, const char *section)
{
	if (strncmp(section, "connections.", strlen("connections.")) != 0)
		return;
	if (depth(section) == 2) {
		want_setting(r, s, section, "version", "2");
		want_setting(r, s, section, "proposals", NULL);
	}
	if (depth(section) == 4 && strstr(section, ".children.") != NULL)
		want_setting(r, s, section, "esp_proposals", NULL);
}

static int read_all(const struct op_run *r, const struct ipsec *w, struct swanctl *ret,
		    struct err *e)
{
	struct strv files SCOPED(strv_release) = {0};

	if (root_globs(r->rootfd, &w->files, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files.n; i++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);

		if (root_read(r->rootfd, files.v[i], &text, NULL, e) != 0)
			return -1;
		if (strlen(text.data) != text.len)
			return err_set(e, ERR_FAIL, "/%s: holds bytes of 0", files.v[i]);
		if (swanctl_parse(text.data, files.v[i], ret, e) != 0)
			return -1;
	}
	return 0;
}

static int ipsec_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct ipsec *w = want;
	struct swanctl s SCOPED(swanctl_release) = {0};

	if (read_all(r, w, &s, e) != 0)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		const struct swanctl_setting *one = &s.v[i];

		if (strcmp(one->key, "proposals") == 0 || strcmp(one->key, "esp_proposals") == 0 ||
		    strcmp(one->key, "ah_proposals") == 0)
			look_proposals(r, w, one);
		if (strncmp(one->section, "secrets.", strlen("secrets.")) == 0 &&
		    strcmp(one->key, "secret") == 0)
			strv_addf(r->found, "/%s:%zu: %s holds a secret", one->file, one->line,
				  one->section);
	}
	strv_sort(&s.sections);
	strv_uniq(&s.sections);
	for (size_t i = 0; i < s.sections.n; i++)
		look_section(r, &s, s.sections.v[i]);
	return 0;
}

const struct op_kind op_ipsec = {
    .name = "ipsec",
    .size = sizeof(struct ipsec),
    .fields = ipsec_fields,
    .check = ipsec_check,
};

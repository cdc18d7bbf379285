#include "form/kickstart.h"
#include "import/kickstart.h"
#include "recipe/grammar.h"
#include <string.h>
#include <sys/stat.h>

static struct spot line_spot(const struct ks_section *s, size_t i)
{
	struct spot at = s->header.at;

	at.line = (unsigned)i + 1;
	return at;
}

/* ---- packages */

/* "--nodefaults", "--optional" behind a group: what dnf writes as a part of the name is told of. */
static void group_options(const struct spot *at, const struct strv *words, size_t from)
{
	for (size_t i = from; i < words->n; i++)
		found(at, strncmp(words->v[i], "--", 2) == 0 ? RULE_OPTION : RULE_STRAY_WORD,
		      "\"%s\" is not carried over", words->v[i]);
}

/* "@ Base" and "- chrony" are tolerated. */
static void package_line(const struct spot *at, const char *p, size_t n)
{
	struct strv words = {0};
	char *name SCOPED(mem_freep) = NULL;
	size_t next = 1;

	if (!kickstart_words(p, n, &words))
		found(at, RULE_UNCLOSED_QUOTE, "a quote is not closed");
	if (words.n > 1 && (strcmp(words.v[0], "@") == 0 || strcmp(words.v[0], "-") == 0)) {
		name = mem_format("%s%s", words.v[0], words.v[1]);
		next = 2;
	} else if (words.n > 0) {
		name = mem_strdup(words.v[0]);
	}
	if (name != NULL && name[0] == '-')
		draft_exclude(at, name + 1);
	else if (name != NULL)
		draft_install(at, name);
	group_options(at, &words, next);
	strv_release(&words);
}

static int packages_lines(struct ks_section *s, const struct kickstart *k, size_t first,
			  size_t last, struct err *e);

static int packages_include(struct ks_section *s, const struct spot *at, const char *path,
			    struct err *e)
{
	struct ks_section in = *s;
	struct kickstart k SCOPED(kickstart_release) = {0};
	struct source *src = NULL;

	if (ks_include(at, path, s, &src, e) != 0)
		return -1;
	if (src == NULL)
		return 0;
	mark(at, MARK_CARRIED);
	if (kickstart_read(src->data, src->n, src->name, &k, e) != 0)
		return -1;
	in.header.at.src = src;
	in.depth++;
	return packages_lines(&in, &k, 0, k.n, e);
}

static int one_package_line(struct ks_section *s, const struct spot *at,
			    const struct kickstart_line *l, struct err *e)
{
	const char *p = at->src->data + l->from;
	size_t n = l->to - l->from;
	struct strv words = {0};
	int rc = 0;

	while (n > 0 && strchr(" \t\r", *p) != NULL) {
		p++;
		n--;
	}
	if (n == 0) {
		mark(at, MARK_BLANK);
	} else if (*p == '#') {
		char *text SCOPED(mem_freep) = kept_comment(at, p, n);

		if (text != NULL)
			draft_comment(at, text);
	} else if (n > 9 && memcmp(p, "%include ", 9) == 0) {
		(void)kickstart_words(p, n, &words);
		rc = packages_include(s, at, words.n > 1 ? words.v[1] : "", e);
		strv_release(&words);
	} else {
		package_line(at, p, n);
	}
	return rc;
}

static int packages_lines(struct ks_section *s, const struct kickstart *k, size_t first,
			  size_t last, struct err *e)
{
	for (size_t i = first; i < last; i++) {
		struct spot at = line_spot(s, i);

		if (one_package_line(s, &at, &k->lines[i], e) != 0)
			return -1;
	}
	return 0;
}

static void packages_options(struct ks_command *h)
{
	struct draft *d = &h->at.im->d;
	const char *langs = ks_option(h, "inst-langs");
	struct strv words = {0};

	if (langs == NULL)
		langs = ks_option(h, "instLangs");
	ks_split(langs != NULL ? langs : "", &words);
	for (size_t i = 0; i < words.n; i++)
		draft_once(h->at.im, &d->langs, words.v[i]);
	strv_release(&words);
	d->docs = ks_option(h, "excludedocs") == NULL;
	if (ks_option(h, "exclude-weakdeps") != NULL || ks_option(h, "excludeWeakdeps") != NULL)
		d->recommends = 0;
	if (ks_option(h, "nocore") == NULL && !h->at.im->debian) {
		found(&h->at, RULE_IMPLICIT, "the group \"core\" comes in without --nocore");
		draft_implied(&h->at, "@core");
	}
}

int ks_packages(struct ks_section *s, struct err *e)
{
	char *rest SCOPED(mem_freep) = NULL;
	int rc = packages_lines(s, s->k, s->first, s->last, e);

	packages_options(&s->header);
	rest = ks_options_text(&s->header, true);
	if (rest[0] != '\0')
		found(&s->header.at, RULE_OPTION, "%%packages: not carried over: %s", rest);
	mark(&s->header.at, MARK_CARRIED);
	return rc;
}

/* ---- scripts */

/* The body as an installer reads it: lines end in LF. */
static char *body_text(const struct ks_section *s, size_t *ret_n, size_t *ret_crs)
{
	const char *data = s->header.at.src->data;
	size_t from = s->first < s->last ? s->k->lines[s->first].from : 0;
	size_t to = s->first < s->last ? s->k->lines[s->last - 1].next : 0;
	char *text = mem_zalloc(to - from + 1);
	size_t n = 0;

	for (size_t i = from; i < to; i++)
		if (data[i] != '\r' || i + 1 == to || data[i + 1] != '\n')
			text[n++] = data[i];
	*ret_n = n;
	*ret_crs = to - from - n;
	return text;
}

static char *script_name(struct import *im, const char *section)
{
	char *base SCOPED(mem_freep) = mem_strdup(section + 1);

	for (unsigned k = 1;; k++) {
		char *name = mem_format("%s-%u", base, k);

		if (!map_has(&im->media, name)) {
			map_put(&im->media, name, im);
			return name;
		}
		mem_freep(&name);
	}
}

static void script_options(struct ks_section *s, bool runs)
{
	struct ks_command *h = &s->header;
	char *rest SCOPED(mem_freep) = NULL;

	if (runs && ks_option(h, "erroronfail") == NULL)
		found(&h->at, RULE_NO_ERRORONFAIL,
		      "the installer goes on when this script fails; a build does not");
	if (ks_option(h, "log") != NULL || ks_option(h, "logfile") != NULL)
		found(&h->at, RULE_OPTION, "--log: a build keeps what steps say beside the image");
	(void)ks_option(h, "erroronfail");
	(void)ks_option(h, "nochroot");
	rest = ks_options_text(h, true);
	if (rest[0] != '\0' || h->words.n > 0)
		found(&h->at, RULE_OPTION, "%s: not carried over: %s%s", h->name, rest,
		      h->words.n > 0 ? " and words" : "");
}

static void take_script(struct ks_section *s, const char *interpreter, bool runs)
{
	struct import *im = s->header.at.im;
	size_t n, crs;
	char *text SCOPED(mem_freep) = body_text(s, &n, &crs);
	char *name SCOPED(mem_freep) = script_name(im, s->header.name);
	char *file SCOPED(mem_freep) = mem_format("%s.sh", name);
	struct script sc = {.at = s->header.at,
			    .data = text,
			    .n = n,
			    .first = (unsigned)s->first + 1,
			    .name = name,
			    .interpreter = interpreter};

	im->a.scripts++;
	im->a.script_in += n + crs;
	im->a.script_out += n;
	im->a.script_lifted += crs;
	if (!runs) {
		found(&sc.at, RULE_KEPT_SCRIPT, "%s is kept as %s", s->header.name, file);
		script_look_kept(&sc);
		draft_file(im, file, text, n, 0644);
	} else {
		script_look(&sc);
		script_step(&sc, NULL);
	}
	strv_release(&sc.media);
}

int ks_script(struct ks_section *s, struct err *e)
{
	struct import *im = s->header.at.im;
	const char *interpreter = ks_option(&s->header, "interpreter");
	bool post = strcmp(s->header.name, "%post") == 0;
	bool runs = post && ks_option(&s->header, "nochroot") == NULL;
	struct spot first = line_spot(s, s->first);

	if (im->a.scripts == SCRIPTS_MAX)
		return err_set(e, ERR_RECIPE, "%s:%u:1: more than %d scripts",
			       s->header.at.src->name, s->header.at.line, SCRIPTS_MAX);
	mark(&s->header.at, MARK_CARRIED);
	mark_lines(&first, (unsigned)s->last, MARK_SCRIPT);
	script_options(s, runs);
	/* /bin/sh is bash where kickstarts come from */
	if (interpreter == NULL || strcmp(interpreter, "/bin/sh") == 0)
		interpreter = "/bin/bash";
	if (!grammar_ok(&grammar_image_path, interpreter)) {
		found(&s->header.at, RULE_BAD_VALUE, "\"%s\" is no path of a program", interpreter);
		interpreter = "/bin/bash";
	}
	take_script(s, interpreter, runs);
	return 0;
}

/* ---- the rest */

/* Keeps the body as a file, so that no line of it is lost. */
static void keep_text(struct ks_section *s, const char *what)
{
	struct import *im = s->header.at.im;
	struct spot first = line_spot(s, s->first);
	size_t n, crs;
	char *text SCOPED(mem_freep) = body_text(s, &n, &crs);
	char *name SCOPED(mem_freep) = draft_medium_name(im, what);
	char *file SCOPED(mem_freep) = mem_format("%s.txt", name);

	mark_lines(&first, (unsigned)s->last, MARK_SCRIPT);
	if (n > 0)
		draft_file(im, file, text, n, 0644);
}

/* The value of "profile = ..." in the body; the caller owns it. */
static char *addon_profile(const struct ks_section *s)
{
	const char *data = s->header.at.src->data;

	for (size_t i = s->first; i < s->last; i++) {
		const struct kickstart_line *l = &s->k->lines[i];
		char *line SCOPED(mem_freep) = mem_strndup(data + l->from, l->to - l->from);
		const char *p = line + strspn(line, " \t");

		if (strncmp(p, "profile", 7) != 0)
			continue;
		p += 7;
		p += strspn(p, " \t=");
		return mem_strndup(p, strcspn(p, " \t"));
	}
	return NULL;
}

void ks_addon(struct ks_section *s)
{
	struct ks_command *h = &s->header;
	const char *name = ks_word(h);
	bool oscap = strstr(name, "oscap") != NULL;
	char *profile SCOPED(mem_freep) = oscap ? addon_profile(s) : NULL;

	keep_text(s, name[0] != '\0' ? name : "addon");
	if (profile != NULL && strstr(profile, "pci-dss") != NULL) {
		draft_once(h->at.im, &h->at.im->d.profiles, "pa-dss-3.2");
		mark(&h->at, MARK_CARRIED);
		found(&h->at, RULE_PROFILE,
		      "the profile \"%s\" of the add-on becomes the profile pa-dss-3.2", profile);
		return;
	}
	found(&h->at, RULE_ADDON, "the add-on \"%s\"%s%s", name,
	      profile != NULL ? " with the profile " : "", profile != NULL ? profile : "");
}

void ks_installer_section(struct ks_section *s)
{
	keep_text(s, s->header.name + 1);
	found(&s->header.at, RULE_INSTALLER, "%s is not part of an image", s->header.name);
}

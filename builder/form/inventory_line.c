#include "form/inventory_line.h"

#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define ALNUM  LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS

/* s390x is of both; "(none)" is what rpm calls the architecture of a key. */
static const char *const deb_arches[] = {"amd64",   "arm64",   "armhf",    "armel", "all",   "i386",
					 "ppc64el", "riscv64", "mips64el", "s390x", "mipsel"};
static const char *const rpm_arches[] = {"x86_64", "noarch",  "i386",    "i486",      "i586",
					 "i686",   "aarch64", "ppc64le", "armv7hl",   "s390x",
					 "ppc64",  "athlon",  "riscv64", "x86_64_v2", "(none)"};
#define COUNT(v) (sizeof(v) / sizeof((v)[0]))

static bool is(struct field f, const char *text)
{
	return f.n == strlen(text) && memcmp(f.p, text, f.n) == 0;
}

static bool in(struct field f, const char *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is(f, v[i]))
			return true;
	return false;
}

static bool is_arch(struct field f, enum inventory_kind k)
{
	return k == INVENTORY_DEB ? in(f, deb_arches, COUNT(deb_arches))
				  : in(f, rpm_arches, COUNT(rpm_arches));
}

static bool only(struct field f, const char *allowed)
{
	for (size_t i = 0; i < f.n; i++)
		if (strchr(allowed, f.p[i]) == NULL)
			return false;
	return true;
}

/* The part behind the last c; its p is NULL when there is no c. *f becomes what is before it. */
static struct field cut_last(struct field *f, char c)
{
	const char *at = memrchr(f->p, c, f->n);
	struct field rest = {NULL, 0};

	if (at == NULL)
		return rest;
	rest = (struct field){at + 1, f->n - (size_t)(at - f->p) - 1};
	f->n = (size_t)(at - f->p);
	return rest;
}

static void trim(struct field *f)
{
	while (f->n > 0 && (f->p[0] == ' ' || f->p[0] == '\t')) {
		f->p++;
		f->n--;
	}
	while (f->n > 0 && (f->p[f->n - 1] == ' ' || f->p[f->n - 1] == '\t'))
		f->n--;
}

/* "ii", "rc", "iHR": what dpkg -l puts before a package. */
static bool is_state(struct field f)
{
	return (f.n == 2 || (f.n == 3 && f.p[2] == 'R')) && strchr("uihrp", f.p[0]) != NULL &&
	       strchr("ncHUFWti", f.p[1]) != NULL;
}

/* A line of dpkg -l: its description may hold any separator. */
static bool is_dpkg_l(const struct line *l)
{
	const char *to = memchr(l->p, ' ', l->n);
	const char *p = to;

	while (p != NULL && p < l->p + l->n && *p == ' ')
		p++;
	return p != NULL && p < l->p + l->n && strchr(LOWER DIGITS, *p) != NULL &&
	       is_state((struct field){l->p, (size_t)(to - l->p)});
}

static char separator_of(const struct line *l)
{
	static const char separators[] = "\t|;, =";
	size_t i = 0;

	if (is_dpkg_l(l))
		return ' ';
	while (separators[i] != '\0' && memchr(l->p, separators[i], l->n) == NULL)
		i++;
	return separators[i] != '\0' ? separators[i] : ' ';
}

static void drop(struct line *l, size_t at, size_t n)
{
	memmove(&l->f[at], &l->f[at + n], (l->fields - at - n) * sizeof(l->f[0]));
	l->fields -= n;
}

/* What is wanted of the package, a word on errors, and what is there of it. */
static bool is_status(const struct field *f)
{
	static const char *const wants[] = {"install", "hold", "deinstall", "purge", "unknown"};

	return in(f[0], wants, COUNT(wants)) && (is(f[1], "ok") || is(f[1], "reinstreq"));
}

static bool is_there(struct field state)
{
	static const char *const there[] = {"installed", "triggers-pending", "triggers-awaited"};

	return in(state, there, COUNT(there));
}

/* Splits at blanks; returns how many words there are, 4 for more than 3. */
static size_t words(struct field f, struct field ret[3])
{
	size_t n = 0;

	for (trim(&f); f.n > 0 && n < 4; trim(&f)) {
		const char *to = memchr(f.p, ' ', f.n);
		size_t w = to != NULL ? (size_t)(to - f.p) : f.n;

		if (n < 3)
			ret[n] = (struct field){f.p, w};
		n++;
		f = (struct field){f.p + w, f.n - w};
	}
	return n;
}

/* A status in one field, between separators other than blanks. */
static bool take_status_field(struct line *l, size_t at)
{
	struct field w[3];

	if (l->separator == ' ' || words(l->f[at], w) != 3 || !is_status(w))
		return false;
	l->removed = !is_there(w[2]);
	drop(l, at, 1);
	return true;
}

/* Takes out what dpkg says of the state. */
static void take_state(struct line *l)
{
	for (size_t i = 0; i + 2 < l->fields; i++)
		if (is_status(&l->f[i])) {
			l->removed = !is_there(l->f[i + 2]);
			drop(l, i, 3);
			return;
		}
	for (size_t i = 0; i < l->fields; i++)
		if (take_status_field(l, i))
			return;
	for (size_t i = 0; l->fields >= 3 && i < l->fields; i += l->fields - 1)
		if (is_state(l->f[i])) {
			l->removed = strchr("iWt", l->f[i].p[1]) == NULL;
			drop(l, i, 1);
			/* dpkg -l goes on with a description */
			if (i == 0 && l->separator == ' ' && l->fields > 3)
				l->fields = is_arch(l->f[2], INVENTORY_DEB) ? 3 : 2;
			return;
		}
}

/* The architecture at the end of NAME-VERSION-RELEASE.ARCH. */
static bool has_rpm_arch(struct field f)
{
	struct field arch = cut_last(&f, '.');

	return arch.p != NULL && is_arch(arch, INVENTORY_RPM) && memchr(f.p, '-', f.n) != NULL;
}

void line_split(struct line *l)
{
	const char *end = l->p + l->n;

	l->separator = separator_of(l);
	l->fields = 0;
	for (const char *p = l->p; p < end && l->fields < LINE_FIELDS;) {
		const char *to = memchr(p, l->separator, (size_t)(end - p));
		struct field f = {p, (size_t)((to != NULL ? to : end) - p)};

		trim(&f);
		if (f.n > 0 || l->separator != ' ')
			l->f[l->fields++] = f;
		p = to != NULL ? to + 1 : end;
	}
	while (l->fields > 0 && l->f[l->fields - 1].n == 0)
		l->fields--;
	take_state(l);
	if (l->separator == ' ' && l->fields >= 5 && has_rpm_arch(l->f[0]))
		l->fields = 1; /* --last */
}

/* ".el9" and the like: rpm's releases name the distribution that they are of. */
static bool names_rpm_release(struct field f)
{
	static const char *const tags[] = {".el", ".fc", ".amzn", ".module"};

	for (size_t i = 0; i < COUNT(tags); i++) {
		size_t n = strlen(tags[i]);
		const char *at = memmem(f.p, f.n, tags[i], n);

		if (at != NULL && (size_t)(at - f.p) + n < f.n &&
		    strchr(DIGITS "_+", at[n]) != NULL)
			return true;
	}
	return false;
}

bool line_is(const struct line *l, enum inventory_kind k)
{
	enum inventory_kind other = k == INVENTORY_DEB ? INVENTORY_RPM : INVENTORY_DEB;

	for (size_t i = 0; i < l->fields; i++) {
		struct field f = l->f[i], arch;

		if (i > 0 && is_arch(f, k) && !is_arch(f, other))
			return true;
		if (k == INVENTORY_RPM && (has_rpm_arch(f) || names_rpm_release(f)))
			return true;
		arch = i == 0 ? cut_last(&f, ':') : (struct field){NULL, 0};
		if (k == INVENTORY_DEB && arch.p != NULL && is_arch(arch, k))
			return true;
	}
	return k == INVENTORY_DEB ? l->separator == '=' : l->fields == 1;
}

static int refuse(const struct line *l, const char *at, struct err *e, const char *fmt, ...)
    PRINTF(4, 5);

static int refuse(const struct line *l, const char *at, struct err *e, const char *fmt, ...)
{
	char *why SCOPED(mem_freep) = NULL;
	va_list ap;

	va_start(ap, fmt);
	why = mem_vformat(fmt, ap);
	va_end(ap);
	return err_set(e, ERR_RECIPE, "%s:%u:%zu: %s", l->file, l->number, (size_t)(at - l->p) + 1,
		       why);
}

struct parts {
	struct field name, epoch, version, release, arch; /* p is NULL where there is none */
};

/* [EPOCH:]NAME-[EPOCH:]VERSION-RELEASE[.ARCH] */
static int split_nevra(const struct line *l, struct parts *ret, struct err *e)
{
	struct parts s = {.name = l->f[0]};
	struct field rest = l->f[0], head = rest;
	const char *colon = memchr(rest.p, ':', rest.n);

	if (has_rpm_arch(rest))
		s.arch = cut_last(&rest, '.');
	s.release = cut_last(&rest, '-');
	s.version = s.release.p != NULL ? cut_last(&rest, '-') : s.release;
	if (s.version.p == NULL)
		return refuse(l, l->f[0].p, e, "no package as rpm names it: \"%.*s\"",
			      (int)(head.n < 80 ? head.n : 80), head.p);
	s.name = rest;
	if (colon != NULL && colon < s.version.p) {
		s.epoch = (struct field){s.name.p, (size_t)(colon - s.name.p)};
		s.name.n -= s.epoch.n + 1;
		s.name.p = colon + 1;
	}
	*ret = s;
	return 0;
}

/* Takes the architecture out of the fields: after all others, or after the name. */
static void take_arch(struct field *f, size_t *n, enum inventory_kind k, struct parts *s)
{
	if (*n >= 3 && is_arch(f[*n - 1], k)) {
		s->arch = f[--*n];
	} else if (*n >= 3 && is_arch(f[1], k)) {
		s->arch = f[1];
		memmove(&f[1], &f[2], (*n - 2) * sizeof(f[0]));
		--*n;
	}
}

static bool is_epoch(struct field f)
{
	return f.n > 0 && f.n <= 10 && (is(f, "(none)") || only(f, DIGITS));
}

/* dpkg's NAME:ARCH, where a field for the architecture may stand as well. */
static void split_arch(struct parts *s)
{
	struct field name = s->name, arch = cut_last(&name, ':');

	if (arch.p == NULL)
		return;
	s->name = name;
	if (s->arch.p == NULL)
		s->arch = arch;
}

/* VERSION, or VERSION RELEASE, or EPOCH VERSION-RELEASE, or all three; whether it is one of these.
 */
static bool split_version(const struct field *f, size_t n, enum inventory_kind k, struct parts *s)
{
	bool epoch = n > 1 && is_epoch(f[0]) && (n == 3 || memchr(f[1].p, '-', f[1].n) != NULL);

	if (n > 3 || (n > 1 && k == INVENTORY_DEB) || (n == 3 && !epoch))
		return false;
	if (epoch) {
		s->epoch = f[0];
		f++;
		n--;
	}
	if (n > 0)
		s->version = f[0];
	if (n > 1)
		s->release = f[1];
	return true;
}

/* NAME, what there is of the version, and the architecture in either place. */
static int split_fields(const struct line *l, enum inventory_kind k, struct parts *ret,
			struct err *e)
{
	struct field f[LINE_FIELDS];
	struct parts s = {0};
	size_t n = l->fields;

	memcpy(f, l->f, sizeof(f));
	s.name = f[0];
	take_arch(f, &n, k, &s);
	if (k == INVENTORY_DEB)
		split_arch(&s);
	if (!split_version(f + 1, n - 1, k, &s))
		return refuse(l, l->p, e, "%zu fields are no package as %s lists it", l->fields,
			      k == INVENTORY_DEB ? "dpkg" : "rpm");
	*ret = s;
	return 0;
}

static int check_name(const struct line *l, enum inventory_kind k, struct field f, struct err *e)
{
	bool deb = k == INVENTORY_DEB;

	if (f.n >= (deb ? 2U : 1U) && f.n <= 128 &&
	    only(f, deb ? LOWER DIGITS "+-." : ALNUM "+-._") &&
	    strchr(deb ? LOWER DIGITS : ALNUM "_", f.p[0]) != NULL)
		return 0;
	return refuse(l, f.p, e, "\"%.*s\" is no package name", (int)(f.n < 80 ? f.n : 80), f.p);
}

static int check_version(const struct line *l, enum inventory_kind k, struct field f, struct err *e)
{
	if (f.n > 0 && f.n <= 128 && strchr(ALNUM, f.p[0]) != NULL &&
	    only(f, k == INVENTORY_DEB ? ALNUM ".+~:-" : ALNUM ".+~:-^_"))
		return 0;
	return refuse(l, f.p, e, "\"%.*s\" is no version", (int)(f.n < 80 ? f.n : 80), f.p);
}

static char *join_version(const struct parts *s)
{
	bool epoch = s->epoch.n > 0 && !is(s->epoch, "(none)") && !is(s->epoch, "0");

	return mem_format("%.*s%s%.*s%s%.*s", epoch ? (int)s->epoch.n : 0, epoch ? s->epoch.p : "",
			  epoch ? ":" : "", (int)s->version.n, s->version.p,
			  s->release.p != NULL ? "-" : "", (int)s->release.n,
			  s->release.p != NULL ? s->release.p : "");
}

/* rpm's EPOCH:VERSION in one field, where no epoch is "(none)". */
static void take_epoch(struct parts *s)
{
	const char *colon = s->version.p != NULL ? memchr(s->version.p, ':', s->version.n) : NULL;
	struct field epoch;

	if (colon == NULL || s->epoch.p != NULL)
		return;
	epoch = (struct field){s->version.p, (size_t)(colon - s->version.p)};
	if (!is_epoch(epoch))
		return;
	s->epoch = epoch;
	s->version.p += epoch.n + 1;
	s->version.n -= epoch.n + 1;
}

int line_package(const struct line *l, enum inventory_kind k, struct inventory_package *ret,
		 bool *epoch, struct err *e)
{
	struct parts s = {0};
	int rc = k == INVENTORY_RPM && l->fields == 1 ? split_nevra(l, &s, e)
						      : split_fields(l, k, &s, e);

	if (rc != 0 || check_name(l, k, s.name, e) != 0)
		return -1;
	take_epoch(&s);
	if (s.version.p != NULL && check_version(l, k, s.version, e) != 0)
		return -1;
	if (s.release.p != NULL && check_version(l, k, s.release, e) != 0)
		return -1;
	if (s.arch.p != NULL && !is_arch(s.arch, k))
		return refuse(l, s.arch.p, e, "\"%.*s\" is no architecture",
			      (int)(s.arch.n < 80 ? s.arch.n : 80), s.arch.p);
	*epoch = s.epoch.p != NULL;
	*ret = (struct inventory_package){
	    .name = mem_strndup(s.name.p, s.name.n),
	    .version = s.version.p != NULL ? join_version(&s) : NULL,
	    .arch = s.arch.p != NULL ? mem_strndup(s.arch.p, s.arch.n) : NULL,
	    .line = l->number,
	};
	return 0;
}

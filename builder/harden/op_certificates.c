/* op_certificates.c - the authorities that programs trust are those of packages, and the ones that
 * the recipe's overlays bring. */
#include "harden/brought.h"

#include "base/map.h"
#include "form/digest.h"
#include <stddef.h>
#include <string.h>

struct certificates {
	struct strv bundles; /* what programs read */
	struct strv sources; /* patterns: where packages have them */
	struct strv local;   /* patterns: where somebody adds to them */
};

static const struct field certificates_fields[] = {
    {"bundles", FIELD_PATHS, offsetof(struct certificates, bundles), true},
    {"sources", FIELD_PATHS, offsetof(struct certificates, sources), true},
    {"local", FIELD_PATHS, offsetof(struct certificates, local), true},
    {0},
};

static const char begin[] = "-----BEGIN CERTIFICATE-----";
static const char end[] = "-----END CERTIFICATE-----";
static const char any[] = "-----BEGIN ";

/* The digest of what stands between the marks, without line ends: the next certificate from *p on.
 * false: there is none. */
static bool next_certificate(const char **p, struct digest *ret)
{
	const char *from = strstr(*p, begin), *to;
	struct buf b SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);

	if (from == NULL)
		return false;
	from += strlen(begin);
	to = strstr(from, end);
	if (to == NULL)
		return false;
	while (from < to) {
		size_t n = strcspn(from, "\r\n \t");

		n = n < (size_t)(to - from) ? n : (size_t)(to - from);
		buf_add(&b, from, n);
		from += n + strspn(from + n, "\r\n \t");
	}
	*ret = digest_of(b.data, b.len);
	*p = to;
	return true;
}

static int take_file(int rootfd, const char *path, struct map *ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);
	const char *p;
	struct digest d;

	if (root_read(rootfd, path, &text, NULL, e) != 0)
		return -1;
	p = text.data;
	while (next_certificate(&p, &d))
		(void)map_put(ret, digest_hex(&d).s, NULL);
	return 0;
}

static int check_local(const struct op_run *r, const struct certificates *w, struct map *known,
		       struct err *e)
{
	struct strv paths SCOPED(strv_release) = {0};
	struct brought b SCOPED(brought_release) = {0};

	if (root_globs(r->rootfd, &w->local, &paths, e) != 0 || brought_read(r, &b, e) != 0)
		return -1;
	for (size_t i = 0; i < paths.n; i++) {
		struct stat st;

		if (root_stat(r->rootfd, paths.v[i], true, &st) != 1 || !S_ISREG(st.st_mode))
			continue;
		if (!brought_has(r, &b, paths.v[i]))
			strv_addf(r->found, "/%s: an authority that the recipe does not bring%s",
				  paths.v[i], brought_claim(r, &b, paths.v[i]));
		else if (r->held != NULL)
			strv_addf(r->held, "/%s: of the recipe", paths.v[i]);
		/* one finding is enough */
		if (take_file(r->rootfd, paths.v[i], known, e) != 0)
			return -1;
	}
	return 0;
}

/* How many things of any kind begin in the text. */
static size_t count_begins(const char *p)
{
	size_t n = 0;

	while ((p = strstr(p, any)) != NULL) {
		n++;
		p += strlen(any);
	}
	return n;
}

/* Programs read more labels than ours, and do not stop at a byte of 0: what is not read here counts
 * against the bundle. A link is read through, wherever it says that it leads. */
static int check_bundle(const struct op_run *r, const char *path, const struct map *known,
			struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);
	size_t n = 0, strange = 0;
	const char *p;
	struct digest d;
	struct stat st;

	if (root_stat(r->rootfd, path, true, &st) != 1 || !S_ISREG(st.st_mode))
		return 0;
	if (root_read(r->rootfd, path, &text, NULL, e) != 0)
		return -1;
	p = text.data;
	for (; next_certificate(&p, &d); n++)
		strange += map_has(known, digest_hex(&d).s) ? 0 : 1;
	if (strange > 0)
		strv_addf(r->found, "/%s: %zu of %zu authorities are of no package", path, strange,
			  n);
	else if (strlen(text.data) != text.len)
		strv_addf(r->found, "/%s: holds bytes of 0", path);
	else if (count_begins(text.data) != n)
		strv_addf(r->found, "/%s: has authorities of a form that is not read", path);
	else if (r->held != NULL && root_stat(r->rootfd, path, false, &st) == 1 &&
		 S_ISREG(st.st_mode))
		strv_addf(r->held, "/%s: %zu authorities, all of packages or the recipe", path, n);
	return 0;
}

static int certificates_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct certificates *w = want;
	struct strv paths SCOPED(strv_release) = {0}, bundles SCOPED(strv_release) = {0};
	struct map known = {0};
	int rc = root_globs(r->rootfd, &w->sources, &paths, e);

	if (rc == 0)
		rc = root_globs(r->rootfd, &w->bundles, &bundles, e);
	for (size_t i = 0; i < paths.n && rc == 0; i++) {
		struct stat st;

		if (root_stat(r->rootfd, paths.v[i], true, &st) == 1 && S_ISREG(st.st_mode))
			rc = take_file(r->rootfd, paths.v[i], &known, e);
	}
	if (rc == 0)
		rc = check_local(r, w, &known, e);
	for (size_t i = 0; i < bundles.n && rc == 0; i++)
		rc = check_bundle(r, bundles.v[i], &known, e);
	map_release(&known, NULL);
	return rc;
}

const struct op_kind op_certificates = {
    .name = "certificates",
    .size = sizeof(struct certificates),
    .fields = certificates_fields,
    .check = certificates_check,
};

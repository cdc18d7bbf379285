#include "sbom/parts.h"

#include "harden/dpkgdb.h"
#include "harden/root.h"
#include "package/rpmdb.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

char *sbom_escape(const char *s)
{
	struct buf b = BUF_INIT(64 << 10);

	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c < 0x80 && isalnum(c)) || strchr("-._~", c) != NULL)
			buf_add(&b, s, 1);
		else
			buf_addf(&b, "%%%02X", c);
	}
	return buf_take(&b);
}

/* Takes the texts over. The lock says which file it came from. */
static void add(struct sbom *b, const char *kind, char *name, char *version, char *arch)
{
	char *n SCOPED(mem_freep) = sbom_escape(name), *v SCOPED(mem_freep) = sbom_escape(version);
	char *a SCOPED(mem_freep) = sbom_escape(arch);
	struct sbom_package *p;

	b->packages = mem_resize(b->packages, b->packages_n + 1, sizeof(*b->packages));
	p = &b->packages[b->packages_n++];
	*p = (struct sbom_package){.name = name, .version = version, .arch = arch};
	p->purl = mem_format("pkg:%s/%s/%s@%s?arch=%s", kind, b->os, n, v, a);
	for (size_t i = 0; b->lock != NULL && i < b->lock->packages_n; i++) {
		const struct lock_package *k = &b->lock->packages[i];

		if (strcmp(k->name, name) != 0 || strcmp(k->version, version) != 0 ||
		    strcmp(k->arch, arch) != 0)
			continue;
		p->digest = k->digest;
		p->has_digest = true;
	}
}

static int read_debs(int root, struct sbom *b, struct err *e)
{
	struct dpkgdb db SCOPED(dpkgdb_release) = {0};

	if (dpkgdb_read(root, &db, e) != 0)
		return -1;
	for (size_t i = 0; i < db.n; i++) {
		struct dpkgdb_package *p = &db.v[i];

		if (p->version != NULL && p->arch != NULL)
			add(b, "deb", STEAL(p->name), STEAL(p->version), STEAL(p->arch));
	}
	return 0;
}

static int read_rpms(int root, struct sbom *b, struct err *e)
{
	struct rpmdb db SCOPED(rpmdb_release) = {0};

	if (rpmdb_read(root, RPMDB_NAMES, &db, e) != 0)
		return -1;
	if (db.older)
		return err_set(e, ERR_FAIL, "a database of rpm before 4.16 is not read");
	for (size_t i = 0; i < db.n; i++)
		add(b, "rpm", STEAL(db.v[i].name), STEAL(db.v[i].version), STEAL(db.v[i].arch));
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct sbom_package *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c != 0 ? c : strcmp(x->purl, y->purl);
}

/* The ID of os-release, which is what package URLs call a distribution. */
static int read_os(int root, struct sbom *b, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);
	const char *at, *p;

	if (root_read(root, "etc/os-release", &text, NULL, e) != 0)
		return -1;
	for (p = text.data; (at = strstr(p, "ID=")) != NULL; p = at + 3)
		if (at == text.data || at[-1] == '\n')
			break;
	if (at != NULL)
		b->os =
		    mem_strndup(at + 3 + (at[3] == '"'), strcspn(at + 3 + (at[3] == '"'), "\"\n"));
	if (b->os == NULL ||
	    strspn(b->os, "abcdefghijklmnopqrstuvwxyz0123456789._-") != strlen(b->os) ||
	    b->os[0] == '\0') {
		free(b->os);
		b->os = mem_strdup("linux");
	}
	return 0;
}

int sbom_packages(int root, struct sbom *b, struct err *e)
{
	if (read_os(root, b, e) != 0 || read_debs(root, b, e) != 0 || read_rpms(root, b, e) != 0)
		return -1;
	if (b->packages_n > 0)
		qsort(b->packages, b->packages_n, sizeof(*b->packages), by_name);
	return 0;
}

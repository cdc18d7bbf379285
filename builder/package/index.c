#include "package/index.h"

#include "base/num.h"
#include "form/deb822.h"
#include "form/version.h"
#include "recipe/grammar.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INDEX_MAX   (1ULL << 30)  /* bytes of one index */
#define PACKAGE_MAX (16ULL << 30) /* bytes of one package */

/* An index as mapped memory: the kernel drops its pages when it wants, so that its size does not
 * count. */
struct mapped {
	void *p;
	size_t n;
};

static void mapped_release(struct mapped *m)
{
	if (m->p != NULL)
		(void)munmap(m->p, m->n);
}

static int map_file(const char *path, struct mapped *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "open %s", path);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > INDEX_MAX)
		return err_set(e, ERR_FAIL, "%s: not an index of at most 1 GiB", path);
	if (st.st_size == 0)
		return 0;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, "map %s", path);
	*ret = (struct mapped){p, (size_t)st.st_size};
	return 0;
}

static bool field_is(const struct deb822 *stanza, const char *name, const char *want)
{
	char *v SCOPED(mem_freep) = deb822_field(stanza, name);

	return v != NULL && strcmp(v, want) == 0;
}

/* Every tree of ours is merged-/usr: usr-is-merged says so and converts nothing, where usrmerge
 * would bring in perl to do it. An image is never upgraded in place: apt is there when the recipe
 * asks for it. */
static bool is_required(const struct deb822 *st, const char *name)
{
	if (strcmp(name, "usr-is-merged") == 0)
		return true;
	return strcmp(name, "usrmerge") != 0 && strcmp(name, "apt") != 0 &&
	       (field_is(st, "Priority", "required") || field_is(st, "Essential", "yes"));
}

int index_required(const char *path, const char *arch, struct strv *ret, struct err *e)
{
	struct mapped m SCOPED(mapped_release) = {0};
	struct deb822 rest, st;

	if (map_file(path, &m, e) != 0)
		return -1;
	rest = (struct deb822){m.p, m.n};
	while (deb822_next(&rest, &st) == 1) {
		char *name SCOPED(mem_freep) = deb822_field(&st, "Package");

		if (name != NULL && is_required(&st, name) &&
		    (field_is(&st, "Architecture", arch) || field_is(&st, "Architecture", "all")))
			strv_take(ret, STEAL(name));
	}
	return 0;
}

/* "Source: glibc (2.36-9)" or "glibc" or nothing -> "glibc 2.36-9". */
static char *source_of(const struct deb822 *st, const struct lock_package *p)
{
	char *v SCOPED(mem_freep) = deb822_field(st, "Source");
	char *open = v == NULL ? NULL : strstr(v, " (");

	if (v == NULL)
		return mem_format("%s %s", p->name, p->version);
	if (open == NULL)
		return mem_format("%s %s", v, p->version);
	open[strcspn(open, ")")] = '\0';
	*open = '\0';
	return mem_format("%s %s", v, open + 2);
}

static int fill(struct set_package *sp, const struct deb822 *st, struct err *e)
{
	struct lock_package *p = &sp->lock;
	char *path = deb822_field(st, "Filename");
	char *size SCOPED(mem_freep) = deb822_field(st, "Size");
	char *sha SCOPED(mem_freep) = deb822_field(st, "SHA256");

	free(p->path);
	p->path = path;
	if (path != NULL && strncmp(path, "./", 2) == 0)
		memmove(path, path + 2, strlen(path + 2) + 1);
	if (path == NULL || !fs_relative_ok(path))
		return err_set(e, ERR_RECIPE, "%s %s: no usable Filename", p->name, p->version);
	if (size == NULL || num_u64(size, PACKAGE_MAX, &p->size) != 0)
		return err_set(e, ERR_RECIPE, "%s %s: no usable Size", p->name, p->version);
	if (sha == NULL || digest_parse_hex(sha, &p->digest) != 0)
		return err_set(e, ERR_RECIPE, "%s %s: no SHA256 in the index", p->name, p->version);
	free(p->source);
	p->source = source_of(st, p);
	sp->pre_depends = deb822_field(st, "Pre-Depends");
	sp->depends = deb822_field(st, "Depends");
	sp->provides = deb822_field(st, "Provides");
	sp->is_essential = field_is(st, "Essential", "yes");
	sp->is_known = true;
	return 0;
}

/* Who asks what versions an index has of the names that it wants. */
struct asker {
	bool (*wants)(const struct asker *a, const char *name);
	void (*take)(const struct asker *a, const char *name, const char *version,
		     const char *arch);
	struct match *match;
	struct pending *pending;
	const char *where;
	bool security;
};

static int each_version(const char *path, const struct asker *a, struct err *e)
{
	struct mapped map SCOPED(mapped_release) = {0};
	struct deb822 rest, st;

	if (map_file(path, &map, e) != 0)
		return -1;
	rest = (struct deb822){map.p, map.n};
	while (deb822_next(&rest, &st) == 1) {
		char *name SCOPED(mem_freep) = deb822_field(&st, "Package");
		char *version SCOPED(mem_freep) = NULL, *arch SCOPED(mem_freep) = NULL;

		if (name == NULL || !a->wants(a, name))
			continue;
		version = deb822_field(&st, "Version");
		arch = deb822_field(&st, "Architecture");
		if (version != NULL && arch != NULL && grammar_ok(&grammar_locked_version, version))
			a->take(a, name, version, arch);
	}
	return 0;
}

static bool wanted_by_match(const struct asker *a, const char *name)
{
	return match_wants(a->match, name);
}

static void take_for_match(const struct asker *a, const char *name, const char *version,
			   const char *arch)
{
	match_offer(a->match, name, version, arch, a->where);
}

int index_offer(const char *path, const char *where, struct match *m, struct err *e)
{
	struct asker a = {
	    .wants = wanted_by_match, .take = take_for_match, .match = m, .where = where};

	return each_version(path, &a, e);
}

static bool wanted_by_pending(const struct asker *a, const char *name)
{
	return map_has(&a->pending->names, name);
}

static void take_for_pending(const struct asker *a, const char *name, const char *version,
			     const char *arch)
{
	pending_offer(a->pending, &(struct pending_offer){.name = name,
							  .version = version,
							  .arch = arch,
							  .where = a->where,
							  .compare = version_compare_deb,
							  .security = a->security});
}

int index_pending(const char *path, const char *where, bool security, struct pending *b,
		  struct err *e)
{
	struct asker a = {.wants = wanted_by_pending,
			  .take = take_for_pending,
			  .pending = b,
			  .where = where,
			  .security = security};

	return each_version(path, &a, e);
}

int index_fill(const char *path, const char *repository, struct set *s, struct err *e)
{
	struct mapped m SCOPED(mapped_release) = {0};
	struct deb822 rest, st;

	if (map_file(path, &m, e) != 0)
		return -1;
	rest = (struct deb822){m.p, m.n};
	while (deb822_next(&rest, &st) == 1) {
		char *name SCOPED(mem_freep) = deb822_field(&st, "Package");
		struct set_package *p = name == NULL ? NULL : set_find(s, name);

		if (p == NULL || p->is_known || !field_is(&st, "Version", p->lock.version) ||
		    !field_is(&st, "Architecture", p->lock.arch))
			continue;
		if (fill(p, &st, e) != 0)
			return err_in(e, "%s", repository);
		p->lock.repository = repository[0] != '\0'
					 ? mem_strdup(repository)
					 : deb822_field(&st, "Posmedia-Repository");
		if (p->lock.repository == NULL)
			return err_set(e, ERR_FAIL, "%s: of no repository", p->lock.name);
	}
	return 0;
}

int index_release_date(const char *text, size_t n, int64_t *ret, struct err *e)
{
	struct deb822 rest = {text, n}, st;

	while (deb822_next(&rest, &st) == 1) {
		char *date SCOPED(mem_freep) = deb822_field(&st, "Date");
		struct tm tm = {0};

		if (date == NULL)
			continue;
		if (strptime(date, "%a, %d %b %Y %H:%M:%S", &tm) == NULL)
			return err_set(e, ERR_RECIPE, "Release file with the date \"%s\"", date);
		*ret = timegm(&tm);
		return 0;
	}
	return err_set(e, ERR_RECIPE, "Release file without a date");
}

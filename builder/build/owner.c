#include "build/owner.h"

#include "build/job.h"
#include "package/package.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void free_package(void *p)
{
	struct owned_package *x = p;

	if (x == NULL)
		return;
	free(x->source);
	free(x);
}

void owners_release(struct owners *o)
{
	free((void *)o->v);
	map_release(&o->packages, free_package);
	*o = (struct owners){0};
}

static void add_packages(const struct lock *l, struct map *ret)
{
	for (size_t i = 0; i < l->packages_n; i++) {
		const struct lock_package *p = &l->packages[i];
		struct owned_package *x = mem_zalloc(sizeof(*x));

		x->source = lock_source_name(p);
		x->unpacked = (struct owner){x, false};
		x->derived = (struct owner){x, true};
		free_package(map_put(ret, p->name, x));
	}
}

/* "var/lib/dpkg/info/libc6:amd64.list": "libc6", the caller owns it; NULL for other paths. */
static char *noted_package(const char *path)
{
	static const char dir[] = "var/lib/dpkg/info/";
	const char *name = path + sizeof(dir) - 1, *dot;

	if (strncmp(path, dir, sizeof(dir) - 1) != 0)
		return NULL;
	dot = strrchr(name, '.');
	if (dot == NULL)
		return NULL;
	return mem_strndup(name, strcspn(name, ":") < (size_t)(dot - name) ? strcspn(name, ":")
									   : (size_t)(dot - name));
}

/* "DIR/__pycache__/NAME.cpython-311.pyc": "DIR/NAME.py", the caller owns it; NULL for others. */
static char *compiled_from(const char *path)
{
	static const char cache[] = "/__pycache__/";
	const char *at = strstr(path, cache), *name, *dot;
	size_t n = strlen(path);

	if (at == NULL || n < 4 || strcmp(path + n - 4, ".pyc") != 0)
		return NULL;
	name = at + sizeof(cache) - 1;
	dot = strstr(name, ".cpython-");
	if (dot == NULL || strchr(name, '/') != NULL)
		return NULL;
	return mem_format("%.*s/%.*s.py", (int)(at - path), path, (int)(dot - name), name);
}

static const struct owner *find(const struct owners *o, const struct map *files, const char *path)
{
	const char *package = map_get(files, path);
	char *noted SCOPED(mem_freep) = NULL, *from SCOPED(mem_freep) = NULL;
	const struct owned_package *p;

	if (package != NULL) {
		p = map_get(&o->packages, package);
		return p != NULL ? &p->unpacked : NULL;
	}
	noted = noted_package(path);
	from = noted == NULL ? compiled_from(path) : NULL;
	package = from != NULL ? map_get(files, from) : noted;
	p = package != NULL ? map_get(&o->packages, package) : NULL;
	return p != NULL ? &p->derived : NULL;
}

void owner_note(const struct owner *o, int64_t mtime)
{
	if (!o->derived && mtime > o->package->newest)
		o->package->newest = mtime;
}

void owners_find(const struct map *files, const struct lock *l, const struct tree *t,
		 struct owners *ret)
{
	*ret = (struct owners){.v = mem_zalloc((t->n + 1) * sizeof(*ret->v))};
	add_packages(l, &ret->packages);
	for (size_t i = 0; i < t->n; i++)
		ret->v[i] = find(ret, files, t->v[i].path);
}

int job_owned(struct job *j, const char *root, const struct map **ret, struct err *e)
{
	if (!j->knows_owners && package_owned(root, &j->owned, &j->owners, e) != 0) {
		job_forget_owned(j);
		return -1;
	}
	j->knows_owners = true;
	*ret = &j->owned;
	return 0;
}

void job_forget_owned(struct job *j)
{
	map_release(&j->owned, NULL);
	strv_release(&j->owners);
	j->knows_owners = false;
}

#include "package/archive.h"

#include "base/log.h"
#include "package/snapshot.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORED      "stored-"
#define CONTROL_MAX (1 << 20)
#define INDEX_MAX   (256 << 20)

/* How the names of locks end whose repositories are trusted by the recipe's keys and no others:
 * "-KEYS.lock". The caller owns it. */
static int ending(const struct recipe *r, char **ret, struct err *e)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct strv files SCOPED(strv_release) = {0};
	struct digest d;

	recipe_base_files(r, &files);
	for (size_t i = 0; i < files.n; i++) {
		int fd SCOPED(fd_closep) = open(files.v[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return err_sys(e, "open %s", files.v[i]);
		if (digest_fd(fd, &d, NULL, e) != 0)
			return -1;
		hash_add(h, d.b, DIGEST_BYTES);
	}
	d = hash_final(h);
	*ret = mem_format("-%s.lock", digest_hex(&d).s);
	return 0;
}

int archive_keep(struct store *s, const struct recipe *r, const struct lock *l, struct err *e)
{
	struct digest d = lock_digest(l);
	char *end SCOPED(mem_freep) = NULL, *path SCOPED(mem_freep) = NULL;

	if (ending(r, &end, e) != 0)
		return -1;
	path = mem_format("%s/%s/%s%s", store_path(s), ARCHIVE_LOCKS, digest_hex(&d).s, end);
	if (utimensat(AT_FDCWD, path, NULL, 0) == 0) /* the last use is what its age counts from */
		return 0;
	if (fs_mkdirs(store_fd(s), ARCHIVE_LOCKS, 0755, e) != 0)
		return -1;
	return lock_save(l, path, e);
}

bool archive_is_lock(const char *name)
{
	size_t n = strlen(name);

	return n == 2 * (size_t)DIGEST_HEX + 6 && name[DIGEST_HEX] == '-' &&
	       strcmp(name + n - 5, ".lock") == 0;
}

void archive_release(struct archive *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i].id);
	free(a->v);
	for (size_t i = 0; i < a->locks_n; i++)
		lock_free(a->locks[i]);
	free(a->locks);
	*a = (struct archive){0};
}

static const struct lock_repository *repository_of(const struct lock *l, const char *id)
{
	for (size_t i = 0; i < l->repositories_n; i++)
		if (strcmp(l->repositories[i].id, id) == 0)
			return &l->repositories[i];
	return NULL;
}

char *archive_suite(const char *id)
{
	const char *at = strrchr(id, '_');
	const char *time = at != NULL ? at + 1 : "";

	if (strncmp(time, STORED, strlen(STORED)) == 0)
		time += strlen(STORED);
	return mem_strndup(id, snapshot_seconds(time) >= 0 ? (size_t)(at - id) : strlen(id));
}

static char *id_of(const struct lock_repository *r)
{
	char *suite SCOPED(mem_freep) = archive_suite(r->id);
	char time[SNAPSHOT_TIME];

	if (strcmp(suite, r->id) != 0)
		return mem_strdup(r->id);
	snapshot_format(r->date, time);
	return mem_format("%s_" STORED "%s", r->id, time);
}

static bool has(const struct archive *a, const struct lock_package *p)
{
	for (size_t i = 0; i < a->n; i++)
		if (digest_equal(&a->v[i].package->digest, &p->digest))
			return true;
	return false;
}

static void take_packages(struct archive *a, const struct lock *l, const struct match *m)
{
	for (size_t i = 0; i < l->packages_n; i++) {
		const struct lock_package *p = &l->packages[i];
		const struct lock_repository *r = repository_of(l, p->repository);

		if (r == NULL || !match_wants(m, p->name) || has(a, p) ||
		    !store_has(a->store, &p->digest, NULL))
			continue;
		a->v = mem_resize(a->v, a->n + 1, sizeof(*a->v));
		a->v[a->n++] = (struct archive_package){p, r, id_of(r)};
	}
}

static void take_lock(struct archive *a, const char *name, const struct match *m)
{
	char *path SCOPED(mem_freep) =
	    mem_format("%s/%s/%s", store_path(a->store), ARCHIVE_LOCKS, name);
	struct lock *l = NULL;
	struct err e = ERR_INIT;

	if (lock_load(path, &l, &e) != 0) {
		log_warn("%s", e.msg);
		return;
	}
	a->locks = mem_resize(a->locks, a->locks_n + 1, sizeof(struct lock *));
	a->locks[a->locks_n++] = l;
	take_packages(a, l, m);
}

int archive_load(struct store *s, const struct recipe *r, const struct match *m,
		 struct archive *ret, struct err *e)
{
	struct archive a = {.store = s};
	struct strv names SCOPED(strv_release) = {0};
	char *end SCOPED(mem_freep) = NULL;

	if (ending(r, &end, e) != 0)
		return -1;
	if (faccessat(store_fd(s), ARCHIVE_LOCKS, F_OK, 0) != 0 && errno == ENOENT) {
		*ret = a;
		return 0;
	}
	if (fs_list(store_fd(s), ARCHIVE_LOCKS, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (strlen(names.v[i]) == DIGEST_HEX + strlen(end) &&
		    strcmp(names.v[i] + DIGEST_HEX, end) == 0)
			take_lock(&a, names.v[i], m);
	*ret = a;
	return 0;
}

void archive_offer(const struct archive *a, struct match *m)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct lock_package *p = a->v[i].package;

		match_offer(m, p->name, p->version, p->arch, a->v[i].id);
	}
}

bool archive_taken(const struct match *m, const struct archive_package *p)
{
	const struct match_want *w = map_get(&m->names, p->package->name);

	for (; w != NULL; w = w->next)
		if (w->where != NULL && strcmp(w->where, p->id) == 0 &&
		    strcmp(w->version, p->package->version) == 0)
			return true;
	return false;
}

/* Ours come first: whatever a package says of itself, these are the fields that count. */
static int add_stanza(const struct archive *a, const struct archive_package *p, struct buf *out,
		      struct err *e)
{
	char *deb SCOPED(mem_freep) = store_blob_path(a->store, &p->package->digest);
	const char *argv[] = {"dpkg-deb", "-f", deb, NULL};
	struct buf control SCOPED(buf_release) = BUF_INIT(CONTROL_MAX);
	struct proc_spec spec = {.argv = argv, .out = &control, .timeout_ms = 60000};

	if (intr_pending())
		return intr_err(e);
	if (proc_ok(&spec, ERR_FAIL, e) != 0)
		return err_in(e, "%s %s of the store", p->package->name, p->package->version);
	buf_addf(out, "Filename: %s\nSize: %llu\nSHA256: %s\nPosmedia-Repository: %s\n",
		 p->package->path, (unsigned long long)p->package->size,
		 digest_hex(&p->package->digest).s, p->id);
	buf_addf(out, "%s\n\n", control.data);
	return 0;
}

int archive_index(const struct archive *a, const struct match *m, const char *dir, size_t *ret,
		  struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(INDEX_MAX);
	char *path SCOPED(mem_freep) = fs_join(dir, "Packages");
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++) {
		if (!archive_taken(m, &a->v[i]))
			continue;
		if (add_stanza(a, &a->v[i], &b, e) != 0)
			return -1;
		n++;
	}
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "the index of the store is too large");
	if (n > 0 && fs_put_path(path, b.data, b.len, 0644, e) != 0)
		return -1;
	*ret = n;
	return 0;
}

const struct lock_repository *archive_repository(const struct archive *a, const char *id)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].id, id) == 0)
			return a->v[i].repository;
	return NULL;
}

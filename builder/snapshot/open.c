#include "snapshot/open.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void snapshot_close(struct snapshot *s)
{
	if (s == NULL)
		return;
	body_release(&s->body);
	manifest_release(&s->m);
	items_release(&s->contents);
	free(s->items);
	free(s);
}

void snapshot_closep(struct snapshot **s)
{
	snapshot_close(*s);
	*s = NULL;
}

const struct snapshot_info *snapshot_info(const struct snapshot *s)
{
	return &s->body.info;
}

const struct manifest *snapshot_manifest(const struct snapshot *s)
{
	return &s->m;
}

const struct apply_content *snapshot_content(const struct snapshot *s)
{
	return &s->content;
}

int snapshot_check_signed(const struct snapshot *s, const struct sign_wanted *by, struct err *e)
{
	return body_check_signed(&s->body, by, e);
}

struct text {
	int fd;
	struct hash *hash;
};

static int take_text(void *ctx, const void *p, size_t n, struct err *e)
{
	struct text *t = ctx;

	hash_add(t->hash, p, n);
	return fs_write_all(t->fd, p, n, e);
}

static int temp_file(int *ret, struct err *e)
{
	char name[] = "/var/tmp/posmedia-manifest.XXXXXX";
	int fd = open("/var/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd < 0) {
		fd = mkostemp(name, O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "make a file in /var/tmp");
		(void)unlink(name);
	}
	*ret = fd;
	return 0;
}

static int read_manifest(struct snapshot *s, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct text t = {.hash = h};
	const struct sink out = {take_text, &t};
	struct digest root;

	if (temp_file(&fd, e) != 0)
		return -1;
	t.fd = fd;
	if (ids_copy(s->r, &s->body.manifest, &out, e) != 0)
		return -1;
	root = hash_final(h);
	if (!digest_equal(&root, &s->body.info.root))
		return err_set(e, ERR_VERIFY, "its manifest is not the one that it was made of");
	if (lseek(fd, 0, SEEK_SET) != 0)
		return err_sys(e, "seek");
	return manifest_read(fd, s->body.info.id, &s->m, e);
}

/* Gives each file its item: they are in the same order. */
static int match_items(struct snapshot *s, struct err *e)
{
	size_t next = 0;

	s->items = mem_zalloc((s->m.n + 1) * sizeof(*s->items));
	for (size_t i = 0; i < s->m.n; i++) {
		const struct manifest_entry *en = &s->m.v[i];

		if (en->type != MANIFEST_FILE || en->same_as != NULL)
			continue;
		if (next == s->contents.n ||
		    memcmp(s->contents.v[next], en->digest.b, DIGEST_BYTES) != 0)
			return err_set(e, ERR_VERIFY, "its list of contents is of other files");
		s->items[i] = s->contents.v[next++];
	}
	return next == s->contents.n
		   ? 0
		   : err_set(e, ERR_VERIFY, "its list of contents is of more files");
}

int snapshot_load(struct snapshot_repo *r, const char *id, struct snapshot **ret, struct err *e)
{
	struct snapshot *s = mem_zalloc(sizeof(*s));

	s->r = r;
	body_init(&s->body);
	items_init(&s->contents);
	if (body_get(r, id, &s->body, e) != 0 || read_manifest(s, e) != 0 ||
	    items_read(r, &s->body, &s->contents, e) != 0 || match_items(s, e) != 0) {
		snapshot_close(s);
		return err_in(e, "snapshot %s", id);
	}
	s->content = content_of(s);
	*ret = s;
	return 0;
}

/* Whether every one before it, of its tree, is there, or was pruned by who may. */
static int check_chain(const struct snapshot_infos *all, const struct snapshot_info *last,
		       struct err *e)
{
	const char *gone = NULL;

	for (size_t i = 0; i < all->n && gone == NULL; i++) {
		const struct snapshot_info *s = &all->v[i];

		if (s->fault == NULL && s->previous != NULL && info_same_tree(s, last) &&
		    strv_has(&all->missing, s->previous))
			gone = s->previous;
	}
	if (gone == NULL)
		return 0;
	(void)err_set(e, ERR_VERIFY,
		      "snapshot %s was made after %s, which is gone and was not pruned: there may "
		      "have been newer ones too",
		      last->id, gone);
	return err_hint(e, "name the snapshot to take it all the same: @%s", last->id);
}

/* Whether an id, "TIME-SHOP-ENV-HEX", is of that site. */
static bool id_of_site(const char *id, const char *site)
{
	const char *from = strchr(id, '-'), *to = strrchr(id, '-');

	return from != NULL && to > from && strlen(site) == (size_t)(to - from - 1) &&
	       strncmp(from + 1, site, strlen(site)) == 0;
}

/* A newer one that cannot be believed is not passed over in silence: what is restored is a day
 * older than whoever asks for the newest thinks. */
static int check_newer(const struct snapshot_infos *all, const struct snapshot_info *last,
		       const char *site, struct err *e)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct snapshot_info *s = &all->v[i];

		/* of a damaged one only the id is known, which begins with its time */
		if (s->fault == NULL || strcmp(s->id, last->id) < 0 ||
		    (site != NULL && !id_of_site(s->id, site)))
			continue;
		(void)err_set(e, ERR_VERIFY, "snapshot %s, the newest, cannot be believed: %s",
			      s->id, s->fault);
		return err_hint(e, "name the one before it to take that: @%s", last->id);
	}
	return 0;
}

static bool one_site(const struct snapshot_infos *all)
{
	const struct snapshot_info *first = NULL;

	for (size_t i = 0; i < all->n; i++) {
		const struct snapshot_info *s = &all->v[i];

		if (s->fault != NULL)
			continue;
		if (first == NULL)
			first = s;
		if (!info_same_tree(first, s))
			return false;
	}
	return true;
}

/* The newest of the site that is called so, or of the only one there is. */
static const struct snapshot_info *newest(const struct snapshot_infos *all, const char *site)
{
	for (size_t i = all->n; i > 0; i--) {
		const struct snapshot_info *s = &all->v[i - 1];
		char *name SCOPED(mem_freep) = NULL;

		if (s->fault != NULL)
			continue;
		if (site == NULL)
			return s;
		name = mem_format("%s-%s", s->shop, s->env);
		if (s->shop[0] != '\0' && strcmp(name, site) == 0)
			return s;
	}
	return NULL;
}

static int by_prefix(const struct snapshot_infos *all, const char *id,
		     const struct snapshot_info **ret, struct err *e)
{
	const struct snapshot_info *found = NULL;

	for (size_t i = 0; i < all->n; i++) {
		const struct snapshot_info *s = &all->v[i];

		if (strncmp(s->id, id, strlen(id)) != 0)
			continue;
		if (found != NULL && strcmp(found->id, id) != 0 && strcmp(s->id, id) != 0)
			return err_set(e, ERR_USAGE, "more than one snapshot is called %s...", id);
		if (found == NULL || strcmp(s->id, id) == 0)
			found = s;
	}
	if (found == NULL) {
		(void)err_set(e, ERR_FAIL, "there is no snapshot %s", id);
		return err_hint(e, "posmedia snapshot --list REPO shows what there is");
	}
	*ret = found;
	return 0;
}

static int choose(const struct snapshot_infos *all, const char *id,
		  const struct snapshot_info **ret, struct err *e)
{
	const struct snapshot_info *s;

	if (id == NULL && !one_site(all)) {
		(void)err_set(e, ERR_USAGE, "the repository has snapshots of several trees");
		return err_hint(e, "name the snapshot, @ID, or the site, @SHOP-ENV");
	}
	s = newest(all, id);
	if (s == NULL && id == NULL)
		return err_set(e, ERR_FAIL, "there is no snapshot");
	if (s == NULL)
		return by_prefix(all, id, ret, e);
	*ret = s;
	if (check_newer(all, s, id, e) != 0)
		return -1;
	return check_chain(all, s, e);
}

int snapshot_open(struct snapshot_repo *r, const char *id, struct snapshot **ret, struct err *e)
{
	struct snapshot_infos all SCOPED(snapshot_infos_release) = {0};
	const struct snapshot_info *s = NULL;

	if (snapshot_list(r, &all, e) != 0 || choose(&all, id, &s, e) != 0 || repo_load(r, e) != 0)
		return -1;
	return snapshot_load(r, s->id, ret, e);
}

#include "build/job.h"

#include "base/map.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static void add_number(struct hash *h, uint64_t v)
{
	uint8_t b[8];

	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(v >> (8 * i));
	hash_add(h, b, sizeof(b));
}

static void add_text(struct hash *h, const char *s)
{
	hash_add(h, s, strlen(s) + 1);
}

static void add_metadata(struct hash *h, const struct tree_entry *en)
{
	add_text(h, en->path);
	add_number(h, en->mode);
	add_number(h, en->uid);
	add_number(h, en->gid);
	add_number(h, (uint64_t)en->mtime);
	add_number(h, en->size);
	add_text(h, en->link != NULL ? en->link : "");
	for (size_t i = 0; i < en->xattrs_n; i++) {
		add_text(h, en->xattrs[i].name);
		add_number(h, en->xattrs[i].len);
		hash_add(h, en->xattrs[i].val, en->xattrs[i].len);
	}
}

/* The directories above an entry stand in every layer that has something below them. */
static void add_parents(struct hash *h, const struct tree *t, const char *dir)
{
	for (size_t n = 1; n <= strlen(dir); n++) {
		char *part SCOPED(mem_freep) = NULL;
		const struct tree_entry *en;

		if (dir[n] != '/' && dir[n] != '\0')
			continue;
		part = mem_strndup(dir, n);
		en = tree_find(t, part);
		if (en != NULL)
			add_metadata(h, en);
	}
}

/* Names of one file: numbered by the first that the layer has, since inodes change. */
static void add_hard_link(struct hash *h, const struct tree_entry *en, struct map *first)
{
	char *inode SCOPED(mem_freep) = NULL;
	const char *name;

	if (en->inode == 0)
		return;
	inode = mem_format("%llu", (unsigned long long)en->inode);
	name = map_get(first, inode);
	if (name == NULL)
		(void)map_put(first, inode, en->path);
	add_text(h, name != NULL ? name : en->path);
}

static void add_content(struct hash *h, const struct job *j, size_t i)
{
	const struct digest *d = j->origins[i].content;

	if (d != NULL)
		hash_add(h, d->b, DIGEST_BYTES);
}

struct digest job_layer_key(const struct job *j, const struct tree *t, int layer,
			    const char *compressor)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	char *last SCOPED(mem_freep) = mem_strdup("");
	struct map first = {0};
	struct digest key;

	add_text(h, compressor);
	for (size_t i = 0; i < t->n; i++) {
		const struct tree_entry *en = &t->v[i];
		char *dir = NULL;

		if (en->layer != layer)
			continue;
		dir = fs_dirname(en->path);
		if (strcmp(dir, last) != 0)
			add_parents(h, t, dir);
		free(last);
		last = dir;
		add_metadata(h, en);
		add_hard_link(h, en, &first);
		add_content(h, j, i);
	}
	key = hash_final(h);
	map_release(&first, NULL);
	return key;
}

static char *record_path(const struct job *j, const struct digest *key)
{
	return mem_format("%s/cache/layers/%s.json", store_path(j->s), digest_hex(key).s);
}

static bool get_digest(const struct jval *v, const char *key, struct digest *ret)
{
	const char *s = jval_get_str(v, key);

	return s != NULL && digest_parse(s, ret) == 0;
}

bool job_layer_recall(const struct job *j, const struct digest *key, struct pack_result *ret)
{
	char *path SCOPED(mem_freep) = record_path(j, key);
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct pack_result r = {0};
	struct err quiet = ERR_INIT;
	int64_t raw, entries;

	if (fs_get_file(AT_FDCWD, path, &b, &quiet) != 0 ||
	    jval_parse(b.data, b.len, path, &v, &quiet) != 0 ||
	    !get_digest(v, "digest", &r.digest) || !get_digest(v, "diff-id", &r.diff_id) ||
	    jval_get_int(v, "raw", &raw) != 0 || jval_get_int(v, "entries", &entries) != 0 ||
	    raw < 0 || entries < 0 || !store_has(j->s, &r.digest, &r.size))
		return false;
	r.raw_size = (uint64_t)raw;
	r.entries = (size_t)entries;
	*ret = r;
	return true;
}

int job_layer_remember(const struct job *j, const struct digest *key, const struct pack_result *r,
		       struct err *e)
{
	char *path SCOPED(mem_freep) = record_path(j, key);
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);

	jval_put_text(v, "digest", digest_text(&r->digest).s);
	jval_put_text(v, "diff-id", digest_text(&r->diff_id).s);
	jval_put_int(v, "raw", (int64_t)r->raw_size);
	jval_put_int(v, "entries", (int64_t)r->entries);
	jval_write(v, &b);
	if (fs_mkdirs(store_fd(j->s), "cache/layers", 0755, e) != 0)
		return -1;
	return fs_put_unsynced(path, b.data, b.len, 0644, e);
}

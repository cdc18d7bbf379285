/* past.c - what is known of a recipe from earlier nights. */
#include "nightly/parts.h"

#include "base/log.h"
#include "base/num.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAST_MAX = 4 << 20, TAGS_MAX = 10000, FRESH_S = 600 };

void past_set(char **slot, const char *text)
{
	char *copy = mem_strdup(text);

	free(*slot);
	*slot = copy;
}

static char *text_of(const struct jval *v, const char *key)
{
	const char *s = jval_get_str(v, key);

	return mem_strdup(s != NULL ? s : "");
}

static int take_seen(void *ctx, const char *id, struct jval *v)
{
	struct past *p = ctx;

	if (jval_str(v) != NULL)
		free(map_put(&p->seen, id, mem_strdup(jval_str(v))));
	return 0;
}

void past_saw(struct past *p, const struct jval *repositories)
{
	map_release(&p->seen, free);
	p->seen = (struct map){0};
	(void)jval_each(repositories, take_seen, p);
}

static char *file_of(const char *key)
{
	return mem_format("%s.json", key);
}

void past_load(int dirfd, const char *key, struct past *ret)
{
	char *name SCOPED(mem_freep) = file_of(key);
	struct buf text SCOPED(buf_release) = BUF_INIT(PAST_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err why = ERR_INIT;
	const struct jval *tags;
	int64_t took = 0;

	if (faccessat(dirfd, name, F_OK, 0) == 0 &&
	    (fs_get_file(dirfd, name, &text, &why) != 0 ||
	     jval_parse(text.data, text.len, name, &v, &why) != 0))
		log_warn("%s: what was done before is not known: %s", key, why.msg);
	*ret = (struct past){.tag = text_of(v, "tag"),
			     .digest = text_of(v, "digest"),
			     .pending = text_of(v, "pending"),
			     .pending_digest = text_of(v, "pending-digest"),
			     .lock = text_of(v, "lock"),
			     .recipe = text_of(v, "recipe")};
	past_saw(ret, jval_get(v, "seen"));
	if (jval_get_int(v, "milliseconds", &took) == 0 && took > 0)
		ret->took_ms = (uint64_t)took;
	tags = jval_get(v, "tags");
	for (size_t i = 0; i < jval_len(tags) && i < TAGS_MAX; i++)
		if (jval_str(jval_at(tags, i)) != NULL)
			strv_add(&ret->tags, jval_str(jval_at(tags, i)));
}

int past_save(int dirfd, const char *key, const struct past *p, struct err *e)
{
	char *name SCOPED(mem_freep) = file_of(key);
	const char **ids SCOPED(mem_freep) = map_keys(&p->seen);
	struct buf text SCOPED(buf_release) = BUF_INIT(PAST_MAX);
	struct jval *v SCOPED(jval_freep) = jval_object(), *seen = jval_object();
	struct jval *tags = jval_array();

	for (size_t i = 0; i < p->seen.n; i++)
		jval_put_text(seen, ids[i], map_get(&p->seen, ids[i]));
	for (size_t i = 0; i < p->tags.n; i++)
		jval_push(tags, jval_text(p->tags.v[i]));
	jval_put_text(v, "tag", p->tag);
	jval_put_text(v, "digest", p->digest);
	jval_put_text(v, "pending", p->pending);
	jval_put_text(v, "pending-digest", p->pending_digest);
	jval_put_text(v, "lock", p->lock);
	jval_put_text(v, "recipe", p->recipe);
	jval_put_int(v, "milliseconds", (int64_t)p->took_ms);
	jval_put(v, "seen", seen);
	jval_put(v, "tags", tags);
	jval_write_pretty(v, &text);
	return fs_put(dirfd, name, text.data, text.len, 0644, e);
}

/* Which one of its day a tag is: "1-20261126" the first, "1-20261126.2" the second; of another day
 * 0. */
static uint64_t turn_of(const char *tag, const char *base)
{
	size_t n = strlen(base);
	uint64_t turn = 0;

	if (strncmp(tag, base, n) != 0)
		return 0;
	if (tag[n] == '\0')
		return 1;
	return tag[n] == '.' && num_u64(tag + n + 1, INT32_MAX, &turn) == 0 ? turn : 0;
}

char *past_new_tag(const struct past *p, const char *version)
{
	char *day SCOPED(mem_freep) = clock_rfc3339(clock_epoch_s());
	char *base = mem_format("%s-%.4s%.2s%.2s", version, day, day + 5, day + 8), *tag;
	uint64_t last = turn_of(p->pending, base);

	for (size_t i = 0; i < p->tags.n; i++) {
		uint64_t turn = turn_of(p->tags.v[i], base);

		last = turn > last ? turn : last;
	}
	if (last == 0)
		return base;
	tag = mem_format("%s.%llu", base, (unsigned long long)last + 1);
	free(base);
	return tag;
}

struct turn {
	size_t at;
	uint64_t took_ms;
};

static int longest_first(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->took_ms != y->took_ms)
		return x->took_ms < y->took_ms ? 1 : -1;
	return x->at < y->at ? -1 : x->at > y->at;
}

void past_order(const struct nightly *n, const struct nightly_recipe *const *of, size_t count,
		size_t *ret)
{
	char *path SCOPED(mem_freep) = fs_join(n->state, "recipes");
	struct turn *v SCOPED(mem_freep) = mem_zalloc((count + 1) * sizeof(*v));
	struct err none = ERR_INIT;
	int dir SCOPED(fd_closep) = -1;
	bool known = fs_open_dir(AT_FDCWD, path, &dir, &none) == 0;

	for (size_t i = 0; i < count; i++) {
		struct past p SCOPED(past_release) = {.tag = NULL};

		v[i] = (struct turn){i, UINT64_MAX};
		if (known)
			past_load(dir, of[i]->key, &p);
		if (p.took_ms > 0)
			v[i].took_ms = p.took_ms;
	}
	qsort(v, count, sizeof(*v), longest_first);
	for (size_t i = 0; i < count; i++)
		ret[i] = v[i].at;
}

void past_release(struct past *p)
{
	free(p->tag);
	free(p->digest);
	free(p->pending);
	free(p->pending_digest);
	free(p->lock);
	free(p->recipe);
	map_release(&p->seen, free);
	strv_release(&p->tags);
	*p = (struct past){0};
}

/* What another process has found a few minutes ago at most. A lie in it only costs a lock, or
 * misses what is new until the next night: the digest counts where a solver has verified it. */
static bool found_before(int dirfd, const char *name, struct package_head *h)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(4096);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err why = ERR_INIT;
	struct stat st;
	const char *hex;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    clock_wall_s() - st.st_mtime > FRESH_S || clock_wall_s() < st.st_mtime ||
	    fs_get_file(dirfd, name, &text, &why) != 0 ||
	    jval_parse(text.data, text.len, name, &v, &why) != 0)
		return false;
	hex = jval_get_str(v, "sha256");
	h->known = hex != NULL && digest_parse_hex(hex, &h->digest) == 0 &&
		   jval_get_int(v, "until", &h->until) == 0;
	return h->known;
}

static void leave(int dirfd, const char *name, const struct package_head *h)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(4096);
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct err why = ERR_INIT;

	jval_put_text(v, "url", h->url);
	jval_put_text(v, "sha256", digest_hex(&h->digest).s);
	jval_put_int(v, "until", h->until);
	jval_write(v, &text);
	if (fs_put(dirfd, name, text.data, text.len, 0644, &why) != 0)
		log_debug("%s", why.msg);
}

void heads_look(int dirfd, struct package_heads *heads)
{
	struct http *via SCOPED(http_freep) = NULL;

	for (size_t i = 0; i < heads->n; i++) {
		struct package_head *h = &heads->v[i];
		struct digest d = digest_of(h->url, strlen(h->url));

		if (found_before(dirfd, digest_hex(&d).s, h))
			continue;
		if (via == NULL)
			via = http_new();
		package_head_look(h, via);
		if (h->known)
			leave(dirfd, digest_hex(&d).s, h);
	}
}

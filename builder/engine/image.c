/* image.c - images: an archive as `docker save` writes it, made on the way from the blobs. dockerd
 * 20.10 takes no other, and podman takes it too. */
#include "engine/parts.h"

#include "archive/tarw.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADS_MAX = 1 << 20, LOAD_QUIET_MS = 600000, READ_MAX = 1 << 20, LAYERS_MAX = 500 };

/* A stretch of the archive: of memory, or of a file. */
struct stretch {
	uint64_t at, size; /* in the archive */
	size_t from;       /* in `heads`, when fd < 0 */
	int fd;
};

struct archive {
	struct buf heads;
	struct stretch *v;
	size_t n;
	uint64_t size;
};

static void archive_release(struct archive *a)
{
	buf_release(&a->heads);
	free(a->v);
}

static void add_stretch(struct archive *a, struct stretch s)
{
	s.at = a->size;
	a->size += s.size;
	a->v = mem_resize(a->v, a->n + 1, sizeof(*a->v));
	a->v[a->n++] = s;
}

static int to_heads(void *ctx, const void *p, size_t n, struct err *e)
{
	struct archive *a = ctx;

	buf_add(&a->heads, p, n);
	return buf_over(&a->heads) ? err_set(e, ERR_FAIL, "too many layers") : 0;
}

static void add_heads(struct archive *a, size_t from)
{
	add_stretch(a, (struct stretch){.size = a->heads.len - from, .from = from, .fd = -1});
}

/* One file: from memory (p), or from fd. */
static int add_file(struct archive *a, char *name, const void *p, const struct engine_blob *b,
		    struct err *e)
{
	const struct sink out = {to_heads, a};
	struct tree_entry en = {.path = name, .mode = S_IFREG | 0644, .size = b->size};
	size_t from = a->heads.len;

	if (tarw_header(&out, &en, NULL, 0, e) != 0)
		return -1;
	if (p != NULL && to_heads(a, p, b->size, e) != 0)
		return -1;
	if (p == NULL) {
		add_heads(a, from);
		add_stretch(a, (struct stretch){.size = b->size, .fd = b->fd});
		from = a->heads.len;
	}
	if (tarw_pad(&out, b->size, e) != 0)
		return -1;
	add_heads(a, from);
	return 0;
}

static char *layer_name(const struct digest *d)
{
	return mem_format("%s.tar", digest_hex(d).s);
}

static int add_layers(struct archive *a, const struct engine_image *i, struct err *e)
{
	for (size_t k = 0; k < i->layers_n; k++) {
		char *name SCOPED(mem_freep) = layer_name(&i->layers[k].digest);
		size_t before = 0;

		while (before < k && !digest_equal(&i->layers[before].digest, &i->layers[k].digest))
			before++;
		if (before == k && add_file(a, name, NULL, &i->layers[k], e) != 0)
			return -1;
	}
	return 0;
}

static int add_manifest(struct archive *a, const struct engine_image *i, const char *config,
			struct err *e)
{
	static char name[] = "manifest.json";
	struct jval *list SCOPED(jval_freep) = jval_array();
	struct jval *one = jval_object(), *layers = jval_array(), *tags = jval_array();
	struct buf text SCOPED(buf_release) = BUF_INIT(HEADS_MAX);
	char *tag SCOPED(mem_freep) =
	    mem_format("localhost/posmedia:%s", digest_hex(&i->config.digest).s);
	struct engine_blob b = {0};

	for (size_t k = 0; k < i->layers_n; k++) {
		char *layer SCOPED(mem_freep) = layer_name(&i->layers[k].digest);

		jval_push(layers, jval_text(layer));
	}
	jval_push(tags, jval_text(tag));
	jval_put_text(one, "Config", config);
	jval_put(one, "RepoTags", tags);
	jval_put(one, "Layers", layers);
	jval_push(list, one);
	jval_write(list, &text);
	b.size = text.len;
	return add_file(a, name, text.data, &b, e);
}

static int build(const struct engine_image *i, struct archive *a, struct err *e)
{
	const struct sink out = {to_heads, a};
	char *config SCOPED(mem_freep) = mem_format("%s.json", digest_hex(&i->config.digest).s);
	size_t from;

	if (add_manifest(a, i, config, e) != 0 || add_file(a, config, NULL, &i->config, e) != 0 ||
	    add_layers(a, i, e) != 0)
		return -1;
	from = a->heads.len;
	if (tarw_end(&out, e) != 0)
		return -1;
	add_heads(a, from);
	return 0;
}

static const struct stretch *find(const struct archive *a, uint64_t at)
{
	size_t low = 0, high = a->n;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (a->v[mid].at <= at)
			low = mid;
		else
			high = mid;
	}
	/* stretches of nothing may stand at the same place */
	while (low + 1 < a->n && a->v[low].at + a->v[low].size <= at)
		low++;
	return &a->v[low];
}

static int read_at(void *ctx, uint64_t at, void *p, size_t n, size_t *ret_n, struct err *e)
{
	const struct archive *a = ctx;
	const struct stretch *s = find(a, at);
	uint64_t left = s->at + s->size - at;
	ssize_t got;

	n = n < left ? n : (size_t)left;
	if (s->fd < 0) {
		memcpy(p, a->heads.data + s->from + (at - s->at), n);
		*ret_n = n;
		return 0;
	}
	do
		got = pread(s->fd, p, n, (off_t)(at - s->at));
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got < 0 ? err_sys(e, "read a layer")
			       : err_set(e, ERR_VERIFY, "a layer is shorter than it was");
	*ret_n = (size_t)got;
	return 0;
}

int engine_read_load(const char *p, size_t n, struct err *e)
{
	const char *end = p + n;

	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t line = (size_t)((stop != NULL ? stop : end) - p);
		struct jval *v SCOPED(jval_freep) = NULL;
		struct err quiet = ERR_INIT;

		if (line > 0 && jval_parse(p, line, "answer", &v, &quiet) == 0 &&
		    jval_get(v, "error") != NULL) {
			const char *text = jval_get_str(v, "error");

			return err_set(e, ERR_REMOTE, "it does not take the image: %.300s",
				       text != NULL ? text : "no reason given");
		}
		p += line + 1;
	}
	return 0;
}

/* "DIR/diff:DIR/diff": a colon in a name would cut it where no "/diff" is. */
static int split_layers(const char *text, struct strv *ret)
{
	static const char last[] = "/diff";

	while (text != NULL && text[0] != '\0') {
		size_t n = strcspn(text, ":");

		if (ret->n >= LAYERS_MAX || n <= strlen(last) || n >= PATH_MAX || text[0] != '/' ||
		    strncmp(text + n - strlen(last), last, strlen(last)) != 0)
			return -1;
		strv_take(ret, mem_strndup(text, n));
		text += text[n] == ':' ? n + 1 : n;
	}
	return 0;
}

void engine_read_layers(const struct jval *v, struct strv *ret)
{
	const struct jval *driver = jval_get(v, "GraphDriver");
	const struct jval *data = jval_get(driver, "Data");
	const char *name = jval_get_str(driver, "Name");
	const char *upper = jval_get_str(data, "UpperDir");
	struct strv got SCOPED(strv_release) = {0};

	if (name == NULL || (strcmp(name, "overlay") != 0 && strcmp(name, "overlay2") != 0) ||
	    upper == NULL || split_layers(upper, &got) != 0 || got.n != 1 ||
	    split_layers(jval_get_str(data, "LowerDir"), &got) != 0)
		return;
	*ret = got;
	got = (struct strv){0};
}

int engine_has(struct engine *en, const struct digest *config, bool *ret, struct strv *layers,
	       struct err *e)
{
	struct ask a = {.method = "GET",
			.path = mem_format("/images/%s/json", digest_text(config).s)};
	struct http_request q = {0};
	struct http_reply r = {0};
	struct jval *v SCOPED(jval_freep) = NULL;
	const char *id;
	int rc = 0;

	if (engine_ask(en, &a, &q, &r, e) != 0)
		return -1;
	if (r.status == 404)
		*ret = false;
	else
		rc = engine_json(en, &r, "look for an image", &v, e);
	http_reply_release(&r);
	if (rc != 0 || v == NULL)
		return rc;
	/* podman leaves "sha256:" out in places */
	id = jval_get_str(v, "Id");
	if (id != NULL && strncmp(id, "sha256:", 7) == 0)
		id += 7;
	*ret = id != NULL && strcmp(id, digest_hex(config).s) == 0;
	if (*ret && layers != NULL)
		engine_read_layers(v, layers);
	return 0;
}

static int send_archive(struct engine *en, struct archive *a, struct err *e)
{
	struct ask how = {.method = "POST",
			  .path = mem_strdup("/images/load?quiet=1"),
			  .type = "application/x-tar",
			  .quiet_ms = LOAD_QUIET_MS};
	struct http_request q = {
	    .body_fd = -1, .body_size = a->size, .read_at = read_at, .read_ctx = a};
	struct http_reply r = {0};
	int rc;

	if (engine_ask(en, &how, &q, &r, e) != 0)
		return -1;
	rc = r.status == 200 ? engine_read_load(r.body.data, r.body.len, e)
			     : engine_refused(en, &r, "load an image", e);
	http_reply_release(&r);
	return rc;
}

int engine_load(struct engine *en, const struct engine_image *i, struct err *e)
{
	struct archive a SCOPED(archive_release) = {.heads = BUF_INIT(HEADS_MAX)};
	bool there = false;

	if (build(i, &a, e) != 0 || send_archive(en, &a, e) != 0 ||
	    engine_has(en, &i->config.digest, &there, NULL, e) != 0)
		return -1;
	if (there)
		return 0;
	return err_set(e, ERR_VERIFY, "the engine at %s loaded something else than %s", en->socket,
		       digest_text(&i->config.digest).s);
}

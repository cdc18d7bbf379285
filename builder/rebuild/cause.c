/* cause.c - why two builds may have written something else into a file: by its name, by what is
 * different in it, and by who wrote it. */
#include "rebuild/again.h"

#include "base/glob.h"
#include "base/num.h"
#include "build/embed.h"
#include "sys/clock.h"
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LINES_MAX = 100000, TOKEN_MAX = 200, RANDOM_MIN = 16, DAYS_NEAR = 3, DAY_S = 86400 };

#define ANY  UINT_MAX
#define ONLY (REBUILD_ONLY_WAS | REBUILD_ONLY_IS)

/* The place where the contents part, and the words around it. */
struct spot {
	size_t at;
	char *was, *is; /* the tokens that hold it */
};

static bool is_text(const struct buf *b)
{
	return memchr(b->data, '\0', b->len) == NULL;
}

static size_t first_difference(const struct pair *p)
{
	size_t n = p->x.len < p->y.len ? p->x.len : p->y.len, i = 0;

	while (i < n && p->x.data[i] == p->y.data[i])
		i++;
	return i;
}

static bool in_token(char c)
{
	return isalnum((unsigned char)c) || strchr(":.+/=_-", c) != NULL;
}

static char *token_at(const struct buf *b, size_t at)
{
	size_t from = at, to = at;

	while (from > 0 && at - from < TOKEN_MAX && b->data[from - 1] != '\0' &&
	       in_token(b->data[from - 1]))
		from--;
	while (to < b->len && to - at < TOKEN_MAX && b->data[to] != '\0' && in_token(b->data[to]))
		to++;
	return mem_strndup(b->data + from, to - from);
}

/* host key, seed, id: names that say it all. Content rules come after them. */
static bool lines_in_other_order(const struct pair *p)
{
	const struct buf *both[2] = {&p->x, &p->y};
	struct strv v[2] = {{0}, {0}};
	bool same = p->x.len == p->y.len && p->x.len > 0 && is_text(&p->x) && is_text(&p->y);

	for (int i = 0; i < 2 && same; i++)
		for (const char *l = both[i]->data; *l != '\0'; l += *l == '\n') {
			char *line = mem_strndup(l, strcspn(l, "\n"));

			l += strlen(line);
			strv_take(&v[i], line);
			if (v[i].n > LINES_MAX)
				break;
		}
	strv_sort(&v[0]);
	strv_sort(&v[1]);
	same = same && v[0].n == v[1].n && v[0].n > 1;
	for (size_t i = 0; i < v[0].n && same; i++)
		same = strcmp(v[0].v[i], v[1].v[i]) == 0;
	strv_release(&v[0]);
	strv_release(&v[1]);
	return same;
}

static bool in_gzip_header(const struct pair *p)
{
	static const char magic[] = "\x1f\x8b";

	return p->x.len > 10 && p->y.len > 10 && memcmp(p->x.data, magic, 2) == 0 &&
	       memcmp(p->y.data, magic, 2) == 0 && memcmp(p->x.data + 3, p->y.data + 3, 7) != 0;
}

/* The token with every digit as 9: times of the same form have the same shape. */
static char *shape_of(const char *token)
{
	char *s = mem_strdup(token);

	for (char *c = s; *c != '\0'; c++)
		if (isdigit((unsigned char)*c))
			*c = '9';
	return s;
}

static bool is_time_shape(const char *shape)
{
	static const char *const shapes[] = {"9999-99-99*", "*99:99:99*", "99/99/9999",
					     "99.99.9999",  "99:99",      "99999999T999999*"};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (glob_match(shapes[i], shape))
			return true;
	return false;
}

/* Ten digits are seconds, thirteen milliseconds and so on, when they are of these days. */
static bool is_near(const char *token)
{
	static const size_t digits[] = {10, 13, 16, 19};
	int64_t now = clock_epoch_s();
	const char *at = token + strcspn(token, "0123456789");
	size_t n = strspn(at, "0123456789");
	char *seconds SCOPED(mem_freep) = mem_strndup(at, n < 10 ? n : 10);
	uint64_t v = 0;
	bool counts = false;

	for (size_t i = 0; i < 4; i++)
		counts = counts || n == digits[i];
	return counts && num_u64(seconds, UINT32_MAX, &v) == 0 &&
	       llabs((int64_t)v - now) < DAYS_NEAR * DAY_S;
}

/* Four bytes around the spot that are a time of these days, in either order. */
static bool is_binary_time(const struct buf *b, size_t at)
{
	int64_t now = clock_epoch_s();

	for (size_t from = at < 3 ? 0 : at - 3; from <= at && from + 4 <= b->len; from++) {
		const uint8_t *p = (const uint8_t *)b->data + from;
		int64_t little = p[0] | p[1] << 8 | p[2] << 16 | (int64_t)p[3] << 24;
		int64_t big = p[3] | p[2] << 8 | p[1] << 16 | (int64_t)p[0] << 24;

		if (llabs(little - now) < DAYS_NEAR * DAY_S || llabs(big - now) < DAYS_NEAR * DAY_S)
			return true;
	}
	return false;
}

static bool holds_a_time(const struct pair *p)
{
	size_t at = first_difference(p);
	char *x SCOPED(mem_freep) = token_at(&p->x, at), *y SCOPED(mem_freep) = token_at(&p->y, at);
	char *was SCOPED(mem_freep) = shape_of(x), *is SCOPED(mem_freep) = shape_of(y);

	if (!is_text(&p->x) || !is_text(&p->y))
		return is_binary_time(&p->y, at);
	return strcmp(was, is) == 0 && (is_time_shape(is) || is_near(y));
}

static bool is_long_code(const char *token)
{
	return strlen(token) >= RANDOM_MIN && strpbrk(token, "0123456789") != NULL;
}

static bool looks_random(const struct pair *p)
{
	size_t at = first_difference(p), n = p->x.len < p->y.len ? p->x.len : p->y.len, other = 0;
	char *x SCOPED(mem_freep) = NULL, *y SCOPED(mem_freep) = NULL;

	if (is_text(&p->x) && is_text(&p->y)) {
		x = token_at(&p->x, at);
		y = token_at(&p->y, at);
		return is_long_code(x) && is_long_code(y);
	}
	for (size_t i = at; i < n; i++)
		other += p->x.data[i] != p->y.data[i];
	return n >= at + RANDOM_MIN && other > (n - at) * 9 / 10;
}

static bool by_umask(const struct pair *p)
{
	return p->was != NULL && p->is != NULL && ((p->was->mode ^ p->is->mode) & ~077U) == 0;
}

/* In this order: the first that fits is said. */
static const struct rule {
	const char *glob; /* of the path; NULL = any */
	unsigned kinds;   /* any of them */
	bool (*fits)(const struct pair *p);
	const char *cause;
} rules[] = {
    {"etc/ssh/ssh_host_*", ANY, NULL, "a host key made during the build"},
    {"etc/ssl/*/ssl-cert-snakeoil*", ANY, NULL, "a certificate made during the build"},
    {"etc/machine-id", ANY, NULL, "a machine id made during the build"},
    {"var/lib/dbus/machine-id", ANY, NULL, "a machine id made during the build"},
    {"**/random-seed", ANY, NULL, "a random seed"},
    {"**/credential.secret", ANY, NULL, "a secret made during the build"},
    {"var/cache/ldconfig/aux-cache", ANY, NULL, "inodes and times of the libraries"},
    {"**/*.pyc", REBUILD_CONTENT, NULL,
     "Python bytecode with the time of its source: SOURCE_DATE_EPOCH was unset"},
    {"var/log/**", ANY, NULL, "a log"},
    {"**/*.log", REBUILD_CONTENT | ONLY, NULL, "a log"},
    {"**/*.lock", ONLY, NULL, "a lock file left behind"},
    {"**/*.pid", ANY, NULL, "a process id"},
    {"usr/share/posmedia/**", REBUILD_CONTENT, NULL, "the inputs are not the image's own"},
    {NULL, REBUILD_CONTENT, in_gzip_header,
     "name or time in a gzip header (gzip -n leaves it out)"},
    {NULL, REBUILD_CONTENT, lines_in_other_order, "the same lines in another order: not sorted"},
    {NULL, REBUILD_CONTENT, holds_a_time, "the time of the build"},
    {NULL, REBUILD_CONTENT, looks_random, "random: a key, a seed or an id"},
    {"etc/shadow", REBUILD_CONTENT, NULL, "the day of a password's change, or a salt"},
    {NULL, REBUILD_LINK, holds_a_time, "the time of the build"},
    {NULL, ONLY, NULL, "made in one of the builds only: by time, chance or machine"},
    {NULL, REBUILD_OWNER, NULL, "who ran the build"},
    {NULL, REBUILD_MODE, by_umask, "the umask of the build"},
    {NULL, REBUILD_MODE | REBUILD_TYPE, NULL, "what was there when it was made"},
    {NULL, REBUILD_XATTRS, NULL, "what the file system keeps of attributes"},
    {NULL, REBUILD_MTIME, NULL, "the time it was written"},
};

/* What only this machine or this build would write, on one side or the other. */
static const char *telling_word(const struct pair *p)
{
	const struct again *a = p->a;

	for (size_t i = 0; i < a->words.n; i++) {
		const char *w = a->words.v[i];
		size_t n = strlen(w);
		bool was = memmem(p->x.data, p->x.len, w, n) != NULL;
		bool is = memmem(p->y.data, p->y.len, w, n) != NULL;

		if (was != is && n >= 3)
			return a->meanings.v[i];
	}
	return NULL;
}

char *cause_of(const struct pair *p)
{
	const char *word = (p->kinds & (REBUILD_CONTENT | ONLY)) != 0 ? telling_word(p) : NULL;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *r = &rules[i];

		/* words are surer than the look of a content, names surer than words */
		if (word != NULL && r->glob == NULL)
			return mem_strdup(word);
		if ((p->kinds & r->kinds) == 0 ||
		    (r->glob != NULL && !glob_match(r->glob, p->path)))
			continue;
		if (r->fits == NULL || r->fits(p))
			return mem_strdup(r->cause);
	}
	return mem_strdup("unknown");
}

/* The step that may write there: the last of those whose `writes` has the path. */
static const struct recipe_step *step_of(const struct again *a, const char *path)
{
	for (size_t i = a->r->steps_n; i-- > 0;) {
		const struct recipe_step *st = &a->r->steps[i];

		for (size_t k = 0; k < st->writes.n; k++) {
			const char *dir = st->writes.v[k] + 1;
			size_t n = strlen(dir);

			if (n == 0 ||
			    (strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0')))
				return st;
		}
	}
	return NULL;
}

static const struct recipe_overlay *overlay_of(const struct again *a, const char *path)
{
	for (size_t i = a->r->overlays_n; i-- > 0;) {
		const struct recipe_overlay *o = &a->r->overlays[i];
		const char *to = o->to + 1;
		size_t n = strlen(to);
		char *from SCOPED(mem_freep) = NULL;
		struct stat st;

		if (n > 0 && (strncmp(path, to, n) != 0 || path[n] != '/'))
			continue;
		from = mem_format("%s/%s", o->from, path + n + (n > 0 ? 1 : 0));
		if (lstat(from, &st) == 0 && !S_ISDIR(st.st_mode))
			return o;
	}
	return NULL;
}

char *cause_by(const struct again *a, const struct map *owner, const char *path)
{
	const struct recipe_overlay *o = overlay_of(a, path);
	const struct recipe_step *st = step_of(a, path);
	const char *package = map_get(owner, path);

	if (o != NULL) {
		char *from SCOPED(mem_freep) = recipe_path(a->r, o->from);

		return mem_format("overlay %s", from);
	}
	if (strncmp(path, &EMBED_DIR[1], strlen(EMBED_DIR) - 1) == 0)
		return mem_strdup("posmedia");
	if (st != NULL && package != NULL)
		return mem_format("step %s or package %s", st->name, package);
	if (st != NULL)
		return mem_format("step %s", st->name);
	if (package != NULL)
		return mem_format("package %s", package);
	return mem_strdup("a maintainer script or the configuration");
}

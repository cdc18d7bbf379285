#include "build/vault.h"

#include "base/log.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECRET_MAX = 64 << 10, LINE_SHORTEST = 16 };

static void wipe(void *p, size_t n)
{
	if (p != NULL)
		explicit_bzero(p, n);
	free(p);
}

void vault_release(struct vault *s)
{
	for (size_t i = 0; i < s->n; i++) {
		wipe((void *)(uintptr_t)s->v[i].data, s->v[i].len);
		free((void *)(uintptr_t)s->v[i].name);
	}
	free(s->v);
	free(s->needles);
	*s = (struct vault){0};
}

static void add_needle(struct vault *s, struct needle nd)
{
	s->needles = mem_resize(s->needles, s->needles_n + 1, sizeof(*s->needles));
	s->needles[s->needles_n++] = nd;
}

static size_t without_line_end(const char *p, size_t n)
{
	while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r'))
		n--;
	return n;
}

/* A line of a key is as good as the key; the "-----BEGIN" around it is in every other key too. What
 * is said may have only lines of it: one is hidden as soon as it is there, and a terminal ends them
 * in another way. In a tree a short one, like "[default]", is no sign of a secret. */
static void add_lines(struct vault *s, const char *p, size_t n, const char *name)
{
	const char *end = p + n;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = without_line_end(p, (size_t)((nl != NULL ? nl : end) - p));

		if (len >= SECRET_SHORTEST && len < n && strncmp(p, "-----", 5) != 0)
			add_needle(s, (struct needle){p, len, name, len < LINE_SHORTEST});
		p = nl != NULL ? nl + 1 : end;
	}
}

static int longest_first(const void *a, const void *b)
{
	const struct needle *x = a, *y = b;

	return x->n != y->n ? (x->n > y->n ? -1 : 1) : memcmp(x->p, y->p, x->n);
}

static void add_needles(struct vault *s, const struct sandbox_secret *one)
{
	const char *p = one->data;
	size_t n = without_line_end(p, one->len);

	if (n < SECRET_SHORTEST) {
		log_warn("secret %s has less than %d bytes: it is not looked for in what steps "
			 "write and say",
			 one->name, SECRET_SHORTEST);
		return;
	}
	add_needle(s, (struct needle){p, n, one->name, false});
	add_lines(s, p, n, one->name);
}

static bool wanted(const struct recipe *r, const char *name)
{
	for (size_t i = 0; i < r->steps_n; i++)
		if (strv_has(&r->steps[i].secrets, name))
			return true;
	return false;
}

/* Reads the file without leaving copies of its bytes in memory that nobody wipes. */
static int read_file(const char *path, struct sandbox_secret *one, struct err *e)
{
	char *data = mem_zalloc(SECRET_MAX + 1);
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t r = fd < 0 ? -1 : 1;

	while (r > 0 && n <= SECRET_MAX) {
		r = read(fd, data + n, SECRET_MAX + 1 - n);
		n += r > 0 ? (size_t)r : 0;
	}
	one->data = data;
	one->len = n;
	if (r < 0)
		return err_sys(e, "%s", path);
	if (n == 0 || n > SECRET_MAX)
		return err_set(e, ERR_USAGE, "%s: %s", path,
			       n == 0 ? "is empty" : "has more than 64 KiB");
	return 0;
}

static int load_one(struct vault *s, const char *word, const struct recipe *r, struct err *e)
{
	const char *eq = strchr(word, '=');
	char *name SCOPED(mem_freep) = mem_strndup(word, eq == NULL ? 0 : (size_t)(eq - word));

	if (name[0] == '\0' || eq[1] == '\0')
		return err_set(e, ERR_USAGE, "--secret: wants NAME=FILE");
	if (!wanted(r, name)) {
		(void)err_set(e, ERR_USAGE, "--secret %s: no step of %s wants it", name, r->file);
		return err_hint(e, "a step names it under secrets:");
	}
	if (vault_find(s, name) != NULL)
		return err_set(e, ERR_USAGE, "--secret %s: given twice", name);
	s->v = mem_resize(s->v, s->n + 1, sizeof(*s->v));
	s->v[s->n] = (struct sandbox_secret){.name = mem_strdup(name)};
	if (read_file(eq + 1, &s->v[s->n++], e) == 0)
		return 0;
	e->kind = ERR_USAGE;
	return err_in(e, "--secret %s", name);
}

int vault_load(const struct strv *given, const struct recipe *r, struct vault *ret, struct err *e)
{
	struct vault s SCOPED(vault_release) = {0};

	for (size_t i = 0; i < given->n; i++)
		if (load_one(&s, given->v[i], r, e) != 0)
			return -1;
	for (size_t i = 0; i < s.n; i++)
		add_needles(&s, &s.v[i]);
	if (s.needles_n > 1)
		qsort(s.needles, s.needles_n, sizeof(*s.needles), longest_first);
	*ret = s;
	s = (struct vault){0};
	return 0;
}

const struct sandbox_secret *vault_find(const struct vault *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].name, name) == 0)
			return &s->v[i];
	return NULL;
}

int vault_check(const struct vault *s, const struct recipe_step *st, struct err *e)
{
	for (size_t i = 0; i < st->secrets.n; i++) {
		const char *name = st->secrets.v[i];

		if (vault_find(s, name) != NULL)
			continue;
		(void)recipe_err(&st->pos, e,
				 "step %s wants the secret \"%s\", which was not given", st->name,
				 name);
		e->kind = ERR_USAGE;
		return err_hint(e, "give --secret %s=FILE", name);
	}
	return 0;
}

static const struct needle *spot(const struct vault *s, const char *p, size_t n, bool short_too,
				 size_t *ret_at)
{
	const struct needle *first = NULL;
	size_t at = n;

	/* the longest first: of those that begin at one place it is the one */
	for (size_t i = 0; i < s->needles_n; i++) {
		const struct needle *nd = &s->needles[i];
		const char *hit = nd->short_line && !short_too ? NULL : memmem(p, n, nd->p, nd->n);

		if (hit == NULL || (size_t)(hit - p) >= at)
			continue;
		at = (size_t)(hit - p);
		first = nd;
	}
	if (first != NULL)
		*ret_at = at;
	return first;
}

const struct needle *vault_spot(const struct vault *s, const char *p, size_t n, size_t *ret_at)
{
	return spot(s, p, n, false, ret_at);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const struct needle *vault_spot_url(const struct vault *s, const char *url)
{
	size_t n = strlen(url), len = 0, at;
	const struct needle *found = vault_spot(s, url, n, &at);
	char *plain = NULL;

	if (found != NULL)
		return found;
	plain = mem_zalloc(n + 1);
	for (const char *c = url; *c != '\0'; c++) {
		int hi = *c == '%' ? hex(c[1]) : -1, lo = hi >= 0 ? hex(c[2]) : -1;

		plain[len++] = lo >= 0 ? (char)(hi * 16 + lo) : *c;
		c += lo >= 0 ? 2 : 0;
	}
	found = vault_spot(s, plain, len, &at);
	wipe(plain, n + 1);
	return found;
}

/* How many of the last bytes may be the beginning of a secret. */
static size_t held_back(const struct vault *s, const char *p, size_t n)
{
	size_t most = 0;

	for (size_t i = 0; i < s->needles_n; i++) {
		const struct needle *nd = &s->needles[i];
		size_t k = n < nd->n - 1 ? n : nd->n - 1;

		while (k > most && memcmp(p + n - k, nd->p, k) != 0)
			k--;
		most = k > most ? k : most;
	}
	return most;
}

size_t vault_hide(const struct vault *s, const char *p, size_t n, bool final, struct buf *out)
{
	size_t done = 0, at = 0, left;
	const struct needle *hit;

	while ((hit = spot(s, p + done, n - done, true, &at)) != NULL) {
		buf_add(out, p + done, at);
		buf_add(out, "***", 3);
		done += at + hit->n;
	}
	left = final ? 0 : held_back(s, p + done, n - done);
	buf_add(out, p + done, n - done - left);
	return n - left;
}

#include "keep/holds.h"

#include "base/buf.h"
#include "base/strv.h"
#include "form/json.h"
#include "ledger/ledger.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { HOLDS_MAX = 16 << 20 };

static void add(struct holds *h, const char *digest, char *why)
{
	if (!map_add(&h->why, digest, why))
		free(why);
}

static int bad_line(const char *path, unsigned line, size_t col, const char *what, struct err *e)
{
	(void)err_set(e, ERR_RECIPE, "%s:%u:%zu: %s", path, line, col, what);
	return err_hint(e, "A line is a digest, sha256: and 64 hex digits, and the reason.");
}

static int take_line(struct holds *h, const char *path, unsigned line, char *text, struct err *e)
{
	size_t begin = strspn(text, " \t"), n;
	char *word = text + begin, *why;
	struct digest d;

	if (word[0] == '\0' || word[0] == '#')
		return 0;
	n = strcspn(word, " \t");
	why = word + n + strspn(word + n, " \t");
	word[n] = '\0';
	if (digest_parse(word, &d) != 0)
		return bad_line(path, line, begin + 1, "no digest", e);
	if (why[0] == '\0')
		return bad_line(path, line, begin + n + 1, "no reason", e);
	add(h, digest_text(&d).s, mem_format("held: %s (%s:%u)", why, path, line));
	return 0;
}

int holds_file(struct holds *h, const char *path, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(HOLDS_MAX);
	char *p;

	if (fs_get_file(AT_FDCWD, path, &b, e) != 0)
		return -1;
	if (strlen(b.data) != b.len)
		return err_set(e, ERR_RECIPE, "%s: has bytes of 0", path);
	p = b.data;
	for (unsigned line = 1; *p != '\0'; line++) {
		size_t n = strcspn(p, "\n");
		bool more = p[n] == '\n';

		p[n] = '\0';
		if (take_line(h, path, line, p, e) != 0)
			return -1;
		p += n + (more ? 1 : 0);
	}
	return 0;
}

static void list_free(void *p)
{
	struct strv *l = p;

	strv_release(l);
	free(l);
}

static bool is(const struct ledger_text *t, const char *word)
{
	return t->n == strlen(word) && memcmp(t->p, word, t->n) == 0;
}

/* "SHOP ENVIRONMENT"; NULL when it does not say. The caller owns it. */
static char *shop_of(const struct ledger_line *line)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const char *shop, *env;

	if (jval_parse(line->fields.p, line->fields.n, "fields", &v, &quiet) != 0)
		return NULL;
	shop = jval_get_str(v, "shop");
	env = jval_get_str(v, "env");
	return shop != NULL ? mem_format("%s %s", shop, env != NULL ? env : "") : NULL;
}

static struct strv *shop_list(struct holds *h, const char *shop)
{
	struct strv *l = map_get(&h->shops, shop);

	if (l == NULL) {
		l = mem_zalloc(sizeof(*l));
		(void)map_put(&h->shops, shop, l);
	}
	return l;
}

static void take_event(struct holds *h, const struct ledger_line *line, const char *digest)
{
	char *shop SCOPED(mem_freep) = NULL;

	if (is(&line->kind, "promote") && digest[0] != '\0')
		add(h, digest, mem_strdup("promoted"));
	if (!is(&line->kind, "stage") && !is(&line->kind, "start") && !is(&line->kind, "destroy"))
		return;
	shop = shop_of(line);
	if (shop == NULL) /* of no shop that could be destroyed: it stays */
		shop = mem_strdup("a shop that the ledger does not name");
	if (is(&line->kind, "destroy"))
		strv_release(shop_list(h, shop));
	else if (digest[0] != '\0' && !strv_has(shop_list(h, shop), digest))
		strv_add(shop_list(h, shop), digest);
}

static int take(void *ctx, const struct ledger_line *line, struct err *e)
{
	char *text SCOPED(mem_freep) = mem_strndup(line->subject.p, line->subject.n);
	struct digest d;

	(void)e;
	take_event(ctx, line, digest_parse(text, &d) == 0 ? digest_text(&d).s : "");
	return 0;
}

int holds_ledger(struct holds *h, const char *dir, struct err *e)
{
	struct ledger_state state = {0};

	if (ledger_read(dir, take, h, &state, e) != 0)
		return err_hint(e, "What a damaged ledger does not tell might be needed.");
	return 0;
}

const char *holds_why(const struct holds *h, const struct digest *d)
{
	const char *text = digest_text(d).s, *why = map_get(&h->why, text);
	const char **shops SCOPED(mem_freep) = map_keys(&h->shops);

	for (size_t i = 0; why == NULL && i < h->shops.n; i++)
		if (strv_has(map_get(&h->shops, shops[i]), text))
			why = shops[i];
	return why;
}

void holds_release(struct holds *h)
{
	map_release(&h->why, free);
	map_release(&h->shops, list_free);
	*h = (struct holds){0};
}

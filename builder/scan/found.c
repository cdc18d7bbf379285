#include "scan/found.h"

#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

static const char *const words[SCAN_CLASSES] = {
    [SCAN_PAN] = "pan",
    [SCAN_TRACK1] = "track1",
    [SCAN_TRACK2] = "track2",
    [SCAN_CVV] = "cvv",
    [SCAN_PIN_BLOCK] = "pin-block",
    [SCAN_TEST_PAN] = "test-pan",
    [SCAN_PRIVATE_KEY] = "private-key",
    [SCAN_CREDENTIAL] = "credential",
    [SCAN_HASH] = "password-hash",
    [SCAN_TRUST] = "trust",
    [SCAN_IDENTITY] = "identity",
};

const char *found_word(enum scan_class cls)
{
	return words[cls];
}

int found_class(const char *word)
{
	for (int i = 0; i < SCAN_CLASSES; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return -1;
}

void found_add(struct found *f, const struct match *m, const char *inside)
{
	if (f->count[m->cls]++ >= FOUND_PLACES)
		return;
	f->v = mem_resize(f->v, f->n + 1, sizeof(*f->v));
	f->v[f->n++] = (struct place){*m, inside != NULL ? mem_strdup(inside) : NULL};
}

void found_note(struct found *f, const char *inside, const char *why)
{
	if (f->incomplete == NULL)
		f->incomplete =
		    inside != NULL ? mem_format("%s: %s", inside, why) : mem_strdup(why);
}

bool found_any(const struct found *f)
{
	return f->n > 0 || f->incomplete != NULL;
}

void found_release(struct found *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->v[i].inside);
	free(f->v);
	free(f->incomplete);
	*f = (struct found){0};
}

enum { NAME_DIGITS = 256 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

struct masking {
	char *name;
	struct found *f;
};

static void mask_at(void *ctx, const struct match *m)
{
	struct masking *k = ctx;
	size_t n = strlen(m->seen), i = 0;
	struct match named = *m;

	for (char *p = k->name + m->at; *p != '\0' && i < n; p++) {
		if (!is_digit(*p))
			continue;
		*p = m->seen[i++];
	}
	if (k->f == NULL)
		return;
	named.at = 0;
	found_add(k->f, &named, "its name");
}

/* Digits of a name, and where they stand; one blank, dash or dot may stand between two. */
struct digits {
	char d[NAME_DIGITS];
	size_t at[NAME_DIGITS];
	size_t n;
};

/* Takes the run that begins at p; returns where it ends. */
static char *take_digits(char *name, char *p, struct digits *ret)
{
	ret->n = 0;
	for (; ret->n < NAME_DIGITS; p++) {
		if (*p != '\0' && strchr(" -.", *p) != NULL && is_digit(p[1]))
			p++;
		if (!is_digit(*p))
			break;
		ret->at[ret->n] = (size_t)(p - name);
		ret->d[ret->n++] = *p;
	}
	return p;
}

/* How many digits from i on may be a card number: an issuer's wherever they stand in a run,
 * anything with a check digit that fits when it is the whole run. 0 for none. */
static size_t card_at(const struct digits *r, size_t i)
{
	for (size_t n = CARD_MAX; n >= CARD_MIN; n--)
		if (i + n <= r->n && issuer_luhn(r->d + i, n) &&
		    (n == r->n || issuer_of(r->d + i, n) != NULL))
			return n;
	return 0;
}

/* What the matcher leaves alone for what stands around it must not be shown either. */
static void mask_rest(char *name)
{
	enum { HEAD = 6, TAIL = 4 };
	struct digits r;

	for (char *p = name; *p != '\0';) {
		char *end;

		if (!is_digit(*p)) {
			p++;
			continue;
		}
		end = take_digits(name, p, &r);
		for (size_t i = 0; i < r.n; i++) {
			size_t n = card_at(&r, i);

			for (size_t k = i + HEAD; k + TAIL < i + n; k++)
				name[r.at[k]] = '*';
		}
		/* a longer run goes on where a number may begin that it cuts */
		p = r.n == NAME_DIGITS ? name + r.at[NAME_DIGITS - CARD_MAX] : end;
	}
}

char *found_name(const char *name, struct found *f)
{
	struct masking k = {mem_strdup(name), f};
	struct matcher m = {.fn = mask_at, .ctx = &k};

	match_whole(&m, name, strlen(name), 0);
	k.f = NULL;
	match_end(&m);
	mask_rest(k.name);
	return k.name;
}

static void put_name(struct jval *v, const char *key, const char *name)
{
	char *masked SCOPED(mem_freep) = found_name(name, NULL);

	jval_put_text(v, key, masked);
}

static struct jval *place_json(const struct place *p)
{
	struct jval *v = jval_object();

	jval_put_text(v, "class", words[p->m.cls]);
	jval_put_text(v, "what", p->m.what);
	jval_put_int(v, "offset", (int64_t)(p->m.at & INT64_MAX));
	if (p->m.seen[0] != '\0')
		jval_put_text(v, "seen", p->m.seen);
	if (p->inside != NULL)
		put_name(v, "inside", p->inside);
	return v;
}

static int by_place(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;
	int rc = strcmp(a->inside != NULL ? a->inside : "", b->inside != NULL ? b->inside : "");

	if (rc == 0 && a->m.at != b->m.at)
		rc = a->m.at < b->m.at ? -1 : 1;
	return rc != 0 ? rc : (int)a->m.cls - (int)b->m.cls;
}

struct jval *found_json(const struct found *f, const struct found_of *of)
{
	struct jval *v = jval_object(), *counts = jval_object(), *places = jval_array();

	put_name(v, "file", of->path);
	if (of->layer != NULL)
		jval_put_text(v, "layer", of->layer);
	if (of->sha256 != NULL)
		jval_put_text(v, "sha256", digest_hex(of->sha256).s);
	if (f->incomplete != NULL)
		put_name(v, "incomplete", f->incomplete);
	for (int i = 0; i < SCAN_CLASSES; i++)
		if (f->count[i] > 0)
			jval_put_int(counts, words[i], (int64_t)f->count[i]);
	jval_put(v, "counts", counts);
	if (f->n > 1)
		qsort(f->v, f->n, sizeof(*f->v), by_place);
	for (size_t i = 0; i < f->n && i < of->places; i++)
		jval_push(places, place_json(&f->v[i]));
	jval_put(v, "places", places);
	return v;
}

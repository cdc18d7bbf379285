/* Any text in each format of settings: what is read has a key and a place in the file, and a
 * setting that is written is read back. */
#include "root.h"

#include "harden/kv.h"
#include "harden/lines.h"

/* What is written for all of them; the key is one that no other line of a text is likely to have.
 */
static const char *const pair[] = {"posmedia", "1"}, *const inside[] = {"Pos.posmedia", "1"};

static bool is_there(const struct kv_set *s, const char *key)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].key, key) == 0 && strcmp(s->v[i].val, "1") == 0)
			return true;
	return false;
}

static void one(const struct kv_format *f, const char *path, const char *text, size_t lines)
{
	const char *const *new = f->syntax == KV_INI ? inside : pair;
	struct kv_set s SCOPED(kv_release) = {0}, more SCOPED(kv_release) = {0};
	struct err e = ERR_INIT;

	fuzz_put(path, text, strlen(text));
	if (kv_read(fuzz_root(), f, path, &s, &e) != 0)
		return;
	for (size_t i = 0; i < s.n; i++) {
		HOLDS(s.v[i].key != NULL && s.v[i].val != NULL && s.v[i].file != NULL);
		HOLDS(strcmp(s.v[i].file, path) != 0 || s.v[i].line <= lines);
	}
	HOLDS(kv_write(fuzz_root(), f, path, new, &e) == 0);
	if (kv_read(fuzz_root(), f, path, &more, &e) == 0 && strstr(text, "posmedia") == NULL &&
	    strpbrk(text, "\\\"'[") == NULL && strcasestr(text, "match") == NULL)
		HOLDS(is_there(&more, new[0]) || f->syntax == KV_LIMITS);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text SCOPED(mem_freep) = fuzz_text(p, n);
	struct strv lines SCOPED(strv_release) = {0};

	lines_split(text, &lines);
	for (const char *const *name = kv_format_names(); *name != NULL; name++) {
		const struct kv_format *f = kv_format_find(*name);

		one(f, f->main != NULL ? f->main : "etc/x", text, lines.n);
	}
	return 0;
}

#include "restore/scanned.h"

#include "scan/found.h"
#include "scan/scan.h"
#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

char *restore_told(const char *path)
{
	char *masked SCOPED(mem_freep) = found_name(path, NULL);
	struct jval *v SCOPED(jval_freep) = jval_text(masked);

	return mem_strdup(jval_str(v));
}

static bool counts(const struct jval *file, const char *word)
{
	int64_t n;

	return jval_get_int(jval_get(file, "counts"), word, &n) == 0 && n > 0;
}

/* The rule that a file of the report falls under, or NULL. */
static const char *rule_of(const struct jval *file)
{
	static const enum scan_class cards[] = {SCAN_PAN, SCAN_TRACK1, SCAN_TRACK2, SCAN_CVV,
						SCAN_PIN_BLOCK},
				     secrets[] = {SCAN_PRIVATE_KEY, SCAN_CREDENTIAL, SCAN_HASH};

	for (size_t i = 0; i < sizeof(cards) / sizeof(cards[0]); i++)
		if (counts(file, found_word(cards[i])))
			return "found cardholder data";
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		if (counts(file, found_word(secrets[i])))
			return "found secrets";
	return jval_get_str(file, "incomplete") != NULL ? "not looked at whole" : NULL;
}

/* The files of a manifest by what a report calls them, and all names of each. */
struct index {
	const struct manifest *m;
	struct map told;    /* to the last entry that is called so, plus 1 */
	size_t *told_next;  /* and from there to the one before, plus 1 */
	struct map names;   /* of a first name: to the last entry of that file, plus 1 */
	size_t *names_next; /* and so on */
};

static void index_release(struct index *x)
{
	map_release(&x->told, NULL);
	map_release(&x->names, NULL);
	free(x->told_next);
	free(x->names_next);
}

static size_t last_of(const struct map *m, const char *key)
{
	return (size_t)(uintptr_t)map_get(m, key);
}

static const char *first_name(const struct manifest_entry *en)
{
	return en->same_as != NULL ? en->same_as : en->path;
}

static void index_make(const struct manifest *m, struct index *x)
{
	x->m = m;
	x->told_next = mem_zalloc((m->n + 1) * sizeof(*x->told_next));
	x->names_next = mem_zalloc((m->n + 1) * sizeof(*x->names_next));
	for (size_t i = 0; i < m->n; i++) {
		char *told SCOPED(mem_freep) = NULL;
		void *at = (void *)(uintptr_t)(i + 1);

		if (m->v[i].type != MANIFEST_FILE)
			continue;
		told = restore_told(m->v[i].path);
		x->told_next[i] = (size_t)(uintptr_t)map_put(&x->told, told, at);
		x->names_next[i] = (size_t)(uintptr_t)map_put(&x->names, first_name(&m->v[i]), at);
	}
}

/* All that are called so, since two may share a masked name, each with all of its names. */
static bool drop(const struct index *x, const char *name, const char *rule,
		 struct restore_filter *f, struct map *ret)
{
	size_t at = last_of(&x->told, name);

	if (at == 0)
		return false;
	for (; at > 0; at = x->told_next[at - 1]) {
		size_t k = last_of(&x->names, first_name(&x->m->v[at - 1]));

		for (; k > 0; k = x->names_next[k - 1])
			if (map_add(ret, x->m->v[k - 1].path, NULL))
				restore_filter_note(f, rule, x->m->v[k - 1].path);
	}
	return true;
}

int restore_scanned(const char *dir, const struct manifest *m, struct restore_filter *f,
		    struct map *ret, struct err *e)
{
	const struct scan_opts o = {.today = clock_wall_s()};
	struct jval *report SCOPED(jval_freep) = NULL;
	struct index x SCOPED(index_release) = {0};
	const struct jval *files;

	if (scan_path(dir, dir, &o, &report, e) != 0)
		return -1;
	index_make(m, &x);
	files = jval_get(report, "files");
	for (size_t i = 0; i < jval_len(files); i++) {
		const char *name = jval_get_str(jval_at(files, i), "file");
		const char *rule = rule_of(jval_at(files, i));

		if (name == NULL || rule == NULL)
			continue;
		name += name[0] == '/';
		if (!drop(&x, name, rule, f, ret))
			return err_set(e, ERR_VERIFY, "%s: %s, and no file is called so", name,
				       rule);
	}
	return 0;
}

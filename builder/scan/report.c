/* report.c - what was found as text, and whether that is refused. */
#include "scan/found.h"
#include "scan/scan.h"

#include "base/num.h"
#include <stdlib.h>
#include <string.h>

enum severity { LOW, MEDIUM, HIGH };

static const char *const words[] = {"low", "medium", "high"};

static enum severity severity_of(enum scan_class cls)
{
	if (cls == SCAN_TEST_PAN)
		return LOW;
	return cls == SCAN_TRUST || cls == SCAN_IDENTITY ? MEDIUM : HIGH;
}

static uint64_t count(const struct jval *counts, enum scan_class cls)
{
	int64_t n;

	return jval_get_int(counts, found_word(cls), &n) == 0 && n > 0 ? (uint64_t)n : 0;
}

/* Findings of a class that nobody answers for. */
static uint64_t open_count(const struct jval *report, enum scan_class cls)
{
	const struct jval *files = jval_get(report, "files");
	uint64_t n = count(jval_get(report, "counts"), cls);

	for (size_t i = 0; i < jval_len(files); i++) {
		const struct jval *f = jval_at(files, i);

		if (jval_get_str(jval_get(f, "allowed"), found_word(cls)) != NULL)
			n -= count(jval_get(f, "counts"), cls);
	}
	return n;
}

static void place_text(const struct jval *file, const struct jval *p, struct buf *out)
{
	const char *cls = jval_get_str(p, "class"), *seen = jval_get_str(p, "seen"),
		   *inside = jval_get_str(p, "inside"), *what = jval_get_str(p, "what"),
		   *reason = jval_get_str(jval_get(file, "allowed"), cls != NULL ? cls : ""),
		   *until = jval_get_str(jval_get(file, "expired"), cls != NULL ? cls : "");
	int64_t at = 0;

	if (cls == NULL || what == NULL || jval_get_int(p, "offset", &at) != 0)
		return;
	buf_addf(out, "  %-13s %s%s%s%s%s at %lld", cls, seen != NULL ? seen : "",
		 seen != NULL ? " " : "", what, inside != NULL ? " in " : "",
		 inside != NULL ? inside : "", (long long)at);
	if (reason != NULL)
		buf_addf(out, " (allowed: %s)", reason);
	else if (until != NULL)
		buf_addf(out, " (the exception ended on %s)", until);
	buf_addf(out, "\n");
}

static void file_text(const struct jval *f, struct buf *out)
{
	const char *path = jval_get_str(f, "file"), *layer = jval_get_str(f, "layer"),
		   *sha = jval_get_str(f, "sha256"), *why = jval_get_str(f, "incomplete");
	const struct jval *places = jval_get(f, "places");
	uint64_t all = 0;

	buf_addf(out, "%s%s%s%s%s\n", path != NULL ? path : "?", layer != NULL ? " of layer " : "",
		 layer != NULL ? layer : "", sha != NULL ? ", sha256 " : "",
		 sha != NULL ? sha : "");
	for (size_t i = 0; i < jval_len(places); i++)
		place_text(f, jval_at(places, i), out);
	for (int i = 0; i < SCAN_CLASSES; i++)
		all += count(jval_get(f, "counts"), (enum scan_class)i);
	if (all > jval_len(places))
		buf_addf(out, "  and %llu more\n", (unsigned long long)(all - jval_len(places)));
	if (why != NULL)
		buf_addf(out, "  not all of it was looked at: %s\n", why);
}

void scan_text(const struct jval *report, struct buf *out)
{
	const struct jval *files = jval_get(report, "files");
	char *bytes SCOPED(mem_freep) = num_human((uint64_t)jval_num(report, "bytes-scanned"));
	const char *object = jval_get_str(report, "object");
	size_t n = 0;

	for (size_t i = 0; i < jval_len(files); i++)
		file_text(jval_at(files, i), out);
	buf_addf(out, "%s: %lld files, %s:", object != NULL ? object : "",
		 (long long)jval_num(report, "files-scanned"), bytes);
	for (int i = 0; i < SCAN_CLASSES; i++) {
		uint64_t all = count(jval_get(report, "counts"), (enum scan_class)i),
			 left = open_count(report, (enum scan_class)i);

		if (all == 0)
			continue;
		buf_addf(out, "%s %llu %s", n++ > 0 ? "," : "", (unsigned long long)all,
			 found_word((enum scan_class)i));
		if (left < all)
			buf_addf(out, " (%llu allowed)", (unsigned long long)(all - left));
	}
	buf_addf(out, "%s", n == 0 ? " nothing found" : "");
	if (jval_num(report, "files-incomplete") > 0)
		buf_addf(out, ", %lld not looked at whole",
			 (long long)jval_num(report, "files-incomplete"));
	buf_addf(out, "\n");
}

static int level_of(const char *word, int *ret, struct err *e)
{
	*ret = -1;
	if (strcmp(word, "never") == 0)
		return 0;
	for (int i = LOW; i <= HIGH; i++)
		if (strcmp(words[i], word) == 0)
			*ret = i;
	if (*ret >= 0)
		return 0;
	return err_set(e, ERR_USAGE, "--fail-on %s: it is low, medium, high or never", word);
}

int scan_gate(const struct jval *report, const char *fail_on, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(512);
	const int64_t incomplete = jval_num(report, "files-incomplete");
	int level;

	if (level_of(fail_on, &level, e) != 0)
		return -1;
	for (int i = 0; level >= 0 && i < SCAN_CLASSES; i++) {
		uint64_t n = open_count(report, (enum scan_class)i);

		if ((int)severity_of((enum scan_class)i) >= level && n > 0)
			buf_addf(&b, "%s%llu %s", b.len > 0 ? ", " : "", (unsigned long long)n,
				 found_word((enum scan_class)i));
	}
	if (b.len > 0) {
		(void)err_set(e, ERR_VERIFY, "found %s", b.data);
		return err_hint(e, "Take it out of what it came from, or allow it by the digest of "
				   "its file, with a reason (--allow).");
	}
	if (level < 0 || incomplete <= 0)
		return 0;
	(void)err_set(e, ERR_VERIFY, "%lld files were not looked at whole", (long long)incomplete);
	return err_hint(e,
			"The report says why. Take them out or mend them; what is in them is not "
			"known.");
}

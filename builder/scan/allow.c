#include "scan/allow.h"

#include "form/digest.h"
#include "scan/found.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>

enum { ALLOW_FILE_MAX = 1 << 20, DATE_LENGTH = 10 };

static const char *const keys[] = {"sha256", "class", "reason", "until", NULL};

static const char *text_of(const struct yaml *entry, const char *key)
{
	const struct yaml *y = yaml_get(entry, key);

	return y != NULL && y->kind == YAML_SCALAR && y->text[0] != '\0' ? y->text : NULL;
}

/* YYYY-MM-DD */
static bool is_date(const char *s)
{
	static const char form[] = "dddd-dd-dd";

	for (size_t i = 0; i < DATE_LENGTH; i++)
		if (form[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != form[i])
			return false;
	return s[DATE_LENGTH] == '\0';
}

static int check_keys(const struct yaml *entry, struct err *e)
{
	if (entry->kind != YAML_MAP)
		return yaml_err(entry, e, "an exception has sha256, class and reason");
	for (size_t i = 0; i < entry->n; i++) {
		const struct yaml_pair *p = &entry->pairs[i];
		size_t k = 0;

		while (keys[k] != NULL && strcmp(keys[k], p->key) != 0)
			k++;
		if (keys[k] == NULL)
			return yaml_err(p->val, e, "an exception has no \"%s\"", p->key);
		if (text_of(entry, p->key) == NULL)
			return yaml_err(p->val, e, "\"%s\" is not empty text", p->key);
	}
	for (size_t k = 0; k < 3; k++)
		if (text_of(entry, keys[k]) == NULL)
			return yaml_err(entry, e, "the exception has no %s", keys[k]);
	return 0;
}

static int check_entry(const struct yaml *entry, struct err *e)
{
	const char *until;
	struct digest d;

	if (check_keys(entry, e) != 0)
		return -1;
	until = text_of(entry, "until");
	if (digest_parse_hex(text_of(entry, "sha256"), &d) != 0)
		return yaml_err(yaml_get(entry, "sha256"), e, "no SHA-256 of 64 hex digits");
	if (found_class(text_of(entry, "class")) < 0) {
		(void)yaml_err(yaml_get(entry, "class"), e, "\"%s\" is no class of finding",
			       text_of(entry, "class"));
		return err_hint(e, "Take the class that the report names, such as pan or "
				   "private-key.");
	}
	if (until != NULL && !is_date(until))
		return yaml_err(yaml_get(entry, "until"), e, "\"%s\" is no YYYY-MM-DD", until);
	return 0;
}

static int check(const struct yaml *y, struct err *e)
{
	const struct yaml *list = yaml_get(y, "allow");

	if (list == NULL || list->kind != YAML_LIST || y->n != 1)
		return yaml_err(y, e, "a file of exceptions has one key, \"allow\", and a list");
	for (size_t i = 0; i < list->n; i++)
		if (check_entry(list->items[i], e) != 0)
			return -1;
	return 0;
}

int allow_load(const char *path, struct yaml **ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(ALLOW_FILE_MAX);
	struct yaml *y SCOPED(yaml_freep) = NULL;

	if (fs_get_file(AT_FDCWD, path, &b, e) != 0 ||
	    yaml_parse(b.data, b.len, path, &y, e) != 0 || check(y, e) != 0)
		return -1;
	*ret = STEAL(y);
	return 0;
}

static void apply_to(const struct scan_allow *a, struct jval *file, const char *today)
{
	const char *sha = jval_get_str(file, "sha256"), *key = "allowed", *text = a->reason;
	int64_t n;

	if (sha == NULL || strcmp(sha, digest_hex(&a->sha256).s) != 0 ||
	    jval_get_int(jval_get(file, "counts"), a->cls, &n) != 0)
		return;
	if (a->until != NULL && strncmp(today, a->until, DATE_LENGTH) > 0) {
		key = "expired";
		text = a->until;
	}
	if (jval_get(file, key) == NULL)
		jval_put(file, key, jval_object());
	jval_put_text(jval_get(file, key), a->cls, text);
}

void allow_apply_one(const struct scan_allow *a, struct jval *report, int64_t today)
{
	struct jval *files = jval_get(report, "files");
	char *date SCOPED(mem_freep) = clock_rfc3339(today);

	for (size_t k = 0; k < jval_len(files); k++)
		apply_to(a, jval_at(files, k), date);
}

void allow_apply(const struct yaml *allow, struct jval *report, int64_t today)
{
	const struct yaml *list = yaml_get(allow, "allow");

	for (size_t i = 0; list != NULL && i < list->n; i++) {
		const struct yaml *entry = list->items[i];
		struct scan_allow a = {.cls = text_of(entry, "class"),
				       .reason = text_of(entry, "reason"),
				       .until = text_of(entry, "until")};

		/* allow_load has checked it */
		if (digest_parse_hex(text_of(entry, "sha256"), &a.sha256) == 0)
			allow_apply_one(&a, report, today);
	}
}

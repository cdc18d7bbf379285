#include "harden/image_words.h"

#include "form/digest.h"
#include "harden/secret_text.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

/* What somebody calls a secret. */
static const char *const names[] = {"password",   "passwd",     "passphrase", "secret",
				    "token",      "api_key",    "apikey",     "private_key",
				    "access_key", "credential", "client_key"};

/* Whether a name is a secret's, and not of a place where one is ("..._FILE"). */
static bool is_secret_name(const char *name, size_t n)
{
	char *text SCOPED(mem_freep) = mem_strndup(name, n);

	if (n > 5 && strcasecmp(text + n - 5, "_file") == 0)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasestr(text, names[i]) != NULL)
			return true;
	return false;
}

struct seeing {
	struct strv *found;
	const char *where;
};

static void on_seen(void *ctx, const struct secret_seen *s)
{
	const struct seeing *k = ctx;

	strv_addf(k->found, "image configuration: %s: %s", k->where, s->what);
}

/* "name=value" anywhere in a text; "name=$VARIABLE" gives nothing away. */
static bool gives_secret(const char *text)
{
	for (const char *p = text; *p != '\0';) {
		size_t n = 0;

		while (isalnum((unsigned char)p[n]) || p[n] == '_' || p[n] == '-')
			n++;
		if (n > 0 && p[n] == '=' && strchr(" $", p[n + 1]) == NULL && is_secret_name(p, n))
			return true;
		p += n > 0 ? n : 1;
	}
	return false;
}

static void look_at(const char *where, const char *text, struct strv *found)
{
	struct seeing k = {found, where};
	const struct secret_look l = {
	    .path = "image configuration", .p = text, .n = text == NULL ? 0 : strlen(text)};
	size_t before = found->n;

	if (text == NULL)
		return;
	secret_kinds(&l, SECRET_PRIVATE_KEY | SECRET_CREDENTIAL | SECRET_HASH, on_seen, &k);
	if (found->n == before && gives_secret(text))
		strv_addf(found, "image configuration: %s: gives a secret by its name", where);
}

static int on_label(void *ctx, const char *key, struct jval *val)
{
	char *where SCOPED(mem_freep) = mem_format("label %s", key);
	const char *text = jval_str(val);
	struct strv *found = ctx;
	size_t before = found->n;

	look_at(where, text, found);
	if (found->n == before && text != NULL && *text != '\0' && is_secret_name(key, strlen(key)))
		strv_addf(found, "image configuration: %s: gives a secret by its name", where);
	return 0;
}

static void look_at_list(const struct jval *config, const char *key, struct strv *found)
{
	const struct jval *list = jval_get(config, key);

	for (size_t i = 0; i < jval_len(list); i++) {
		const char *text = jval_str(jval_at(list, i));
		char *where SCOPED(mem_freep) = NULL;

		/* of a variable the name is said, of an argument nothing */
		if (text != NULL && strcmp(key, "Env") == 0)
			where = mem_format("variable %.*s", (int)strcspn(text, "="), text);
		else
			where = mem_strdup(key);
		look_at(where, text, found);
	}
}

void image_words(const struct jval *config, struct strv *found)
{
	static const char *const lists[] = {"Env", "Entrypoint", "Cmd"};
	const struct jval *c = jval_get(config, "config"), *history = jval_get(config, "history");

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		look_at_list(c, lists[i], found);
	(void)jval_each(jval_get(c, "Labels"), on_label, found);
	for (size_t i = 0; i < jval_len(history); i++) {
		const struct jval *h = jval_at(history, i);

		look_at("history", jval_get_str(h, "created_by"), found);
		look_at("history", jval_get_str(h, "comment"), found);
	}
}

struct labels {
	const char *prefix;
	struct strv *found, *held;
	size_t n;
};

static int on_digest(void *ctx, const char *key, struct jval *val)
{
	struct labels *k = ctx;
	const char *text = jval_str(val);
	struct digest d;

	if (strncmp(key, k->prefix, strlen(k->prefix)) != 0)
		return 0;
	k->n++;
	if (text == NULL || digest_parse(text, &d) != 0)
		strv_addf(k->found, "image configuration: label %s is no digest", key);
	else if (k->held != NULL)
		strv_addf(k->held, "image configuration: label %s is %s", key, text);
	return 0;
}

void image_label(const struct jval *config, const char *label, struct strv *found,
		 struct strv *held)
{
	size_t n = strcspn(label, "*");
	char *prefix SCOPED(mem_freep) = mem_strndup(label, n);
	struct labels k = {.prefix = prefix, .found = found, .held = held};
	const struct jval *labels = jval_get(config, "Labels");

	if (label[n] == '*')
		(void)jval_each(labels, on_digest, &k);
	else if (jval_get(labels, label) != NULL)
		(void)on_digest(&k, label, jval_get(labels, label));
	if (k.n == 0)
		strv_addf(found, "image configuration: there is no label %s", label);
}

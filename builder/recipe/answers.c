#include "recipe/answers.h"

#include "base/num.h"
#include "recipe/schema.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* A line that is typed must fit into a terminal's own buffer of 4095 bytes. */
enum { FILE_MAX = 1 << 20, REPLY_MAX = 1024, PROMPT_MAX = 1024, TIMES_MAX = 1000 };

static const uint64_t quiet_ms = UINT64_C(10) * 1000;

static char **slot(void *to, const struct field *f)
{
	return (char **)(void *)((char *)to + f->at);
}

static bool has_control(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

static int read_text(const struct yaml *y, const struct field *f, void *to, size_t max,
		     struct err *e)
{
	if (y->kind != YAML_SCALAR || strlen(y->text) > max || has_control(y->text))
		return schema_refuse(y, e, "Write one line of at most 1024 bytes, in quotes.",
				     "\"%s\" wants one line of text", f->key);
	*slot(to, f) = mem_strdup(y->text);
	return 0;
}

static int read_prompt(const char *root, const struct yaml *y, const struct field *f, void *to,
		       struct err *e)
{
	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	return read_text(y, f, to, PROMPT_MAX, e);
}

static int read_reply(const char *root, const struct yaml *y, const struct field *f, void *to,
		      struct err *e)
{
	(void)root;
	return read_text(y, f, to, REPLY_MAX, e);
}

static int read_times(const char *root, const struct yaml *y, const struct field *f, void *to,
		      struct err *e)
{
	struct recipe_answer *a = to;

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	if (num_u64(y->text, TIMES_MAX, &a->times) == 0 && a->times > 0)
		return 0;
	return schema_refuse(y, e, "Write how often it is asked, 1 to 1000.",
			     "\"times\" wants a number, not \"%s\"", schema_show(y->text).s);
}

static int read_enter(const char *root, const struct yaml *y, const struct field *f, void *to,
		      struct err *e)
{
	struct recipe_answer *a = to;

	if (read_bool(root, y, f, to, e) != 0)
		return -1;
	a->no_enter = !a->no_enter;
	return 0;
}

#define IN(member) offsetof(struct recipe_answer, member)

static const struct field answer_fields[] = {
    {"prompt", read_prompt, IN(prompt), NULL, false},
    {"pattern", read_prompt, IN(pattern), NULL, false},
    {"reply", read_reply, IN(reply), NULL, false},
    {"secret", read_word, IN(secret), &grammar_name, false},
    {"times", read_times, 0, NULL, false},
    {"optional", read_bool, IN(optional), NULL, false},
    {"enter", read_enter, IN(no_enter), NULL, false},
    {0},
};

static void answer_defaults(void *item)
{
	struct recipe_answer *a = item;

	if (a->times == 0)
		a->times = 1;
}

static const char *const unique_nothing[] = {NULL};
static const struct array array_answers = {
    answer_fields,
    unique_nothing,
    sizeof(struct recipe_answer),
    offsetof(struct recipe_answers, n),
    IN(pos),
    answer_defaults,
};

static int read_schema(const char *root, const struct yaml *y, const struct field *f, void *to,
		       struct err *e)
{
	static const char *const known[] = {"1", NULL};
	const struct field choice = {f->key, read_choice, f->at, known, true};

	return read_choice(root, y, &choice, to, e);
}

static const struct field file_fields[] = {
    {"posmedia-answers", read_schema, offsetof(struct recipe_answers, schema), NULL, true},
    {"quiet", read_duration, offsetof(struct recipe_answers, quiet_ms), NULL, false},
    {"answers", read_array, offsetof(struct recipe_answers, v), &array_answers, true},
    {0},
};

/* Exactly one of two keys. */
static int want_one(const struct yaml *y, const char *const keys[2], struct err *e)
{
	bool one = yaml_get(y, keys[0]) != NULL, other = yaml_get(y, keys[1]) != NULL;

	if (one != other)
		return 0;
	yaml_err(y, e, "%s \"%s\" %s \"%s\"", one ? "both" : "neither", keys[0],
		 one ? "and" : "nor", keys[1]);
	return err_hint(e, "Write exactly one of the two.");
}

static int check(const struct yaml *y, struct err *e)
{
	static const char *const asks[] = {"prompt", "pattern"}, *const says[] = {"reply",
										  "secret"};
	const struct yaml *list = yaml_get(y, "answers");

	if (list->n == 0)
		return schema_refuse(list, e, "Write \"- {prompt: TEXT, reply: TEXT}\".",
				     "\"answers\" is empty");
	for (size_t i = 0; i < list->n; i++)
		if (want_one(list->items[i], asks, e) != 0 ||
		    want_one(list->items[i], says, e) != 0)
			return -1;
	return 0;
}

int recipe_answers_load(const char *path, struct recipe_answers **ret, struct err *e)
{
	struct recipe_answers *a SCOPED(recipe_answers_freep) = mem_zalloc(sizeof(*a));
	struct buf b SCOPED(buf_release) = BUF_INIT(FILE_MAX);
	struct yaml *y SCOPED(yaml_freep) = NULL;
	const struct field top = {"answers file", read_map, 0, file_fields, true};

	if (fs_get(AT_FDCWD, path, &b, e) != 0 || yaml_parse(b.data, b.len, path, &y, e) != 0 ||
	    read_map(NULL, y, &top, a, e) != 0 || check(y, e) != 0)
		return -1;
	if (a->quiet_ms == 0)
		a->quiet_ms = quiet_ms;
	a->digest = digest_of(b.data, b.len);
	*ret = STEAL(a);
	return 0;
}

const char *recipe_answer_wants(const struct recipe_answer *a)
{
	return a->prompt != NULL ? a->prompt : a->pattern;
}

void recipe_answers_free(struct recipe_answers *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; a->v != NULL && i < a->n; i++) {
		free(a->v[i].prompt);
		free(a->v[i].pattern);
		free(a->v[i].reply);
		free(a->v[i].secret);
	}
	free(a->v);
	free(a->schema);
	free(a);
}

void recipe_answers_freep(struct recipe_answers **a)
{
	recipe_answers_free(*a);
	*a = NULL;
}

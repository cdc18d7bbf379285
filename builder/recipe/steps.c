#include "recipe/answers.h"
#include "recipe/sections.h"

#include "base/num.h"
#include "sys/fs.h"
#include <stdlib.h>
#include <string.h>

static const uint64_t step_timeout_ms = UINT64_C(10) * 60 * 1000;
static const uint64_t test_timeout_ms = UINT64_C(60) * 1000;

enum { PROCESSES_MAX = 30000 };

static int by_media(const void *a, const void *b)
{
	const struct recipe_mount *x = a, *y = b;

	return strcmp(x->media, y->media);
}

/* MEDIUM: PATH pairs, sorted by medium: the order of keys means nothing. */
static int read_mounts(const char *root, const struct yaml *y, const struct field *f, void *to,
		       struct err *e)
{
	struct recipe_step *step = to;

	(void)root;
	if (schema_want_map(y, f->key, e) != 0)
		return -1;
	step->mounts = mem_zalloc((y->n + 1) * sizeof(*step->mounts));
	for (size_t i = 0; i < y->n; i++) {
		const struct yaml *at = y->pairs[i].val;

		if (schema_word(at, y->pairs[i].key, &grammar_image_path, e) != 0)
			return -1;
		if (strcmp(at->text, "/") == 0)
			return schema_refuse(at, e, "Name a directory such as /media/NAME.",
					     "\"mount\": a medium cannot cover /");
		for (size_t k = 0; k < i; k++)
			if (strcmp(y->pairs[k].val->text, at->text) == 0)
				return schema_refuse(at, e, "Give each medium its own directory.",
						     "\"mount\": two media at \"%s\"",
						     schema_show(at->text).s);
		step->mounts[i].media = mem_strdup(y->pairs[i].key);
		step->mounts[i].at = mem_strdup(at->text);
		step->mounts_n++;
	}
	qsort(step->mounts, step->mounts_n, sizeof(*step->mounts), by_media);
	return 0;
}

/* `proxy: record` and who may be asked; sorted, since their order means nothing. */
struct network {
	char *proxy;
	struct strv allow;
};

static const char *const proxies[] = {"record", NULL};
static const struct field network_fields[] = {
    {"proxy", read_choice, offsetof(struct network, proxy), proxies, true},
    {"allow", read_set, offsetof(struct network, allow), &grammar_host_glob, false},
    {0},
};

static int read_network(const char *root, const struct yaml *y, const struct field *f, void *to,
			struct err *e)
{
	struct recipe_step *step = to;
	struct network n = {0};
	int rc;

	if (y->kind == YAML_SCALAR && strcmp(y->text, "none") == 0)
		return 0;
	if (y->kind != YAML_MAP)
		return schema_refuse(y, e, "Write none, or {proxy: record}.",
				     "\"%s\" cannot be \"%s\"", f->key,
				     y->kind == YAML_SCALAR ? schema_show(y->text).s : "a list");
	rc = schema_map(root, y, network_fields, &n, e);
	step->network = rc == 0;
	free(n.proxy);
	strv_sort(&n.allow);
	SWAP(step->allow, n.allow);
	strv_release(&n.allow);
	return rc;
}

/* The file is read at once, so that a fault in it is one of the recipe. */
static int read_answers(const char *root, const struct yaml *y, const struct field *f, void *to,
			struct err *e)
{
	struct recipe_step *step = to;

	if (read_file(root, y, f, to, e) != 0)
		return -1;
	return recipe_answers_load(step->answers, &step->dialogue, e);
}

static int read_secrets(const char *root, const struct yaml *y, const struct field *f, void *to,
			struct err *e)
{
	struct recipe_step *step = to;

	if (read_set(root, y, f, to, e) != 0)
		return -1;
	strv_sort(&step->secrets);
	return 0;
}

static int read_processes(const char *root, const struct yaml *y, const struct field *f, void *to,
			  struct err *e)
{
	struct recipe_step *step = to;

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	if (num_u64(y->text, PROCESSES_MAX, &step->limits.processes) == 0 &&
	    step->limits.processes > 0)
		return 0;
	return schema_refuse(y, e, "Write a number from 1 to 30000.",
			     "\"processes\" wants a number, not \"%s\"", schema_show(y->text).s);
}

#define LIMIT(member) offsetof(struct recipe_step, limits.member)

static const struct field limit_fields[] = {
    {"memory", read_size, LIMIT(memory), NULL, false},
    {"processes", read_processes, 0, NULL, false},
    {"disk", read_size, LIMIT(disk), NULL, false},
    {"file", read_size, LIMIT(file), NULL, false},
    {"output", read_size, LIMIT(output), NULL, false},
    {0},
};

static void step_defaults(void *item)
{
	struct recipe_step *step = item;

	if (step->timeout_ms == 0)
		step->timeout_ms = step_timeout_ms;
}

static const struct field step_fields[] = {
    {"name", read_word, offsetof(struct recipe_step, name), &grammar_name, true},
    {"mount", read_mounts, 0, NULL, false},
    {"run", read_argv, offsetof(struct recipe_step, run), NULL, true},
    {"answers", read_answers, offsetof(struct recipe_step, answers), NULL, false},
    {"network", read_network, 0, NULL, false},
    {"writes", read_set, offsetof(struct recipe_step, writes), &grammar_image_path, false},
    {"timeout", read_duration, offsetof(struct recipe_step, timeout_ms), NULL, false},
    {"capture", read_bool, offsetof(struct recipe_step, capture), NULL, false},
    {"secrets", read_secrets, offsetof(struct recipe_step, secrets), &grammar_name, false},
    {"limits", read_map, 0, limit_fields, false},
    {"expects", read_expects, 0, NULL, false},
    {0},
};

static const char *const unique_name[] = {"name", NULL};
const struct array array_steps = {step_fields,
				  unique_name,
				  sizeof(struct recipe_step),
				  offsetof(struct recipe, steps_n),
				  offsetof(struct recipe_step, pos),
				  step_defaults};

static void test_defaults(void *item)
{
	struct recipe_test *test = item;

	if (test->timeout_ms == 0)
		test->timeout_ms = test_timeout_ms;
}

static const struct field test_fields[] = {
    {"name", read_word, offsetof(struct recipe_test, name), &grammar_name, true},
    {"run", read_argv, offsetof(struct recipe_test, run), NULL, true},
    {"reads", read_set, offsetof(struct recipe_test, reads), &grammar_image_path, false},
    {"timeout", read_duration, offsetof(struct recipe_test, timeout_ms), NULL, false},
    {0},
};

const struct array array_tests = {test_fields,
				  unique_name,
				  sizeof(struct recipe_test),
				  offsetof(struct recipe, tests_n),
				  offsetof(struct recipe_test, pos),
				  test_defaults};

static const struct field fixer_fields[] = {
    {"name", read_word, offsetof(struct recipe_fixer, name), &grammar_name, true},
    {"run", read_argv, offsetof(struct recipe_fixer, run), NULL, true},
    {0},
};

const struct array array_fixers = {fixer_fields,
				   unique_name,
				   sizeof(struct recipe_fixer),
				   offsetof(struct recipe, fixers_n),
				   offsetof(struct recipe_fixer, pos),
				   NULL};

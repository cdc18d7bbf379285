/* op_oci.c - what an image's configuration says (OCI image-spec, config.md): who runs what, on
 * which ports, with which volumes, made when, signed by whom. */
#include "harden/image_words.h"
#include "harden/op.h"
#include "sys/clock.h"

#include <stddef.h>
#include <string.h>

struct oci;

struct rule {
	const char *word;
	int (*check)(const struct op_run *r, const struct oci *w, struct err *e);
	bool recipe;     /* compares with the recipe */
	bool signatures; /* with signatures that were looked at */
};

struct oci {
	char *rule;
	struct strv init;   /* of "user": programs that start services as other users */
	struct strv labels; /* of "labels": those that must be there, each with a digest */
	struct strv system; /* of "volumes": directories of the system, the others hold data */
	const struct rule *is;
};

static const struct field oci_fields[] = {
    {"rule", FIELD_TEXT, offsetof(struct oci, rule), true},
    {"init", FIELD_LIST, offsetof(struct oci, init), false},
    {"labels", FIELD_LIST, offsetof(struct oci, labels), false},
    {"system", FIELD_LIST, offsetof(struct oci, system), false},
    {0},
};

static const struct jval *config_of(const struct op_run *r)
{
	return jval_get(r->c->image->config, "config");
}

static void hold(const struct op_run *r, const char *what, const char *value)
{
	if (r->held != NULL)
		strv_addf(r->held, "image configuration: %s%s", what, value);
}

/* The program that the image starts, or NULL. */
static const char *program_of(const struct op_run *r)
{
	const char *p = jval_str(jval_at(jval_get(config_of(r), "Entrypoint"), 0));

	return p != NULL ? p : jval_str(jval_at(jval_get(config_of(r), "Cmd"), 0));
}

static bool is_root(const char *user)
{
	size_t n = strcspn(user, ":");

	return strspn(user, "0") == n || (n == 4 && strncmp(user, "root", n) == 0);
}

static int check_user(const struct op_run *r, const struct oci *w, struct err *e)
{
	const char *user = jval_get_str(config_of(r), "User"), *program = program_of(r);

	(void)e;
	if (user != NULL && !is_root(user))
		hold(r, "User is ", user);
	else if (program != NULL && strv_has(&w->init, program))
		hold(r, "starts, as root, what gives each service its user: ", program);
	else
		strv_addf(r->found, "image configuration: starts %s as root",
			  program != NULL ? program : "programs");
	return 0;
}

static int check_start(const struct op_run *r, const struct oci *w, struct err *e)
{
	const char *program = program_of(r);

	(void)w;
	(void)e;
	if (program == NULL || *program == '\0')
		strv_addf(r->found, "image configuration: has neither Entrypoint nor Cmd");
	else
		hold(r, "starts ", program);
	return 0;
}

/* "22/tcp"; without a protocol tcp is meant. */
static bool in_recipe(const struct recipe *r, const char *port)
{
	const size_t n = strcspn(port, "/");
	const bool udp = strcmp(port + n, "/udp") == 0;
	char *number SCOPED(mem_freep) = mem_strndup(port, n);
	int64_t p;

	if (spec_int(number, &p) != 0 || (!udp && port[n] != '\0' && strcmp(port + n, "/tcp") != 0))
		return false;
	for (size_t i = 0; i < r->ports_n; i++)
		if (r->ports[i].udp == udp && p >= r->ports[i].first && p <= r->ports[i].last)
			return true;
	return false;
}

static int on_port(void *ctx, const char *key, struct jval *val)
{
	const struct op_run *r = ctx;

	(void)val;
	if (!in_recipe(r->c->recipe, key))
		strv_addf(r->found, "image configuration: exposes %s, which the recipe does not",
			  key);
	else
		hold(r, "exposes ", key);
	return 0;
}

static int check_ports(const struct op_run *r, const struct oci *w, struct err *e)
{
	struct op_run copy = *r;

	(void)w;
	(void)e;
	return jval_each(jval_get(config_of(r), "ExposedPorts"), on_port, &copy);
}

static int check_words(const struct op_run *r, const struct oci *w, struct err *e)
{
	(void)w;
	(void)e;
	image_words(r->c->image->config, r->found);
	return 0;
}

static int check_labels(const struct op_run *r, const struct oci *w, struct err *e)
{
	(void)e;
	for (size_t i = 0; i < w->labels.n; i++)
		image_label(config_of(r), w->labels.v[i], r->found, r->held);
	return 0;
}

/* No time of an image is later than its own: what the clock said while it was made is not in it. */
static int check_times(const struct op_run *r, const struct oci *w, struct err *e)
{
	const struct jval *history = jval_get(r->c->image->config, "history");
	const char *created = jval_get_str(r->c->image->config, "created");
	const struct facts_files *files;
	int64_t is, other;

	(void)w;
	if (created == NULL || clock_parse(created, &is) != 0) {
		strv_addf(r->found, "image configuration: does not say when it was created");
		return 0;
	}
	hold(r, "created ", created);
	for (size_t i = 0; i < jval_len(history); i++) {
		const char *t = jval_get_str(jval_at(history, i), "created");

		if (t != NULL && (clock_parse(t, &other) != 0 || other > is))
			strv_addf(r->found, "image configuration: history has the time %s", t);
	}
	if (facts_files(r->facts, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files->n; i++)
		if (!S_ISDIR(files->v[i].st.st_mode) && files->v[i].st.changed > is)
			strv_addf(r->found, "/%s: is younger than the image", files->v[i].path);
	return 0;
}

static bool is_volume(const struct op_run *r, const char *top)
{
	char *path SCOPED(mem_freep) = mem_format("/%s", top);

	return jval_get(jval_get(config_of(r), "Volumes"), path) != NULL;
}

/* Data outlives the container and is encrypted by its host: it lies in volumes. */
static int check_volumes(const struct op_run *r, const struct oci *w, struct err *e)
{
	struct strv tops SCOPED(strv_release) = {0};

	if (root_glob(r->rootfd, "*", &tops, e) != 0)
		return -1;
	for (size_t i = 0; i < tops.n; i++) {
		struct stat st;

		if (strv_has(&w->system, tops.v[i]) ||
		    root_stat(r->rootfd, tops.v[i], false, &st) != 1 || !S_ISDIR(st.st_mode))
			continue;
		if (is_volume(r, tops.v[i]))
			hold(r, "is a volume: /", tops.v[i]);
		else
			strv_addf(r->found, "/%s: is no directory of the system and no volume",
				  tops.v[i]);
	}
	return 0;
}

static int check_signed(const struct op_run *r, const struct oci *w, struct err *e)
{
	(void)w;
	(void)e;
	if (r->c->image->signatures == 0)
		strv_addf(r->found, "no signature by a key that was given");
	else if (r->held != NULL)
		strv_addf(r->held, "%d good signature%s", r->c->image->signatures,
			  r->c->image->signatures == 1 ? "" : "s");
	return 0;
}

static const struct rule rules[] = {
    {"user", check_user, false, false},       {"start", check_start, false, false},
    {"ports", check_ports, true, false},      {"words", check_words, false, false},
    {"labels", check_labels, false, false},   {"times", check_times, false, false},
    {"volumes", check_volumes, false, false}, {"signed", check_signed, false, true},
};

enum { RULES_N = sizeof(rules) / sizeof(rules[0]) };

static int oci_finish(void *want, const struct yaml *at, struct err *e)
{
	const char *words[RULES_N + 1] = {NULL};
	struct oci *w = want;
	int i;

	for (i = 0; i < RULES_N; i++)
		words[i] = rules[i].word;
	i = spec_word(yaml_get(at, "rule"), words, e);
	if (i < 0)
		return -1;
	w->is = &rules[i];
	return 0;
}

static const char *oci_lacks(const struct op_run *r, const void *want)
{
	const struct oci *w = want;

	if (r->c->image == NULL || r->c->image->config == NULL)
		return "a tree alone has no image configuration";
	if (w->is->recipe && r->c->recipe == NULL)
		return "the recipe to compare with is not given";
	if (w->is->signatures && r->c->image->signatures < 0)
		return "no key is given to check signatures with";
	return NULL;
}

static int oci_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct oci *w = want;

	return w->is->check(r, w, e);
}

const struct op_kind op_oci = {
    .name = "oci",
    .of_image = true,
    .size = sizeof(struct oci),
    .fields = oci_fields,
    .finish = oci_finish,
    .lacks = oci_lacks,
    .check = oci_check,
};

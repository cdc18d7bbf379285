#include "recipe/sections.h"

#include "base/num.h"
#include <string.h>
#include <sys/stat.h>

#define AT(member) offsetof(struct recipe, member)

/* What names of packages look like, for base.dnf and for all others. */
struct package_words {
	const struct grammar *rpm, *deb;
};
static const struct package_words install_words = {&grammar_rpm_spec, &grammar_package};
static const struct package_words exclude_words = {&grammar_rpm_glob, &grammar_package_glob};
static const struct package_words remove_words = {&grammar_rpm_name, &grammar_package};

static int read_packages(const char *root, const struct yaml *y, const struct field *f, void *to,
			 struct err *e)
{
	const struct package_words *words = f->how;
	const struct recipe *r = to; /* its base is read already */
	const struct field into = {f->key, read_set, f->at,
				   r->base == RECIPE_DNF ? words->rpm : words->deb, false};

	return read_set(root, y, &into, to, e);
}

static const struct field package_fields[] = {
    {"install", read_packages, AT(install), &install_words, false},
    {"exclude", read_packages, AT(exclude), &exclude_words, false},
    {"remove", read_packages, AT(remove), &remove_words, false},
    {"docs", read_bool, AT(docs), NULL, false},
    {"langs", read_set, AT(langs), &grammar_lang, false},
    {"recommends", read_bool, AT(recommends), NULL, false},
    {0},
};

static int read_owner(const char *root, const struct yaml *y, const struct field *f, void *to,
		      struct err *e)
{
	struct recipe_overlay *o = to;
	char *uid SCOPED(mem_freep) = NULL;
	const char *colon;
	uint64_t u, g;

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	colon = strchr(y->text, ':');
	uid = mem_strndup(y->text, colon == NULL ? 0 : (size_t)(colon - y->text));
	if (colon == NULL || num_u64(uid, UINT32_MAX - 1, &u) != 0 ||
	    num_u64(colon + 1, UINT32_MAX - 1, &g) != 0)
		return schema_refuse(y, e, "Write numbers in quotes, such as \"0:0\".",
				     "\"owner\" wants UID:GID, not \"%s\"", schema_show(y->text).s);
	o->uid = (uint32_t)u;
	o->gid = (uint32_t)g;
	return 0;
}

static void overlay_defaults(void *item)
{
	struct recipe_overlay *o = item;

	if (o->to == NULL)
		o->to = mem_strdup("/");
}

static const char *const unique_nothing[] = {NULL};
static const char *const unique_name[] = {"name", NULL};

static const struct field overlay_fields[] = {
    {"from", read_dir, offsetof(struct recipe_overlay, from), NULL, true},
    {"to", read_word, offsetof(struct recipe_overlay, to), &grammar_image_path, false},
    {"owner", read_owner, 0, NULL, false},
    {0},
};

static const struct array array_overlays = {overlay_fields,
					    unique_nothing,
					    sizeof(struct recipe_overlay),
					    AT(overlays_n),
					    offsetof(struct recipe_overlay, pos),
					    overlay_defaults};

static const struct field service_fields[] = {
    {"enable", read_set, AT(enable), &grammar_unit, false},
    {"disable", read_set, AT(disable), &grammar_unit, false},
    {"mask", read_set, AT(mask), &grammar_unit, false},
    {0},
};

static const struct field waiver_fields[] = {
    {"control", read_word, offsetof(struct recipe_waiver, control), &grammar_name, true},
    {"reason", read_word, offsetof(struct recipe_waiver, reason), &grammar_line, true},
    {"by", read_word, offsetof(struct recipe_waiver, by), &grammar_line, true},
    {"until", read_word, offsetof(struct recipe_waiver, until), &grammar_date, true},
    {0},
};

static const char *const unique_control[] = {"control", NULL};
static const struct array array_waivers = {waiver_fields,
					   unique_control,
					   sizeof(struct recipe_waiver),
					   AT(waivers_n),
					   offsetof(struct recipe_waiver, pos),
					   NULL};

/* The classes of builder/scan that a file can be answered for. */
static const char *const scan_classes[] = {"pan",           "track1",   "track2",      "cvv",
					   "pin-block",     "test-pan", "private-key", "credential",
					   "password-hash", "trust",    "identity",    NULL};

static const struct field allow_fields[] = {
    {"sha256", read_digest, offsetof(struct recipe_allow, sha256), NULL, true},
    {"class", read_choice, offsetof(struct recipe_allow, cls), scan_classes, true},
    {"reason", read_word, offsetof(struct recipe_allow, reason), &grammar_line, true},
    {"until", read_word, offsetof(struct recipe_allow, until), &grammar_date, false},
    {0},
};

static const struct array array_allow = {allow_fields,
					 unique_nothing,
					 sizeof(struct recipe_allow),
					 AT(allow_n),
					 offsetof(struct recipe_allow, pos),
					 NULL};

static int read_profiles(const char *root, const struct yaml *y, const struct field *f, void *to,
			 struct err *e)
{
	struct recipe *r = to;
	struct strv names = {0};
	const struct field into = {f->key, read_set, 0, &grammar_control, false};
	int rc = read_set(root, y, &into, &names, e);

	for (size_t i = 0; i < names.n && rc == 0; i++) {
		struct stat st;

		strv_addf(&r->profiles, "%s/recipes/profiles/%s.yaml", root, names.v[i]);
		if (stat(r->profiles.v[i], &st) == 0 && S_ISREG(st.st_mode))
			continue;
		for (size_t k = 0; k < y->n && rc == 0; k++)
			if (strcmp(y->items[k]->text, names.v[i]) == 0)
				rc = schema_refuse(y->items[k], e,
						   "Profiles are recipes/profiles/NAME.yaml.",
						   "no profile \"%s\"", names.v[i]);
	}
	strv_release(&names);
	return rc;
}

static const char *const fail_on[] = {"low", "medium", "high", "never", NULL};
static const char *const targets[] = {"container", "machine", NULL};
static const struct field hardening_fields[] = {
    {"target", read_choice, AT(target), targets, false},
    {"profiles", read_profiles, 0, NULL, false},
    {"fail-on", read_choice, AT(fail_on), fail_on, false},
    {"units", read_set, AT(units), &grammar_unit, false},
    {"data", read_set, AT(data), &grammar_image_path, false},
    {"waivers", read_array, AT(waivers), &array_waivers, false},
    {"allow", read_array, AT(allow), &array_allow, false},
    {0},
};

static const struct field pin_fields[] = {
    {"name", read_word, offsetof(struct recipe_pin, name), &grammar_name, true},
    {"match", read_set, offsetof(struct recipe_pin, match), &grammar_image_glob, true},
    {0},
};

static const struct array array_pins = {pin_fields, unique_name, sizeof(struct recipe_pin),
					AT(pins_n), NO_POS,      NULL};

static int read_pins(const char *root, const struct yaml *y, const struct field *f, void *to,
		     struct err *e)
{
	if (y->n > RECIPE_PINS_MAX)
		return schema_refuse(y, e, "An image has a limited number of layers.",
				     "\"pin\": more than %d pins", RECIPE_PINS_MAX);
	return read_array(root, y, f, to, e);
}

static int read_budget(const char *root, const struct yaml *y, const struct field *f, void *to,
		       struct err *e)
{
	struct recipe *r = to;
	uint64_t n = 0;

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	if (num_u64(y->text, RECIPE_LAYER_BUDGET_MAX, &n) != 0 || n == 0)
		return schema_refuse(y, e, "So many layers of packages there may be.",
				     "\"budget\" wants a number from 1 to %d, not \"%s\"",
				     RECIPE_LAYER_BUDGET_MAX, schema_show(y->text).s);
	r->layer_budget = (uint32_t)n;
	return 0;
}

static const char *const layer_plans[] = {"history", "single", "manual", NULL};
static const char *const compressions[] = {"gzip", "zstd", "both", NULL};
static const struct field layer_fields[] = {
    {"plan", read_choice, AT(layer_plan), layer_plans, false},
    {"pin", read_pins, AT(pins), &array_pins, false},
    {"budget", read_budget, 0, NULL, false},
    {"compression", read_choice, AT(compression), compressions, false},
    {0},
};

static const struct field run_fields[] = {
    {"entrypoint", read_argv, AT(entrypoint), NULL, false},
    {"cmd", read_argv, AT(cmd), NULL, false},
    {"env", read_env, AT(env), NULL, false},
    {"user", read_word, AT(user), &grammar_run_user, false},
    {"workdir", read_word, AT(workdir), &grammar_image_path, false},
    {"stop-signal", read_word, AT(stop_signal), &grammar_signal, false},
    {"volumes", read_set, AT(volumes), &grammar_image_path, false},
    {"read-only", read_bool, AT(read_only), NULL, false},
    {0},
};

static const struct field restore_fields[] = {
    {"fixers", read_array, AT(fixers), &array_fixers, true},
    {0},
};

const struct field recipe_fields[] = {
    {"name", read_word, AT(name), &grammar_image_name, true},
    {"version", read_word, AT(version), &grammar_tag, true},
    {"base", read_base, 0, NULL, true},
    {"packages", read_map, 0, package_fields, false},
    {"kickstart", read_unsupported, 0, NULL, false},
    {"overlays", read_array, AT(overlays), &array_overlays, false},
    {"groups", read_array, AT(groups), &array_groups, false},
    {"users", read_array, AT(users), &array_users, false},
    {"services", read_map, 0, service_fields, false},
    {"start-order", read_set, AT(start_order), &grammar_unit, false},
    {"ports", read_ports, 0, NULL, false},
    {"media", read_media, 0, NULL, false},
    {"steps", read_array, AT(steps), &array_steps, false},
    {"hardening", read_map, 0, hardening_fields, false},
    {"layers", read_map, 0, layer_fields, false},
    {"tests", read_array, AT(tests), &array_tests, false},
    {"restore", read_map, 0, restore_fields, false},
    {"run", read_map, 0, run_fields, false},
    {0},
};

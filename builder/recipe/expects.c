/* What a vendor's installer expects of the machine that it runs on. */
#include "recipe/sections.h"

#include "base/num.h"
#include <string.h>

#define AT(member) offsetof(struct recipe_expects, member)

/* true, or the lines themselves. */
static int read_fstab(const char *root, const struct yaml *y, const struct field *f, void *to,
		      struct err *e)
{
	struct recipe_expects *x = to;

	if (y->kind == YAML_SCALAR)
		return read_bool(root, y, f, to, e);
	x->fstab = true;
	return read_words(
	    root, y, &(struct field){.key = f->key, .at = AT(fstab_lines), .how = &grammar_line},
	    to, e);
}

static int read_services(const char *root, const struct yaml *y, const struct field *f, void *to,
			 struct err *e)
{
	struct recipe_expects *x = to;

	x->shim = true;
	return read_set(root, y, f, to, e);
}

/* NAME: VALUE pairs as NAME=VALUE, in their order: os-release(5). */
static int read_os_release(const char *root, const struct yaml *y, const struct field *f, void *to,
			   struct err *e)
{
	struct recipe_expects *x = to;

	(void)root;
	if (schema_want_map(y, f->key, e) != 0)
		return -1;
	for (size_t i = 0; i < y->n; i++) {
		const struct yaml key = schema_key(&y->pairs[i]);

		if (schema_word(&key, f->key, &grammar_env_name, e) != 0 ||
		    schema_word(y->pairs[i].val, y->pairs[i].key, &grammar_line, e) != 0)
			return -1;
		strv_addf(&x->os_release, "%s=%s", y->pairs[i].key, y->pairs[i].val->text);
	}
	strv_sort(&x->os_release);
	return 0;
}

static const char *const programs[] = {"32-bit", NULL};

static int read_programs(const char *root, const struct yaml *y, const struct field *f, void *to,
			 struct err *e)
{
	const struct field word = {.key = f->key, .how = programs};
	char *which SCOPED(mem_freep) = NULL;
	struct recipe_expects *x = to;

	if (read_choice(root, y, &word, &which, e) != 0)
		return -1;
	x->bits_32 = true;
	return 0;
}

static const struct field expects_fields[] = {
    {"hostname", read_word, AT(hostname), &grammar_hostname, false},
    {"address", read_word, AT(address), &grammar_address, false},
    {"fstab", read_fstab, AT(fstab), NULL, false},
    {"os-release", read_os_release, 0, NULL, false},
    {"redhat-release", read_word, AT(redhat_release), &grammar_line, false},
    {"services", read_services, AT(services), &grammar_unit, false},
    {"programs", read_programs, 0, NULL, false},
    {"loop", read_bool, AT(loop), NULL, false},
    {0},
};

int read_expects(const char *root, const struct yaml *y, const struct field *f, void *to,
		 struct err *e)
{
	struct recipe_step *step = to;

	if (schema_want_map(y, f->key, e) != 0)
		return -1;
	return schema_map(root, y, expects_fields, &step->expects, e);
}

void recipe_expects_release(struct recipe_expects *x)
{
	mem_freep(&x->hostname);
	mem_freep(&x->address);
	mem_freep(&x->redhat_release);
	strv_release(&x->fstab_lines);
	strv_release(&x->os_release);
	strv_release(&x->services);
}

static void put_os_release(struct jval *o, const struct recipe_expects *x)
{
	struct jval *m = jval_object();

	for (size_t i = 0; i < x->os_release.n; i++) {
		const char *equals = strchr(x->os_release.v[i], '=');
		char *name SCOPED(mem_freep) =
		    mem_strndup(x->os_release.v[i], (size_t)(equals - x->os_release.v[i]));

		jval_put_text(m, name, equals + 1);
	}
	jval_put(o, "os-release", m);
}

struct jval *recipe_expects_json(const struct recipe_expects *x)
{
	struct jval *o = jval_object();

	if (x->hostname != NULL)
		jval_put_text(o, "hostname", x->hostname);
	if (x->address != NULL)
		jval_put_text(o, "address", x->address);
	if (x->fstab_lines.n > 0)
		jval_put(o, "fstab", recipe_list_json(&x->fstab_lines));
	else if (x->fstab)
		jval_put(o, "fstab", jval_bool(true));
	if (x->os_release.n > 0)
		put_os_release(o, x);
	if (x->redhat_release != NULL)
		jval_put_text(o, "redhat-release", x->redhat_release);
	if (x->shim)
		jval_put(o, "services", recipe_list_json(&x->services));
	if (x->bits_32)
		jval_put_text(o, "programs", programs[0]);
	if (x->loop)
		jval_put(o, "loop", jval_bool(true));
	return o;
}

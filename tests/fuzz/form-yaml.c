/* Any text as strict YAML: every node has its place, and errors have one too. */
#include "fuzz.h"

#include "form/yaml.h"

static void check(const struct yaml *y, unsigned depth)
{
	HOLDS(y->line > 0 && y->col > 0 && depth <= 33);
	HOLDS(y->kind != YAML_SCALAR || y->text != NULL);
	for (size_t i = 0; i < y->n; i++)
		check(y->kind == YAML_MAP ? y->pairs[i].val : y->items[i], depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct yaml *y SCOPED(yaml_freep) = NULL, *copy SCOPED(yaml_freep) = NULL;
	struct err e = ERR_INIT;

	if (yaml_parse((const char *)p, n, "fuzz.yaml", &y, &e) != 0) {
		HOLDS(e.kind == ERR_RECIPE && strncmp(e.msg, "fuzz.yaml:", 10) == 0);
		return 0;
	}
	check(y, 0);
	copy = yaml_copy(y);
	check(copy, 0);
	return 0;
}

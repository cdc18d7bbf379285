/* Any text as the name of an object: what is taken is written so that it is taken again, the same.
 */
#include "fuzz.h"

#include "form/ref.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text SCOPED(mem_freep) = fuzz_text(p, n);
	struct ref r SCOPED(ref_release) = {0}, again SCOPED(ref_release) = {0};
	struct ref docker SCOPED(ref_release) = {0};
	struct err e = ERR_INIT;

	if (ref_parse_docker(text, &docker, &e) == 0)
		HOLDS(docker.host[0] != '\0' && ref_repo_ok(docker.path));
	if (ref_parse(text, &r, &e) != 0)
		return 0;
	HOLDS(r.path[0] != '\0');
	HOLDS(r.tag[0] == '\0' || ref_tag_ok(r.tag));

	char *one SCOPED(mem_freep) = ref_text(&r), *two SCOPED(mem_freep) = NULL;

	HOLDS(ref_parse(one, &again, &e) == 0);
	two = ref_text(&again);
	HOLDS(strcmp(one, two) == 0 && r.kind == again.kind);
	return 0;
}

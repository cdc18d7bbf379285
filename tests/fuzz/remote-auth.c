/* Any text as the WWW-Authenticate of a registry. Only Basic is answered: the realm of Bearer is a
 * URL that the answer would be fetched from, so that one is read and not asked. */
#include "remote/auth_answer.c"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text SCOPED(mem_freep) = fuzz_text(p, n);
	struct http_reply r = {.status = 401};
	struct challenge c SCOPED(challenge_release) = {0};
	char *realm SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	for (char *line = text, *end = NULL; line != NULL; line = end) {
		end = strchr(line, '\n');
		if (end != NULL)
			*end++ = '\0';
		strv_addf(&r.headers, "www-authenticate: %s", line);
	}
	read_challenges(&r, &c);
	HOLDS(c.realm != NULL && c.service != NULL);
	if (http_resolve("https://registry.invalid/v2/", c.realm, &realm, &e) == 0)
		HOLDS(strncmp(realm, "https://", 8) == 0);
	strv_release(&r.headers);
	return 0;
}

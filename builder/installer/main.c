#include "installer/program.h"

#include <string.h>

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*fn)(char *const *args);
	} verbs[] = {{"install", program_install},
		     {"assemble", program_assemble},
		     {"identity", program_identity}};

	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].fn(argv + 2);
	return 2;
}

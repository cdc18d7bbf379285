/* replay.c - a fuzz target without libFuzzer: gives it each file of its corpus, tests/fuzz/corpus/
 * NAME of the program, and says so in TAP. */
#include "fuzz.h"

#include <dirent.h>

enum { FILE_MAX = 1 << 20 };

static bool replay(const char *path)
{
	char *all SCOPED(mem_freep) = mem_zalloc(FILE_MAX);
	uint8_t *exact SCOPED(mem_freep) = NULL; /* the sanitizers see a step past it */
	FILE *f = fopen(path, "rb");
	size_t n;

	if (f == NULL)
		return false;
	n = fread(all, 1, FILE_MAX, f);
	(void)fclose(f);
	exact = mem_zalloc(n + (n == 0));
	memcpy(exact, all, n);
	return LLVMFuzzerTestOneInput(exact, n) == 0;
}

static int is_file(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash != NULL ? slash + 1 : argv[0];
	char *dir SCOPED(mem_freep) =
	    argc > 1 ? mem_strdup(argv[1])
		     : mem_format("tests/fuzz/corpus/%s", name + strlen("fuzz-"));
	struct dirent **v = NULL;
	int n = scandir(dir, &v, is_file, alphasort);

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%d\n", n > 0 ? n : 1);
	for (int i = 0; i < n; i++) {
		char *path SCOPED(mem_freep) = mem_format("%s/%s", dir, v[i]->d_name);

		printf("%s %d - %s\n", replay(path) ? "ok" : "not ok", i + 1, v[i]->d_name);
		free(v[i]);
	}
	free(v);
	if (n <= 0)
		printf("not ok 1 - %s has no corpus\n", dir);
	return n <= 0;
}

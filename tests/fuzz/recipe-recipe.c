/* Any text as a recipe, in a project of its own that has nothing else. */
#include "fuzz.h"

#include "recipe/recipe.h"
#include "sys/fs.h"

static char root[] = "/tmp/posmedia-fuzz-XXXXXX";

static void drop(void)
{
	struct err e = ERR_INIT;

	(void)!fs_rmtree(AT_FDCWD, root, &e);
}

static char *project(void)
{
	static char *path;

	if (path == NULL) {
		char *dir SCOPED(mem_freep) = NULL;

		HOLDS(mkdtemp(root) != NULL);
		(void)atexit(drop);
		dir = mem_format("%s/recipes", root);
		HOLDS(mkdir(dir, 0755) == 0);
		path = mem_format("%s/fuzz.yaml", dir);
	}
	return path;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const char *path = project();
	struct recipe *r SCOPED(recipe_freep) = NULL;
	struct err e = ERR_INIT;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	HOLDS(fd >= 0 && (n == 0 || write(fd, p, n) == (ssize_t)n));
	(void)close(fd);
	if (recipe_load(path, &r, &e) == 0)
		HOLDS(r->name != NULL && r->resolved != NULL);
	else
		HOLDS(e.msg[0] != '\0');
	return 0;
}

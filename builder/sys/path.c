#include "sys/fs.h"

#include <string.h>

char *fs_dirname(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return mem_strdup(".");
	if (slash == path)
		return mem_strdup("/");
	return mem_strndup(path, (size_t)(slash - path));
}

char *fs_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return mem_strdup(slash == NULL ? path : slash + 1);
}

char *fs_join(const char *dir, const char *name)
{
	if (name[0] == '/')
		return mem_strdup(name);
	return mem_format("%s/%s", dir, name);
}

bool fs_within(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return path[0] == '/';
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

bool fs_relative_ok(const char *p)
{
	if (p[0] == '\0')
		return false;
	while (true) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		if (p[n] == '\0')
			return true;
		p += n + 1;
	}
}

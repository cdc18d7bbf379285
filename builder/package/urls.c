#include "package/apt.h"

#include "package/sources.h"
#include <string.h>

char *package_path_encode(const char *path)
{
	struct buf b = BUF_INIT(3 * 4096);

	for (; *path != '\0'; path++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/",
			   *path) != NULL)
			buf_add(&b, path, 1);
		else
			buf_addf(&b, "%%%02x", (unsigned char)*path);
	return buf_take(&b);
}

int apt_urls(const struct recipe *r, const struct lock_package *p, struct strv *ret, struct err *e)
{
	struct strv bases SCOPED(strv_release) = {0};
	char *path SCOPED(mem_freep) = package_path_encode(p->path);

	if (r->apt == NULL)
		return err_set(e, ERR_RECIPE, "%s: base has no apt", r->file);
	if (sources_find(r->apt, p->repository, &bases, e) != 0)
		return -1;
	for (size_t i = 0; i < bases.n; i++)
		strv_addf(ret, "%s%s", bases.v[i], path);
	return 0;
}

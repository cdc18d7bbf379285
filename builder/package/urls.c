#include "package/apt.h"

#include "package/snapshot.h"
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

/* Of a package that was matched: its time may have been one of the store's own archive. */
static void add_snapshots(const struct recipe_apt *a, const char *suite, const char *time,
			  struct strv *ret)
{
	static const char stored[] = "stored-";

	if (strncmp(time, stored, sizeof(stored) - 1) == 0)
		time += sizeof(stored) - 1;
	if (snapshot_seconds(time) >= 0)
		snapshot_find(a, suite, time, ret);
}

int apt_urls(const struct recipe *r, const struct lock_package *p, struct strv *ret, struct err *e)
{
	struct strv bases SCOPED(strv_release) = {0};
	size_t n = strcspn(p->repository, "_");
	char *suite SCOPED(mem_freep) = mem_strndup(p->repository, n);
	char *path SCOPED(mem_freep) = package_path_encode(p->path);

	if (r->apt == NULL)
		return err_set(e, ERR_RECIPE, "%s: base has no apt", r->file);
	if (p->repository[n] == '_')
		add_snapshots(r->apt, suite, p->repository + n + 1, &bases);
	if (sources_find(r->apt, suite, &bases, e) != 0 && bases.n == 0)
		return -1;
	for (size_t i = 0; i < bases.n; i++)
		strv_addf(ret, "%s%s", bases.v[i], path);
	return 0;
}

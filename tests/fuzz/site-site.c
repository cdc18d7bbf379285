/* Any text as a site, in a project of its own that has a policy: what is taken is written so that
 * it is taken again, the same. */
#include "fuzz.h"

#include "site/site.h"
#include "sys/fs.h"

static char root[] = "/tmp/posmedia-fuzz-XXXXXX";

static void drop(void)
{
	struct err e = ERR_INIT;

	(void)!fs_rmtree(AT_FDCWD, root, &e);
}

static void put(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	HOLDS(fd >= 0 && (n == 0 || write(fd, p, n) == (ssize_t)n));
	(void)close(fd);
}

static const char *project(void)
{
	static char *path;
	char *dir SCOPED(mem_freep) = NULL, *policy SCOPED(mem_freep) = NULL;

	if (path != NULL)
		return path;
	HOLDS(mkdtemp(root) != NULL);
	(void)atexit(drop);
	dir = mem_format("%s/recipes", root);
	policy = mem_format("%s/policy.yaml", root);
	HOLDS(mkdir(dir, 0755) == 0);
	put(policy, "posmedia: 1\n", 12);
	path = mem_format("%s/fuzz.yaml", dir);
	return path;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const char *path = project();
	struct site *s SCOPED(site_freep) = NULL, *again SCOPED(site_freep) = NULL;
	struct buf text SCOPED(buf_release) = BUF_INIT(8 << 20);
	struct strv findings SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	put(path, p, n);
	if (site_load(path, &s, &e) != 0) {
		HOLDS(e.msg[0] != '\0');
		return 0;
	}
	HOLDS(site_shop_ok(s->shop));
	site_findings(s, &findings);
	jval_write(s->resolved, &text);
	put(path, text.data, text.len);
	HOLDS(site_load(path, &again, &e) == 0);
	HOLDS(digest_equal(&s->digest, &again->digest));
	return 0;
}

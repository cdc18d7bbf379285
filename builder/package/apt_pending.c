#include "package/apt.h"

#include "package/index.h"
#include "package/pending.h"
#include "package/repos.h"
#include <string.h>

struct looking {
	struct pending *b;
	const char *last; /* the repository noted last: its components follow each other */
};

static bool ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

static int look(void *ctx, const struct repos_index *x, struct err *e)
{
	struct looking *l = ctx;
	struct buf b SCOPED(buf_release) = BUF_INIT(16 << 20);
	struct digest d;
	int64_t date = 0;

	if (index_pending(x->path, x->repo->id, ends_in(x->repo->suite, "-security"), l->b, e) != 0)
		return -1;
	if (l->last != NULL && strcmp(l->last, x->repo->id) == 0)
		return 0;
	l->last = x->repo->id;
	if (repos_release_text(x, &b, e) != 0 || index_release_date(b.data, b.len, &date, e) != 0)
		return err_in(e, "%s", x->repo->id);
	d = digest_of(b.data, b.len);
	pending_repository(l->b, x->repo->id, &d, date);
	return 0;
}

int apt_pending(const struct recipe *r, const char *scratch, struct pending *b, struct err *e)
{
	struct repos repos SCOPED(repos_release) = {0};
	struct looking l = {.b = b};

	if (repos_make(r, scratch, &repos, e) != 0)
		return -1;
	repos_add(&repos, NULL);
	if (repos_update(&repos, NULL, e) != 0)
		return -1;
	return repos_each(&repos, look, &l, e);
}

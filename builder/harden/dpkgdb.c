#include "harden/dpkgdb.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/strv.h"
#include "form/deb822.h"
#include "harden/root.h"
#include <stdlib.h>
#include <string.h>

static bool installed(const struct deb822 *stanza)
{
	char *status SCOPED(mem_freep) = deb822_field(stanza, "Status");

	/* status.d files carry no Status field: being there is being installed */
	return status == NULL || strstr(status, " installed") != NULL;
}

static void take(struct deb822 rest, struct dpkgdb *db)
{
	struct deb822 stanza;

	while (deb822_next(&rest, &stanza) == 1) {
		char *name SCOPED(mem_freep) = deb822_field(&stanza, "Package");

		if (name == NULL || !installed(&stanza))
			continue;
		db->v = mem_resize(db->v, db->n + 1, sizeof(*db->v));
		db->v[db->n++] = (struct dpkgdb_package){
		    .name = STEAL(name),
		    .version = deb822_field(&stanza, "Version"),
		    .arch = deb822_field(&stanza, "Architecture"),
		};
	}
}

void dpkgdb_release(struct dpkgdb *db)
{
	for (size_t i = 0; i < db->n; i++) {
		free(db->v[i].name);
		free(db->v[i].version);
		free(db->v[i].arch);
	}
	free(db->v);
	*db = (struct dpkgdb){0};
}

int dpkgdb_read(int rootfd, struct dpkgdb *ret, struct err *e)
{
	struct strv paths SCOPED(strv_release) = {0};
	struct dpkgdb db SCOPED(dpkgdb_release) = {0};

	strv_add(&paths, "var/lib/dpkg/status");
	if (root_glob(rootfd, "var/lib/dpkg/status.d/*", &paths, e) != 0)
		return -1;
	for (size_t i = 0; i < paths.n; i++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);

		if (root_read(rootfd, paths.v[i], &text, NULL, e) != 0)
			return -1;
		take((struct deb822){.p = text.data, .n = text.len}, &db);
	}
	*ret = db;
	db = (struct dpkgdb){0};
	return 0;
}

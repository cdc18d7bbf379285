#include "remote/session.h"

#include "base/num.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { URL_MAX = 8192, AGE_MAX_S = 24 * 3600 };

/* The URL lets anyone go on with the upload: the file is its owner's alone. */
static char *path_of(const struct registry *r, const struct digest *d)
{
	char *text SCOPED(mem_freep) = mem_format("%s\n%s\n%s", r->base, r->repo, digest_text(d).s);
	struct digest name = digest_of(text, strlen(text));

	return mem_format("%s/%s", r->sessions, digest_hex(&name).s);
}

char *session_load(const struct registry *r, const struct digest *d)
{
	char *path SCOPED(mem_freep) = NULL;
	struct buf b SCOPED(buf_release) = BUF_INIT(URL_MAX);
	struct err quiet = ERR_INIT;
	struct stat st;
	char *url = NULL;

	if (r->sessions == NULL)
		return NULL;
	path = path_of(r, d);
	if (stat(path, &st) != 0 || st.st_uid != geteuid() ||
	    st.st_mtime < clock_wall_s() - AGE_MAX_S ||
	    fs_get_file(AT_FDCWD, path, &b, &quiet) != 0)
		return NULL;
	/* what http_resolve makes of it is an address that may be asked */
	return http_resolve(r->base, b.data, &url, &quiet) == 0 ? url : NULL;
}

void session_save(const struct registry *r, const struct digest *d, const char *url)
{
	char *path SCOPED(mem_freep) = NULL;
	struct err quiet = ERR_INIT;

	if (r->sessions == NULL || strlen(url) >= URL_MAX)
		return;
	path = path_of(r, d);
	if (mkdir(r->sessions, 0700) == 0 || access(r->sessions, W_OK) == 0)
		(void)!fs_put_unsynced(path, url, strlen(url), 0600, &quiet);
}

void session_drop(const struct registry *r, const struct digest *d)
{
	char *path SCOPED(mem_freep) = r->sessions != NULL ? path_of(r, d) : NULL;

	if (path != NULL)
		(void)unlink(path);
}

uint64_t session_offset(const struct http_reply *r, uint64_t size)
{
	const char *range = http_header(r, "range");
	uint64_t last;

	if (r->status != 204 || range == NULL)
		return 0;
	if (strncmp(range, "bytes=", 6) == 0)
		range += 6;
	if (strncmp(range, "0-", 2) != 0 || num_u64(range + 2, UINT64_MAX - 1, &last) != 0)
		return 0;
	/* "0-0" is what is said of no byte as well */
	return last > 0 && last + 1 <= size ? last + 1 : 0;
}

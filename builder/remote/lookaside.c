#include "remote/lookaside.h"

#include "base/fault.h"
#include "remote/artifact.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_url(const char *at)
{
	return strncmp(at, "http://", 7) == 0 || strncmp(at, "https://", 8) == 0;
}

static char *place(const struct lookaside *a)
{
	size_t n = strlen(a->at);

	while (n > 1 && a->at[n - 1] == '/')
		n--;
	return mem_format("%.*s/%s@sha256=%s", (int)n, a->at, a->repo, digest_hex(a->image).s);
}

/* Reads dir/signature-N. Returns 1 when there is none. */
static int read_one(int dir, const char *name, struct buf *ret, struct err *e)
{
	if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return 1;
	return fs_get(dir, name, ret, e);
}

/* Gives the new file the first free number; another writer may be doing the same. */
static int number(int dir, const char *tmp, const struct buf *sig, struct err *e)
{
	for (unsigned n = 1; n <= LOOKASIDE_SIGNATURES_MAX; n++) {
		char *name SCOPED(mem_freep) = mem_format("signature-%u", n);
		struct buf there SCOPED(buf_release) = BUF_INIT(LOOKASIDE_BYTES_MAX);

		if (linkat(dir, tmp, dir, name, 0) == 0) {
			fault_point("signature linked");
			return fsync(dir) == 0 ? 0 : err_sys(e, "sync");
		}
		if (errno != EEXIST)
			return err_sys(e, "place %s", name);
		if (fs_get(dir, name, &there, e) != 0)
			return -1;
		if (there.len == sig->len && memcmp(there.data, sig->data, sig->len) == 0)
			return 0;
	}
	return err_set(e, ERR_FAIL, "has %d signatures already", LOOKASIDE_SIGNATURES_MAX);
}

int lookaside_put(const struct lookaside *a, const struct buf *sig, struct err *e)
{
	char *path SCOPED(mem_freep) = place(a);
	char *tmp SCOPED(mem_freep) = mem_format(".new.%ld", (long)getpid());
	int dir SCOPED(fd_closep) = -1;
	int rc;

	if (is_url(a->at)) {
		(void)err_set(e, ERR_USAGE, "lookaside %s: signatures are written to a directory",
			      a->at);
		return err_hint(e, "name the directory that the web server serves");
	}
	if (fs_mkdirs(AT_FDCWD, path, 0755, e) != 0 || fs_open_dir(AT_FDCWD, path, &dir, e) != 0 ||
	    fs_put(dir, tmp, sig->data, sig->len, 0644, e) != 0)
		return err_in(e, "lookaside");
	rc = number(dir, tmp, sig, e);
	(void)unlinkat(dir, tmp, 0);
	return rc == 0 ? 0 : err_in(e, "lookaside %s", path);
}

/* Fetches URL/signature-N. Returns 1 when there is none. */
static int fetch_one(const char *url, struct buf *ret, struct err *e)
{
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1};
	struct http_reply r = {0};
	int rc = 0;

	if (http_send(&q, &r, e) != 0)
		return -1;
	if (r.status == 404)
		rc = 1;
	else if (r.status != 200)
		rc = http_refused(&q, &r, e);
	else if (r.body.len > LOOKASIDE_BYTES_MAX)
		rc = err_set(e, ERR_REMOTE, "%s: larger than %d bytes", url, LOOKASIDE_BYTES_MAX);
	else
		buf_add(ret, r.body.data, r.body.len);
	http_reply_release(&r);
	return rc;
}

static int add_layer(struct oci_layout *l, const struct buf *sig, struct oci_manifest *m,
		     struct err *e)
{
	struct oci_desc d = {.size = sig->len};

	if (oci_layout_add(l, sig->data, sig->len, &d.digest, e) != 0)
		return -1;
	d.media_type = mem_strdup(ARTIFACT_PGP);
	m->layers = mem_resize(m->layers, m->layers_n + 1, sizeof(*m->layers));
	m->layers[m->layers_n++] = d;
	return 0;
}

static int get_all(const struct lookaside *a, struct oci_layout *l, struct oci_manifest *m,
		   struct err *e)
{
	char *path SCOPED(mem_freep) = place(a);

	for (unsigned n = 1; n <= LOOKASIDE_SIGNATURES_MAX; n++) {
		char *name SCOPED(mem_freep) = mem_format("%s/signature-%u", path, n);
		struct buf sig SCOPED(buf_release) = BUF_INIT(LOOKASIDE_BYTES_MAX);
		int rc =
		    is_url(a->at) ? fetch_one(name, &sig, e) : read_one(AT_FDCWD, name, &sig, e);

		if (rc != 0)
			return rc < 0 ? -1 : 0;
		if (add_layer(l, &sig, m, e) != 0)
			return -1;
	}
	return 0;
}

int lookaside_get(const struct lookaside *a, struct oci_layout *l, struct oci_manifest *ret,
		  struct err *e)
{
	struct oci_manifest m = {.artifact_type = mem_strdup(ARTIFACT_PGP),
				 .config = {.media_type = mem_strdup(OCI_EMPTY), .size = 2}};

	if (oci_layout_add(l, "{}", 2, &m.config.digest, e) != 0 || get_all(a, l, &m, e) != 0) {
		oci_manifest_release(&m);
		return err_in(e, "lookaside");
	}
	*ret = m;
	return 0;
}

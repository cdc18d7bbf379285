#include "scan/scan.h"

#include "oci/unpack.h"
#include "scan/allow.h"
#include "scan/gather.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int run(struct gather_job *j, const char *object, const struct scan_opts *o,
	       struct jval **ret, struct err *e)
{
	struct yaml *allow SCOPED(yaml_freep) = NULL;
	struct jval *v SCOPED(jval_freep) = NULL;
	char *masked SCOPED(mem_freep) = NULL;

	j->threads = o->threads;
	if (o->allow != NULL && allow_load(o->allow, &allow, e) != 0)
		return -1;
	if (gather_run(j, &v, e) != 0)
		return err_in(e, "%s", object);
	masked = found_name(object, NULL);
	jval_put_text(v, "object", masked);
	allow_apply(allow, v, o->today);
	for (size_t i = 0; i < o->allowed_n; i++)
		allow_apply_one(&o->allowed[i], v, o->today);
	*ret = STEAL(v);
	return 0;
}

int scan_path(const char *path, const char *object, const struct scan_opts *o, struct jval **ret,
	      struct err *e)
{
	char *name SCOPED(mem_freep) = fs_basename(path);
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct gather_job j = {.dirfd = -1, .fd = -1, .name = name};
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "%s", object);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(e, ERR_USAGE, "%s is neither a directory nor a file", object);
	if (S_ISDIR(st.st_mode))
		j.dirfd = fd;
	else
		j.fd = fd;
	return run(&j, object, o, ret, e);
}

int scan_files(int dirfd, const char *const *paths, size_t n, const struct scan_opts *o,
	       struct jval **ret, struct err *e)
{
	struct gather_job j = {.dirfd = dirfd, .fd = -1, .paths = paths, .paths_n = n};

	return run(&j, "tree", o, ret, e);
}

static void close_all(struct gather_layer *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].name);
		if (v[i].fd >= 0)
			(void)close(v[i].fd);
	}
	free(v);
}

int scan_image(const struct oci_layout *l, const struct oci_desc *manifest, const char *object,
	       const struct scan_opts *o, struct jval **ret, struct err *e)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	int config SCOPED(fd_closep) = -1;
	struct gather_job j = {.dirfd = -1, .name = "image configuration"};
	int rc;

	if (oci_read_verified(l, manifest, &m, NULL, e) != 0 ||
	    oci_layout_blob(l, &m.config.digest, &config, NULL, e) != 0)
		return -1;
	j.fd = config;
	j.layers = mem_zalloc((m.layers_n + 1) * sizeof(*j.layers));
	for (rc = 0; rc == 0 && j.layers_n < m.layers_n; j.layers_n++) {
		const struct digest *d = &m.layers[j.layers_n].digest;

		j.layers[j.layers_n] = (struct gather_layer){-1, mem_strdup(digest_text(d).s)};
		rc = oci_layout_blob(l, d, &j.layers[j.layers_n].fd, NULL, e);
	}
	if (rc == 0)
		rc = run(&j, object, o, ret, e);
	close_all(j.layers, j.layers_n);
	return rc;
}

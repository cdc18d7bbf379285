/* remote-lib.h - for the tests of remote/: a scratch directory, an image in a layout with its
 * signatures, and the distribution's own registry on a free loopback port. */
#ifndef TESTS_REMOTE_LIB_H
#define TESTS_REMOTE_LIB_H

#include "remote/remote.h"
#include "sys/fs.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { LARGE_LAYER = 3 << 20 };

struct scene {
	char dir[40];
	struct oci_layout *layout; /* DIR/image */
	struct oci_desc image;     /* tag "1.0" there */
	pid_t registry;
	int port;
};

UNUSED static void scene_layer(struct oci_layout *l, struct oci_desc *ret, const char *type,
			       size_t n)
{
	char *p SCOPED(mem_freep) = mem_zalloc(n + 1);
	struct err e = ERR_INIT;

	for (size_t i = 0; i < n; i++)
		p[i] = (char)((i * 2654435761u + n) >> 13);
	*ret = (struct oci_desc){.media_type = mem_strdup(type), .size = n};
	assert_int_equal(oci_layout_add(l, p, n, &ret->digest, &e), 0);
}

UNUSED static void scene_text(struct oci_layout *l, struct oci_desc *ret, const char *type,
			      const char *text)
{
	struct err e = ERR_INIT;

	*ret = (struct oci_desc){.media_type = mem_strdup(type), .size = strlen(text)};
	assert_int_equal(oci_layout_add(l, text, strlen(text), &ret->digest, &e), 0);
}

/* Writes the manifest, tags it, gives its descriptor; releases m. */
UNUSED static void scene_manifest(struct oci_layout *l, struct oci_manifest *m, const char *tag,
				  struct oci_desc *ret)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct err e = ERR_INIT;

	oci_manifest_write(m, &b);
	oci_manifest_release(m);
	scene_text(l, ret, OCI_MANIFEST, b.data);
	assert_int_equal(oci_layout_tag(l, tag, ret, &e), 0);
}

UNUSED static void scene_image(struct oci_layout *l, struct oci_desc *ret)
{
	struct oci_manifest m = {.layers = mem_zalloc(3 * sizeof(*m.layers)), .layers_n = 3};

	scene_text(l, &m.config, OCI_CONFIG,
		   "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
		   "\"diff_ids\":[\"a\",\"b\",\"c\"]}}");
	scene_layer(l, &m.layers[0], OCI_LAYER_TAR, 70000);
	scene_layer(l, &m.layers[1], OCI_LAYER_TAR, LARGE_LAYER);
	scene_layer(l, &m.layers[2], OCI_LAYER_TAR, 70000); /* the first again */
	scene_manifest(l, &m, "1.0", ret);
}

/* Adds two OpenPGP signatures and a cosign one, or what looks like them from outside. */
UNUSED static void scene_sign_as(struct oci_layout *l, const struct oci_desc *image,
				 const char *signer)
{
	char *first SCOPED(mem_freep) = mem_format("signature by %s", signer);
	static const char pgp_type[] = "application/vnd.posmedia.openpgp.v1";
	struct oci_manifest pgp = {.layers = mem_zalloc(2 * sizeof(*pgp.layers)),
				   .layers_n = 2,
				   .artifact_type = mem_strdup(pgp_type)};
	struct oci_manifest sig = {.layers = mem_zalloc(sizeof(*sig.layers)), .layers_n = 1};
	struct oci_desc d = {0};
	char *tag SCOPED(mem_freep) = mem_format("sha256-%s.pgp", digest_hex(&image->digest).s);

	scene_text(l, &pgp.config, OCI_EMPTY, "{}");
	scene_text(l, &pgp.layers[0], pgp_type, first);
	scene_text(l, &pgp.layers[1], pgp_type, "signature by two");
	scene_manifest(l, &pgp, tag, &d);
	oci_desc_release(&d);
	strcpy(tag + strlen(tag) - 3, "sig");
	scene_text(l, &sig.config, OCI_CONFIG, "{\"rootfs\":{\"diff_ids\":[\"a\"]}}");
	scene_text(l, &sig.layers[0], "application/vnd.dev.cosign.simplesigning.v1+json",
		   "{\"a\":1}");
	sig.layers[0].annotations = jval_object();
	jval_put_text(sig.layers[0].annotations, "dev.cosignproject.cosign/signature", signer);
	scene_manifest(l, &sig, tag, &d);
	oci_desc_release(&d);
}

UNUSED static void scene_open(struct scene *s)
{
	char *path SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	*s = (struct scene){.dir = "/tmp/posmedia-remote-XXXXXX"};
	assert_non_null(mkdtemp(s->dir));
	path = mem_format("%s/image", s->dir);
	assert_int_equal(oci_layout_open(path, true, &s->layout, &e), 0);
	scene_image(s->layout, &s->image);
}

UNUSED static void scene_close(struct scene *s)
{
	struct err e = ERR_INIT;

	if (s->registry > 0) {
		(void)kill(s->registry, SIGKILL);
		(void)waitpid(s->registry, NULL, 0);
	}
	oci_layout_free(s->layout);
	oci_desc_release(&s->image);
	assert_int_equal(fs_rmtree(AT_FDCWD, s->dir, &e), 0);
}

UNUSED static void scene_sign(struct oci_layout *l, const struct oci_desc *image)
{
	scene_sign_as(l, image, "one");
}

/* Another, empty layout in the scene. */
UNUSED static struct oci_layout *scene_empty(const struct scene *s, const char *name)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%s", s->dir, name);
	struct oci_layout *l = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(oci_layout_open(path, true, &l, &e), 0);
	return l;
}

UNUSED static int scene_free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd SCOPED(fd_closep) = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	return ntohs(a.sin_port);
}

static void scene_wait(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	for (int i = 0; i < 200; i++) {
		int fd SCOPED(fd_closep) = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
			return;
		usleep(50 * 1000);
	}
	fail_msg("docker-registry does not come up");
}

/* Starts docker-registry; `extra` is more of its configuration, or "". */
UNUSED static void scene_registry(struct scene *s, const char *extra)
{
	char *config SCOPED(mem_freep) = mem_format("%s/config.yml", s->dir);
	char *text SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	s->port = scene_free_port();
	text = mem_format("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
			  "storage: {filesystem: {rootdirectory: %s/registry}}\n"
			  "http: {addr: 127.0.0.1:%d, secret: test}\n%s",
			  s->dir, s->port, extra);
	assert_int_equal(fs_put_path(config, text, strlen(text), 0600, &e), 0);
	s->registry = fork();
	if (s->registry == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(null, 1);
		(void)dup2(null, 2);
		(void)execlp("docker-registry", "docker-registry", "serve", config, NULL);
		_exit(127);
	}
	scene_wait(s->port);
}

/* "docker://127.0.0.1:PORT/REST" */
UNUSED static void scene_ref(const struct scene *s, const char *rest, struct ref *ret)
{
	char *text SCOPED(mem_freep) = mem_format("docker://127.0.0.1:%d/%s", s->port, rest);
	struct err e = ERR_INIT;

	assert_int_equal(ref_parse(text, ret, &e), 0);
}

UNUSED static int scene_push(const struct scene *s, const char *rest, const struct remote_opts *o,
			     struct remote_stats *ret, struct err *e)
{
	struct ref to SCOPED(ref_release) = {0};

	*e = (struct err)ERR_INIT;
	scene_ref(s, rest, &to);
	return remote_push(s->layout, &s->image, &to, o, ret, e);
}

/* Pulls into l under the tag "got". */
UNUSED static int scene_pull(const struct scene *s, const char *rest, struct oci_layout *l,
			     const struct remote_opts *o, struct remote_stats *ret, struct err *e)
{
	struct ref from SCOPED(ref_release) = {0};
	struct remote_pulled got = {0};

	*e = (struct err)ERR_INIT;
	scene_ref(s, rest, &from);
	if (remote_pull(&from, l, "got", o, &got, e) != 0)
		return -1;
	assert_true(digest_equal(&got.manifest.digest, &s->image.digest));
	*ret = got.stats;
	oci_desc_release(&got.manifest);
	return 0;
}

UNUSED static void scene_environment(void)
{
	static const char *const names[] = {
	    "http_proxy",    "https_proxy",     "all_proxy",
	    "ALL_PROXY",     "HTTPS_PROXY",     "XDG_RUNTIME_DIR",
	    "DOCKER_CONFIG", "XDG_CONFIG_HOME", "REGISTRY_AUTH_FILE"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unsetenv(names[i]);
	(void)setenv("HOME", "/nonexistent", 1);
}

#endif

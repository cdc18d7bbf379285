/* engine: what the API does at a real dockerd and at a real podman; both must behave alike. */
#include "engine/engine.h"

#include "archive/files.h"
#include "archive/tarw.h"
#include "engine-daemons.h"
#include "sandbox/profile.h"
#include "sys/fs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* An image of one program, busybox, and its config. */
struct image {
	struct engine_image i;
	struct engine_blob layer;
};

static struct daemon daemons[2];
static struct image img;

static int to_file(void *ctx, const void *p, size_t n, struct err *e)
{
	return fs_write_all(*(int *)ctx, p, n, e);
}

static void add(int fd, const char *path, mode_t mode, const void *p, size_t n)
{
	const struct sink out = {to_file, &fd};
	char *name SCOPED(mem_freep) = mem_strdup(path);
	struct tree_entry en = {.path = name, .mode = mode, .size = n};
	struct err e = ERR_INIT;

	assert_int_equal(tarw_header(&out, &en, NULL, 0, &e), 0);
	assert_int_equal(fs_write_all(fd, p, n, &e), 0);
	assert_int_equal(tarw_pad(&out, n, &e), 0);
}

static int temp_file(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static struct engine_blob blob_of(int fd)
{
	struct engine_blob b = {.fd = fd};
	struct err e = ERR_INIT;

	assert_true(lseek(fd, 0, SEEK_SET) == 0);
	assert_int_equal(digest_fd(fd, &b.digest, &b.size, &e), 0);
	return b;
}

/* A config with this diff_id and a note that makes it another image. */
static struct engine_blob config_of(const struct digest *diff, const char *note)
{
	char *text SCOPED(mem_freep) = mem_format(
	    "{\"architecture\":\"amd64\",\"config\":{\"Cmd\":[\"/bin/busybox\",\"true\"],"
	    "\"Labels\":{\"note\":\"%s\"}},\"os\":\"linux\",\"rootfs\":{\"diff_ids\":[\"%s\"],"
	    "\"type\":\"layers\"}}",
	    note, digest_text(diff).s);
	struct err e = ERR_INIT;
	int fd = temp_file();

	assert_int_equal(fs_write_all(fd, text, strlen(text), &e), 0);
	return blob_of(fd);
}

static void make_image(void)
{
	struct buf busybox SCOPED(buf_release) = BUF_INIT(8 << 20);
	struct err e = ERR_INIT;
	int fd = temp_file();
	const struct sink out = {to_file, &fd};
	static const char *const dirs[] = {"bin", "dev", "etc", "proc", "sys", "tmp"};

	assert_int_equal(fs_get(AT_FDCWD, "/bin/busybox", &busybox, &e), 0);
	for (size_t i = 0; i < 6; i++)
		add(fd, dirs[i], S_IFDIR | 0755, "", 0);
	add(fd, "bin/busybox", S_IFREG | 0755, busybox.data, busybox.len);
	assert_int_equal(tarw_end(&out, &e), 0);
	img.layer = blob_of(fd);
	img.i = (struct engine_image){config_of(&img.layer.digest, "a"), &img.layer, 1};
}

static int start_both(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	make_image();
	for (int i = 0; i < 2; i++)
		if (daemon_start(&daemons[i], i == 0) != 0) {
			(void)fprintf(stderr, "%s does not start, see %s/log\n",
				      i == 0 ? "dockerd" : "podman", daemons[i].dir);
			return -1;
		}
	return 0;
}

static int stop_both(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		daemon_stop(&daemons[i]);
	return 0;
}

static struct engine *engine_of(int i)
{
	struct engine *en = NULL;
	struct err e = ERR_INIT;

	if (geteuid() != 0)
		skip();
	if (engine_open(daemons[i].socket, &en, &e) != 0)
		fail_msg("%s", e.msg);
	return en;
}

#define OK(call)                                                                                   \
	do {                                                                                       \
		struct err why = ERR_INIT;                                                         \
		if ((call) != 0)                                                                   \
			fail_msg("%s: %s", #call, why.msg);                                        \
	} while (0)

static void about(struct engine *en, bool docker)
{
	assert_int_equal(engine_about(en)->podman, !docker);
	assert_int_equal(engine_about(en)->api, 41);
	assert_true(strchr(engine_about(en)->version, '.') != NULL);
}

static void images(struct engine *en)
{
	struct engine_image other = {config_of(&img.i.config.digest, "b"), &img.layer, 1};
	struct strv layers SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;
	bool there = true;

	OK(engine_has(en, &img.i.config.digest, &there, NULL, &why));
	assert_false(there);
	OK(engine_load(en, &img.i, &why));
	OK(engine_has(en, &img.i.config.digest, &there, &layers, &why));
	assert_true(there);
	/* both of them run on this machine, on overlayfs */
	assert_int_equal(layers.n, img.i.layers_n);
	for (size_t i = 0; i < layers.n; i++)
		assert_int_equal(access(layers.v[i], F_OK), 0);
	OK(engine_load(en, &img.i, &why));
	/* a config whose layer is another one */
	assert_int_equal(engine_load(en, &other, &e), -1);
	OK(engine_has(en, &other.config.digest, &there, NULL, &why));
	assert_false(there);
	(void)close(other.config.fd);
}

/* What keeps running until it is told to stop, under our filter. */
static struct jval *spec_of(struct engine *en, const char *dir)
{
	static const char body[] =
	    "{\"Cmd\":[\"/bin/busybox\",\"sh\",\"-c\",\"trap 'exit 5' TERM; while :; do "
	    "/bin/busybox sleep 0.1; done\"],\"Labels\":{\"posmedia\":\"x\"},"
	    "\"Healthcheck\":{\"Test\":[\"CMD\",\"/bin/busybox\",\"true\"],"
	    "\"Interval\":1000000000},\"HostConfig\":{"
	    "\"CapDrop\":[\"ALL\"],\"NetworkMode\":\"none\",\"ReadonlyRootfs\":true,"
	    "\"Tmpfs\":{\"/tmp\":\"\"},\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":1024,"
	    "\"Hard\":1024},{\"Name\":\"nproc\",\"Soft\":1000,\"Hard\":1000}]}}";
	struct jval *v = NULL, *profile SCOPED(jval_freep) = NULL, *list = jval_array();
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);
	char *path SCOPED(mem_freep) = mem_format("%s/seccomp.json", dir);
	char *option SCOPED(mem_freep) = NULL;

	OK(jval_parse(body, sizeof(body) - 1, "spec", &v, &why));
	jval_put_text(v, "Image", digest_text(&img.i.config.digest).s);
	OK(seccomp_profile_load("recipes/hosts/seccomp.yaml", &profile, &why));
	jval_write(profile, &text);
	OK(fs_put_path(path, text.data, text.len, 0644, &why));
	/* dockerd wants the text, podman a file of its own machine */
	option = mem_format("seccomp=%s", engine_about(en)->podman ? path : text.data);
	jval_push(list, jval_text("no-new-privileges"));
	jval_push(list, jval_text(option));
	jval_put(jval_get(v, "HostConfig"), "SecurityOpt", list);
	return v;
}

static int run(struct engine *en, const char *script, char *said, size_t room)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct buf out SCOPED(buf_release) = BUF_INIT(4096);
	struct engine_exec x = {&argv, 20000, &out};
	int status = -1;

	strv_add(&argv, "/bin/busybox");
	strv_add(&argv, "sh");
	strv_add(&argv, "-c");
	strv_add(&argv, script);
	OK(engine_run(en, "till", &x, &status, &why));
	(void)snprintf(said, room, "%s", out.data);
	return status;
}

static void inside(struct engine *en)
{
	char said[512];

	assert_int_equal(run(en, "echo one; echo two >&2; exit 3", said, sizeof(said)), 3);
	assert_non_null(strstr(said, "one\n"));
	assert_non_null(strstr(said, "two\n"));
	assert_int_equal(run(en,
			     "/bin/busybox grep -E '^(Seccomp|NoNewPrivs|CapEff)' "
			     "/proc/1/status",
			     said, sizeof(said)),
			 0);
	assert_non_null(strstr(said, "CapEff:\t0000000000000000\n"));
	assert_non_null(strstr(said, "NoNewPrivs:\t1\n"));
	assert_non_null(strstr(said, "Seccomp:\t2\n"));
	/* EPERM by our filter, before the kernel would look at it */
	assert_int_not_equal(run(en, "/bin/busybox unshare -U true", said, sizeof(said)), 0);
	assert_non_null(strstr(said, "Operation not permitted"));
	assert_int_not_equal(run(en, "echo x >/etc/x", said, sizeof(said)), 0);
	assert_non_null(strstr(said, "Read-only"));
	/* a program that says nothing for too long is given up */
	{
		struct strv argv SCOPED(strv_release) = {0};
		struct buf out SCOPED(buf_release) = BUF_INIT(64);
		struct engine_exec x = {&argv, 1000, &out};
		struct err e = ERR_INIT;
		int status = 0;

		strv_add(&argv, "/bin/busybox");
		strv_add(&argv, "sleep");
		strv_add(&argv, "30");
		assert_int_equal(engine_run(en, "till", &x, &status, &e), -1);
		assert_int_equal(e.kind, ERR_REMOTE);
	}
}

/* Of podman without a systemd on the host nobody else asks. */
static void becomes_healthy(struct engine *en)
{
	enum engine_health health = ENGINE_NO_CHECK;

	for (int i = 0; i < 300 && health != ENGINE_HEALTHY; i++) {
		OK(engine_health(en, "till", &health, &why));
		assert_true(health == ENGINE_STARTING || health == ENGINE_HEALTHY);
		(void)usleep(100000);
	}
	assert_int_equal(health, ENGINE_HEALTHY);
}

static bool any(void *ctx, const char *path)
{
	(void)ctx;
	(void)path;
	return true;
}

/* Files go into a container that has never run, and come out of it, with their owners. */
static void files(struct engine *en)
{
	static char path[] = "etc/shadow", data[] = "root:*:1::::::\n";
	const struct small_file one = {path, S_IFREG | 0640, 0, 42, data, strlen(data)};
	const struct files_want all = {
	    .below = "", .wants = any, .bytes_max = 1 << 20, .entries_max = 1000};
	struct files in SCOPED(files_release) = {0}, out SCOPED(files_release) = {0};
	struct buf tar SCOPED(buf_release) = BUF_INIT(1 << 20);
	char *root SCOPED(mem_freep) = NULL, *at SCOPED(mem_freep) = NULL;
	struct engine_files get = {"/etc", temp_file(), 1 << 20};
	struct err e = ERR_INIT;
	struct stat st;
	bool there = false;

	files_put(&in, &one);
	OK(files_tar(&in, &tar, &why));
	OK(engine_put(en, "files", "/", &tar, &why));
	OK(engine_get(en, "files", &get, &there, &why));
	assert_true(there);
	OK(files_read(get.to, &all, &out, &why));
	assert_string_equal(files_find(&out, path)->data, data);
	assert_int_equal(files_find(&out, path)->mode, S_IFREG | 0640);
	OK(engine_mount(en, "files", &root, &why));
	assert_int_equal(root != NULL, engine_about(en)->podman);
	if (root != NULL) {
		at = mem_format("%s/etc/shadow", root);
		assert_int_equal(stat(at, &st), 0);
		assert_int_equal(st.st_gid, 42);
	} else {
		assert_int_equal(files_find(&out, path)->gid, 42);
	}
	OK(engine_unmount(en, "files", &why));
	get.path = "/nowhere";
	OK(engine_get(en, "files", &get, &there, &why));
	assert_false(there);
	get.path = "/bin";
	get.bytes_max = 1000;
	assert_int_equal(engine_get(en, "files", &get, &there, &e), -1);
	if (strstr(e.msg, "there is more than fits") == NULL)
		fail_msg("%s", e.msg);
	(void)close(get.to);
}

static void files_of_one(struct engine *en)
{
	struct jval *spec SCOPED(jval_freep) = jval_object();

	jval_put_text(spec, "Image", digest_text(&img.i.config.digest).s);
	OK(engine_create(en, "files", spec, &why));
	files(en);
	OK(engine_remove(en, "files", &why));
}

static void containers(struct engine *en, const char *dir)
{
	struct jval *spec SCOPED(jval_freep) = spec_of(en, dir);
	struct engine_state s SCOPED(engine_state_release) = {0};
	struct err e = ERR_INIT;

	OK(engine_state(en, "till", &s, &why));
	assert_false(s.there);
	OK(engine_create(en, "till", spec, &why));
	assert_int_equal(engine_create(en, "till", spec, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	OK(engine_start(en, "till", &why));
	OK(engine_start(en, "till", &why));
	OK(engine_state(en, "till", &s, &why));
	assert_true(s.there && s.running && s.pid > 1);
	assert_true(digest_equal(&s.image, &img.i.config.digest));
	assert_string_equal(jval_get_str(s.labels, "posmedia"), "x");
	engine_state_release(&s);
	becomes_healthy(en);
	inside(en);
	assert_int_equal(engine_remove(en, "till", &e), -1);
	OK(engine_rename(en, "till", "gone", &why));
	OK(engine_stop(en, "gone", 10, &why));
	OK(engine_stop(en, "gone", 10, &why));
	OK(engine_state(en, "gone", &s, &why));
	assert_true(s.there && !s.running);
	assert_int_equal(s.exit, 5);
	OK(engine_remove(en, "gone", &why));
	OK(engine_remove(en, "gone", &why));
	assert_int_equal(engine_start(en, "gone", &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_int_equal(engine_start(en, "../x", &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
}

static void whole(int i)
{
	struct engine *en SCOPED(engine_freep) = engine_of(i);
	struct err e = ERR_INIT;

	about(en, daemons[i].docker);
	images(en);
	files_of_one(en);
	containers(en, daemons[i].dir);
	daemon_kill(&daemons[i], SIGTERM);
	assert_int_equal(engine_start(en, "till", &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.msg, daemons[i].socket));
}

static void docker(void **state)
{
	(void)state;
	whole(0);
}

static void podman(void **state)
{
	(void)state;
	whole(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(docker),
	    cmocka_unit_test(podman),
	};

	return cmocka_run_group_tests(tests, start_both, stop_both);
}

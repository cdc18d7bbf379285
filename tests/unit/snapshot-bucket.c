/* A bucket whose server does what a real one cannot be made to do; what a real one does is in
 * tests/interop. Objects are files of the scene's directory, named by their escaped keys. */
#include "http-server.h"
#include "remote-lib.h"

#include "snapshot/marks.h"
#include "snapshot/writer.h"
#include "sys/clock.h"

enum mode {
	GOOD,
	CONFLICT_ONCE,   /* another is writing the name, and fails */
	CONFLICT_ALWAYS, /* it never ends */
	CUT,             /* there is more in a list, and nothing says where */
};
enum { MODE, ONCE };

#define AT     "s3://bucket/p"
#define SECRET "a secret of some length"

static struct server one;
static struct scene scene;

static char *file_of(const char *path)
{
	char *name SCOPED(mem_freep) = mem_strndup(path, strcspn(path, "?"));

	for (char *c = name; *c != '\0'; c++)
		if (*c == '/')
			*c = ':';
	return mem_format("%s/objects/%s", scene.dir, name);
}

static void serve_put(struct server_req *r)
{
	char *file SCOPED(mem_freep) = file_of(r->path);
	enum mode m = (enum mode)r->sh->count[MODE];
	struct err e = ERR_INIT;

	if (m == CONFLICT_ALWAYS ||
	    (m == CONFLICT_ONCE && atomic_fetch_add(&r->sh->count[ONCE], 1) == 0)) {
		server_answer(r, 409, "", "<Error><Code>ConditionalRequestConflict</Code></Error>");
	} else if (access(file, F_OK) == 0) {
		server_answer(r, 412, "", "<Error><Code>PreconditionFailed</Code></Error>");
	} else {
		if (fs_put_path(file, r->body, r->body_n, 0600, &e) != 0)
			abort();
		server_answer(r, 200, "", "");
	}
}

/* Of "/bucket/?list-type=2&prefix=p%2Fpacks%2F". */
static void serve_list(struct server_req *r)
{
	const char *folder = strstr(r->path, "p%2F") + 4;
	char *start SCOPED(mem_freep) =
	    mem_format(":bucket:p:%.*s:", (int)strcspn(folder, "%"), folder);
	char *dir SCOPED(mem_freep) = mem_format("%s/objects", scene.dir);
	struct strv names SCOPED(strv_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	if (fs_list(AT_FDCWD, dir, &names, &e) != 0)
		abort();
	buf_addf(&b, "<ListBucketResult>");
	for (size_t i = 0; i < names.n; i++)
		if (strncmp(names.v[i], start, strlen(start)) == 0)
			buf_addf(&b, "<Contents><Key>p/%.*s/%s</Key><Size>1</Size></Contents>",
				 (int)strcspn(folder, "%"), folder, names.v[i] + strlen(start));
	if (r->sh->count[MODE] == CUT)
		buf_addf(&b, "<IsTruncated>true</IsTruncated>");
	buf_addf(&b, "</ListBucketResult>");
	server_answer(r, 200, "", b.data);
}

static void serve(struct server_req *r)
{
	char *file SCOPED(mem_freep) = file_of(r->path);
	struct buf b SCOPED(buf_release) = BUF_INIT(8 << 20);
	struct err e = ERR_INIT;

	if (strcmp(r->method, "PUT") == 0) {
		serve_put(r);
	} else if (strncmp(r->path, "/bucket/?", 9) == 0 && strstr(r->path, "p%2F") != NULL) {
		serve_list(r);
	} else if (strncmp(r->path, "/bucket/p/", 10) != 0) {
		server_answer(r, 200, "", "<ListBucketResult></ListBucketResult>");
	} else if (access(file, F_OK) != 0 || fs_get(AT_FDCWD, file, &b, &e) != 0) {
		server_answer(r, 404, "", "<Error><Code>NoSuchKey</Code></Error>");
	} else {
		server_say(r, "HTTP/1.1 200 X\r\nContent-Length: %zu\r\n\r\n", b.len);
		if (strcmp(r->method, "GET") == 0)
			server_write(r, b.data, b.len);
	}
}

static int setup(void **state)
{
	char *objects SCOPED(mem_freep) = NULL, *url SCOPED(mem_freep) = NULL;

	(void)state;
	scene_environment();
	scene_open(&scene);
	objects = mem_format("%s/objects", scene.dir);
	assert_int_equal(mkdir(objects, 0700), 0);
	server_start(&one, serve);
	url = mem_format("http://127.0.0.1:%d", one.port);
	(void)setenv("AWS_ENDPOINT_URL", url, 1);
	(void)setenv("AWS_ACCESS_KEY_ID", "a", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "b", 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	server_stop(&one);
	scene_close(&scene);
	return 0;
}

static int put(enum mode m, const char *name, const char *text, struct err *e)
{
	struct objects *o = NULL;
	int rc;

	*e = (struct err)ERR_INIT;
	one.sh->count[MODE] = (int)m;
	one.sh->count[ONCE] = 0;
	assert_int_equal(objects_open(AT, true, &o, e), 0);
	rc = objects_put_bytes(o, name, text, strlen(text), e);
	objects_free(o);
	return rc;
}

static bool is_there(const char *name)
{
	char *path SCOPED(mem_freep) = mem_format("/bucket/p/%s", name);
	char *file SCOPED(mem_freep) = file_of(path);

	return access(file, F_OK) == 0;
}

/* That another is writing the name does not say that it will be there. */
static void conflicts(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(put(CONFLICT_ONCE, "packs/a", "abc", &e), 0);
	assert_true(is_there("packs/a"));
	assert_int_equal(put(CONFLICT_ALWAYS, "packs/b", "abc", &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
}

/* What has a name that is made from content has all of it. */
static void what_is_there_already(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(put(GOOD, "packs/c", "abc", &e), 0);
	assert_int_equal(put(GOOD, "packs/c", "abc", &e), 0);
	assert_int_equal(put(GOOD, "packs/c", "abcd", &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_int_equal(put(GOOD, "format", "abc", &e), 0);
	assert_int_equal(put(GOOD, "format", "abcd", &e), 0);
}

static void remove_object(const char *name)
{
	char *path SCOPED(mem_freep) = mem_format("/bucket/p/%s", name);
	char *file SCOPED(mem_freep) = file_of(path);

	assert_int_equal(unlink(file), 0);
}

/* A repository that a making has put one pack in, and no snapshot yet. */
static struct snapshot_repo *with_a_pack(void)
{
	const struct snapshot_at at = {
	    .where = AT, .secret = SECRET, .secret_n = strlen(SECRET), .use = SNAPSHOT_WRITE};
	struct snapshot_repo *r = NULL;
	struct writer *w SCOPED(writer_freep) = NULL;
	struct filler *f;
	struct block_id id;
	struct err e = ERR_INIT;

	one.sh->count[MODE] = GOOD;
	if (snapshot_repo_open(&at, &r, &e) != 0)
		fail_msg("%s", e.msg);
	w = writer_new(r, false);
	f = writer_take(w);
	assert_int_equal(filler_block(f, "abc", 3, &id, &e), 0);
	writer_give(w, f);
	assert_int_equal(writer_end(w, &e), 0);
	if (repo_still(r, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r->put.n, 1);
	return r;
}

/* A making that takes longer than a pruning waits loses packs that it put itself. */
static void own_packs_are_pruned(void **state)
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = with_a_pack();
	char *pack SCOPED(mem_freep) = mem_format("packs/%s", r->put.v[0]);
	struct err e = ERR_INIT;

	(void)state;
	remove_object(pack);
	assert_int_equal(repo_still(r, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
}

/* Marks a pack as to go, so many hours ago. */
static void mark(struct snapshot_repo *r, const char *pack, int hours)
{
	struct buf plain SCOPED(buf_release) = BUF_INIT(4096);
	struct buf sealed SCOPED(buf_release) = BUF_INIT(4096);
	struct err e = ERR_INIT;

	buf_addf(&plain, "%lld %s\n", (long long)clock_wall_s() - hours * 3600LL, pack);
	seal_whole(&r->key, SEAL_MARKS, "", &plain, &sealed);
	if (objects_put_bytes(r->objects, "marks/a", sealed.data, sealed.len, &e) != 0)
		fail_msg("%s", e.msg);
}

/* A pack that is there still when the snapshot is about to be put may be gone when it is. */
static void own_packs_go_soon(void **state)
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = NULL;
	struct err e = ERR_INIT;

	(void)state;
	r = with_a_pack();
	mark(r, r->put.v[0], 2);
	if (repo_still(r, &e) != 0)
		fail_msg("%s", e.msg);
	remove_object("marks/a");
	mark(r, r->put.v[0], 20);
	assert_int_equal(repo_still(r, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	remove_object("marks/a");
}

/* A pack that is not listed would be taken for one that was removed. */
static void a_list_that_is_cut_short(void **state)
{
	struct object_list l SCOPED(object_list_release) = {0};
	struct objects *o = NULL;
	struct err e = ERR_INIT;

	(void)state;
	one.sh->count[MODE] = CUT;
	assert_int_equal(objects_open(AT, true, &o, &e), 0);
	assert_int_equal(objects_list(o, "packs", &l, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	objects_free(o);
	one.sh->count[MODE] = GOOD;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(own_packs_are_pruned),
	    cmocka_unit_test(own_packs_go_soon),
	    cmocka_unit_test(conflicts),
	    cmocka_unit_test(what_is_there_already),
	    cmocka_unit_test(a_list_that_is_cut_short),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

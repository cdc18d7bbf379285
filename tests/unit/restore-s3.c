/* restore: a bucket that is written to while it is read, or whose server lies about its list. */
#include "http-server.h"
#include "remote-lib.h"

#include "restore/source.h"
#include "sys/fs.h"

enum mode {
	STILL,
	CHANGED_ONCE, /* by the first fetching it has another content of the same size */
	CHANGES,      /* at each */
	GONE,
	CUT,   /* there is more, and nothing says where */
	AGAIN, /* it goes on where it was */
};
enum { MODE, VERSION };

static struct server one;
static struct scene scene;

static void serve_list(struct server_req *r)
{
	enum mode m = (enum mode)r->sh->count[MODE];
	char *object SCOPED(mem_freep) =
	    mem_format("<Contents><Key>p/f</Key><LastModified>2026-01-02T03:04:05.000Z"
		       "</LastModified><ETag>&quot;v%d&quot;</ETag><Size>2</Size></Contents>",
		       (int)r->sh->count[VERSION]);
	char *text SCOPED(mem_freep) =
	    mem_format("<ListBucketResult><IsTruncated>%s</IsTruncated>%s%s</ListBucketResult>",
		       m == CUT || m == AGAIN ? "true" : "false",
		       m == AGAIN ? "<NextContinuationToken>x</NextContinuationToken>" : "",
		       m == GONE && r->sh->count[VERSION] > 0 ? "" : object);

	server_answer(r, 200, "", text);
}

static void serve(struct server_req *r)
{
	enum mode m = (enum mode)r->sh->count[MODE];

	if (strstr(r->path, "list-type=2") != NULL) {
		serve_list(r);
		return;
	}
	if (strcmp(r->path, "/bucket/p/f") != 0) {
		server_answer(r, 200, "", "<ListBucketResult></ListBucketResult>");
		return;
	}
	if (m == CHANGES || m == GONE || (m == CHANGED_ONCE && r->sh->count[VERSION] == 0))
		(void)atomic_fetch_add(&r->sh->count[VERSION], 1);
	if (m == GONE)
		server_answer(r, 404, "", "<Error><Code>NoSuchKey</Code></Error>");
	else
		server_say(r, "HTTP/1.1 200 X\r\nETag: \"v%d\"\r\nContent-Length: 2\r\n\r\nv%d",
			   (int)r->sh->count[VERSION], (int)r->sh->count[VERSION]);
}

static int setup(void **state)
{
	char *url SCOPED(mem_freep) = NULL;

	(void)state;
	scene_environment();
	scene_open(&scene);
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

/* Fetches it, and gives what p/f was then; the caller owns it. */
static char *fetched(enum mode m, struct err *e)
{
	struct source s SCOPED(source_release) = SOURCE_INIT;
	const struct source_help h = {.work = scene.dir, .env = SITE_PROD};
	struct buf b SCOPED(buf_release) = BUF_INIT(64);
	char *file SCOPED(mem_freep) = mem_format("%s/fetched", scene.dir);
	struct err quiet = ERR_INIT;

	*e = (struct err)ERR_INIT;
	assert_int_equal(fs_rmtree(AT_FDCWD, file, &quiet), 0);
	one.sh->count[MODE] = (int)m;
	one.sh->count[VERSION] = 0;
	assert_int_equal(source_parse("s3://bucket/p", &s, e), 0);
	if (source_ready(&s, &h, e) != 0)
		return NULL;
	assert_int_equal(fs_get(s.rootfd, "f", &b, e), 0);
	return mem_strdup(b.data);
}

static void what_changes_once_is_read_again(void **state)
{
	struct err e;
	char *still SCOPED(mem_freep) = fetched(STILL, &e);
	char *changed SCOPED(mem_freep) = fetched(CHANGED_ONCE, &e);

	(void)state;
	assert_string_equal(still, "v0");
	assert_non_null(changed);
	assert_string_equal(changed, "v1");
	assert_int_equal(one.sh->count[VERSION], 1);
}

static void refused(enum mode m, const char *says)
{
	struct err e;
	char *text SCOPED(mem_freep) = fetched(m, &e);

	if (text != NULL)
		fail_msg("it was taken: %s", text);
	assert_int_equal(e.kind, ERR_REMOTE);
	if (strstr(e.msg, says) == NULL)
		fail_msg("%s", e.msg);
}

static void what_goes_on_changing_is_told(void **state)
{
	(void)state;
	refused(CHANGES, "f: it changed while it was fetched");
	refused(GONE, "f: is gone since it was listed");
}

static void lists_that_lie(void **state)
{
	(void)state;
	refused(CUT, "cut short");
	refused(AGAIN, "does not end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_changes_once_is_read_again),
	    cmocka_unit_test(what_goes_on_changing_is_told),
	    cmocka_unit_test(lists_that_lie),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

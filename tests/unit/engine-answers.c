/* engine: an engine that lies, breaks off, or is not one. */
#include "engine/parts.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Gives its answers one after the other, a connection each; the last again and again. */
struct liar {
	pid_t pid;
	char path[64];
	char log[64]; /* the first line of each request */
};

static void answer(int fd, const char *text, FILE *log)
{
	char head[8192];
	size_t n = 0;

	while (n < sizeof(head) - 1) {
		ssize_t r = read(fd, head + n, sizeof(head) - 1 - n);

		if (r <= 0)
			break;
		n += (size_t)r;
		head[n] = '\0';
		if (strstr(head, "\r\n\r\n") != NULL)
			break;
	}
	(void)fprintf(log, "%.*s\n", (int)strcspn(head, "\r"), head);
	(void)fflush(log);
	(void)!write(fd, text, strlen(text));
	(void)shutdown(fd, SHUT_WR);
	while (read(fd, head, sizeof(head)) > 0)
		continue;
	(void)close(fd);
}

static void liar_start(struct liar *l, const char *const *answers)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(l->path, sizeof(l->path), "/tmp/posmedia-liar-%d.sock", (int)getpid());
	(void)snprintf(l->log, sizeof(l->log), "/tmp/posmedia-liar-%d.log", (int)getpid());
	(void)unlink(l->path);
	memcpy(un.sun_path, l->path, strlen(l->path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(fd, 8), 0);
	l->pid = fork();
	if (l->pid == 0) {
		FILE *log = fopen(l->log, "we");

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int c; (c = accept(fd, NULL, NULL)) >= 0;) {
			answer(c, *answers, log);
			answers += answers[1] != NULL;
		}
		_exit(0);
	}
	(void)close(fd);
}

static void liar_stop(struct liar *l)
{
	(void)kill(l->pid, SIGKILL);
	(void)waitpid(l->pid, NULL, 0);
	(void)unlink(l->path);
	(void)unlink(l->log);
}

#define SAYS(status, body)                                                                         \
	"HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" body
#define PING(api) SAYS("200 OK\r\nServer: Docker/9\t1\r\nApi-Version: " api, "OK")

/* The message with which opening such an engine fails, "" when it does not. */
static void opens(const char *first, const char *want)
{
	const char *const answers[] = {first, NULL};
	struct engine *en = NULL;
	struct err e = ERR_INIT;
	struct liar l;

	liar_start(&l, answers);
	if (engine_open(l.path, &en, &e) == 0)
		assert_string_equal(want, "");
	else if (strstr(e.msg, want) == NULL || want[0] == '\0')
		fail_msg("\n got %s\nwant %s", e.msg, want);
	else
		assert_int_equal(e.kind, ERR_REMOTE);
	engine_free(en);
	liar_stop(&l);
}

static void who_is_there(void **state)
{
	(void)state;
	opens(PING("1.41"), "");
	opens(PING("1.52"), "");
	opens(PING("1.39"), "speaks API 1.39 only");
	opens(PING("2.1"), "is no container engine");
	opens(SAYS("200 OK", "{}"), "is no container engine");
	opens(PING("1.x"), "is no container engine");
	opens(SAYS("403 Forbidden", "{\"message\":\"not\\u001b you\"}"), "403 not? you");
	opens(SAYS("302 Found\r\nLocation: http://127.0.0.1:1/x", ""), "ping: 302");
	opens("garbage\r\n\r\n", "the engine at /tmp/");
}

/* Asks an engine whose second answer this is. */
static void state_of(const char *second, const char *want)
{
	const char *const answers[] = {PING("1.41"), second, NULL};
	struct engine *en = NULL;
	struct engine_state s SCOPED(engine_state_release) = {0};
	struct err e = ERR_INIT;
	struct liar l;

	liar_start(&l, answers);
	assert_int_equal(engine_open(l.path, &en, &e), 0);
	assert_string_equal(engine_about(en)->version, "Docker/9?1");
	if (engine_state(en, "till", &s, &e) == 0)
		assert_string_equal(want, "");
	else if (strstr(e.msg, want) == NULL || want[0] == '\0')
		fail_msg("\n got %s\nwant %s", e.msg, want);
	engine_free(en);
	liar_stop(&l);
}

#define ID "1111111111111111111111111111111111111111111111111111111111111111"

static void what_a_container_is(void **state)
{
	static const char lost[] = "does not say what a container is";

	(void)state;
	state_of(SAYS("404 Not Found", "{}"), "");
	state_of(SAYS("200 OK", "{\"Image\":\"" ID "\",\"State\":{\"Pid\":1}}"), "");
	state_of(SAYS("200 OK", "{\"Image\":\"sha256:" ID "\",\"State\":{}}"), "");
	state_of(SAYS("200 OK", "{\"Image\":\"sha256:../" ID "\",\"State\":{}}"), lost);
	state_of(SAYS("200 OK", "{\"Image\":\"" ID "\",\"State\":{\"Pid\":-1}}"), lost);
	state_of(SAYS("200 OK", "{\"Image\":\"" ID "\",\"State\":{\"Pid\":\"1\"}}"), lost);
	state_of(SAYS("200 OK", "{\"State\":{}}"), lost);
	state_of(SAYS("200 OK\r\nContent-Length: 100", "{\"Image\":"), "the engine at");
	state_of(SAYS("200 OK", "[]"), "no answer of an engine");
	state_of(SAYS("200 OK", "<html>"), "no answer of an engine");
	state_of(SAYS("500 Oops", "{\"message\":7}"), "500 no reason given");
}

/* Whether a container of such a state runs. */
static bool runs(const char *text)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct engine_state s SCOPED(engine_state_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(jval_parse(text, strlen(text), "state", &v, &e), 0);
	assert_int_equal(engine_read_state(v, &s, &e), 0);
	return s.running;
}

static void what_runs(void **state)
{
	(void)state;
	assert_true(runs("{\"Image\":\"" ID "\",\"State\":{\"Running\":true}}"));
	assert_false(runs("{\"Image\":\"" ID "\",\"State\":{}}"));
	assert_false(
	    runs("{\"Image\":\"" ID "\",\"State\":{\"Running\":true,\"Restarting\":true}}"));
}

/* What a list says: how many there are, and -1 of what is none. */
static int listed(const char *text)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct engine_entries l SCOPED(engine_entries_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(jval_parse(text, strlen(text), "list", &v, &e), 0);
	if (engine_read_list(v, &l, &e) != 0) {
		assert_int_equal(e.kind, ERR_REMOTE);
		return -1;
	}
	if (l.n == 2) {
		assert_string_equal(l.v[0].name, "ab");
		assert_true(engine_entry_find(&l, "cd")->running);
		assert_false(engine_entry_find(&l, "ab")->running);
		assert_null(engine_entry_find(&l, "a"));
		assert_string_equal(jval_get_str(l.v[1].labels, "x"), "y");
	}
	return (int)l.n;
}

static void what_is_listed(void **state)
{
	(void)state;
	assert_int_equal(listed("[]"), 0);
	assert_int_equal(listed("[{\"Names\":[\"/cd\"],\"State\":\"running\",\"Labels\":"
				"{\"x\":\"y\"}},{\"Names\":[\"ab\"],\"State\":\"exited\"}]"),
			 2);
	assert_int_equal(listed("{}"), -1);
	/* one that cannot be told does not hide the others */
	assert_int_equal(listed("[7]"), 0);
	assert_int_equal(listed("[{\"Names\":[],\"State\":\"running\"},{\"Names\":[\"ab\"],"
				"\"State\":\"exited\"}]"),
			 1);
	assert_int_equal(listed("[{\"Names\":null,\"State\":\"running\"}]"), 0);
	assert_int_equal(listed("[{\"Names\":[\"/../x\"],\"State\":\"running\"}]"), 0);
	assert_int_equal(listed("[{\"Names\":[\"ab\"],\"State\":7}]"), 0);
	assert_int_equal(listed("[{\"Names\":\"ab\",\"State\":\"running\"}]"), 0);
}

/* Stopping what the engine says this of: whether that is success. */
static int stopping(const char *second)
{
	const char *const answers[] = {PING("1.41"), second, NULL};
	struct engine *en = NULL;
	struct err e = ERR_INIT;
	struct liar l;
	int rc;

	liar_start(&l, answers);
	assert_int_equal(engine_open(l.path, &en, &e), 0);
	rc = engine_stop(en, "till", 1, &e);
	engine_free(en);
	liar_stop(&l);
	return rc;
}

static void what_is_stopped(void **state)
{
	(void)state;
	assert_int_equal(stopping(SAYS("204 No Content", "")), 0);
	assert_int_equal(stopping(SAYS("304 Not Modified", "")), 0);
	assert_int_equal(stopping(SAYS("404 Not Found", "{}")), 0);
	assert_int_equal(stopping(SAYS("500 Oops", "{}")), -1);
}

static void frames(void **state)
{
	static const char good[] = "\1\0\0\0\0\0\0\3one\2\0\0\0\0\0\0\3two";
	struct buf b SCOPED(buf_release) = BUF_INIT(4);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(engine_frames(good, sizeof(good) - 1, &b, &e), 0);
	assert_string_equal(b.data, "onet");
	assert_int_equal(engine_frames(good, sizeof(good) - 2, &b, &e), -1);
	assert_int_equal(engine_frames("\1\0\0\0\0\0", 6, &b, &e), -1);
	assert_int_equal(engine_frames("\3\0\0\0\0\0\0\0", 8, &b, &e), -1);
	assert_int_equal(engine_frames("\1\0\0\0\xff\xff\xff\xff", 8, &b, &e), -1);
	assert_int_equal(engine_frames("", 0, &b, &e), 0);
}

static void loading(void **state)
{
	static const char good[] = "{\"stream\":\"x\"}\r\n{\"stream\":\"y\"}\n";
	static const char evil[] = "{\"stream\":\"x\"}\n{\"error\":\"disk full\"}";
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(engine_read_load(good, sizeof(good) - 1, &e), 0);
	assert_int_equal(engine_read_load(evil, sizeof(evil) - 1, &e), -1);
	assert_non_null(strstr(e.msg, "disk full"));
	assert_int_equal(engine_read_load("{\"error\":{}}", 12, &e), -1);
}

/* What it says of its layers, as one text. */
static void layers(const char *driver, const char *want)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct buf got SCOPED(buf_release) = BUF_INIT(1000);
	struct strv l SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(jval_parse(driver, strlen(driver), "it", &v, &e), 0);
	engine_read_layers(v, &l);
	for (size_t i = 0; i < l.n; i++)
		buf_addf(&got, "%s\n", l.v[i]);
	assert_string_equal(got.data, want);
}

#define DRIVER(name, data) "{\"GraphDriver\":{\"Name\":" name ",\"Data\":" data "}}"

static void where_an_image_is(void **state)
{
	(void)state;
	layers(
	    DRIVER("\"overlay2\"", "{\"LowerDir\":\"/b/diff:/c/diff\",\"UpperDir\":\"/a/diff\"}"),
	    "/a/diff\n/b/diff\n/c/diff\n");
	layers(DRIVER("\"overlay\"", "{\"UpperDir\":\"/a/diff\"}"), "/a/diff\n");
	/* other drivers, and what is none */
	layers(DRIVER("\"vfs\"", "{\"UpperDir\":\"/a/diff\"}"), "");
	layers(DRIVER("7", "null"), "");
	layers("{}", "");
	layers(DRIVER("\"overlay\"", "{\"LowerDir\":\"/b/diff\"}"), "");
	/* a path with a colon, and paths that are none of a layer */
	layers(DRIVER("\"overlay\"", "{\"UpperDir\":\"/x:y/a/diff\"}"), "");
	layers(DRIVER("\"overlay\"", "{\"UpperDir\":\"/a/diff\",\"LowerDir\":\"/etc\"}"), "");
	layers(DRIVER("\"overlay\"", "{\"UpperDir\":\"a/diff\"}"), "");
	layers(DRIVER("\"overlay\"", "{\"UpperDir\":\"/a/diff:/b/diff\"}"), "");
}

static void nobody_there(void **state)
{
	struct engine *en = NULL;
	struct err e = ERR_INIT;
	char path[200];

	(void)state;
	assert_int_equal(engine_open("/tmp/posmedia-no-such.sock", &en, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.hint, "is it running"));
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(engine_open(path, &en, &e), -1);
	assert_null(en);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_is_there),
	    cmocka_unit_test(what_a_container_is),
	    cmocka_unit_test(frames),
	    cmocka_unit_test(loading),
	    cmocka_unit_test(where_an_image_is),
	    cmocka_unit_test(nobody_there),
	    cmocka_unit_test(what_runs),
	    cmocka_unit_test(what_is_listed),
	    cmocka_unit_test(what_is_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

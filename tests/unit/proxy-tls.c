/* https through the proxy, with libcurl before it and openssl's own server behind it. */
#include "proxy-lib.h"

#include "http/http.h"
#include "sys/proc.h"

struct tls {
	struct bench *b;
	char *cert, *key, *ca; /* of the server; the proxy's authority */
	pid_t pid;
	int port;
};

static void answer(struct server_req *r)
{
	server_answer(r, 200, "", "plain");
}

static void serve(struct tls *t)
{
	char *at SCOPED(mem_freep) = mem_format("127.0.0.1:%d", t->port);

	t->pid = fork();
	if (t->pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int fd = 0; fd < 3; fd++)
			(void)dup2(null, fd);
		if (chdir(t->b->dir) == 0)
			(void)execlp("openssl", "openssl", "s_server", "-accept", at, "-WWW",
				     "-cert", t->cert, "-key", t->key, NULL);
		_exit(127);
	}
	for (int i = 0; i < 200; i++) {
		struct bench to = {.port = t->port};
		struct sockaddr_in a = {.sin_family = AF_INET,
					.sin_port = htons((uint16_t)to.port),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		int fd SCOPED(fd_closep) = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
			return;
		usleep(50 * 1000);
	}
	fail_msg("openssl s_server does not come up");
}

static int setup(void **state)
{
	struct tls *t = mem_zalloc(sizeof(*t));
	struct err e = ERR_INIT;
	char *body SCOPED(mem_freep) = NULL;

	t->b = bench_new(answer);
	t->cert = mem_format("%s/cert.pem", t->b->dir);
	t->key = mem_format("%s/key.pem", t->b->dir);
	body = mem_format("%s/body.txt", t->b->dir);
	const char *argv[] = {"openssl",
			      "req",
			      "-x509",
			      "-newkey",
			      "ec",
			      "-pkeyopt",
			      "ec_paramgen_curve:P-256",
			      "-nodes",
			      "-days",
			      "2",
			      "-subj",
			      "/CN=up",
			      "-addext",
			      "subjectAltName=IP:127.0.0.1",
			      "-keyout",
			      t->key,
			      "-out",
			      t->cert,
			      NULL};
	struct proc_spec spec = {.argv = argv};

	assert_int_equal(proc_ok(&spec, ERR_FAIL, &e), 0);
	assert_int_equal(fs_put_path(body, "secret menu", 11, 0644, &e), 0);
	t->port = free_port();
	strv_addf(&t->b->allow, "127.0.0.1:%d", t->port);
	serve(t);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct tls *t = *state;

	(void)unsetenv("https_proxy");
	(void)unsetenv("SSL_CERT_FILE");
	(void)kill(t->pid, SIGKILL);
	(void)waitpid(t->pid, NULL, 0);
	bench_free(t->b);
	free(t->cert);
	free(t->key);
	free(t->ca);
	free(t);
	return 0;
}

/* The proxy trusts `trust`; from then on we are its client and trust it. */
static void begin_tls(struct tls *t, const char *trust, struct proxy_spec spec)
{
	char *proxy SCOPED(mem_freep) = NULL;

	(void)unsetenv("https_proxy");
	if (trust != NULL)
		assert_int_equal(setenv("SSL_CERT_FILE", trust, 1), 0);
	else
		assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
	begin(t->b, spec);
	free(t->ca);
	t->ca = mem_format("%s/ca.pem", proxy_public_dir(t->b->p));
	proxy = mem_format("http://127.0.0.1:%d", t->b->port);
	assert_int_equal(setenv("https_proxy", proxy, 1), 0);
	assert_int_equal(setenv("SSL_CERT_FILE", t->ca, 1), 0);
}

static int get(const char *host, int port, struct http_reply *r, struct err *e)
{
	char *url SCOPED(mem_freep) = mem_format("https://%s:%d/body.txt", host, port);
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .tries = 1};

	*r = (struct http_reply){0};
	return http_send(&q, r, e);
}

static void expect_body(struct tls *t)
{
	struct http_reply r;
	struct err e = ERR_INIT;

	if (get("127.0.0.1", t->port, &r, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body.data, "secret menu");
	http_reply_release(&r);
}

static void test_recorded_and_replayed(void **state)
{
	struct tls *t = *state;
	struct proxy_result r = {0}, none = {0};
	struct err e = ERR_INIT;

	begin_tls(t, t->cert, (struct proxy_spec){0});
	expect_body(t);
	expect_body(t);
	assert_int_equal(finish(t->b, &r, &e), 0);
	assert_int_equal(r.n, 1);
	assert_int_equal(strncmp(r.v[0].url, "https://127.0.0.1:", 18), 0);
	(void)kill(t->pid, SIGKILL);
	begin_tls(t, NULL, (struct proxy_spec){.recorded = r.v, .recorded_n = r.n});
	expect_body(t);
	assert_int_equal(finish(t->b, &none, &e), 0);
	proxy_result_release(&r);
}

/* The proxy does not wave through a server that nobody vouches for. */
static void test_server_is_verified(void **state)
{
	struct tls *t = *state;
	struct proxy_result r = {0};
	struct http_reply reply;
	struct err e = ERR_INIT;

	begin_tls(t, NULL, (struct proxy_spec){0});
	assert_int_equal(get("127.0.0.1", t->port, &reply, &e), 0);
	assert_int_equal(reply.status, 502);
	http_reply_release(&reply);
	assert_int_equal(finish(t->b, &r, &e), 0);
	assert_int_equal(r.n, 0);
	assert_non_null(strstr(r.note, "certificate"));
	proxy_result_release(&r);
}

/* The certificate is for the host that was asked for, an authority is for one step alone. */
static void test_certificates(void **state)
{
	struct tls *t = *state;
	struct proxy_result r = {0};
	struct http_reply reply;
	struct err e = ERR_INIT;
	char *first SCOPED(mem_freep) = NULL;
	struct buf a SCOPED(buf_release) = BUF_INIT(1 << 16),
		     b SCOPED(buf_release) = BUF_INIT(1 << 16);

	begin_tls(t, t->cert, (struct proxy_spec){0});
	first = mem_strdup(t->ca);
	assert_int_equal(get("till.test", 443, &reply, &e), 0); /* trusted, but not allowed */
	assert_int_equal(reply.status, 403);
	http_reply_release(&reply);
	assert_int_equal(get("[2001:db8::1]", 443, &reply, &e), 0);
	assert_int_equal(reply.status, 403);
	http_reply_release(&reply);
	assert_int_equal(finish(t->b, &r, &e), -1);
	assert_int_equal(fs_get(AT_FDCWD, first, &a, &e), 0);
	begin_tls(t, t->cert, (struct proxy_spec){0});
	assert_int_equal(fs_get(AT_FDCWD, t->ca, &b, &e), 0);
	assert_string_not_equal(a.data, b.data);
	assert_null(strstr(a.data, "PRIVATE"));
	assert_int_equal(setenv("SSL_CERT_FILE", first, 1), 0);
	assert_int_equal(get("127.0.0.1", t->port, &reply, &e), -1);
	assert_int_equal(finish(t->b, &r, &e), 0);
	assert_non_null(r.note);
	assert_non_null(strstr(r.note, "does not accept the proxy's certificate"));
	proxy_result_release(&r);
}

static void test_another_host_inside(void **state)
{
	struct tls *t = *state;
	struct proxy_result r = {0};
	struct err e = ERR_INIT;
	char *url SCOPED(mem_freep) = mem_format("https://127.0.0.1:%d/body.txt", t->port);
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .tries = 1};
	struct http_reply reply = {0};

	strv_add(&q.headers, "Host: other.test");
	begin_tls(t, t->cert, (struct proxy_spec){0});
	assert_int_equal(http_send(&q, &reply, &e), 0);
	assert_int_equal(reply.status, 400);
	http_reply_release(&reply);
	strv_release(&q.headers);
	assert_int_equal(finish(t->b, &r, &e), -1);
	assert_non_null(strstr(e.msg, "page of another host"));
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_recorded_and_replayed),
	    CASE(test_server_is_verified),
	    CASE(test_certificates),
	    CASE(test_another_host_inside),
	};
	static const char *const env[] = {"http_proxy", "https_proxy", "no_proxy", "all_proxy"};

	for (size_t i = 0; i < sizeof(env) / sizeof(env[0]); i++)
		(void)unsetenv(env[i]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

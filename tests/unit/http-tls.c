/* TLS is verified, always: against openssl's own server with a certificate of our own making. */
#include "http/http.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
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

struct bench {
	char dir[40];
	char *cert, *key;
	pid_t pid;
	int port;
};

static int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd SCOPED(fd_closep) = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	return ntohs(a.sin_port);
}

static void wait_for(int port)
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
	fail_msg("openssl s_server does not come up");
}

static void serve(struct bench *b)
{
	char *at SCOPED(mem_freep) = mem_format("127.0.0.1:%d", b->port);

	b->pid = fork();
	if (b->pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int fd = 0; fd < 3; fd++)
			(void)dup2(null, fd);
		(void)execlp("openssl", "openssl", "s_server", "-accept", at, "-www", "-cert",
			     b->cert, "-key", b->key, NULL);
		_exit(127);
	}
	wait_for(b->port);
}

static int setup(void **state)
{
	struct bench *b = mem_zalloc(sizeof(*b));
	struct err e = ERR_INIT;
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
			      "/CN=till",
			      "-addext",
			      "subjectAltName=IP:127.0.0.1",
			      "-keyout",
			      NULL,
			      "-out",
			      NULL,
			      NULL};
	struct proc_spec spec = {.argv = argv};

	strcpy(b->dir, "/tmp/posmedia-tls-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->cert = mem_format("%s/cert.pem", b->dir);
	b->key = mem_format("%s/key.pem", b->dir);
	argv[15] = b->key;
	argv[17] = b->cert;
	assert_int_equal(proc_ok(&spec, ERR_FAIL, &e), 0);
	b->port = free_port();
	serve(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	struct err e = ERR_INIT;

	(void)unsetenv("SSL_CERT_FILE");
	(void)kill(b->pid, SIGKILL);
	(void)waitpid(b->pid, NULL, 0);
	assert_int_equal(fs_rmtree(AT_FDCWD, b->dir, &e), 0);
	free(b->cert);
	free(b->key);
	free(b);
	return 0;
}

static int get(const struct bench *b, const char *host, struct err *e)
{
	char *url SCOPED(mem_freep) = mem_format("https://%s:%d/", host, b->port);
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .tries = 1};
	struct http_reply r = {0};
	int rc;

	*e = (struct err)ERR_INIT;
	rc = http_send(&q, &r, e);
	if (rc == 0)
		assert_int_equal(r.status, 200);
	http_reply_release(&r);
	return rc;
}

static void test_trust(void **state)
{
	const struct bench *b = *state;
	struct err e;

	assert_int_equal(get(b, "127.0.0.1", &e), -1); /* by nobody whom we trust */
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.hint, "update-ca-certificates"));
	assert_int_equal(setenv("SSL_CERT_FILE", b->cert, 1), 0);
	assert_int_equal(get(b, "127.0.0.1", &e), 0);
	assert_int_equal(get(b, "localhost", &e), -1); /* right authority, other name */
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_int_equal(setenv("SSL_CERT_FILE", "/nonexistent", 1), 0);
	assert_int_equal(get(b, "127.0.0.1", &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_trust, setup, teardown),
	};

	(void)unsetenv("https_proxy");
	(void)unsetenv("all_proxy");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A port inside that is answered from outside, and the process that answers it. */
#include "sandbox-root.h"
#include "sys/proc.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	if (sandbox_enter(&e) != 0)
		print_error("%s\n", e.msg);
	return make_root();
}

static int teardown(void **state)
{
	(void)state;
	return drop_root();
}

/* Says "hello" to the first who comes, in a process of its own. */
static pid_t greet(int from)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct err e = ERR_INIT;
		int port = -1, fd;

		if (sandbox_take_listener(from, &port, &e) != 0)
			_exit(2);
		fd = accept(port, NULL, NULL);
		_exit(fd >= 0 && write(fd, "hello", 5) == 5 ? 0 : 3);
	}
	return pid;
}

static void a_port_answered_from_outside(void **state)
{
	struct sandbox_spec s = {.timeout_ms = 20000, .listen_port = 3128};
	struct outcome o;
	int pair[2], status = -1;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = greet(pair[0]);
	s.listen_to = pair[1];
	run_shell("perl -MIO::Socket::INET -e '"
		  "$s = IO::Socket::INET->new(\"127.0.0.1:3128\") or die; print <$s>;"
		  "print IO::Socket::INET->new(\"192.0.2.1:80\") ? \" net\" : \" alone\";"
		  "opendir D, \"/proc/self/fd\"; print \" \", scalar grep { /^[3-9]/ } readdir D'",
		  &s, &o);
	assert_exit(&o, 0);
	assert_string_equal(o.out.data, "hello alone 2"); /* its own socket and directory */
	buf_release(&o.out);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void nobody_takes_the_port(void **state)
{
	struct sandbox_spec s = {.timeout_ms = 20000, .listen_port = 3128};
	struct outcome o;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	(void)close(pair[0]);
	s.listen_to = pair[1];
	run_shell("true", &s, &o);
	assert_int_equal(o.rc, -1);
	assert_non_null(strstr(o.e.msg, "hand over the port"));
	buf_release(&o.out);
	(void)close(pair[1]);
}

static void no_listener_to_take(void **state)
{
	struct err e = ERR_INIT;
	int pair[2], fd = -1;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(send(pair[1], "x", 1, 0), 1);
	assert_int_equal(sandbox_take_listener(pair[0], &fd, &e), -1);
	(void)close(pair[1]);
	assert_int_equal(sandbox_take_listener(pair[0], &fd, &e), -1);
	assert_int_equal(fd, -1);
	(void)close(pair[0]);
}

static bool may_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

static bool has_network(void)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* refused is an answer of the machine's loopback; in an empty namespace it is down */
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 || errno == ECONNREFUSED;
}

/* What is wrong, as a number; 0 = nothing. */
static int look_around(int kept, bool network)
{
	char *in SCOPED(mem_freep) = mem_format("%s/work/file", root);
	char *out SCOPED(mem_freep) = mem_format("%s/etc/file", root);
	char *up SCOPED(mem_freep) = mem_format("%s/work/../etc/file", root);

	if (!may_write(in))
		return 10;
	if (may_write(out) || may_write(up) || may_write("/tmp/sandbox-confine"))
		return 11;
	if (kept != 3 || fcntl(3, F_GETFD) < 0 || fcntl(4, F_GETFD) >= 0)
		return 12;
	if (has_network() != network)
		return 13;
	if (mount("none", "/tmp", "tmpfs", 0, NULL) == 0 || unshare(CLONE_NEWNS) == 0)
		return 14;
	return chown(in, 1, 1) == 0 ? 15 : 0;
}

static void confined(bool network)
{
	char *work SCOPED(mem_freep) = mem_format("%s/work", root);
	int pair[2], status = -1;
	pid_t pid;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int *keep[] = {&pair[1]};
		const struct sandbox_confine_spec s = {work, network, keep, 1};
		struct err e = ERR_INIT;

		if (sandbox_confine(&s, &e) != 0) {
			print_error("%s\n", e.msg);
			_exit(1);
		}
		_exit(look_around(pair[1], network));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)close(pair[0]);
	(void)close(pair[1]);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_process_that_serves_is_confined(void **state)
{
	(void)state;
	confined(true);
	confined(false);
	assert_true(may_write("/tmp/sandbox-confine")); /* we are not */
	assert_int_equal(unlink("/tmp/sandbox-confine"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_port_answered_from_outside),
	    cmocka_unit_test(nobody_takes_the_port),
	    cmocka_unit_test(no_listener_to_take),
	    cmocka_unit_test(a_process_that_serves_is_confined),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

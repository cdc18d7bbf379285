/* Errors, messages and the allocator's one way to fail. */
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void context_stands_in_front(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&e, ERR_RECIPE, "key %s", "x"), -1);
	assert_int_equal(err_hint(&e, "write %s", "y"), -1);
	assert_int_equal(err_in(&e, "a.yaml:%d", 3), -1);
	assert_int_equal(err_in(&e, "build"), -1);
	assert_string_equal(e.msg, "build: a.yaml:3: key x");
	assert_string_equal(e.hint, "write y");
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_int_equal(e.sys, 0);
}

static void errno_is_kept_and_told(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)err_set(&e, ERR_RECIPE, "before");
	(void)err_hint(&e, "old hint");
	errno = ENOENT;
	assert_int_equal(err_sys(&e, "open %s", "/x"), -1);
	assert_string_equal(e.msg, "open /x: No such file or directory");
	assert_int_equal(e.sys, ENOENT);
	assert_int_equal(e.kind, ERR_FAIL);
	assert_string_equal(e.hint, "");
}

static void long_texts_end_in_dots(void **state)
{
	char text[3000];
	struct err e = ERR_INIT;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	(void)err_set(&e, ERR_FAIL, "%s", text);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	assert_string_equal(e.msg + sizeof(e.msg) - 4, "...");
	(void)err_in(&e, "%s", "context");
	assert_int_equal(strncmp(e.msg, "context: aaa", 12), 0);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	assert_string_equal(e.msg + sizeof(e.msg) - 4, "...");
	(void)err_hint(&e, "%s", text);
	assert_int_equal(strlen(e.hint), sizeof(e.hint) - 1);
	errno = EACCES;
	(void)err_sys(&e, "%s", text);
	assert_string_equal(e.msg + sizeof(e.msg) - 1 - strlen("...: Permission denied"),
			    "...: Permission denied");
}

static char heard[4096];
static int heard_level = -1;

static void hear(void *ctx, enum log_level level, const char *text)
{
	*(int *)ctx += 1;
	heard_level = (int)level;
	(void)snprintf(heard, sizeof(heard), "%s", text);
}

static void messages_go_to_the_sink_and_nowhere_else(void **state)
{
	int n = 0;
	const struct log_sink sink = {.message = hear, .ctx = &n};

	(void)state;
	log_info("nobody listens");
	log_set_sink(&sink);
	log_warn("%d bytes", 7);
	assert_string_equal(heard, "7 bytes");
	assert_int_equal(heard_level, LOG_WARN);
	log_progress("fetch", 1, 2); /* no listener for that */
	log_files(1, 2);
	log_set_sink(NULL);
	log_debug("again nobody");
	assert_int_equal(n, 1);
}

static void resize_huge(void)
{
	free(mem_resize(NULL, SIZE_MAX / 2, 3));
}

static void zalloc_huge(void)
{
	volatile size_t n = (size_t)PTRDIFF_MAX;

	free(mem_zalloc(n));
}

static void strndup_huge(void)
{
	free(mem_strndup("", SIZE_MAX));
}

static void no_memory_ends_the_process(void **state)
{
	void (*const fns[])(void) = {resize_huge, zalloc_huge, strndup_huge};

	(void)state;
	for (size_t i = 0; i < sizeof(fns) / sizeof(fns[0]); i++) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0) {
			(void)close(STDERR_FILENO);
			fns[i]();
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
#if defined(__SANITIZE_ADDRESS__) /* ends the process itself at an absurd size */
		assert_int_not_equal(WEXITSTATUS(status), 0);
#else
		assert_int_equal(WEXITSTATUS(status), 71);
#endif
	}
}

static void memory_is_zeroed_and_copied(void **state)
{
	char *p = mem_zalloc(1000), *q = mem_strndup("abc", 2), *f = mem_format("%s%c", "x", 'y');

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0);
	assert_string_equal(q, "ab");
	assert_string_equal(f, "xy");
	q = mem_resize(q, 0, 8); /* never NULL */
	assert_non_null(q);
	free(p);
	free(q);
	free(f);
}

static void scopes_close_and_steal(void **state)
{
	int kept = -1, lost = -1;

	(void)state;
	{
		int a SCOPED(fd_closep) = open("/dev/null", O_RDONLY);
		int b SCOPED(fd_closep) = open("/dev/null", O_RDONLY);
		char *s SCOPED(mem_freep) = mem_strdup("x");
		char *t = STEAL(s);

		assert_null(s);
		free(t);
		lost = a;
		kept = STEAL_FD(b);
		assert_int_equal(b, -1);
		errno = ENOENT;
	}
	assert_int_equal(errno, ENOENT); /* closing keeps it */
	assert_int_equal(fcntl(lost, F_GETFD), -1);
	assert_int_not_equal(fcntl(kept, F_GETFD), -1);
	(void)close(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(context_stands_in_front),
	    cmocka_unit_test(errno_is_kept_and_told),
	    cmocka_unit_test(long_texts_end_in_dots),
	    cmocka_unit_test(messages_go_to_the_sink_and_nowhere_else),
	    cmocka_unit_test(no_memory_ends_the_process),
	    cmocka_unit_test(memory_is_zeroed_and_copied),
	    cmocka_unit_test(scopes_close_and_steal),
	};

	return cmocka_run_group_tests_name("base-err", tests, NULL, NULL);
}

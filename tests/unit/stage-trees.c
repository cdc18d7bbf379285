/* stage: what the engine has unpacked, and what an instance has, as this machine sees it. */
#include "stage/parts.h"
#include "sys/fs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

/* Each in a directory of its own, as engines have them; with a file that says which it is. */
static void add_layer(struct stage *st, const char *dir, int number, bool with_file)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%d/diff", dir, number);
	char *file SCOPED(mem_freep) = mem_format("%s/name", path);
	char text[] = {(char)('0' + number), '\0'};
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(AT_FDCWD, path, 0755, &e), 0);
	if (with_file)
		assert_int_equal(fs_put_path(file, text, 1, 0644, &e), 0);
	strv_add(&st->layers, path);
}

static void of_an_image(void **state)
{
	char dir[] = "/tmp/stage-trees.XXXXXX";
	struct stage st = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(100);
	char *first SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;
	int fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	/* an engine that does not say, and one that has it elsewhere */
	assert_int_equal(stage_image_tree(&st), -1);
	strv_add(&st.layers, "/nonexistent/1/diff");
	assert_int_equal(stage_image_tree(&st), -1);
	strv_release(&st.layers);
	/* nothing is there but the places for it */
	add_layer(&st, dir, 1, false);
	add_layer(&st, dir, 2, false);
	assert_int_equal(stage_image_tree(&st), -1);
	add_layer(&st, dir, 3, true);
	add_layer(&st, dir, 4, true);
	fd = stage_image_tree(&st);
	assert_true(fd >= 0);
	assert_int_equal(fs_get(fd, "name", &text, &e), 0);
	assert_string_equal(text.data, "3");
	assert_int_equal(close(fd), 0);
	/* other numbers of users */
	first = mem_format("%s/1", dir);
	assert_int_equal(chown(first, 0, 100000), 0);
	assert_int_equal(stage_image_tree(&st), -1);
	strv_release(&st.layers);
	assert_int_equal(fs_rmtree(AT_FDCWD, dir, &e), 0);
}

/* Whatever an engine says: this process is no container's, and its root is the host's. */
static void of_an_instance(void **state)
{
	static char id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	struct engine_state s = {.there = true, .id = id};

	(void)state;
	assert_int_equal(stage_instance_tree(&s), -1);
	s.running = true;
	assert_int_equal(stage_instance_tree(&s), -1);
	s.pid = (int)getpid();
	assert_int_equal(stage_instance_tree(&s), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(of_an_image),
	    cmocka_unit_test(of_an_instance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

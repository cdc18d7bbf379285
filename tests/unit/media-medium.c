/* media/medium: the text that was signed is the one that is read. */
#include "harden-lib.h"

#include "media/medium.h"

static struct rootfs dir;

static int set_up(void **state)
{
	(void)state;
	dir = rootfs_make();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rootfs_drop(&dir);
	return 0;
}

static void the_text_is_the_one_that_was_signed(void **state)
{
	char *path SCOPED(mem_freep) = mem_format("%s/m.json", dir.path);
	const struct digest other = digest_of("{}", 2);
	struct digest is;
	struct buf text SCOPED(buf_release) = BUF_INIT(MEDIUM_TEXT_MAX);
	struct medium m SCOPED(medium_release) = {.size = 5, .blocks_n = 1};
	struct medium read SCOPED(medium_release) = {0}, again SCOPED(medium_release) = {0};
	char *line SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	(void)state;
	m.format = mem_strdup("raw");
	m.blocks = mem_zalloc(sizeof(*m.blocks));
	medium_add(&m, "raw", 5, false);
	medium_write(&m, &text);
	line = mem_strndup(text.data, text.len);
	put(&dir, "m.json", line, 0644);
	is = digest_of(text.data, text.len);
	assert_int_equal(medium_load(path, &other, &read, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_non_null(strstr(e.msg, "changed after its signature was checked"));
	assert_int_equal(medium_load(path, &is, &read, &e), 0);
	assert_int_equal(medium_load(path, NULL, &again, &e), 0);
	assert_int_equal(again.size, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_text_is_the_one_that_was_signed),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

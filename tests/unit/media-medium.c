/* media/medium: a manifest that is written and read again, and its text. */
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

static char *write_one(const char *identity)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(MEDIUM_TEXT_MAX);
	struct medium m SCOPED(medium_release) = {.size = 5, .blocks_n = 1};

	m.format = mem_strdup("raw");
	m.identity = identity != NULL ? mem_strdup(identity) : NULL;
	m.blocks = mem_zalloc(sizeof(*m.blocks));
	medium_add(&m, "raw", 5, false);
	medium_write(&m, &text);
	return mem_strndup(text.data, text.len);
}

static void gives_the_text_that_it_read(void **state)
{
	char *path SCOPED(mem_freep) = mem_format("%s/m.json", dir.path);
	char *line SCOPED(mem_freep) = write_one("localhost/till:1");
	struct buf text SCOPED(buf_release) = BUF_INIT(0);
	struct medium read SCOPED(medium_release) = {0}, again SCOPED(medium_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	put(&dir, "m.json", line, 0644);
	assert_int_equal(medium_load(path, &text, &read, &e), 0);
	assert_string_equal(text.data, line);
	assert_int_equal(read.size, 5);
	assert_string_equal(read.identity, "localhost/till:1");
	assert_int_equal(medium_load(path, NULL, &again, &e), 0);
	assert_int_equal(again.size, 5);
}

static void has_the_name_of_its_image_or_none(void **state)
{
	static const char *const bad[] = {"",
					  "till",
					  "localhost/till",
					  "localhost/Till:1",
					  "localhost/till:1\n",
					  "localhost/till:1@sha256:0"};
	char *none SCOPED(mem_freep) = write_one(NULL);
	struct medium m SCOPED(medium_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(medium_parse(none, strlen(none), &m, &e), 0);
	assert_null(m.identity);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *text SCOPED(mem_freep) = write_one(bad[i]);
		struct medium other SCOPED(medium_release) = {0};

		assert_int_equal(medium_parse(text, strlen(text), &other, &e), -1);
		assert_int_equal(e.kind, ERR_VERIFY);
		assert_non_null(strstr(e.msg, "it says no medium: identity"));
	}
}

static void put_zeros(struct medium *m)
{
	char *block SCOPED(mem_freep) = mem_zalloc(MEDIUM_BLOCK);
	const struct digest zeros = digest_of(block, MEDIUM_BLOCK);

	for (size_t i = 0; i < m->blocks_n; i += 2)
		m->blocks[i] = zeros;
}

/* A text in which `v` stands again and again. */
static char *filled(const char *begin, const char *v, size_t n)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(MEDIUM_TEXT_MAX);

	buf_addf(&b, "%s", begin);
	while (b.len < n)
		buf_addf(&b, "%s", v);
	buf_addf(&b, "0]}");
	return mem_strndup(b.data, b.len);
}

static void has_not_more_values_than_blocks(void **state)
{
	static const char *const with[][2] = {{"{\"a\":[", "{},"},
					      {"{\"a\":[", "0,"},
					      {"{\"a\":[", "{}                    ,"},
					      {"{\"a\":[", "[],"}};
	struct buf most SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct medium m SCOPED(medium_release) = {0}, read SCOPED(medium_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
		char *text SCOPED(mem_freep) = filled(with[i][0], with[i][1], 100000);

		assert_int_equal(medium_parse(text, strlen(text), &m, &e), -1);
		assert_int_equal(e.kind, ERR_VERIFY);
		assert_non_null(strstr(e.msg, "more values than a medium has"));
	}
	/* every other block zeros: no text has more */
	m.size = (uint64_t)5000 * MEDIUM_BLOCK;
	m.blocks_n = 5000;
	m.format = mem_strdup("raw");
	m.blocks = mem_zalloc(m.blocks_n * sizeof(*m.blocks));
	medium_add(&m, "raw", m.size, false);
	put_zeros(&m);
	medium_write(&m, &most);
	assert_int_equal(medium_parse(most.data, most.len, &read, &e), 0);
	assert_true(digest_equal(&read.blocks[4999], &m.blocks[4999]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(gives_the_text_that_it_read),
	    cmocka_unit_test(has_the_name_of_its_image_or_none),
	    cmocka_unit_test(has_not_more_values_than_blocks),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* import-lib.h - bytes as a file that is imported: what is taken has its books in order, and a
 * recipe that is YAML. */
#ifndef TESTS_FUZZ_IMPORT_LIB_H
#define TESTS_FUZZ_IMPORT_LIB_H

#include "fuzz.h"

#include "form/yaml.h"
#include "import/import.h"
#include "sys/fs.h"
#include "sys/intr.h"

static char root[] = "/tmp/posmedia-fuzz-XXXXXX";

static void drop(void)
{
	struct err e = ERR_INIT;

	(void)!fs_rmtree(AT_FDCWD, root, &e);
}

static const char *input_path(void)
{
	static char *path;

	if (path == NULL) {
		HOLDS(mkdtemp(root) != NULL);
		(void)atexit(drop);
		intr_install();
		path = mem_format("%s/input", root);
	}
	return path;
}

static void check(const struct import *im)
{
	struct buf b = BUF_INIT(64 << 20), report = BUF_INIT(64 << 20);
	struct jval *v = import_json(im);
	struct yaml *y = NULL;
	struct err e = ERR_INIT;

	HOLDS(import_account_ok(im));
	import_recipe(im, &b);
	import_report(im, &report);
	HOLDS(!buf_over(&b) && !buf_over(&report));
	if (b.len < 1 << 20 && yaml_parse(b.data, b.len, "fuzz", &y, &e) != 0) {
		(void)fprintf(stderr, "%s\n%s\n", e.msg, b.data);
		HOLDS(strstr(e.msg, "more than") != NULL || strstr(e.msg, "deep") != NULL);
	}
	yaml_node_free(y);
	jval_free(v);
	buf_release(&b);
	buf_release(&report);
}

/* Imports the bytes by one of the two ways. */
static int import_bytes(const uint8_t *p, size_t n,
			int (*how)(const char *path, const struct import_opts *o,
				   struct import **ret, struct err *e))
{
	const struct import_opts plain = {.below = "recipes/"};
	const struct import_opts debian = {.below = "", .base = "base/debian-12.yaml"};
	const char *path = input_path();
	struct import *im = NULL;
	struct err e = ERR_INIT;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	HOLDS(fd >= 0 && (n == 0 || write(fd, p, n) == (ssize_t)n));
	(void)close(fd);
	if (how(path, n % 2 == 0 ? &plain : &debian, &im, &e) == 0)
		check(im);
	else
		HOLDS(e.msg[0] != '\0');
	import_freep(&im);
	return 0;
}

#endif

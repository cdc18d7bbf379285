/* tree make DIR | tree change DIR DAY, [--scale S] [--seed N] - the data of a shop of mid size, and
 * a day's change of it: for the bench and the tests of restore. At scale 1 it is 3.05 GB in 28,233
 * entries; 0.005 is the least. See tree-make.c and tree-day.c. */
#include "tree.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t tree_seed = 2026;

void die(const char *what)
{
	fprintf(stderr, "tree: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void usage(void)
{
	fprintf(stderr, "usage: tree make DIR | tree change DIR DAY, [--scale S] [--seed N]\n");
	exit(2);
}

static double number(const char *text)
{
	char *end;
	double d = strtod(text, &end);

	if (*text == '\0' || *end != '\0' || d < 0)
		usage();
	return d;
}

static int run(char **words, size_t n, struct sizes s)
{
	const bool make = strcmp(words[0], "make") == 0 && n == 2;
	const bool change = strcmp(words[0], "change") == 0 && n == 3;
	const double day = change ? number(words[2]) : 1;

	if (!(make || change) || day < 1 || day > 9)
		usage();
	if (make)
		make_dir(words[1]);
	if (chdir(words[1]) != 0)
		die(words[1]);
	if (make)
		make_tree(&s);
	else
		change_tree(&s, (unsigned)day);
	return 0;
}

int main(int argc, char **argv)
{
	char *plain[4] = {0};
	double scale = 1;
	size_t n = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--scale") == 0 && i + 1 < argc)
			scale = number(argv[++i]);
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
			tree_seed = (uint64_t)number(argv[++i]);
		else if (n < 3)
			plain[n++] = argv[i];
		else
			usage();
	}
	if (n < 2 || scale < 0.005 || scale > 100)
		usage();
	umask(022);
	return run(plain, n, sizes_of(scale));
}

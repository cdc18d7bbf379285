/* append DIR - events that are appended to a new ledger: how many a second at once, and how many
 * milliseconds one takes until it is on the disk, the median of 101. */
#include "ledger/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MANY = 50000, ONES = 101 };

static double now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* How long that many take, in seconds. */
static double append(const char *dir, const struct ledger_event *v, size_t n)
{
	struct err e = ERR_INIT;
	double start = now();

	if (ledger_append(dir, v, n, &e) != 0) {
		(void)fprintf(stderr, "append: %s\n", e.msg);
		exit(1);
	}
	return now() - start;
}

int main(int argc, char **argv)
{
	struct ledger_event *v = mem_zalloc(MANY * sizeof(*v));
	struct digest d = digest_of("image", 5);
	struct jval *fields = jval_object();
	double ones[ONES], many;

	if (argc != 2)
		return 2;
	jval_put_text(fields, "shop", "12345600");
	jval_put_text(fields, "env", "prod");
	jval_put_text(fields, "container", "pos-12345600-prod-0123456789abcdef");
	jval_put_text(fields, "identity", "registry.example/rti:16.1.5");
	for (size_t i = 0; i < MANY; i++)
		v[i] = (struct ledger_event){"start", &d, fields};
	many = append(argv[1], v, MANY);
	for (int i = 0; i < ONES; i++)
		ones[i] = append(argv[1], v, 1);
	qsort(ones, ONES, sizeof(*ones), by_size);
	printf("%.0f %.2f\n", MANY / many, ones[ONES / 2] * 1000);
	jval_free(fields);
	free(v);
	return 0;
}

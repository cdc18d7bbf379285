/* Any text as the package list of a server; what was read is read again from a plainer list. */
#include "fuzz.h"

#include "base/buf.h"
#include "form/inventory.h"
#include "form/version.h"

static bool parse(const char *p, size_t n, enum inventory_kind assume, struct inventory *ret)
{
	struct err e = ERR_INIT;

	return inventory_parse("m", p, n, assume, ret, &e) == 0;
}

static void again(const struct inventory *v)
{
	struct inventory w SCOPED(inventory_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(64 << 20);

	for (size_t i = 0; i < v->n; i++)
		buf_addf(&b, "%s|%s\n", v->v[i].name, v->v[i].version);
	if (!parse(b.data, b.len, v->kind, &w)) /* the same of two architectures */
		return;
	HOLDS(w.n <= v->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	for (int k = INVENTORY_DEB; k <= INVENTORY_RPM; k++) {
		struct inventory v SCOPED(inventory_release) = {0};
		char *exact = mem_zalloc(n + 1);

		memcpy(exact, p, n);
		if (parse(exact, n, (enum inventory_kind)k, &v)) {
			for (size_t i = 1; i < v.n; i++) {
				const char *a = v.v[i - 1].version, *b = v.v[i].version;

				HOLDS(strcmp(v.v[i - 1].name, v.v[i].name) <= 0);
				HOLDS((version_compare_rpm(a, b) > 0) ==
				      (version_compare_rpm(b, a) < 0));
				HOLDS((version_compare_deb(a, b) > 0) ==
				      (version_compare_deb(b, a) < 0));
			}
			again(&v);
		}
		free(exact);
	}
	return 0;
}

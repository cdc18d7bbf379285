/* harden: where PCI DSS asks for less than PA-DSS or CIS its own value holds, and no less. */
#include "harden-rows.h"

#define PCI "recipes/profiles/pci-dss-4.0.1.yaml"

static const struct row rows[] = {
    {"ACC-11", EDIT, "etc/default/useradd", "INACTIVE=90", "INACTIVE=91", FIXED},
    {"ACC-11", EDIT, "etc/shadow", ":90:7:90:", ":90:7:120:", FIXED},
    {"ACC-11", EDIT, "etc/shadow", ":90:7:90:", ":90:7::", FIXED},
    {"PAM-01", EDIT, "etc/security/pwquality.conf", "minlen = 12", "minlen = 10", FIXED},
    {"PAM-01", EDIT, "etc/pam.d/common-password", "pam_pwquality.so", "pam_pwquality.so minlen=12",
     FIXED},
    {"PAM-02", EDIT, "etc/security/pwquality.conf", "minclass = 2", "minclass = 1", FIXED},
    {"PAM-07", EDIT, "etc/security/faillock.conf", "deny = 10", "deny = 11", FIXED},
    {"PAM-07", APPEND, "etc/security/faillock.conf", "deny = 0\n", NULL, FIXED},
};

/* What is hardened by PCI DSS alone fails pa-dss-3.2 in the controls that differ and no others; by
 * pa-dss-3.2 it passes both. */
static void differs_from_padss_in_its_values_only(void **state)
{
	struct harden_profile *pci = bench->profile;
	struct rootfs t = rootfs_make();

	(void)state;
	debian_make(&t);
	harden(&t);
	bench->profile = load(PROFILE);
	expect_failed(&t, "ACC-11 PAM-01 PAM-02 PAM-07");
	harden(&t);
	expect_failed(&t, "");
	harden_profile_free(bench->profile);
	bench->profile = pci;
	expect_failed(&t, "");
	rootfs_drop(&t);
}

int main(void)
{
	static const struct CMUnitTest more[] = {
	    cmocka_unit_test(differs_from_padss_in_its_values_only),
	};
	static struct bench b = {
	    .name = "harden-pcidss",
	    .rows = rows,
	    .n = sizeof(rows) / sizeof(rows[0]),
	    .make = debian_make,
	    .target = "container",
	    .profile_path = PCI,
	};

	return bench_run(&b, more, 1);
}

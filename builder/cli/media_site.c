#include "cli/medium.h"

#include "cli/object.h"
#include "cli/screen.h"

#include "media/sites.h"
#include "sandbox/sandbox.h"
#include "site/site.h"
#include <stdio.h>
#include <string.h>

/* Texts from elsewhere, of which the sheet's reader has the last word. */
static int set(char *to, size_t size, const char *key, const char *value, struct err *e)
{
	if (value == NULL)
		return 0;
	if (strlen(value) >= size)
		return err_set(e, ERR_USAGE, "%s: too long", key);
	/* the end of a line would begin another key */
	for (const char *c = value; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			return err_set(e, ERR_USAGE, "%s: a character that may not be there", key);
	memcpy(to, value, strlen(value) + 1);
	return 0;
}

#define SET(member, key, value) set((member), sizeof(member), key, value, e)

static int read_disks(const struct args *a, struct sheet *s, struct err *e)
{
	for (size_t i = 0; args_nth(a, "disk", i) != NULL; i++) {
		if (i == SHEET_DISKS)
			return err_set(e, ERR_USAGE, "--disk: more than two");
		if (SET(s->disks[i], "--disk", args_nth(a, "disk", i)) != 0)
			return -1;
		s->disks_n++;
	}
	if (s->disks_n > 0)
		return 0;
	(void)err_set(e, ERR_USAGE, "media: --disk SERIAL is missing");
	return err_hint(e, "The serial number of the machine's disk; with two it is a RAID 1.");
}

static int read_site(const char *path, struct sheet *s, struct err *e)
{
	struct site *site SCOPED(site_freep) = NULL;

	if (site_load(path, &site, e) != 0)
		return -1;
	if (SET(s->shop, "shop", site->shop) != 0 ||
	    SET(s->hostname, "hostname", site->hostname) != 0 ||
	    SET(s->interface, "interface", site->network.interface) != 0 ||
	    SET(s->address, "address", site->network.address.text) != 0 ||
	    SET(s->gateway, "gateway", site->network.gateway) != 0)
		return -1;
	for (; s->dns_n < site->network.dns.n && s->dns_n < SHEET_DNS; s->dns_n++)
		if (SET(s->dns[s->dns_n], "dns", site->network.dns.v[s->dns_n]) != 0)
			return -1;
	return 0;
}

int medium_site(const struct args *a, const char *file, struct err *e)
{
	static const char *const others[] = {"append",          "boot-key",   "statements",
					     "recipe",          "slots",      "identity",
					     "passphrase-file", "plain-http", NULL};
	struct store *store SCOPED(store_freep) = NULL;
	struct sheet s = {0};

	for (size_t i = 0; others[i] != NULL; i++)
		if (args_has(a, others[i]))
			return err_set(e, ERR_USAGE, "--%s is not for a site", others[i]);
	if (!args_has(a, "output"))
		return err_set(e, ERR_USAGE, "media: -o FILE is missing");
	if (read_disks(a, &s, e) != 0 || read_site(file, &s, e) != 0 ||
	    SET(s.erase, "--erase", args_get(a, "erase")) != 0)
		return -1;
	if (sandbox_enter(e) != 0 || input_store(a, &store, e) != 0 ||
	    sites_make(store, &s, args_get(a, "output"), e) != 0)
		return err_in(e, "media of %s", file);
	if (!args_has(a, "json"))
		printf("%s shop %s\n", args_get(a, "output"), s.shop);
	return 0;
}

#include "cli/medium.h"
#include "cli/object.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "media/media.h"
#include "media/medium.h"
#include "recipe/recipe.h"
#include "sandbox/sandbox.h"
#include "statement/statement.h"
#include "sys/clock.h"
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {
    {0, "format", "FORMAT", "tar, squashfs, erofs, raw, qcow2, iso, installer or site (required)."},
    {'o', "output", "FILE", "The file to write; one that is there is replaced (required)."},
    {0, "append", "ARGS", "raw, qcow2, iso, installer: more arguments for the kernel."},
    {0, "boot-key", "FILE", "raw, qcow2, iso, installer: sign the entry for UEFI by this key."},
    {0, "boot-cert", "FILE.pem", "Its certificate, which the machine's firmware has."},
    {0, "passphrase-file", "FILE", "--boot-key: the first line of FILE opens it."},
    {0, "identity", "HOST/REPO:TAG", "What the medium says to be made of."},
    {0, "slots", "N", "raw, qcow2: 2 for room for a second root, for updates (default: 1)."},
    {0, "statements", "DIR", "Write what an image is made of, as statements about the file, too."},
    {0, "recipe", "FILE", "--statements: the recipe, for the evidence of its profile."},
    {0, "write", "DEVICE", "Write a medium that was made, FILE, to this disk, and read it back."},
    {0, "serial", "NUMBER", "--write: the serial number of the disk that is meant."},
    {'k', "key", "FILE.pub", "--write: one of these keys has signed it (may be repeated)."},
    {'p', "policy", "FILE", "--write: its signatures are as this policy wants them."},
    {0, "image", "NAME", "--policy: the image of the medium, for rules that look at it."},
    {0, "disk", "NUMBER", "site: the serial number of the machine's disk; twice for a RAID 1."},
    {0, "erase", "SHOP", "site: what is on those disks is lost; the code of the site's shop."},
    OBJECT_PLAIN,
    {0, "json", NULL, "Print what was made as JSON."},
    {0, NULL, NULL, NULL},
};

/* The image's statements, about the file too. */
static int say(const struct args *a, const struct image *i, struct store *s,
	       const struct digest *medium, struct err *e)
{
	struct recipe *r SCOPED(recipe_freep) = NULL;
	struct statements said SCOPED(statements_release) = {0};
	struct statement_opts o = {.store = s, .medium = medium, .today = clock_epoch_s()};

	if (args_has(a, "recipe") && recipe_load(args_get(a, "recipe"), &r, e) != 0)
		return -1;
	o.recipe = r;
	return statements_make(i->layout, &i->manifest, &o, &said, e) != 0
		   ? -1
		   : statements_put(&said, args_get(a, "statements"), e);
}

/* Who signs the entry; ret is lent to the options. */
static int boot_key(const struct args *a, struct media_boot *ret, struct media_opts *o,
		    struct err *e)
{
	ret->key = args_get(a, "boot-key");
	ret->cert = args_get(a, "boot-cert");
	if ((ret->key == NULL) != (ret->cert == NULL))
		return err_set(e, ERR_USAGE, "--boot-key and --boot-cert go together");
	if (ret->key != NULL && o->format < MEDIA_RAW)
		return err_set(e, ERR_USAGE, "--boot-key is for raw, qcow2, iso and installer");
	if (ret->key == NULL && args_has(a, "passphrase-file"))
		return err_set(e, ERR_USAGE, "--passphrase-file is for --boot-key");
	o->boot = ret->key != NULL ? ret : NULL;
	return 0;
}

static int make(const struct args *a, struct media_opts o, struct media_made *ret, struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct image i SCOPED(image_release) = {0};
	struct store *s SCOPED(store_freep) = NULL;
	char *secret SCOPED(passphrase_freep) = NULL, *identity SCOPED(mem_freep) = NULL;
	struct media_boot boot = {0};

	if (boot_key(a, &boot, &o, e) != 0 || input_passphrase(a, &secret, e) != 0)
		return -1;
	boot.passphrase = secret;
	if (object_image(a, a->rest.v[0], &v, &i, e) != 0 ||
	    input_identity_if(a, &i, &identity, e) != 0 || sandbox_enter(e) != 0 ||
	    input_store(a, &s, e) != 0)
		return -1;
	o.store = s;
	o.identity = identity;
	if (media_make(i.layout, &i.manifest, &o, ret, e) != 0)
		return -1;
	return args_has(a, "statements") ? say(a, &i, s, &ret->digest, e) : 0;
}

static void print(const struct args *a, const struct media_opts *o, const struct media_made *m)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	char *manifest SCOPED(mem_freep) = mem_format("%s" MEDIUM_SUFFIX, o->out);

	if (!args_has(a, "json")) {
		printf("%s %s\n", o->out, digest_text(&m->digest).s);
		return;
	}
	v = jval_object();
	jval_put_text(v, "file", o->out);
	jval_put_text(v, "format", media_format_name(o->format));
	jval_put_text(v, "digest", digest_text(&m->digest).s);
	jval_put_int(v, "size", (int64_t)m->size);
	jval_put_text(v, "manifest", manifest);
	jval_put_text(v, "image", digest_text(&m->image).s);
	screen_json(v);
}

/* It stands in a file of the boot loader, which would take these for its own. */
static int check_append(const struct media_opts *o, struct err *e)
{
	if (o->format < MEDIA_RAW)
		return err_set(e, ERR_USAGE, "--append is for raw, qcow2, iso and installer");
	for (const char *c = o->append; *c != '\0'; c++)
		if (*c < ' ' || *c > '~' || strchr("\"'\\$;{}#", *c) != NULL)
			return err_set(e, ERR_USAGE, "--append: a character that may not be there");
	return strlen(o->append) <= 512 ? 0 : err_set(e, ERR_USAGE, "--append: too long");
}

static int check_slots(const struct args *a, struct media_opts *o, struct err *e)
{
	uint64_t n = 1;

	if (args_num(a, "slots", 2, &n, e) != 0)
		return -1;
	if (n == 0 || (args_has(a, "slots") && o->format != MEDIA_RAW && o->format != MEDIA_QCOW2))
		return err_set(e, ERR_USAGE, "--slots is 1 or 2, for raw and qcow2");
	if (n > 1 && args_has(a, "boot-key"))
		return err_set(e, ERR_USAGE, "--boot-key signs an entry for one slot");
	o->slots = (unsigned)n;
	return 0;
}

static int put(const struct args *a, struct err *e)
{
	if (args_has(a, "format") || args_has(a, "output") || args_has(a, "append") ||
	    args_has(a, "statements") || args_has(a, "boot-key") || args_has(a, "slots"))
		return err_set(e, ERR_USAGE, "--write is for a medium that was made");
	return medium_put(a, a->rest.v[0], e);
}

/* Options that are for something else. */
static int check_use(const struct args *a, struct err *e)
{
	if (args_has(a, "recipe") && !args_has(a, "statements"))
		return err_set(e, ERR_USAGE, "--recipe is for --statements");
	if (args_has(a, "serial") || args_has(a, "key") || args_has(a, "policy") ||
	    args_has(a, "image"))
		return err_set(e, ERR_USAGE, "--serial, --key and --policy are for --write");
	if (!args_has(a, "format"))
		return err_set(e, ERR_USAGE, "media: --format FORMAT is missing");
	if (strcmp(args_get(a, "format"), "site") != 0 &&
	    (args_has(a, "disk") || args_has(a, "erase")))
		return err_set(e, ERR_USAGE, "--disk and --erase are for a site");
	return 0;
}

static int run(const struct args *a, struct err *e)
{
	struct media_opts o = {.out = args_get(a, "output")};
	struct media_made m = {0};

	if (args_has(a, "write"))
		return put(a, e);
	if (check_use(a, e) != 0)
		return -1;
	if (strcmp(args_get(a, "format"), "site") == 0)
		return medium_site(a, a->rest.v[0], e);
	if (media_format_parse(args_get(a, "format"), &o.format, e) != 0)
		return -1;
	if (o.out == NULL)
		return err_set(e, ERR_USAGE, "media: -o FILE is missing");
	o.append = args_get(a, "append");
	if ((o.append != NULL && check_append(&o, e) != 0) || check_slots(a, &o, e) != 0)
		return -1;
	if (make(a, o, &m, e) != 0)
		return err_in(e, "media of %s", a->rest.v[0]);
	print(a, &o, &m);
	return 0;
}

const struct verb verb_media = {
    .name = "media",
    .args = "oci:DIR[:TAG] | docker://HOST/REPO:TAG | SITE.yaml | FILE",
    .help = "Write an image as one file, a disk or a file system, or that to a device.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};

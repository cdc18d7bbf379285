#include "cli/medium.h"

#include "base/log.h"
#include "base/num.h"
#include "media/device.h"
#include "media/media.h"
#include "media/sites.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* A medium whose manifest is signed as it shall be, or that nobody was asked about. */
static int load(const struct args *a, const char *file, struct medium *ret, struct err *e)
{
	char *manifest SCOPED(mem_freep) = mem_format("%s" MEDIUM_SUFFIX, file);
	struct sign_report r SCOPED(sign_report_release) = {0};

	if (args_has(a, "key") || args_has(a, "policy"))
		return medium_signed(a, manifest, ret, &r, e);
	log_warn("without --key or --policy nobody's signature is asked for");
	return medium_load(manifest, NULL, ret, e);
}

/* Whoever writes has read the number off the disk that he means. Of one that has none its bytes are
 * asked for: that tells it from most others that could stand in its place by then. */
static int agree(const struct args *a, const struct device *d, struct err *e)
{
	char *serial SCOPED(mem_freep) = *d->serial != '\0'
					     ? mem_strdup(d->serial)
					     : mem_format("none:%llu", (unsigned long long)d->size);
	char *size SCOPED(mem_freep) = num_human(d->size);

	if (args_has(a, "serial") && strcmp(args_get(a, "serial"), serial) == 0)
		return 0;
	(void)err_set(e, ERR_USAGE, "%s is %s%s%s, with %zu partitions and the serial number %s",
		      d->path, size, *d->model != '\0' ? ", " : "", d->model, d->parts, serial);
	return err_hint(e, "All on it would be lost. If it is the one that you mean, give its "
			   "serial number by --serial.");
}

static int fits(const struct device *d, const struct medium *m, struct err *e)
{
	char *has SCOPED(mem_freep) = num_human(d->size),
		  *is SCOPED(mem_freep) = num_human(m->size);

	if (m->size <= d->size)
		return 0;
	return err_set(e, ERR_FAIL, "%s has %s, the medium %s", d->path, has, is);
}

/* What a disk is, byte by byte: an archive or a file system on it would start nothing. */
static int is_disk(const struct medium *m, const char *file, struct err *e)
{
	static const enum media_format disks[] = {MEDIA_RAW, MEDIA_ISO, MEDIA_INSTALLER};

	if (strcmp(m->format, SITES_FORMAT) == 0)
		return 0;
	for (size_t i = 0; i < sizeof(disks) / sizeof(disks[0]); i++)
		if (strcmp(m->format, media_format_name(disks[i])) == 0)
			return 0;
	(void)err_set(e, ERR_USAGE, "%s is a medium of the format %s", file, m->format);
	return err_hint(e, "Of an image, make one of --format raw, iso or installer.");
}

int medium_put(const struct args *a, const char *file, struct err *e)
{
	struct medium m SCOPED(medium_release) = {0};
	struct device d SCOPED(device_release) = {0};
	struct check_report r SCOPED(check_release) = {0};
	int fd SCOPED(fd_closep) = -1;

	if (device_look(args_get(a, "write"), &d, e) != 0 || load(a, file, &m, e) != 0 ||
	    is_disk(&m, file, e) != 0 || fits(&d, &m, e) != 0 || agree(a, &d, e) != 0)
		return -1;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "%s", file);
	if (device_write(&d, &m, fd, &r, e) != 0)
		return -1;
	medium_print(a, d.path, &m, &r, NULL);
	if (r.n > 0)
		return err_set(e, ERR_VERIFY, "%s has not kept what was written", d.path);
	if (!args_has(a, "json"))
		printf("wrote %s to %s, and read it back\n", digest_text(&m.whole).s, d.path);
	return 0;
}

/* format.c - what the formats are called. */
#include "media/media.h"

#include "base/buf.h"
#include <string.h>

static const char *const names[MEDIA_FORMATS] = {
    [MEDIA_TAR] = "tar",
    [MEDIA_SQUASHFS] = "squashfs",
    [MEDIA_EROFS] = "erofs",
    [MEDIA_RAW] = "raw",
    [MEDIA_QCOW2] = "qcow2",
    [MEDIA_ISO] = "iso",
    [MEDIA_INSTALLER] = "installer",
};

const char *media_format_name(enum media_format f)
{
	return names[f];
}

int media_format_parse(const char *name, enum media_format *ret, struct err *e)
{
	struct buf known SCOPED(buf_release) = BUF_INIT(200);

	for (size_t i = 0; i < MEDIA_FORMATS; i++) {
		if (strcmp(names[i], name) == 0) {
			*ret = (enum media_format)i;
			return 0;
		}
		buf_addf(&known, "%s%s", i > 0 ? ", " : "", names[i]);
	}
	(void)err_set(e, ERR_USAGE, "--format: \"%.40s\" is none", name);
	return err_hint(e, "There are: %s, site.", known.data);
}

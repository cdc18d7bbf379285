#include "media/iso9660.h"

#include <endian.h>
#include <string.h>
#include <unistd.h>

enum {
	PRIMARY = 16 * ISO_SECTOR, /* the volume's descriptor, and in it */
	TOPMOST = 156,             /* the record of the topmost directory */
	/* of a record */
	RECORD_LEAST = 34,
	RECORD_EXTENT = 2,
	RECORD_SIZE = 10,
	RECORD_FLAGS = 25,
	RECORD_NAME_LEN = 32,
	RECORD_NAME = 33,
	FLAG_MORE = 0x80, /* another piece follows */
	DIRECTORY_MAX = 1 << 20,
};

static uint32_t le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static struct iso_extent extent(const uint8_t *record)
{
	return (struct iso_extent){le32(record + RECORD_EXTENT), le32(record + RECORD_SIZE)};
}

/* The record of a name in a sector of a directory; NULL for none. */
static const uint8_t *in_sector(const uint8_t *sector, const char *name)
{
	const size_t n = strlen(name);

	for (size_t at = 0; at + RECORD_LEAST <= ISO_SECTOR && sector[at] >= RECORD_LEAST;) {
		const uint8_t *r = sector + at;

		if (at + r[0] > ISO_SECTOR)
			return NULL;
		if (r[RECORD_NAME_LEN] == n && RECORD_NAME + n <= r[0] &&
		    memcmp(r + RECORD_NAME, name, n) == 0)
			return r;
		at += r[0];
	}
	return NULL;
}

int iso_find(int fd, const char *name, struct iso_extent *ret, struct err *e)
{
	uint8_t sector[ISO_SECTOR];
	const uint8_t *r = NULL;
	struct iso_extent dir;

	if (pread(fd, sector, sizeof(sector), PRIMARY) != (ssize_t)sizeof(sector) ||
	    memcmp(sector + 1, "CD001", 5) != 0)
		return err_set(e, ERR_FAIL, "no disc was made");
	dir = extent(sector + TOPMOST);
	for (uint32_t i = 0; r == NULL && i < dir.size / ISO_SECTOR && i < DIRECTORY_MAX; i++) {
		off_t at = ((off_t)dir.sector + i) * ISO_SECTOR;

		if (pread(fd, sector, sizeof(sector), at) != (ssize_t)sizeof(sector))
			return err_sys(e, "read the disc");
		r = in_sector(sector, name);
	}
	if (r == NULL || (r[RECORD_FLAGS] & FLAG_MORE) != 0)
		return err_set(e, ERR_FAIL, "%s is not whole on the disc", name);
	*ret = extent(r);
	return 0;
}

/* capability.c - file capabilities in words: the value of security.capability is struct
 * vfs_cap_data of linux/capability.h, little-endian. */
#include "diff/side.h"

#include "form/capability.h"
#include <linux/capability.h>

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void add_set(struct buf *out, uint64_t set, const char *flags)
{
	bool first = true;

	if (set == 0)
		return;
	if (out->len > 0)
		buf_add(out, " ", 1);
	for (unsigned i = 0; i < 64; i++) {
		if ((set >> i & 1) == 0)
			continue;
		if (i < CAPABILITIES)
			buf_addf(out, "%scap_%s", first ? "" : ",", capability_names[i]);
		else
			buf_addf(out, "%scap_%u", first ? "" : ",", i);
		first = false;
	}
	buf_addf(out, "=%s", flags);
}

char *capability_text(const uint8_t *p, size_t n)
{
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 16);
	uint64_t permitted, inheritable;
	bool effective;

	if (n < XATTR_CAPS_SZ_2)
		return mem_format("%zu damaged bytes", n);
	effective = (le32(p) & VFS_CAP_FLAGS_EFFECTIVE) != 0;
	permitted = le32(p + 4) | (uint64_t)le32(p + 12) << 32;
	inheritable = le32(p + 8) | (uint64_t)le32(p + 16) << 32;
	add_set(&out, permitted & inheritable, effective ? "eip" : "ip");
	add_set(&out, permitted & ~inheritable, effective ? "ep" : "p");
	add_set(&out, inheritable & ~permitted, effective ? "ei" : "i");
	if (n >= XATTR_CAPS_SZ_3)
		buf_addf(&out, " root %u", le32(p + 20));
	return mem_strdup(out.len > 0 ? out.data : "none");
}

#include "archive/acl.h"

#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdint.h>
#include <string.h>

const char *acl_key(const char *attribute)
{
	if (strcmp(attribute, "system.posix_acl_access") == 0)
		return "SCHILY.acl.access";
	return strcmp(attribute, "system.posix_acl_default") == 0 ? "SCHILY.acl.default" : NULL;
}

/* What an entry is for; *ret_of: that is a number. */
static const char *tag_word(unsigned tag, bool *ret_of)
{
	*ret_of = tag == ACL_USER || tag == ACL_GROUP;
	switch (tag) {
	case ACL_USER_OBJ:
	case ACL_USER:
		return "user";
	case ACL_GROUP_OBJ:
	case ACL_GROUP:
		return "group";
	case ACL_MASK:
		return "mask";
	case ACL_OTHER:
		return "other";
	default:
		return NULL;
	}
}

static int add_entry(const struct posix_acl_xattr_entry *en, struct buf *ret, struct err *e)
{
	unsigned perm = le16toh(en->e_perm);
	bool of;
	const char *word = tag_word(le16toh(en->e_tag), &of);

	if (word == NULL || perm > (ACL_READ | ACL_WRITE | ACL_EXECUTE))
		return err_set(e, ERR_VERIFY, "an access control list of another kind");
	buf_addf(ret, "%s:", word);
	if (of)
		buf_addf(ret, "%u", le32toh(en->e_id));
	buf_addf(ret, ":%c%c%c", perm & ACL_READ ? 'r' : '-', perm & ACL_WRITE ? 'w' : '-',
		 perm & ACL_EXECUTE ? 'x' : '-');
	return 0;
}

int acl_text(const void *val, size_t len, struct buf *ret, struct err *e)
{
	const uint8_t *at = val;
	struct posix_acl_xattr_header head;
	struct posix_acl_xattr_entry en;

	if (len < sizeof(head) || (len - sizeof(head)) % sizeof(en) != 0)
		return err_set(e, ERR_VERIFY, "a damaged access control list");
	memcpy(&head, at, sizeof(head));
	if (le32toh(head.a_version) != POSIX_ACL_XATTR_VERSION)
		return err_set(e, ERR_VERIFY, "an access control list of another kind");
	for (size_t i = sizeof(head); i < len; i += sizeof(en)) {
		memcpy(&en, at + i, sizeof(en));
		if (i > sizeof(head))
			buf_addf(ret, ",");
		if (add_entry(&en, ret, e) != 0)
			return -1;
	}
	return 0;
}

#include "media/initramfs.h"

/* Of a disk that an installer wrote: it may be one of two, and it says who the machine is. A list
 * of rules that is in /run is the started system's too. */
const char installed_script[] =
    "\n"
    "posmedia_pair()\n"
    "{\n"
    "	mkdir -p /run/udev/rules.d\n"
    "	cat /posmedia/raid.rules >/run/udev/rules.d/62-posmedia.rules\n"
    "	udevadm control --reload\n"
    "	/posmedia/machine assemble \"$1\" || panic \"posmedia: no disk to start from\"\n"
    "	udevadm settle\n"
    "}\n"
    "\n"
    "posmedia_identity()\n"
    "{\n"
    "	local id\n"
    "	read -r id </posmedia/identity\n"
    "	posmedia_device \"$id\"\n"
    "	/posmedia/machine identity \"$device\" \"$rootmnt\" ||\n"
    "		panic \"posmedia: who the machine is cannot be read\"\n"
    "}\n";

/* The links by which fstab(5) and crypttab(5) find partitions: udev's own rules make none for a
 * RAID, which it leaves to mdadm(8)'s. */
const char installed_rules[] =
    "SUBSYSTEM!=\"block\", GOTO=\"posmedia_end\"\n"
    "KERNEL!=\"md*\", GOTO=\"posmedia_end\"\n"
    "ACTION==\"remove\", GOTO=\"posmedia_end\"\n"
    "IMPORT{builtin}=\"blkid\"\n"
    "ENV{ID_FS_USAGE}==\"filesystem|other|crypto\", ENV{ID_FS_UUID_ENC}==\"?*\", "
    "SYMLINK+=\"disk/by-uuid/$env{ID_FS_UUID_ENC}\"\n"
    "ENV{ID_FS_USAGE}==\"filesystem|other\", ENV{ID_FS_LABEL_ENC}==\"?*\", "
    "SYMLINK+=\"disk/by-label/$env{ID_FS_LABEL_ENC}\"\n"
    "ENV{ID_PART_ENTRY_UUID}==\"?*\", "
    "SYMLINK+=\"disk/by-partuuid/$env{ID_PART_ENTRY_UUID}\"\n"
    "ENV{ID_PART_ENTRY_SCHEME}==\"gpt\", ENV{ID_PART_ENTRY_NAME}==\"?*\", "
    "SYMLINK+=\"disk/by-partlabel/$env{ID_PART_ENTRY_NAME}\"\n"
    "LABEL=\"posmedia_end\"\n";

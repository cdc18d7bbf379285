#!/usr/bin/env bats
# Installations in QEMU: refused, given up and cut off in the middle, begun again, to two disks and
# to one; and the machines that come of it, of a pair with both disks, with one, and both again.
# The image has the kernel, the loaders and the initial file system of recipes/till.yaml, that
# without drivers that no machine here has, and one program: the rest starts in boot.bats.

bats_require_minimum_version 1.5.0
load ../system/lib
load machine

append="console=tty0 console=ttyS0 posmedia.wait=3"

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/install.XXXXXX")
	export dir
	build_shipped till "$dir/till" >"$dir/build.log" 2>&1 || { cat "$dir/build.log"; false; }
	make_tree
	tar -C "$dir/tree" --numeric-owner --owner=0 --group=0 -cf "$dir/layer.tar" .
	tests/lib/make-layout "$dir/image" 1 s "@$dir/layer.tar" >/dev/null
	"$posmedia" media "oci:$dir/image" --format installer --append "$append" -o "$dir/iso"
	"$posmedia" key new "$dir/k" >/dev/null
	"$posmedia" sign "$dir/iso.disk.medium.json" --key "$dir/k"
	site pair DISK-A DISK-B
	site erase DISK-A DISK-B
	echo erase=12345600 >>"$dir/erase.txt"
	site single DISK-C
	site other DISK-A DISK-B
	sed -i s/till1/till2/ "$dir/other.txt"
	local name
	for name in pair erase single other; do
		mformat -C -i "$dir/$name" -f 1440 -v POSSITE ::
		mcopy -i "$dir/$name" "$dir/$name.txt" ::/install.txt
	done
	size=$(jq .predicate.size "$dir/iso.disk.medium.json")
	export size
	truncate -s $((size + (1100 << 20))) "$dir/a" "$dir/b" "$dir/c"
}

teardown_file() {
	rm -rf "$dir"
}

setup() {
	choose_accelerator
}

teardown() {
	[ -n "${BATS_TEST_COMPLETED-}" ] || keep_console
	end_machine
}

make_tree() {
	local layer libs=() lib
	mkdir "$dir/tree"
	# what links the loader for a BIOS, which is the image's, and what that needs
	for lib in ld-linux-x86-64 libc libm liblzma libdevmapper libselinux libudev libpcre2-8; do
		libs+=("usr/lib/x86_64-linux-gnu/$lib.so*")
	done
	for layer in $(layers); do
		tar -xzf "$dir/till/blobs/sha256/$layer" -C "$dir/tree" --wildcards \
			'boot/vmlinuz-*' 'boot/initrd.img-*' 'boot/grub/grub.cfg' \
			'usr/lib/shim/shimx64.efi.signed' 'usr/lib/grub/i386-pc/*' \
			'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed' \
			'usr/lib/modules/*/modules.*' 'usr/lib/modules/*/dm-*.ko' \
			'usr/lib/modules/*/raid1.ko' 'usr/lib/modules/*/md-mod.ko' \
			'usr/lib/modules/*/erofs.ko' 'usr/lib/modules/*/overlay.ko' \
			'usr/lib/modules/*/isofs.ko' 'usr/lib/modules/*/fat.ko' \
			'usr/lib/modules/*/vfat.ko' 'usr/lib/modules/*/nls_*.ko' \
			'usr/lib/modules/*/kernel/lib/*.ko' \
			'usr/lib/modules/*/cdrom.ko' \
			usr/bin/grub-mkimage 'usr/lib64/*' "${libs[@]}" 2>/dev/null || true
	done
	with_less "$dir"/tree/boot/initrd.img-*
	mkdir -p "$dir/tree/"{sbin,etc,proc,sys,dev,run,tmp,mnt,usr2}
	echo 'LABEL=usr2 /usr2 ext4 nodev,x-posmedia.size=8M 0 2' >"$dir/tree/etc/fstab"
	gcc -static -O1 -s -o "$dir/tree/sbin/init" tests/media/init.c
	ln -s sbin "$dir/tree/bin"
	ln -s usr/lib "$dir/tree/lib"
	ln -s usr/lib64 "$dir/tree/lib64"
	ln -s init "$dir/tree/sbin/cp"
	ln -s init "$dir/tree/sbin/sync"
}

# Most of its drivers are for machines that there are not many of.
with_less() {
	mkdir "$dir/initrd"
	zcat "$1" | bsdtar -C "$dir/initrd" -xf -
	rm -rf "$dir"/initrd/usr/lib/modules/*/kernel/{net,drivers/{net,infiniband,hid,nvme}} \
		"$dir"/initrd/usr/lib/modules/*/kernel/fs/{xfs,btrfs,nfs,nfs_common,lockd,ceph}
	bsdtar -C "$dir/initrd" --format newc -cf - . | gzip >"$1"
}

layers() {
	jq -r '.manifests[0].digest | sub("sha256:"; "")' "$dir/till/index.json" |
		xargs -I{} jq -r '.layers[].digest | sub("sha256:"; "")' \
			"$dir/till/blobs/sha256/{}"
}

site() { # NAME DISK...
	{
		printf 'shop=12345600\nhostname=till1.example\naddress=192.0.2.10/24\n'
		printf 'disk=%s\n' "${@:2}"
	} >"$dir/$1.txt"
}

# start FIRMWARE FILE:SERIAL...: from the first.
start() {
	local i=0 of disks=()
	for of in "${@:2}"; do
		disks+=(-drive "file=$dir/${of%:*},format=raw,if=none,id=d$i"
			-device "virtio-blk-pci,drive=d$i,serial=${of#*:}$( ((i > 0)) ||
				echo ,bootindex=0)")
		i=$((i + 1))
	done
	start_disks "$1" "${disks[@]}"
}

is_logged() {
	grep -aqE -e "$1" "$dir/console"
}

# Until it has switched itself off.
until_off() {
	wait_for "$1" is_off
	machine_pid=
}

# The disk is as it was made, but for what a machine writes to. Of a file all is looked at, of a
# disk not what is behind the medium.
is_installed() {
	head -c "$size" "$dir/$1" >"$dir/without"
	"$posmedia" verify --key "$dir/k.pub" --manifest "$dir/iso.disk.medium.json" --used \
		"$dir/without"
}

# What is behind the system, and not the last mebibyte, has nothing of before.
is_cleared() {
	[ -z "$(tail -c +$((size + 1)) "$dir/$1" | head -c -1048576 | tr -d '\0' | head -c 1)" ]
}

@test "a disk with data is refused, with the reason, and nothing is written" {
	printf 'EFI PART' | dd of="$dir/b" bs=512 seek=1 conv=notrunc status=none
	printf 4111111111111111 | dd of="$dir/b" bs=1M seek=$(((size >> 20) + 700)) conv=notrunc \
		status=none
	sha256sum "$dir/a" "$dir/b" >"$dir/before"
	start uefi iso:INSTALLER pair:SITE a:DISK-A b:DISK-B
	until_off 600
	is_logged 'the disk DISK-B is not blank: there is a partition table \(GPT\) on it'
	is_logged 'Nothing was written'
	is_logged 'NOT INSTALLED'
	sha256sum -c --quiet "$dir/before"
}

@test "with the shop's code it is given up; cut off in the middle, nothing starts from it" {
	start uefi iso:INSTALLER erase:SITE a:DISK-A b:DISK-B
	while_on 600 is_logged 'posmedia: write: [5-9]0 %'
	kill -KILL "$machine_pid"
	machine_pid=
	[ "$(head -c 18 "$dir/a")" = 'posmedia-install 1' ]
	[ "$(head -c 18 "$dir/b")" = 'posmedia-install 1' ]
}

@test "it begins again by itself, without the code, and ends with two disks that are the same" {
	start uefi iso:INSTALLER pair:SITE a:DISK-A b:DISK-B
	until_off 900
	is_logged 'INSTALLED, and read back: till1.example of the shop 12345600'
	is_installed a
	is_installed b
	cmp -n "$size" "$dir/a" "$dir/b"
	is_logged 'posmedia: clear: 100 %'
	is_cleared a
	is_cleared b
}

@test "it starts from the pair, by UEFI with Secure Boot, and is who the site says" {
	start uefi a:DISK-A b:DISK-B
	until_off 600
	is_logged 'init: /etc/hostname: till1.example'
	is_logged 'init: /etc/machine-id: [0-9a-f]{32}'
	is_logged 'init: .*network: Address=192.0.2.10/24'
	is_logged 'init: /proc/mdstat: .*\[2/2\] \[UU\]'
	is_logged 'init: /dev/disk/by-label/usr2: ../../md_posmedia'
	is_logged 'init: /dev/disk/by-partlabel/site: ../../md_posmedia'
	run ! is_logged 'RAID'
}

@test "it starts with one disk, and says so" {
	start uefi b:DISK-B
	until_off 600
	run ! cmp -s -n "$size" "$dir/a" "$dir/b"
	is_logged 'RAID: ONE DISK OF TWO IS MISSING; there is DISK-B'
	is_logged 'init: /etc/hostname: till1.example'
	is_logged 'init: /proc/mdstat: .*\[2/1\] \[_U\]'
}

@test "the disk that was away is brought up again" {
	start uefi a:DISK-A b:DISK-B
	until_off 600
	is_logged 'RAID: the disk DISK-A was left behind, and is brought up again'
	is_logged 'init: /etc/hostname: till1.example'
	is_logged 'init: /proc/mdstat: .*\[2/2\] \[UU\]'
	cmp -n "$size" "$dir/a" "$dir/b"
}

@test "a disk whose end is damaged is left out, and said" {
	cp --sparse=always "$dir/a" "$dir/one"
	cp --sparse=always "$dir/b" "$dir/damaged"
	dd if=/dev/zero of="$dir/damaged" bs=1M seek=$(((size >> 20) + 1099)) count=1 \
		conv=notrunc status=none
	start uefi one:DISK-A damaged:DISK-B
	until_off 600
	is_logged 'RAID: the disk DISK-B is not whole as one of two: it is left out'
	is_logged 'RAID: ONE DISK OF TWO IS MISSING; there is DISK-A'
	is_logged 'init: /etc/hostname: till1.example'
	rm "$dir/one" "$dir/damaged"
}

@test "started from the media again, it is not installed again" {
	sha256sum "$dir/a" "$dir/b" >"$dir/before"
	start uefi iso:INSTALLER other:SITE a:DISK-A b:DISK-B
	until_off 600
	is_logged 'INSTALLED ALREADY: the shop 12345600'
	is_logged 'changes nothing: hostname=till1.example, here till2.example'
	sha256sum -c --quiet "$dir/before"
}

@test "a blank disk, by BIOS: it is installed, and starts" {
	start bios iso:INSTALLER single:SITE c:DISK-C
	until_off 900
	is_logged 'INSTALLED, and read back: till1.example of the shop 12345600'
	is_installed c
	start bios c:DISK-C
	until_off 600
	is_logged 'init: /etc/hostname: till1.example'
	run ! is_logged 'RAID'
}

# The text of the partition site of a disk, and back, as posmedia-installer(5) has it of a machine.
site_at() {
	sfdisk -J "$dir/c" | jq '.partitiontable.partitions[] | select(.name == "site").start / 8'
}

@test "its name is changed where the machine has it; what nobody understands stops the start" {
	dd if="$dir/c" bs=4096 skip="$(site_at)" count=1 status=none | tr -d '\0' >"$dir/text"
	sed -i 's/^hostname=.*/hostname=till9.example/' "$dir/text"
	truncate -s 4096 "$dir/text"
	dd if="$dir/text" of="$dir/c" bs=4096 seek="$(site_at)" conv=notrunc status=none
	start bios c:DISK-C
	until_off 600
	is_logged 'init: /etc/hostname: till9.example'
	is_installed c
	sed -i 's/^hostname=/hostnam=/' "$dir/text"
	truncate -s 4096 "$dir/text"
	dd if="$dir/text" of="$dir/c" bs=4096 seek="$(site_at)" conv=notrunc status=none
	start bios c:DISK-C
	while_on 600 is_logged 'posmedia: who the machine is cannot be read'
	is_logged 'posmedia: install.txt:[0-9]+:1: no such key'
	run ! is_logged 'init: /etc/hostname'
}

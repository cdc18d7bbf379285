#!/usr/bin/env bats
# An installation in QEMU: to two disks, one of them used, cut off in the middle and begun again;
# the machine with both, and with one. It has the kernel, the modules and the loaders of
# recipes/till.yaml, and one program; the rest of that starts in boot.bats.

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
	"$posmedia" media "oci:$dir/image" --format raw --append "$append" -o "$dir/raw"
	site one DISK-A
	site two DISK-A DISK-B
	site erase DISK-A DISK-B
	echo erase=12345600 >>"$dir/erase.txt"
	local name
	for name in one two erase; do
		mformat -C -i "$dir/$name" -f 1440 -v POSSITE ::
		mcopy -i "$dir/$name" "$dir/$name.txt" ::/install.txt
	done
	truncate -s 400M "$dir/a" "$dir/b"
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
	local layer
	mkdir "$dir/tree"
	for layer in $(layers); do
		tar -xzf "$dir/till/blobs/sha256/$layer" -C "$dir/tree" --wildcards \
			'boot/vmlinuz-*' 'boot/initrd.img-*' 'boot/grub/grub.cfg' \
			'usr/lib/shim/shimx64.efi.signed' \
			'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed' \
			'usr/lib/modules/*/modules.*' 'usr/lib/modules/*/kernel/lib/*' \
			'usr/lib/modules/*/kernel/drivers/md/*' 'usr/lib/modules/*/kernel/fs/*' \
			'usr/lib/modules/*/kernel/drivers/cdrom/*' 2>/dev/null || true
	done
	mkdir -p "$dir/tree/"{sbin,etc,proc,sys,dev,run,tmp,mnt}
	gcc -static -O1 -o "$dir/tree/sbin/init" tests/media/init.c
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

# start FILE:SERIAL...: from the first.
start() {
	local i=0 of disks=()
	for of in "$@"; do
		disks+=(-drive "file=$dir/${of%:*},format=raw,if=none,id=d$i"
			-device "virtio-blk-pci,drive=d$i,serial=${of#*:}$( ((i > 0)) ||
				echo ,bootindex=0)")
		i=$((i + 1))
	done
	start_disks uefi "${disks[@]}"
}

is_logged() {
	grep -aqE -e "$1" "$dir/console"
}

# Until it has switched itself off.
until_off() {
	wait_for "$1" is_off
	end_machine
}

nothing_of() {
	[ -z "$(head -c 10M "$dir/$1" | tr -d '\0')" ]
}

@test "a disk with data is refused, with the reason, and nothing is written" {
	printf 'EFI PART' | dd of="$dir/b" bs=512 seek=1 conv=notrunc status=none
	sha256sum "$dir/a" "$dir/b" >"$dir/before"
	start iso:INSTALLER two:SITE a:DISK-A b:DISK-B
	until_off 600
	is_logged 'the disk DISK-B is not blank: there is a partition table \(GPT\) on it'
	is_logged 'Nothing was written'
	is_logged 'NOT INSTALLED'
	sha256sum -c --quiet "$dir/before"
}

@test "cut off in the middle, nothing starts, and it begins again by itself" {
	start iso:INSTALLER erase:SITE a:DISK-A b:DISK-B
	while_on 600 is_logged 'posmedia: write: 50 %'
	end_machine
	[ "$(head -c 18 "$dir/a")" = 'posmedia-install 1' ]
	# the second time nothing has to be given up
	start iso:INSTALLER two:SITE a:DISK-A b:DISK-B
	until_off 900
	is_logged 'INSTALLED, and read back: till1.example of the shop 12345600'
	"$posmedia" key new "$dir/k" >/dev/null
	"$posmedia" sign "$dir/raw" --key "$dir/k"
	local disk
	for disk in a b; do
		"$posmedia" verify --key "$dir/k.pub" --manifest "$dir/raw.medium.json" --used \
			"$dir/$disk"
	done
}

@test "it starts from the pair, and is who the site says" {
	start a:DISK-A b:DISK-B
	until_off 600
	is_logged 'init: /etc/hostname: till1.example'
	is_logged 'init: /etc/machine-id: [0-9a-f]{32}'
	is_logged 'init: .*network: Address=192.0.2.10/24'
	is_logged 'init: /proc/mdstat: .*\[2/2\] \[UU\]'
	run ! is_logged 'RAID'
}

@test "it starts with one disk, and says so" {
	start b:DISK-B
	until_off 600
	is_logged 'RAID: ONE DISK OF TWO IS MISSING; there is DISK-B'
	is_logged 'init: /etc/hostname: till1.example'
	is_logged 'init: /proc/mdstat: .*\[2/1\] \[_U\]'
}

@test "started from the media again, it is not installed again" {
	sha256sum "$dir/b" >"$dir/before"
	site one DISK-B
	mcopy -o -i "$dir/one" "$dir/one.txt" ::/install.txt
	start iso:INSTALLER one:SITE b:DISK-B
	until_off 600
	is_logged 'INSTALLED ALREADY: the shop 12345600'
	sha256sum -c --quiet "$dir/before"
}

#!/usr/bin/env bats
# The disk of recipes/till.yaml with an entry that is signed by a key of one's own, in QEMU, with
# firmware that knows only that key: to a sale; and not when somebody changed the root hash in it.

bats_require_minimum_version 1.5.0
load ../system/lib
load machine

# The key that the package ovmf has for tests, and that is in its variables "snakeoil".
snakeoil=/usr/share/ovmf/PkKek-1-snakeoil

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/signed.XXXXXX")
	export dir
	build_shipped till "$dir/till" >"$dir/build.log" 2>&1 || { cat "$dir/build.log"; false; }
	install -m 600 "$snakeoil.key" "$dir/boot.key"
	echo snakeoil >"$dir/passphrase"
	signed raw disk
}

signed() { # FORMAT NAME
	"$posmedia" media "oci:$dir/till" --format "$1" --append 'console=tty0 console=ttyS0' \
		--boot-key "$dir/boot.key" --boot-cert "$snakeoil.pem" \
		--passphrase-file "$dir/passphrase" -o "$dir/$2"
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

# The ESP of a disk, as mtools have it.
esp_of() {
	echo "$1@@$(sfdisk -J "$1" |
		jq '.partitiontable.partitions[] | select(.name == "esp").start * 512')"
}

is_logged() {
	grep -aqE -e "$1" "$dir/console"
}

@test "the firmware's own entry, and what a BIOS starts, are all that is there" {
	run mdir -b -/ -i "$(esp_of "$dir/disk")" ::
	diff - <(grep -v '/$' <<<"$output" | LC_ALL=C sort) <<-'EOT'
		::/EFI/BOOT/BOOTX64.EFI
		::/EFI/debian/grub.cfg
		::/initrd.img
		::/posmedia.img
		::/vmlinuz
	EOT
}

@test "a changed root hash: the firmware refuses the entry" {
	local esp hash other
	cp --sparse=always "$dir/disk" "$dir/bad"
	esp=$(esp_of "$dir/bad")
	hash=$(jq -r '.predicate.verity."root-hash"' "$dir/disk.medium.json")
	other=$(tr 0-9 1-90 <<<"${hash:0:1}" | tr a-f b-fa)${hash:1}
	mcopy -i "$esp" ::/EFI/BOOT/BOOTX64.EFI "$dir/entry"
	cp "$dir/entry" "$dir/entry.bad"
	perl -pi -e "s/$hash/$other/" "$dir/entry.bad"
	[ "$(cmp -l "$dir/entry" "$dir/entry.bad" | wc -l)" -eq 1 ]
	mcopy -o -i "$esp" "$dir/entry.bad" ::/EFI/BOOT/BOOTX64.EFI
	start_machine own "$dir/bad"
	while_on 300 is_logged 'BdsDxe: failed to load .*: Access Denied'
	run ! is_logged 'Linux version'
}

@test "the entry starts under Secure Boot, and the shop sells" {
	start_machine own "$dir/disk"
	while_on 900 healthy
	[ "$(curl -s -d 'amount=12.50&what=roses' "http://127.0.0.1:$port/sales")" = \
		'{"number":1}' ]
	is_logged 'Secure boot enabled|Secure Boot is enabled'
	is_logged "posmedia.verity=.*$(jq -r '.predicate.verity."root-hash"' \
		"$dir/disk.medium.json")"
	stop_machine
}

@test "a disc with such an entry starts by it, and the shop sells" {
	signed iso iso
	start_machine own "$dir/iso" cd
	while_on 900 healthy
	[ "$(curl -s -d 'amount=12.50&what=roses' "http://127.0.0.1:$port/sales")" = \
		'{"number":1}' ]
	is_logged 'Secure boot enabled|Secure Boot is enabled'
	stop_machine
}

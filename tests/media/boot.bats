#!/usr/bin/env bats
# The disk and the disc of recipes/till.yaml in QEMU: by BIOS and by UEFI with Secure Boot to a shop
# that sells, with its data over starts; and a disk with a flipped bit.

bats_require_minimum_version 1.5.0
load ../system/lib
load machine

append="console=tty0 console=ttyS0"

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/boot.XXXXXX")
	export dir
	build_shipped till "$dir/till" >"$dir/build.log" 2>&1 || { cat "$dir/build.log"; false; }
	"$posmedia" media "oci:$dir/till" --format raw --append "$append" -o "$dir/disk"
	cp --sparse=always "$dir/disk" "$dir/used"
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

sell() {
	curl -s -d "$1" "http://127.0.0.1:$port/sales"
}

is_logged() {
	grep -aqE -e "$1" "$dir/console"
}

root_part() {
	sfdisk -J "$dir/disk" |
		jq ".partitiontable.partitions[] | select(.name == \"root\").$1"
}

@test "BIOS: it starts to its target and sells" {
	start_machine bios "$dir/used"
	while_on 900 healthy
	[ "$(sell 'amount=12.50&what=roses')" = '{"number":1}' ]
	while_on 300 is_logged ' login:'
	is_logged 'Activated swap'
	run ! is_logged 'FAILED'
	run ! is_logged 'Secure Boot is enabled'
	stop_machine
}

@test "UEFI with Secure Boot: the same disk starts, and the sale is there" {
	start_machine uefi "$dir/used"
	while_on 900 healthy
	[ "$(curl -s "http://127.0.0.1:$port/sales" | jq -c 'map([.number, .what])')" = \
		'[[1,"roses"]]' ]
	[ "$(sell 'amount=3')" = '{"number":2}' ]
	is_logged 'UEFI Secure Boot is enabled'
	stop_machine
}

@test "the root on a used disk is as it was, bit by bit" {
	local first n
	first=$(root_part start)
	n=$(root_part size)
	cmp <(dd if="$dir/disk" bs=512 skip="$first" count="$n" status=none) \
		<(dd if="$dir/used" bs=512 skip="$first" count="$n" status=none)
}

@test "a used disk is verified but for what a machine writes to" {
	"$posmedia" key new "$dir/k" >/dev/null
	"$posmedia" sign "$dir/disk" --key "$dir/k"
	"$posmedia" verify --key "$dir/k.pub" --manifest "$dir/disk.medium.json" --used "$dir/used"
	run "$posmedia" verify --key "$dir/k.pub" --manifest "$dir/disk.medium.json" "$dir/used"
	[ "$status" -eq 4 ]
	[[ $output == *'differs: usr2,'* && $output != *'differs: root'* ]]
}

@test "statements about the disk are about its digest, and have the machine's evidence" {
	local f
	run "$posmedia" media "oci:$dir/till" --format raw --append "$append" -o "$dir/again" \
		--statements "$dir/statements" --recipe recipes/till.yaml
	[ "$status" -eq 0 ]
	for f in "$dir"/statements/*statement.json; do
		[ "$(jq -r '.subject[] | select(.name == "medium").digest.sha256' "$f")" = \
			"$(sha256sum "$dir/disk" | cut -d' ' -f1)" ]
	done
	[ "$(find "$dir/statements" -name '*.statement.json' | wc -l)" -ge 4 ]
	jq -e '.packages | map(.name) | index("linux-image-cloud-amd64")' \
		"$dir/statements/spdx.json"
	grep -q SVC-03b "$dir/statements"/*statement.json
}

@test "a flipped bit: its block is not read, the kernel and verify say which" {
	local at block
	at=$(($(root_part start) * 512))
	dd if="$dir/disk" of="$dir/root" bs=1M skip=$((at >> 20)) \
		count=$(($(root_part size) >> 11)) status=none
	block=$(dump.erofs -e --path=/usr/bin/perl "$dir/root" |
		sed -nE 's|^ *0: .* : *([0-9]+)[.][.].*|\1|p')
	cp --sparse=always "$dir/disk" "$dir/flipped"
	perl -e '
		open my $f, "+<:raw", $ARGV[0] or die; seek $f, $ARGV[1], 0; read $f, my $c, 1;
		seek $f, $ARGV[1], 0; print $f chr(ord($c) ^ 1); close $f or die' \
		"$dir/flipped" $((at + block + 100))
	start_machine bios "$dir/flipped"
	while_on 900 is_logged "data block $((block / 4096)) is corrupted"
	run ! healthy
	end_machine
	run "$posmedia" verify --key "$dir/k.pub" --manifest "$dir/disk.medium.json" --used --json \
		"$dir/flipped"
	[ "$status" -eq 4 ]
	[[ $output == *'"in-part": '$((block / 4096 * 4096)),* ]]
}

@test "a disc in a drive, by UEFI with Secure Boot: it sells, and nothing is on it" {
	"$posmedia" media "oci:$dir/till" --format iso --append "$append" -o "$dir/iso"
	start_machine uefi "$dir/iso" cd
	while_on 900 healthy
	[ "$(sell 'amount=12.50&what=roses')" = '{"number":1}' ]
	is_logged 'UEFI Secure Boot is enabled'
	stop_machine
}

@test "a stick of the same disc, by BIOS: it sells" {
	start_machine bios "$dir/iso"
	while_on 900 healthy
	[ "$(sell 'amount=12.50&what=roses')" = '{"number":1}' ]
	stop_machine
	faketime -f +3y "$posmedia" media "oci:$dir/till" --format iso --append "$append" \
		-o "$dir/again"
	cmp "$dir/iso" "$dir/again"
}

@test "that stick by UEFI with Secure Boot: it sells" {
	start_machine uefi "$dir/iso"
	while_on 900 healthy
	[ "$(sell 'amount=12.50&what=roses')" = '{"number":1}' ]
	is_logged 'UEFI Secure Boot is enabled'
	stop_machine
}

@test "raw and qcow2: the same bytes twice, and the same disk" {
	faketime -f +3y "$posmedia" media "oci:$dir/till" --format raw --append "$append" \
		-o "$dir/again"
	cmp "$dir/disk" "$dir/again"
	"$posmedia" media "oci:$dir/till" --format qcow2 --append "$append" -o "$dir/1.qcow2"
	faketime -f +3y "$posmedia" media "oci:$dir/till" --format qcow2 --append "$append" \
		-o "$dir/2.qcow2"
	cmp "$dir/1.qcow2" "$dir/2.qcow2"
	qemu-img compare -f raw -F qcow2 "$dir/disk" "$dir/1.qcow2"
}

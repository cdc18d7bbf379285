#!/usr/bin/env bats
# The disk of recipes/till.yaml in QEMU: by BIOS and by UEFI with Secure Boot to a shop that sells,
# with its data over starts.

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

healthy() {
	curl -sf -m 5 "http://127.0.0.1:$port/health"
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

#!/usr/bin/env bats
# What a machine does to call the slot good that it runs from: the script of overlays/machine, in a
# mount namespace whose /proc/cmdline, /dev and disks in sysfs are those of such a machine.

bats_require_minimum_version 1.5.0
load lib
load slots

setup_file() {
	[ "$(id -u)" -eq 0 ] || skip "mounts, which only root may"
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/slots.XXXXXX")
	export dir POSMEDIA_STORE=$dir/store
	(cd "$dir" && "$posmedia" key new k) >/dev/null 2>&1
	slots_pair
	cp --sparse=always "$dir/old" "$dir/disk"
	"$posmedia" machine update "$dir/new" --key "$dir/k.pub" --disk "$dir/disk"
	cp --sparse=always "$dir/disk" "$dir/updated"
	fakes
}

teardown_file() {
	rm -rf "$dir"
}

setup() {
	cp --sparse=always "$dir/updated" "$dir/disk"
	state=$(losetup -f --show -o "$(of_partition "$dir/disk" state start)" \
		--sizelimit 1048576 "$dir/disk")
	cp -a "$state" "$dir/dev/"
	: >"$dir/failed"
	: >"$dir/asked"
	mkdir -p "$dir/lib/aide"
	: >"$dir/lib/aide/aide.db"
}

teardown() {
	[ -z "${state-}" ] || losetup -d "$state"
}

# A disk "posdisk" with two partitions, of which sysfs says that one is below the root.
fakes() {
	mkdir -p "$dir/bin" "$dir/dev" "$dir/block/posdisk/p1" "$dir/block/posdisk/p2" \
		"$dir/dm/dm-0/dm" "$dir/dm/dm-1/dm" "$dir/dm/dm-1/slaves"
	cp -a /dev/null "$dir/dev/null"
	ln -s "$dir/disk" "$dir/dev/posdisk"
	echo swap >"$dir/dm/dm-0/dm/name"
	echo posmedia-root >"$dir/dm/dm-1/dm/name"
	touch "$dir/dm/dm-1/slaves/p2"
	echo DEVNAME=posdisk >"$dir/block/posdisk/uevent"
	echo PARTNAME=root-b >"$dir/block/posdisk/p2/uevent"
	ln -s posdisk/p2 "$dir/block/p2"
	# what it is to start, it does not
	cat >"$dir/bin/systemctl" <<-SH
		#!/bin/sh
		echo "\$*" >>"$dir/asked"
		case \$1 in
		list-units) exec cat "$dir/failed" ;;
		--no-block) exit 5 ;;
		esac
	SH
	chmod +x "$dir/bin/systemctl"
}

# mark_good SLOT: as on a machine that runs from it.
mark_good() {
	printf 'PARTNAME=state\nDEVNAME=%s\n' "${state##*/}" >"$dir/block/posdisk/p1/uevent"
	echo "ro posmedia.slot=$1 posmedia.try=2" >"$dir/cmdline"
	# shellcheck disable=SC2016 # for the shell inside
	run timeout 100 unshare -m bash -ec '
		mount --bind "$dir/cmdline" /proc/cmdline
		mount --bind "$dir/dev" /dev
		mount --bind "$dir/block" /sys/class/block
		mount --bind "$dir/dm" /sys/block
		mount --bind "$dir/lib" /var/lib
		PATH=$dir/bin:$PATH exec overlays/machine/usr/lib/posmedia/mark-good'
	echo "status $status"
	echo "$output"
}

status_is() {
	"$posmedia" machine status --disk "$dir/disk" >"$dir/status"
	grep -q "$1" "$dir/status" || { cat "$dir/status" && false; }
}

@test "the slot that is tried becomes the good one, in both places" {
	mark_good b
	[ "$status" -eq 0 ]
	[[ $output == *'slot b is good' ]]
	status_is 'b: good'
	# what files are compared with is made anew
	[ ! -e "$dir/lib/aide/aide.db" ]
	grep -q 'start aide-database.service' "$dir/asked"
	cmp <(part "$dir/disk" state | dd bs=512 skip=12 count=1 status=none) \
		<(part "$dir/disk" state | dd bs=512 skip=1536 count=1 status=none)
	: >"$dir/lib/aide/aide.db"
	mark_good b
	[ "$status" -eq 0 ]
	[[ $output == *'slot b is good already' ]]
	[ ! -e "$dir/lib/aide/aide.db" ]
}

@test "one that is not tried any more is let be" {
	"$posmedia" machine update "$dir/old" --key "$dir/k.pub" --disk "$dir/disk"
	mark_good b
	[ "$status" -eq 0 ]
	[[ $output == *'slot b is not tried any more' ]]
	status_is 'a: good'
	[ -e "$dir/lib/aide/aide.db" ]
}

@test "a unit that has failed is named, and keeps it from being good, but one that may fail" {
	printf '%s.service loaded failed failed x\n' nftables ups aide-check >"$dir/failed"
	MAY_FAIL='ups.service other*' mark_good b
	[ "$status" -eq 1 ]
	[[ $output == *'slot b is not called good: these units have failed: nftables.service' ]]
	status_is 'b: tried, 3 left'
	MAY_FAIL='nft* ups.service' mark_good b
	[ "$status" -eq 0 ]
	status_is 'b: good'
}

@test "units that cannot be listed, and a new system without an aide of its own" {
	rm "$dir/failed"
	mark_good b
	[ "$status" -eq 1 ]
	[[ $output == *'slot b is not called good: its units cannot be listed' ]]
	: >"$dir/failed"
	mark_good b
	[ "$status" -eq 0 ]
	[[ $output == *'is made at the next start'* ]]
	status_is 'b: good'
}

@test "a state that cannot be read, and a machine of another kind, are said" {
	dd if=/dev/zero of="$state" bs=512 seek=12 count=1 status=none
	mark_good b
	[ "$status" -eq 1 ]
	[[ $output == *"what $state says of the slots cannot be read" ]]
	mark_good x
	[ "$status" -eq 1 ]
	[[ $output == *'this machine does not run from one' ]]
}

#!/usr/bin/env bats
# Death at every durable step of an update in place, and a power cut there: what was not yet on the
# disk is anything. The old system starts, until the new one is whole; and the next run makes it so.

bats_require_minimum_version 1.5.0
load lib
load slots

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/slots-crash.XXXXXX")
	export dir POSMEDIA_STORE=$dir/store
	flock "$OUT/tests.flock" make -s "OUT=$OUT/faults" VARIANT=faults all
	(cd "$dir" && "$posmedia" key new k) >/dev/null 2>&1
	slots_pair
}

teardown_file() {
	rm -rf "$dir"
}

# One that dies at step $1.
update() {
	run env POSMEDIA_DIE_AT="$1" "$OUT/faults/posmedia" machine update "$dir/new" \
		--key "$dir/k.pub" --disk "$dir/disk"
}

# Anything in the second slot: none of it was waited for.
scribble() {
	local name
	for name in boot-b root-b verity-b; do
		head -c 65536 /dev/urandom | dd of="$1" bs=1M conv=notrunc status=none \
			seek=$(($(of_partition "$1" $name start) >> 20))
	done
}

old_slot_is_whole() {
	local name
	for name in boot-a root-a verity-a usr2; do
		cmp <(part "$dir/old" "$name") <(part "$dir/disk" "$name")
	done
}

# What GRUB starts of a copy.
starts() {
	cp --sparse=always "$dir/disk" "$dir/started"
	slots_speak "$dir/started"
	grub_starts "$dir/started"
}

@test "an update that dies at any step leaves the old system, or the new one whole" {
	local n steps written what with_new=0
	cp --sparse=always "$dir/old" "$dir/disk"
	update 0
	[ "$status" -eq 0 ]
	steps=$(grep -c '^fault:' <<<"$output")
	written=$(sed -n 's/^fault: \([0-9]*\) update-written$/\1/p' <<<"$output")
	[ "$steps" -ge 12 ] && [ "$written" -gt 6 ]
	for ((n = 1; n <= steps; n++)); do
		cp --sparse=always "$dir/old" "$dir/disk"
		update "$n"
		[ "$status" -eq 86 ]
		[ "$n" -ge "$written" ] || scribble "$dir/disk"
		old_slot_is_whole
		what=$(starts)
		if [ "$what" = "b posmedia.try=2" ]; then
			with_new=$((with_new + 1))
			is_root_of "$dir/disk" b "$dir/new"
		else
			[ "$what" = a ]
		fi
		update none
		[ "$status" -eq 0 ]
		is_root_of "$dir/disk" b "$dir/new"
		cmp <(part "$dir/new" boot-a) <(part "$dir/disk" boot-b)
	done
	[ "$(starts)" = "b posmedia.try=2" ]
	[ "$with_new" -eq 1 ]
}

@test "an update over one that waits, or has failed, starts neither of them half" {
	local n
	for n in slot-state-written update-block; do
		cp --sparse=always "$dir/old" "$dir/disk"
		update none
		flip "$dir/disk" $(($(of_partition "$dir/disk" root-b start) + 1500000))
		# another system than the one that waits: what it is called is another
		dd if=/dev/zero of="$dir/disk" bs=4096 count=1 conv=notrunc status=none \
			seek=$(($(of_partition "$dir/disk" state start) / 4096 + 129))
		update "$n"
		[ "$status" -eq 86 ]
		old_slot_is_whole
		[ "$(starts)" = a ]
	done
}

@test "a slot that is called good is it, or not yet, at every step" {
	local n
	for n in 1 2; do
		cp --sparse=always "$dir/old" "$dir/disk"
		"$posmedia" machine update "$dir/new" --key "$dir/k.pub" --disk "$dir/disk"
		run env POSMEDIA_DIE_AT=$n "$OUT/faults/posmedia" machine mark-good \
			--disk "$dir/disk"
		[ "$status" -eq 86 ]
		if [ "$n" -eq 1 ]; then
			[ "$(starts)" = "b posmedia.try=2" ]
		else
			[ "$(starts)" = b ]
		fi
	done
}

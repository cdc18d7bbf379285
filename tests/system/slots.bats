#!/usr/bin/env bats
# A disk with two slots: what is on it, which one GRUB starts, and updates from one to the other,
# also with media that are bad.

bats_require_minimum_version 1.5.0
load lib
load slots

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/slots.XXXXXX")
	export dir POSMEDIA_STORE=$dir/store
	(cd "$dir" && "$posmedia" key new k && "$posmedia" key new other) >/dev/null 2>&1
	slots_pair
}

teardown_file() {
	rm -rf "$dir"
}

setup() {
	cp --sparse=always "$dir/old" "$dir/disk"
}

machine() {
	run --separate-stderr "$posmedia" machine "$@" --disk "$dir/disk"
}

update() {
	machine update "$@" --key "$dir/k.pub"
}

says() {
	[ "$status" -eq "$1" ] && [[ $output$'\n'$stderr == *"$2"* ]] && return
	echo "wanted $1 and $2, got $status: $output $stderr"
	return 1
}

is_old() {
	slots_is_old "$dir/old" "$dir/disk"
}

image_of() {
	jq -r .predicate.image "$1.medium.json"
}

@test "two slots: the same partitions each, the first filled, and the same bytes twice" {
	local what
	[ "$(sfdisk -J "$dir/old" | jq -r '[.partitiontable.partitions[].name] | join(" ")')" = \
		"bios esp state boot-a root-a verity-a boot-b root-b verity-b usr2" ]
	for what in boot root verity; do
		[ "$(of_partition "$dir/old" $what-a size)" -eq \
			"$(of_partition "$dir/old" $what-b size)" ]
		[ -z "$(part "$dir/old" $what-b | tr -d '\0')" ]
	done
	[ "$(of_partition "$dir/old" root-a size)" -eq $((12 << 20)) ]
	is_root_of "$dir/old" a "$dir/old"
	faketime -f +3y "$posmedia" media -q "oci:$dir/image" --format raw --slots 2 \
		--identity localhost/till:1 -o "$dir/again"
	cmp "$dir/old" "$dir/again"
	# room takes none: two thirds of it are
	[ $((3 * $(stat -c %b "$dir/old") * 512)) -lt "$(stat -c %s "$dir/old")" ]
	machine status
	says 0 "a: good, $(image_of "$dir/old")"
	says 0 "b: empty"
	"$posmedia" verify --key "$dir/k.pub" "$dir/old"
}

@test "two slots: only of a disk, and of one that has room" {
	run --separate-stderr "$posmedia" media "oci:$dir/image" --format iso --slots 2 -o "$dir/x"
	says 2 '--slots is 1 or 2, for raw and qcow2'
	run --separate-stderr "$posmedia" media "oci:$dir/image" --format raw --slots 3 -o "$dir/x"
	says 2 '--slots'
	cp -a "$dir/root" "$dir/small"
	sed -i s/=12M/=8M/ "$dir/small/etc/fstab"
	head -c 9000000 /dev/urandom >"$dir/small/usr/bin/perl"
	slots_image "$dir/small" "$dir/small-image"
	run --separate-stderr "$posmedia" media "oci:$dir/small-image" --format raw --slots 2 \
		-o "$dir/x"
	says 3 'more than its slot'
	"$posmedia" media -q "oci:$dir/image2" --format raw -o "$dir/one"
	machine status
	run --separate-stderr "$posmedia" machine status --disk "$dir/one"
	says 2 "$dir/one has no two slots"
	run --separate-stderr "$posmedia" machine status --disk "$dir/k"
	says 4 'no partition table'
	"$posmedia" sign "$dir/one" --key "$dir/k" >/dev/null
	update "$dir/one"
	says 2 'the medium is none to update from'
	rm "$dir/x"* "$dir/one"* 2>/dev/null || true
}

# What the kernel of the last start was told besides: nothing of a system that is good.
cares() {
	[ "$(tr -d '\033\r' <"$dir/grub/said" | grep -aoE 'CARE[a-z0-9.=_ ]*' |
		sed -E 's/CARE ?//; s/ +$//')" = "$1" ]
}

@test "GRUB: what is tried is counted first, and after three times the old one starts" {
	local left
	update "$dir/new"
	says 0 "slot b is tried at the next start: $(image_of "$dir/new")"
	slots_speak "$dir/disk"
	for left in 2 1 0; do
		[ "$(grub_starts "$dir/disk")" = "b posmedia.try=$left" ]
		cares 'systemd.crash_reboot=1 oops=panic softlockup_panic=1'
	done
	machine status
	says 0 'b: failed'
	[ "$(grub_starts "$dir/disk")" = a ]
	cares ''
	[ "$(grub_starts "$dir/disk")" = a ]
	# a timer brings it again: it is known, and let be unless somebody says so
	update "$dir/new"
	says 4 'has failed here'
	[ "$(grub_starts "$dir/disk")" = a ]
	# it may be updated again, and called good before it was tried three times
	update "$dir/new" --again
	says 0 'fetched'
	slots_speak "$dir/disk"
	[ "$(grub_starts "$dir/disk")" = "b posmedia.try=2" ]
	machine mark-good
	says 0 'b is good'
	[ "$(grub_starts "$dir/disk")" = b ]
	machine mark-good
	says 0 'b is good already'
	[ "$(grub_starts "$dir/disk")" = b ]
}

@test "GRUB: a slot whose kernel cannot be loaded is followed by the other" {
	local at
	update "$dir/new"
	slots_speak "$dir/disk"
	at=$(of_partition "$dir/disk" boot-b start)
	mdel -i "$dir/disk@@$at" ::/entry.cfg
	[ "$(grub_starts "$dir/disk")" = a ]
	machine status --json
	[ "$(jq -c '[.next, (.slots[1] | [.slot, .state, .tries])]' <<<"$output")" = \
		'["b",["b","tried",2]]' ]
	# nothing there at all
	dd if=/dev/zero of="$dir/disk" bs=1M seek=$((at >> 20)) count=1 conv=notrunc status=none
	[ "$(grub_starts "$dir/disk")" = a ]
}

@test "update: only what is new is fetched, and nothing else on the disk changes" {
	local size
	head -c 4096 /dev/urandom | dd of="$dir/disk" bs=4096 conv=notrunc status=none \
		seek=$(($(of_partition "$dir/disk" usr2 start) / 4096 + 100))
	part "$dir/disk" usr2 >"$dir/usr2"
	update "$dir/new" --json
	[ "$status" -eq 0 ]
	size=$(jq '.predicate.verity.blocks * 4096' "$dir/new.medium.json")
	[ "$(jq .copied <<<"$output")" -gt 4000000 ]
	# what says what it is, its hashes, where its file system names its files; and the file
	[ "$(jq .fetched <<<"$output")" -lt 5000000 ] || { echo "$output"; false; }
	[ "$(jq .slot <<<"$output")" = '"b"' ] && [ "$size" -gt 3000000 ]
	is_root_of "$dir/disk" b "$dir/new"
	cmp <(part "$dir/new" boot-a) <(part "$dir/disk" boot-b)
	cmp <(part "$dir/disk" usr2) "$dir/usr2"
	for size in esp boot-a root-a verity-a; do
		cmp <(part "$dir/old" "$size") <(part "$dir/disk" "$size")
	done
	update "$dir/new"
	says 0 'is there already'
	# and back into the first slot
	machine mark-good
	update "$dir/new"
	says 0 'is there already'
	update "$dir/old" --json
	[ "$(jq -c '[.slot, .kept > 4000000]' <<<"$output")" = '["a",true]' ]
	machine status
	says 0 'a: tried, 3 left'
}

@test "update: the good system ends the trial of another" {
	update "$dir/new"
	update "$dir/new"
	says 0 'is there already, in slot b'
	update "$dir/old"
	says 0 'is there already, in slot a'
	says 0 'slot b is not tried any more'
	machine status
	says 0 'next start: a'
	slots_speak "$dir/disk"
	[ "$(grub_starts "$dir/disk")" = a ]
}

@test "update: the same image with other arguments is another system" {
	slots_disk "$dir/image" "$dir/quiet" --append quiet
	update "$dir/quiet"
	says 0 'slot b is tried at the next start'
	cmp <(part "$dir/quiet" boot-a) <(part "$dir/disk" boot-b)
	update "$dir/quiet"
	says 0 'is there already, in slot b'
	rm "$dir"/quiet*
}

@test "update: another product, and an older system, only when that is said" {
	slots_disk "$dir/image2" "$dir/else" --identity localhost/kiosk:1
	update "$dir/else"
	says 4 'the new system is localhost/kiosk'
	is_old
	update "$dir/else" --identity localhost/kiosk:1
	says 0 'read back'
	cp --sparse=always "$dir/old" "$dir/disk"
	CREATED=2025-12-31T23:59:59Z slots_image "$dir/root" "$dir/image3"
	slots_disk "$dir/image3" "$dir/older"
	update "$dir/older"
	says 4 'the new system is older than the good one'
	is_old
	update "$dir/older" --older
	says 0 'read back'
	rm "$dir"/else* "$dir"/older*
}

@test "update: it does not fetch for ever" {
	update "$dir/new" --within 0
	says 5 'the update takes too long'
	is_old
}

@test "update: a flipped bit of the running slot is not copied" {
	flip "$dir/disk" $(($(of_partition "$dir/disk" root-a start) + 2000000))
	flip "$dir/disk" $(($(of_partition "$dir/disk" boot-a start) + 1048576 + 100))
	update "$dir/new"
	says 0 'read back'
	is_root_of "$dir/disk" b "$dir/new"
	cmp <(part "$dir/new" boot-a) <(part "$dir/disk" boot-b)
}

# A medium beside the manifest of another, and what signs it.
like_new() {
	local form
	cp --sparse=always "$dir/new" "$dir/$1"
	for form in '' .pgp .sig .sigstore.json; do
		cp "$dir/new.medium.json$form" "$dir/$1.medium.json$form"
	done
}

@test "update: a bad medium leaves the old system" {
	local what
	machine update "$dir/new"
	says 2 'wants a --key or a --policy'
	machine update "$dir/new" --key "$dir/other.pub"
	says 4 'new.medium.json'
	is_old
	like_new bad
	truncate -s $(($(of_partition "$dir/new" root-a start) + 200000)) "$dir/bad"
	update "$dir/bad"
	says 4 'ends before its end'
	is_old
	for what in boot root verity state; do
		like_new bad
		[ $what = state ] || what=$what-a
		case $what in
		# where the new file lies, which has to be fetched
		root-a) part "$dir/bad" root-a >"$dir/r" &&
			at=$(dump.erofs -e --path=/usr/bin/till "$dir/r" |
				sed -nE 's|^ *0: .* : *([0-9]+)[.][.].*|\1|p') ;;
		boot-a) at=$(part "$dir/bad" boot-a | grep -abo 'linux /vmlinuz' | cut -d: -f1) ;;
		verity-a) at=5000 ;;
		state) at=$((524288 + 100)) ;;
		esac
		flip "$dir/bad" $(($(of_partition "$dir/bad" "$what" start) + at))
		update "$dir/bad"
		echo "$what: $stderr"
		[ "$status" -eq 4 ]
		is_old
	done
	like_new bad
	jq '.predicate.verity."root-hash" = .predicate.verity.salt' "$dir/new.medium.json" \
		>"$dir/bad.medium.json"
	update "$dir/bad"
	says 4 'bad.medium.json'
	is_old
}

@test "update: what nobody has signed is not read" {
	like_new bad
	echo '{"a":[' >"$dir/bad.medium.json"
	update "$dir/bad"
	says 4 'does not fit'
	[[ $stderr != *JSON* ]]
	is_old
}

@test "update: what does not fit the disk is refused" {
	sfdisk -q --part-label "$dir/disk" 10 other
	update "$dir/new"
	says 3 'has no partition usr2, which the new system wants'
	sfdisk -q --part-label "$dir/disk" 10 usr2
	echo 'size=2MiB' | sfdisk -q -N 8 "$dir/disk" 2>/dev/null
	update "$dir/new"
	says 3 'the new root has'
	is_old
}

@test "update: one at a time, and for the machine that the disk is of" {
	flock "$dir/disk" "$posmedia" machine update "$dir/new" --key "$dir/k.pub" \
		--disk "$dir/disk" >"$dir/said" 2>&1 && false
	grep -q 'is held by another program' "$dir/said"
	# another architecture, as far as the disk says
	perl -MDigest::SHA=sha256_hex -e '
		open my $f, "+<:raw", $ARGV[0] or die; seek $f, $ARGV[1], 0; read $f, my $b, 4096;
		my ($json) = $b =~ /^.{64}\n([^\0]*)/s; $json =~ s/amd64/arm64/ or die;
		seek $f, $ARGV[1], 0; print $f sha256_hex($json), "\n", $json; close $f or die' \
		"$dir/disk" $(($(of_partition "$dir/disk" state start) + 524288))
	update "$dir/new"
	says 3 'the new system is for amd64'
	run --separate-stderr "$posmedia" machine status
	says 2 'this machine does not run from a slot'
}

# One of the two sectors that say which slot is good.
spoil() { # OFFSET
	head -c 512 /dev/urandom | dd of="$dir/disk" bs=512 conv=notrunc status=none \
		seek=$((($(of_partition "$dir/disk" state start) + $1) / 512))
}

@test "which slot is good is there twice: either copy is enough, and is mended by the other" {
	local at
	update "$dir/new"
	machine mark-good
	says 0 'b is good'
	slots_speak "$dir/disk"
	for at in $((12 * 512)) $((768 << 10)); do
		spoil "$at"
		[ "$(grub_starts "$dir/disk")" = b ]
		cp --sparse=always "$dir/disk" "$dir/was"
		machine status
		says 0 'b: good'
		cmp "$dir/disk" "$dir/was"
		machine mark-good
		says 0 'b is good already'
	done
	# the last of them was mended: without the first it is enough again
	spoil $((12 * 512))
	[ "$(grub_starts "$dir/disk")" = b ]
	machine status
	says 0 'cannot be read; a copy of it says that b is good'
	# an update begins with what is good, and is tried
	update "$dir/old"
	says 0 'slot a is tried at the next start'
	slots_speak "$dir/disk"
	[ "$(grub_starts "$dir/disk")" = "a posmedia.try=2" ]
	# neither of the two: the first slot, and nothing is written over
	spoil $((12 * 512))
	spoil $((768 << 10))
	[ "$(grub_starts "$dir/disk")" = a ]
	update "$dir/new"
	says 4 'what the disk says of its slots cannot be read'
}

@test "GRUB: a good slot without its initial file system is followed by the other" {
	local name
	# the slots' own entries, and a kernel that only says that it has all that it wants
	# shellcheck disable=SC2016 # GRUB's
	local own='function linux { true; }
function initrd {
	if [ -f "$1" -a -f "$2" ]; then echo STARTS $slot $trial; halt; else false; fi
}'
	update "$dir/new"
	[ "$(grub_starts "$dir/disk" "$own")" = "b posmedia.try=2" ]
	machine mark-good
	[ "$(grub_starts "$dir/disk" "$own")" = b ]
	for name in posmedia.img initrd.img; do
		mdel -i "$dir/disk@@$(of_partition "$dir/disk" boot-b start)" "::/$name"
		[ "$(grub_starts "$dir/disk" "$own")" = a ]
		# by the entry itself: at its end GRUB would start the kernel without the files
		run ! grep -aqi 'fall' "$dir/grub/said"
	done
}

@test "GRUB: a good slot that cannot be read is passed over for one start, and then asked again" {
	# what reads a file whole; no start is the machine's own
	# shellcheck disable=SC2016 # GRUB's
	local own='function linux { true; }
function initrd {
	if sha256sum "$2"; then echo STARTS $slot $trial; halt; else false; fi
}
function sleep { true; }
function reboot { halt; }'
	update "$dir/new"
	machine mark-good
	[ "$(grub_starts "$dir/disk" "$own")" = b ]
	cp --sparse=always "$dir/disk" "$dir/whole"
	cut_off "$dir/disk" boot-b posmedia.img
	for _ in 1 2; do
		[ "$(grub_starts "$dir/disk" "$own")" = "" ]
		grep -q 'This cannot be started' "$dir/grub/said"
		machine status
		says 0 'next start: b'
		[ "$(grub_starts "$dir/disk" "$own")" = a ]
	done
	# the disk reads it again
	[ "$(grub_starts "$dir/disk" "$own")" = "" ]
	dd if="$dir/whole" of="$dir/disk" bs=1M conv=notrunc status=none
	[ "$(grub_starts "$dir/disk" "$own")" = b ]
	# what is tried begins anew as often as it is tried, and then the good one does as above
	cut_off "$dir/disk" boot-b posmedia.img
	update "$dir/old" --again
	says 0 'slot a is tried at the next start'
	cut_off "$dir/disk" boot-a posmedia.img
	for _ in 3 2 1; do
		[ "$(grub_starts "$dir/disk" "$own")" = "" ]
		machine status
		says 0 'b: good'
	done
	says 0 'a: failed'
	run ! grep -aq skip= <(part "$dir/disk" state)
}

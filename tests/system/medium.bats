#!/usr/bin/env bats
# A medium beside its manifest: what is signed of it, and where one that was written is another. Its
# kernel and its loaders are texts: nothing here starts it.

bats_require_minimum_version 1.5.0
load lib
load medium

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/medium.XXXXXX")
	export dir POSMEDIA_STORE=$dir/store
	make_tree "$dir/root"
	image "$dir/root" "$dir/image"
	"$posmedia" media "oci:$dir/image" --format raw -o "$dir/disk" >"$dir/made"
	(cd "$dir" && "$posmedia" key new k && "$posmedia" key new other) >/dev/null
	"$posmedia" sign "$dir/disk" --key "$dir/k"
}

teardown_file() {
	rm -rf "$dir"
}

teardown() {
	[ -z "${held-}" ] || kill -KILL "$held" || true
	[ -z "${device-}" ] || let_go "$device"
	[ -z "${second-}" ] || let_go "$second"
	[ -z "${mounted-}" ] || umount "$mounted"
}

# Until nobody has it: while another has it open, that it goes is only noted.
let_go() {
	losetup -d "$1"
	wait_for 5 is_gone "$1"
}

is_gone() {
	[ -z "$(losetup -n -O BACK-FILE "$1")" ]
}

# What verify says of $1, with the manifest of the disk.
verify() {
	run --separate-stderr "$posmedia" verify --key "$dir/k.pub" \
		--manifest "$dir/disk.medium.json" "$@"
}

@test "the manifest is the disk's: its parts, its hashes, its root hash" {
	local name
	jq -e '._type == "https://in-toto.io/Statement/v1"' "$dir/disk.medium.json"
	[ "sha256:$(jq -r '.subject[0].digest.sha256' "$dir/disk.medium.json")" = \
		"$(cut -d' ' -f2 <"$dir/made")" ]
	[ "$(jq -r .predicate.size "$dir/disk.medium.json")" = "$(stat -c %s "$dir/disk")" ]
	for name in bios esp root verity var usr2 swap; do
		[ "$(of_partition "$name" start)" = "$(jq ".predicate.parts[] |
			select(.name == \"$name\").at" "$dir/disk.medium.json")" ]
		[ "$(of_partition "$name" size)" = "$(jq ".predicate.parts[] |
			select(.name == \"$name\").size" "$dir/disk.medium.json")" ]
	done
	[ "$(jq -c '[.predicate.parts[] | select(.data).name]' "$dir/disk.medium.json")" = \
		'["usr2","var","swap"]' ]
	[ "$(sfdisk -J "$dir/disk" | jq -r '.partitiontable.partitions[] |
		select(.name == "swap").type')" = 7FFEC5C9-2D00-49B7-8941-3EA10A5586B7 ]
	[ -z "$(dd if="$dir/disk" bs=1M skip=$(($(of_partition swap start) >> 20)) count=8 \
		status=none | tr -d '\0')" ]
	mcopy -i "$dir/disk@@$(of_partition esp start)" ::/EFI/debian/grub.cfg "$dir/grub.cfg"
	grep -q ":$(jq -r '.predicate.verity."root-hash"' "$dir/disk.medium.json"):" \
		"$dir/grub.cfg"
	# each block by another's hand
	perl -MDigest::SHA=sha256_hex -MJSON::PP -e '
		local $/; open my $j, "<", "$ARGV[0].medium.json" or die; my $m = decode_json(<$j>);
		open my $f, "<:raw", $ARGV[0] or die;
		for my $b (@{$m->{predicate}{blocks}}) {
			for (1 .. (ref $b ? $b->{zeros} : 1)) {
				read $f, my $is, 1 << 20 or die "too many";
				die "another at ", tell $f
					unless ref $b ? $is !~ /[^\0]/ : sha256_hex($is) eq $b;
			}
		}
		die "more" unless eof $f' "$dir/disk"
}

@test "a disk as it was made is verified, from a device too" {
	verify "$dir/disk"
	says 0 "verified sha256:"
	[[ $output == *'bundle signature of disk.medium.json by key'* ]]
	run --separate-stderr "$posmedia" verify --key "$dir/k.pub" "$dir/disk" --json
	[ "$status" -eq 0 ]
	[ "$(jq -c '[.wrong, .behind, .skipped, .places]' <<<"$output")" = '[0,0,0,[]]' ]
	[ "$(jq -r .bytes <<<"$output")" = "$(stat -c %s "$dir/disk")" ]
	cp --sparse=always "$dir/disk" "$dir/larger"
	truncate -s +5M "$dir/larger"
	verify "$dir/larger"
	says 4 'larger: 5.2 MB more than what was signed'
	device=$(losetup -f --show "$dir/larger") || skip "no loop devices here"
	verify "$device"
	says 0 'not looked at: 5.2 MB behind the medium'
}

@test "a flipped bit of each part, and of both tables, is found where it is" {
	local part at
	cp --sparse=always "$dir/disk" "$dir/bad"
	jq -r '.predicate.parts[] | "\(.at) \(.name)"' "$dir/disk.medium.json" >"$dir/parts"
	[ "$(wc -l <"$dir/parts")" -eq 9 ]
	while read -r at part; do
		flip "$dir/bad" $((at + 4000))
		verify "$dir/bad"
		says 4 "differs: $part,"
		[ "$(grep -c '^differs' <<<"$output")" -eq 1 ]
		verify "$dir/bad" --json
		[ "$(jq -c '[.places[] | [.what, .part, .at <= '"$((at + 4000))"']]' \
			<<<"$output")" = "[[\"differs\",\"$part\",true]]" ]
		flip "$dir/bad" $((at + 4000))
	done <"$dir/parts"
	verify "$dir/bad"
	says 0 verified
}

@test "of the root it is told to the block of 4 KiB" {
	local at
	cp --sparse=always "$dir/disk" "$dir/bad"
	at=$(of_partition root start)
	flip "$dir/bad" $((at + 2000000))
	flip "$dir/bad" $((at + 5000))
	verify "$dir/bad" --json
	[ "$(jq -c '[.places[] | [.part, ."in-part", .size]]' <<<"$output")" = \
		'[["root",4096,4096],["root",1998848,4096]]' ]
	[ "$(jq .wrong <<<"$output")" -eq 8192 ]
}

@test "what is cut off is missing, and what a machine wrote to may be left out" {
	local at
	cp --sparse=always "$dir/disk" "$dir/bad"
	at=$(of_partition usr2 start)
	truncate -s $((at + 1500000)) "$dir/bad"
	verify "$dir/bad"
	says 4 'missing: usr2,'
	says 4 'missing: second table,'
	says 4 'not as they were signed'
	cp --sparse=always "$dir/disk" "$dir/bad"
	flip "$dir/bad" $((at + 4000))
	verify "$dir/bad" --used
	says 0 'of partitions that a machine writes to'
	flip "$dir/bad" $(($(of_partition esp start) + 100))
	verify "$dir/bad" --used
	says 4 'differs: esp, 1.0 MB from byte 0'
}

@test "a manifest that is not signed, or is another's, is refused" {
	local m=$dir/disk.medium.json
	run --separate-stderr "$posmedia" verify --key "$dir/other.pub" "$dir/disk"
	says 4 'disk.medium.json.pgp'
	cp "$m" "$dir/kept"
	sed -i 's/"zeros": [0-9]*/"zeros": 3/' "$m"
	run --separate-stderr "$posmedia" verify --key "$dir/k.pub" "$dir/disk"
	cp "$dir/kept" "$m"
	says 4 'disk.medium.json'
	# signed, and says nothing that could be checked
	echo '{"_type": "https://in-toto.io/Statement/v1", "predicate": {}}' >"$dir/not.json"
	"$posmedia" sign "$dir/not.json" --key "$dir/k"
	run --separate-stderr "$posmedia" verify --key "$dir/k.pub" \
		--manifest "$dir/not.json" "$dir/disk"
	says 4 'it says no medium'
	cp --sparse=always "$dir/disk" "$dir/changed"
	cp "$m" "$dir/changed.medium.json"
	flip "$dir/changed" 5000000
	run --separate-stderr "$posmedia" sign "$dir/changed" --key "$dir/k"
	says 4 'changed.medium.json is of another medium'
	run --separate-stderr "$posmedia" verify --key "$dir/k.pub" --used "$dir/made"
	says 2 '--used and --image want the --manifest'
}

# A device of $1 bytes: $dir/behind, which is what it has for a serial number.
need_device() {
	rm -f "$dir/behind"
	truncate -s "$1" "$dir/behind"
	device=$(losetup -f --show "$dir/behind") || skip "no loop devices here"
}

# One that says that it is large and has room for little: its file system is full.
need_device_that_ends() {
	let_go "$device"
	mkdir "$dir/small"
	mount -t tmpfs -o size=20m none "$dir/small"
	mounted=$dir/small
	truncate -s 150M "$dir/small/behind"
	ln -sf "$dir/small/behind" "$dir/behind"
	device=$(losetup -f --show "$dir/small/behind")
}

write() {
	run --separate-stderr "$posmedia" media --write "$device" "$@"
}

@test "to a device: it is told apart by its serial number, written, and read back" {
	need_device 150M
	head -c 3000000 /dev/urandom >"$device"
	head -c 1M /dev/urandom | dd of="$device" bs=1M seek=149 iflag=fullblock status=none
	sha256sum "$dir/behind" >"$dir/before"
	write "$dir/disk"
	says 2 "$device is 157.3 MB, with 0 partitions and the serial number $dir/behind"
	write "$dir/disk" --serial "$dir/other"
	says 2 'If it is the one that you mean, give its serial number by --serial'
	write "$dir/disk" --serial "$dir/behind" --key "$dir/other.pub"
	says 4 'disk.medium.json.pgp'
	printf '%s\n' 'posmedia: 1' repositories: '  - match: localhost/image' \
		'    keys: [other.pub]' >"$dir/policy.yaml"
	write "$dir/disk" --serial "$dir/behind" --policy "$dir/policy.yaml"
	says 4 'policy.yaml:3: localhost/image:1: '
	sha256sum -c --quiet "$dir/before"
	sed -i 's/other.pub/k.pub/' "$dir/policy.yaml"
	write "$dir/disk" --policy "$dir/policy.yaml"
	says 2 'If it is the one that you mean, give its serial number by --serial'
	sha256sum -c --quiet "$dir/before"
	write "$dir/disk" --serial "$dir/behind" --key "$dir/k.pub"
	says 0 "to $device, and read it back"
	cmp -n "$(stat -c %s "$dir/disk")" "$dir/disk" "$dir/behind"
	# a table or a RAID of before has its place at the end
	[ -z "$(tail -c 1M "$dir/behind" | tr -d '\0')" ]
	verify "$device"
	says 0 'verified sha256:'
	write "$dir/disk" --serial "$dir/behind" --json
	[ "$(jq -c '[.wrong, .places]' <<<"$output")" = '[0,[]]' ]
}

@test "to a device: too small, in use, no disk, nothing made, or one that loses what it gets" {
	need_device 50M
	write "$dir/disk" --serial "$dir/behind"
	says 1 "$device has 52.4 MB, the medium "
	let_go "$device"
	need_device 150M
	write "$dir/image" --serial "$dir/behind"
	says 1 'image.medium.json'
	write "oci:$dir/image" --format raw
	says 2 '--write is for a medium that was made'
	run --separate-stderr "$posmedia" media --write "$dir/behind" "$dir/disk"
	says 2 'behind is no disk'
	mkfs.ext4 -q "$device"
	mkdir "$dir/mounted"
	# shellcheck disable=SC2016 # expanded inside
	run --separate-stderr unshare --mount sh -c '
		mount "$0" "$1/mounted" || exit 99
		"$2" media --write "$0" --serial "$1/behind" "$1/disk"' "$device" "$dir" "$posmedia"
	says 7 "$device is in use"
	need_device_that_ends
	write "$dir/disk" --serial "$dir/small/behind"
	[ "$status" -ne 0 ]
	[[ $stderr == *"$device"* ]]
	# what was written does not start: there is no table
	[ -z "$(head -c 1M "$dir/behind" | tr -d '\0')" ]
}

# A file beside the manifest of the disk.
beside() {
	cp --sparse=always "$dir/disk" "$dir/$1"
	cp "$dir/disk.medium.json" "$dir/$1.medium.json"
	local form
	for form in pgp sig sigstore.json; do
		cp "$dir/disk.medium.json.$form" "$dir/$1.medium.json.$form"
	done
}

@test "to a device: a file that its signed manifest does not describe is not begun with" {
	need_device 150M
	head -c 3000000 /dev/urandom >"$device"
	sync "$device"
	sha256sum "$dir/behind" >"$dir/before"
	beside tampered
	flip "$dir/tampered" $(($(of_partition root start) + 9000))
	write "$dir/tampered" --serial "$dir/behind" --key "$dir/k.pub"
	says 4 'the medium is not as its manifest says'
	beside short
	truncate -s -1M "$dir/short"
	write "$dir/short" --serial "$dir/behind" --key "$dir/k.pub"
	says 4 'the medium is not as its manifest says'
	beside long
	truncate -s +1M "$dir/long"
	write "$dir/long" --serial "$dir/behind" --key "$dir/k.pub"
	says 4 'the medium is not as its manifest says'
	sha256sum -c --quiet "$dir/before"
}

# Writes the disk to $1, with one fault.
write_with() {
	local to=$1
	shift
	FAULT_SHIM="$*" LD_PRELOAD="$OUT/test/fault-shim.so" exec "$posmedia" media \
		--write "$to" --serial "$dir/behind" "$dir/disk" 3>&-
}

need_shim() {
	flock "$OUT/tests.flock" make -s "OUT=$OUT" "${OUT#"$PWD/"}/test/fault-shim.so"
}

@test "to a device: one that cannot be read back, or that keeps something else, does not start" {
	local again fault
	need_shim
	need_device 150M
	# the second reading of the file, when it is written: the first is 32 KiB at a time
	again=$(($(stat -c %s "$dir/disk") / 32768 + 20))
	for fault in "eio read 40 $device" "short write 30 $device" \
		"rewrite read $again $dir/disk"; do
		cp --sparse=always "$dir/disk" "$dir/kept"
		head -c 3000000 /dev/urandom >"$device"
		# shellcheck disable=SC2086 # words of it
		run --separate-stderr write_with "$device" $fault
		mv "$dir/kept" "$dir/disk"
		echo "$fault: $status $output $stderr"
		[ "$status" -ne 0 ]
		[ -z "$(head -c 1M "$dir/behind" | tr -d '\0')" ]
		[ -n "$(head -c 3000000 "$dir/behind" | tr -d '\0')" ]
	done
}

@test "to a device: not to another that has come to its name" {
	need_shim
	need_device 150M
	truncate -s 150M "$dir/second"
	second=$(losetup -f --show "$dir/second")
	ln -sfn "$device" "$dir/stick"
	write_with "$dir/stick" stop open 1 "$dir/disk" >"$dir/said" 2>&1 &
	held=$!
	wait_for 30 grep -q '^State:.T' "/proc/$held/status" || { cat "$dir/said"; false; }
	ln -sfn "$second" "$dir/stick"
	kill -CONT "$held"
	status=0
	wait "$held" || status=$?
	held=
	[ "$status" -eq 7 ] || { cat "$dir/said"; false; }
	grep "stick is another disk now" "$dir/said" || { cat "$dir/said"; false; }
	[ -z "$(cat "$dir/behind" "$dir/second" | tr -d '\0')" ]
}

@test "to a device: only what a disk is byte by byte" {
	local format
	need_device 150M
	for format in tar qcow2; do
		"$posmedia" media "oci:$dir/image" --format "$format" -o "$dir/no" >/dev/null
		write "$dir/no" --serial "$dir/behind"
		says 2 "no is a medium of the format $format"
	done
	[ -z "$(tr -d '\0' <"$dir/behind")" ]
	"$posmedia" media "oci:$dir/image" --format iso -o "$dir/disc.iso" >/dev/null
	write "$dir/disc.iso" --serial "$dir/behind"
	says 0 "to $device, and read it back"
}

@test "to a device: none that the kernel has made of others" {
	local at major minor name
	for at in /sys/block/*; do
		[ -e "$at/device" ] || [ -e "$at/loop" ] || [[ $at == */loop* ]] || name=${at##*/}
	done
	[ -n "${name-}" ] || skip "no such disk here"
	IFS=: read -r major minor <"/sys/block/$name/dev"
	mknod "$dir/made-up" b "$major" "$minor" || skip "no devices here"
	run --separate-stderr "$posmedia" media --write "$dir/made-up" "$dir/disk"
	says 2 'made-up is no disk but made by the kernel'
}

@test "what a manifest says of blocks is signed when the file has them" {
	beside claimed
	rm "$dir/claimed.medium.json".*
	jq '.predicate.blocks |= map(if type == "string" then "'"$(printf x | sha256sum |
		cut -d' ' -f1)"'" else . end)' "$dir/disk.medium.json" >"$dir/claimed.medium.json"
	run --separate-stderr "$posmedia" sign "$dir/claimed" --key "$dir/k"
	says 4 'claimed.medium.json says otherwise'
	[ ! -e "$dir/claimed.medium.json.pgp" ]
}

@test "every format has a manifest, and the same one twice" {
	local format
	for format in tar squashfs erofs raw qcow2 iso; do
		"$posmedia" media "oci:$dir/image" --format "$format" -o "$dir/1" >/dev/null
		cp "$dir/1.medium.json" "$dir/first"
		"$posmedia" media "oci:$dir/image" --format "$format" -o "$dir/2" >/dev/null
		cmp "$dir/first" "$dir/2.medium.json"
		"$posmedia" sign "$dir/2" --key "$dir/k" >/dev/null
		run --separate-stderr "$posmedia" verify --key "$dir/k.pub" "$dir/2"
		says 0 "of $format, made of localhost/image:1@sha256:"
		flip "$dir/2" 1000
		run --separate-stderr "$posmedia" verify --key "$dir/k.pub" "$dir/2"
		says 4 'not as they were signed'
	done
}

@test "a disc: its loader knows where the root lies, and what that is" {
	local arg at
	"$posmedia" media "oci:$dir/image" --format iso --append quiet -o "$dir/iso" >/dev/null
	osirrox -indev "$dir/iso" -extract / "$dir/disc" 2>/dev/null
	[ "$(isoinfo -d -i "$dir/iso" | sed -n 's/^Volume id: //p')" = \
		"POSMEDIA_$(jq -r '.predicate.image[7:23]' "$dir/iso.medium.json" |
			tr '[:lower:]' '[:upper:]')" ]
	mcopy -n -i "$dir/disc/esp" ::/EFI/debian/grub.cfg ::/EFI/BOOT/BOOTX64.EFI "$dir"
	grep -qx shim "$dir/BOOTX64.EFI"
	grep -qx 'loopback esp (.root)/esp' "$dir/disc/EFI/debian/grub.cfg"
	grep -q ' quiet$' "$dir/grub.cfg"
	arg=$(sed -n 's/.*posmedia.verity=[^@ ]*@\([0-9+]*\):[^@ ]*@\([0-9+]*\):.*/\1 \2/p' \
		"$dir/grub.cfg")
	for at in $arg; do
		dd if="$dir/iso" bs=512 skip="${at%+*}" count="${at#*+}" status=none
	done >"$dir/there"
	cat "$dir/disc/root" "$dir/disc/hash" | cmp - "$dir/there"
	veritysetup verify "$dir/disc/root" "$dir/disc/hash" \
		"$(jq -r '.predicate.verity."root-hash"' "$dir/iso.medium.json")"
	fsck.erofs "$dir/disc/root"
	# a stick of it: firmware finds the ESP as a partition
	sfdisk -J "$dir/iso" | jq -e '[.partitiontable.partitions[].type] |
		index("C12A7328-F81F-11D2-BA4B-00A0C93EC93B")'
}

@test "nobody changes an entry of the loader, and there is no shell in it" {
	mcopy -n -i "$dir/disk@@$(of_partition esp start)" ::/EFI/debian/grub.cfg "$dir/grub.cfg"
	grep -qx 'set superusers=""' "$dir/grub.cfg"
	grep -q '^menuentry posmedia --unrestricted' "$dir/grub.cfg"
	grep -q ' panic=10$' "$dir/grub.cfg"
}

@test "a partition without room for the files of its place is refused" {
	cp -a "$dir/root" "$dir/many"
	# 8 MB have room for some 2000 files, whatever is in them
	(cd "$dir/many/var/lib" && seq 2500 | xargs touch)
	image "$dir/many" "$dir/crowded"
	run --separate-stderr "$posmedia" media "oci:$dir/crowded" --format raw -o "$dir/x"
	says 3 'the partition var of 8.4 MB is too small'
	[[ $stderr == *'2501 files'* && $stderr == *x-posmedia.size=* ]]
	rm -rf "$dir/many/var/lib"
	head -c 7000000 /dev/zero >"$dir/many/var/full"
	image "$dir/many" "$dir/crowded"
	run --separate-stderr "$posmedia" media "oci:$dir/crowded" --format raw -o "$dir/x"
	says 3 'the partition var of 8.4 MB is too small'
	[ ! -e "$dir/x" ] && [ ! -e "$dir/x.medium.json" ]
}

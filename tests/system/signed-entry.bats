#!/usr/bin/env bats
# The entry of a medium that is signed by a key of one's own: what it says, read by others' tools,
# and which keys are refused. Nothing here starts it; tests/media/signed.bats does.

bats_require_minimum_version 1.5.0
load lib
load medium

stub=/usr/lib/systemd/boot/efi/linuxx64.efi.stub

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/entry.XXXXXX")
	export dir POSMEDIA_STORE=$dir/store
	make_tree "$dir/root"
	# what fills its last block, and what does not
	head -c 1048577 /dev/urandom >"$dir/root/boot/vmlinuz-6.1-x"
	head -c 1024 /dev/urandom >"$dir/root/boot/initrd.img-6.1-x"
	echo ID=till >"$dir/root/etc/os-release"
	image "$dir/root" "$dir/image"
	boot_key boot rsa:2048
	boot_key other rsa:2048
	media raw -o "$dir/disk"
}

teardown_file() {
	rm -rf "$dir"
}

# A key of firmware's and its certificate.
boot_key() {
	openssl req -x509 -newkey "$2" -nodes -keyout "$dir/$1.key" -out "$dir/$1.pem" \
		-subj "/CN=$1" -days 30 2>/dev/null
	chmod 600 "$dir/$1.key"
}

media() {
	local format=$1
	shift
	"$posmedia" media "oci:$dir/image" --format "$format" --boot-key "$dir/boot.key" \
		--boot-cert "$dir/boot.pem" "$@"
}

tried() {
	run --separate-stderr "$posmedia" media "oci:$dir/image" --format raw -o "$dir/x" "$@"
	[ ! -e "$dir/x" ]
}

# The file $2 of the ESP of disk $1 as $3.
from_esp() {
	mcopy -n -i "$1@@$(of_partition esp start)" "::$2" "$3"
}

section() {
	objcopy -O binary --only-section="$1" "$dir/entry" "$dir/section$1"
	cat "$dir/section$1"
}

@test "the entry has kernel, initial file systems, and arguments with the root hash" {
	from_esp "$dir/disk" /EFI/BOOT/BOOTX64.EFI "$dir/entry"
	cmp <(section .linux) "$dir/root/boot/vmlinuz-6.1-x"
	cmp <(section .initrd | head -c 1024) "$dir/root/boot/initrd.img-6.1-x"
	section .initrd | tail -c +1025 | bsdtar -tf - | grep -qx scripts/posmedia
	[ "$(section .osrel)" = ID=till ]
	[ "$(section .uname)" = 6.1-x ]
	[[ $(section .cmdline) == "boot=posmedia ro posmedia.verity="*" audit=1 panic=10" ]]
	section .cmdline |
		grep -q ":$(jq -r '.predicate.verity."root-hash"' "$dir/disk.medium.json"):"
	# of the stub all is there that is run
	cmp -n 66560 -i 1024:1024 "$stub" "$dir/entry"
	# without a BIOS's loader in the image nothing else is, that nobody has signed
	run mdir -b -/ -i "$dir/disk@@$(of_partition esp start)" ::
	[ "$(grep -v '/$' <<<"$output")" = ::/EFI/BOOT/BOOTX64.EFI ]
}

@test "its signature is good, by that key alone, and not for another byte" {
	from_esp "$dir/disk" /EFI/BOOT/BOOTX64.EFI "$dir/entry"
	sbverify --cert "$dir/boot.pem" "$dir/entry"
	run sbverify --cert "$dir/other.pem" "$dir/entry"
	[ "$status" -ne 0 ]
	local at
	# in its head, the stub, the arguments, the kernel, the last block
	for at in 200 2000 $(($(grep -abo 'audit=1' "$dir/entry" | cut -d: -f1) + 6)) 700000 \
		$(($(stat -c %s "$dir/entry") - 4096)); do
		cp "$dir/entry" "$dir/bad"
		flip "$dir/bad" "$at"
		run sbverify --cert "$dir/boot.pem" "$dir/bad"
		[ "$status" -ne 0 ]
	done
}

@test "the same bytes twice, whatever the clock says" {
	faketime -f +3y "$posmedia" media "oci:$dir/image" --format raw -o "$dir/again" \
		--boot-key "$dir/boot.key" --boot-cert "$dir/boot.pem"
	cmp "$dir/disk" "$dir/again"
	media iso -o "$dir/1.iso"
	faketime -f +3y "$posmedia" media "oci:$dir/image" --format iso -o "$dir/2.iso" \
		--boot-key "$dir/boot.key" --boot-cert "$dir/boot.pem"
	cmp "$dir/1.iso" "$dir/2.iso"
	# a disc's arguments have the place of the root on it
	xorriso -osirrox on -indev "$dir/1.iso" -extract /esp "$dir/esp" 2>/dev/null
	mcopy -n -i "$dir/esp" ::/EFI/BOOT/BOOTX64.EFI "$dir/entry"
	sbverify --cert "$dir/boot.pem" "$dir/entry"
	[[ $(section .cmdline) =~ posmedia.verity=POSMEDIA_[0-9A-F]{16}@[0-9]+\+[0-9]+: ]]
}

@test "no other program sees the key" {
	strace -f -qq -s 4096 -e trace=openat,execve -o "$dir/trace" "$posmedia" media \
		"oci:$dir/image" --format raw -o "$dir/again" --boot-key "$dir/boot.key" \
		--boot-cert "$dir/boot.pem"
	grep -q 'execve(.*"mkfs.erofs"' "$dir/trace"
	[ "$(grep -c 'boot[.]key' "$dir/trace")" -ge 2 ]
	# only who was called with its name has it: one process, that reads it
	[ "$(grep 'boot[.]key' "$dir/trace" | cut -d' ' -f1 | sort -u | wc -l)" -eq 1 ]
	[ "$(grep 'execve(' "$dir/trace" | grep -c 'boot[.]key')" -eq 1 ]
}

@test "a key that firmware would not take, or that others may read, is refused before the work" {
	tried --boot-key "$dir/boot.key"
	says 2 '--boot-key and --boot-cert go together'
	tried --boot-key "$dir/boot.key" --boot-cert "$dir/other.pem"
	says 4 'other.pem: is not the certificate of'
	tried --boot-key "$dir/boot.key" --boot-cert "$dir/boot.key"
	says 4 'boot.key: no certificate'
	boot_key small rsa:1024
	tried --boot-key "$dir/small.key" --boot-cert "$dir/small.pem"
	says 4 'firmware would not take it'
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ec \
		-keyout "$dir/ec.key" -out "$dir/ec.pem" -days 30 2>/dev/null
	chmod 600 "$dir/ec.key"
	tried --boot-key "$dir/ec.key" --boot-cert "$dir/ec.pem"
	says 4 'It wants RSA, of 2048 bits or more'
	cp "$dir/boot.key" "$dir/open.key"
	chmod 640 "$dir/open.key"
	tried --boot-key "$dir/open.key" --boot-cert "$dir/boot.pem"
	says 4 'mode 0640 lets others in'
	tried --passphrase-file "$dir/boot.pem"
	says 2 '--passphrase-file is for --boot-key'
	run --separate-stderr media tar -o "$dir/x"
	says 2 '--boot-key is for raw, qcow2, iso and installer'
}

@test "a key with a passphrase" {
	echo open sesame >"$dir/passphrase"
	openssl pkcs8 -topk8 -in "$dir/boot.key" -out "$dir/shut.key" \
		-passout "file:$dir/passphrase"
	chmod 600 "$dir/shut.key"
	tried --boot-key "$dir/shut.key" --boot-cert "$dir/boot.pem"
	says 4 'needs a passphrase'
	"$posmedia" media "oci:$dir/image" --format raw -o "$dir/again" \
		--boot-key "$dir/shut.key" --boot-cert "$dir/boot.pem" \
		--passphrase-file "$dir/passphrase"
	cmp "$dir/disk" "$dir/again"
}

@test "the stub is the image's before the machine's, and is asked for by its package's name" {
	mkdir -p "$dir/with/${stub%/*}"
	cp -r "$dir/root/." "$dir/with"
	echo stub >"$dir/with/$stub"
	image "$dir/with" "$dir/with-stub"
	run --separate-stderr "$posmedia" media "oci:$dir/with-stub" --format raw -o "$dir/x" \
		--boot-key "$dir/boot.key" --boot-cert "$dir/boot.pem"
	says 3 'the signed entry: no program for UEFI on x86-64'
	# shellcheck disable=SC2016 # expanded inside
	run --separate-stderr unshare --mount sh -c '
		mount -t tmpfs none "${2%/*}" || exit 99
		"$1" media "oci:$0/image" --format raw -o "$0/x" --boot-key "$0/boot.key" \
			--boot-cert "$0/boot.pem"' "$dir" "$posmedia" "$stub"
	says 1 "there is no $stub"
	says 1 'Install the package systemd-boot-efi.'
	[ ! -e "$dir/x" ]
}

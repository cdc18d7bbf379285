#!/bin/bash
# Disks with two slots, of an image whose kernel and loaders are texts; and GRUB, by grub-emu(1), to
# say which slot it starts. Tests load this after lib.
# shellcheck disable=SC2154 # lib.bash and bats set the others

# A machine as far as its disk is concerned, with a partition for data.
slots_tree() {
	local modules=$1/usr/lib/modules/6.1-x
	mkdir -p "$1/boot/grub" "$1/etc" "$1/usr/bin" "$1/usr/lib/shim" "$1/usr2" \
		"$1/usr/lib/grub/x86_64-efi-signed" "$modules"
	head -c 1500000 /dev/urandom >"$1/boot/vmlinuz-6.1-x"
	echo initrd >"$1/boot/initrd.img-6.1-x"
	printf 'menuentry x {\n\tlinux /vmlinuz root=LABEL=root ro audit=1 panic=10\n}\n' \
		>"$1/boot/grub/grub.cfg"
	printf 'overlay / overlay x-posmedia.size=%s 0 0\n%s\n' "${2-12M}" \
		'LABEL=usr2 /usr2 ext4 nodev,x-posmedia.size=8M 0 2' >"$1/etc/fstab"
	printf '%s:\n' dm-verity.ko erofs.ko overlay.ko >"$modules/modules.dep"
	touch "$modules/dm-verity.ko" "$modules/erofs.ko" "$modules/overlay.ko"
	echo shim >"$1/usr/lib/shim/shimx64.efi.signed"
	echo grub >"$1/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
	head -c 3000000 /dev/urandom >"$1/usr/bin/perl"
	head -c 1000000 /dev/urandom >"$1/usr/bin/till"
}

slots_image() {
	tar -C "$1" --numeric-owner -cf "$dir/layer.tar" .
	tests/lib/make-layout "$2" 1 s "@$dir/layer.tar" >/dev/null
}

# The disk $2 of an image, signed; more is for media.
slots_disk() {
	"$posmedia" media -q "oci:$1" --format raw --slots 2 -o "$2" --identity localhost/till:1 \
		"${@:3}" >/dev/null
	"$posmedia" sign "$2" --key "$dir/k" >/dev/null
}

# Two disks, old and new, whose images differ in one file.
slots_pair() {
	slots_tree "$dir/root"
	slots_image "$dir/root" "$dir/image"
	slots_disk "$dir/image" "$dir/old"
	head -c 100000 /dev/urandom >"$dir/root/usr/bin/till"
	slots_image "$dir/root" "$dir/image2"
	slots_disk "$dir/image2" "$dir/new"
}

# Where a partition of a disk begins, or its size, in bytes. Disks of one size have one table here,
# which is read once.
of_partition() { # DISK NAME start|size
	# shellcheck disable=SC2034 # by ${!3}
	local table new name start size
	table=$dir/table.$(stat -c %s "$1") new=$dir/table.$BASHPID
	if [ ! -e "$table" ]; then
		sfdisk -J "$1" | jq -r '.partitiontable.partitions[] |
			"\(.name) \(.start * 512) \(.size * 512)"' >"$new"
		mv "$new" "$table"
	fi
	# shellcheck disable=SC2034
	while read -r name start size; do
		[ "$name" != "$2" ] || echo "${!3}"
	done <"$table"
}

# The bytes of a partition.
part() { # DISK NAME
	dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip="$(of_partition "$1" "$2" start)" \
		count="$(of_partition "$1" "$2" size)" status=none
}

# Each slot's own entry says who it is, and starts nothing.
slots_speak() { # DISK
	local slot at
	# shellcheck disable=SC2016 # GRUB's
	printf 'echo STARTS $slot $trial\necho CARE $care\nhalt\n' >"$dir/entry.cfg"
	for slot in a b; do
		at=$(of_partition "$1" "boot-$slot" start)
		mcopy -n -o -i "$1@@$at" "$dir/entry.cfg" ::/entry.cfg 2>/dev/null || true
	done
}

# What the boot loader on the disk would start, by its own file: "a", or "b posmedia.try=2". FIRST,
# commands for GRUB, come before that file.
grub_starts() { # DISK [FIRST]
	mkdir -p "$dir/grub"
	ln -sfn /usr/lib/grub/x86_64-emu "$dir/grub/x86_64-emu"
	printf '%s\nset root=hd0,gpt2\nconfigfile (hd0,gpt2)/EFI/debian/grub.cfg\n' \
		"${2-}" >"$dir/grub/grub.cfg"
	echo "(hd0) $1" >"$dir/grub/device.map"
	# timeout(1) makes a group of its own, which may not set the terminal: outside of it, then
	timeout 120 script -qec "grub-emu -m $dir/grub/device.map -d $dir/grub" /dev/null \
		</dev/null >"$dir/grub/said" 2>&1
	tr -d '\033\r' <"$dir/grub/said" | grep -aoE 'STARTS [a-z0-9.= ]*' |
		sed -E 's/STARTS //; s/ +$//'
}

# A file of the FAT file system of a partition ends, as its FAT says, behind its first cluster: it
# is there, and cannot be read.
cut_off() { # DISK NAME FILE
	local at first
	at=$(of_partition "$1" "$2" start)
	first=$(mshowfat -i "$1@@$at" "::/$3" | sed -nE 's/.*<([0-9]+)-.*/\1/p')
	perl -e '
		open my $f, "+<:raw", $ARGV[0] or die; seek $f, $ARGV[1] + 14, 0; read $f, my $c, 2;
		seek $f, $ARGV[1] + 512 * unpack("v", $c) + 2 * $ARGV[2], 0;
		print $f "\0\0"; close $f or die' "$1" "$at" "$first"
}

# flip FILE BYTE: one bit of it.
flip() {
	perl -e '
		open my $f, "+<:raw", $ARGV[0] or die; seek $f, $ARGV[1], 0; read $f, my $c, 1;
		seek $f, $ARGV[1], 0; print $f chr(ord($c) ^ 4); close $f or die' "$1" "$2"
}

# The root in a slot is the one of a medium's manifest, by the tool of others.
is_root_of() { # DISK SLOT MEDIUM
	part "$1" "root-$2" >"$dir/root.part"
	part "$1" "verity-$2" >"$dir/verity.part"
	veritysetup verify "$dir/root.part" "$dir/verity.part" \
		"$(jq -r '.predicate.verity."root-hash"' "$3.medium.json")"
}

# The disk starts as it did, and what it starts is whole.
slots_is_old() { # OLD DISK
	"$posmedia" machine status --disk "$2" | grep -qx 'next start: a'
	local name
	for name in boot-a root-a verity-a usr2; do
		cmp <(part "$1" "$name") <(part "$2" "$name")
	done
}

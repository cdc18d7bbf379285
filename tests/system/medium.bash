#!/bin/bash
# What tests of media share: an image whose kernel and loaders are texts, and what becomes of its
# disk. Tests load this after lib.
# shellcheck disable=SC2154 # tests set dir

# A machine as far as its disk is concerned, with two partitions for data, and swap.
make_tree() {
	local modules=$1/usr/lib/modules/6.1-x
	mkdir -p "$1/boot/grub" "$1/etc" "$1/usr/bin" "$1/usr/lib/shim" "$1/var/lib" "$1/usr2" \
		"$1/usr/lib/grub/x86_64-efi-signed" "$modules"
	echo kernel >"$1/boot/vmlinuz-6.1-x"
	echo initrd >"$1/boot/initrd.img-6.1-x"
	printf 'menuentry x {\n\tlinux /vmlinuz root=LABEL=root ro audit=1 panic=10\n}\n' \
		>"$1/boot/grub/grub.cfg"
	printf 'LABEL=var /var ext4 nodev,x-posmedia.size=8M 0 2\n%s\n%s\n' \
		'LABEL=usr2 /usr2 ext4 nodev,x-posmedia.size=16M 0 2' \
		'/dev/mapper/paged none swap nofail,x-posmedia.size=8M 0 0' >"$1/etc/fstab"
	echo 'paged PARTLABEL=swap /dev/urandom swap,nofail' >"$1/etc/crypttab"
	mkdir -p "$1/usr/lib/systemd"
	echo cryptsetup >"$1/usr/lib/systemd/systemd-cryptsetup"
	local module
	for module in dm-verity dm-mod erofs overlay raid1 isofs vfat nls_cp437 nls_ascii; do
		echo "$module.ko:" >>"$modules/modules.dep"
		touch "$modules/$module.ko"
	done
	echo shim >"$1/usr/lib/shim/shimx64.efi.signed"
	echo grub >"$1/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
	head -c 3000000 /dev/urandom >"$1/usr/bin/perl"
}

image() {
	tar -C "$1" --numeric-owner -cf "$dir/layer.tar" .
	tests/lib/make-layout "$2" 1 s "@$dir/layer.tar" >/dev/null
}

says() {
	[ "$status" -eq "$1" ] && [[ $output$'\n'$stderr == *"$2"* ]] && return
	echo "wanted $1 and $2, got $status: $output $stderr"
	return 1
}

# flip FILE BYTE: one bit of it.
flip() {
	perl -e '
		open my $f, "+<:raw", $ARGV[0] or die; seek $f, $ARGV[1], 0; read $f, my $c, 1;
		seek $f, $ARGV[1], 0; print $f chr(ord($c) ^ 4); close $f or die' "$1" "$2"
}

# The field $2 of the partition $1 of the disk, in bytes, as sfdisk has it.
of_partition() {
	sfdisk -J "$dir/disk" |
		jq ".partitiontable.partitions[] | select(.name == \"$1\").$2 * 512"
}

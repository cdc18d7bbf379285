#!/usr/bin/env bats
# What an installation is made from: the disc with the disk's blocks, and the medium of a site.
# Their kernel is a text: what installs is tried in tests/unit/installer-*.c and in tests/media.

bats_require_minimum_version 1.5.0
load lib
load medium

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/installer.XXXXXX")
	export dir POSMEDIA_STORE=$dir/store
	make_tree "$dir/root"
	image "$dir/root" "$dir/image"
}

teardown_file() {
	rm -rf "$dir"
}

# The file $1 of the disc.
of_disc() {
	xorriso -osirrox on -indev "$dir/1.iso" -extract "$1" "$2" 2>/dev/null
}

site=recipes/sites/rti-12345600-prod.yaml

make_site() {
	run --separate-stderr "$posmedia" media "$site" --format site "$@"
}

# Whether a device is there, with $1 bytes of something; a loop device is for trying.
need_device() {
	rm -f "$dir/behind"
	head -c "$1" /dev/urandom >"$dir/behind"
	device=$(losetup -f --show "$dir/behind") || skip "no loop devices here"
}

teardown() {
	[ -z "${device-}" ] || losetup -d "$device"
}

# The disk that the disc of $1 writes, out of its payload and the list of its blocks, as $2.
as_disk() {
	perl -MJSON::PP -e '
		local $/; open my $j, "<", "$ARGV[0].disk.medium.json" or die;
		my $m = decode_json(<$j>)->{predicate}; my $at = 0;
		open my $p, "<:raw", $ARGV[1] or die; open my $to, ">:raw", $ARGV[2] or die;
		for my $b (@{$m->{blocks}}) {
			$at += $b->{zeros} << 20, next if ref $b;
			read($p, my $has, 1 << 20) == 1 << 20 or die "less";
			seek $to, $at, 0; print $to $has; $at += 1 << 20;
		}
		truncate $to, $m->{size} or die; close $to or die;
		die "more" unless eof $p' "$1" "$dir/payload" "$2"
}

@test "the disc has the disk's blocks, and is the same bytes twice" {
	"$posmedia" media "oci:$dir/image" --format installer -o "$dir/1.iso"
	POSMEDIA_STORE=$dir/other faketime -f +3y "$posmedia" media "oci:$dir/image" \
		--format installer -o "$dir/2.iso"
	cmp "$dir/1.iso" "$dir/2.iso"
	cmp "$dir/1.iso.disk.medium.json" "$dir/2.iso.disk.medium.json"
	[ "$(jq -r .predicate.format "$dir/1.iso.medium.json")" = installer ]
	of_disc /payload "$dir/payload"
	as_disk "$dir/1.iso" "$dir/disk"
	[ "$(sha256sum <"$dir/disk" | cut -d' ' -f1)" = \
		"$(jq -r '.subject[0].digest.sha256' "$dir/1.iso.disk.medium.json")" ]
	[ "$(sfdisk -J "$dir/disk" | jq -r '[.partitiontable.partitions[].name] | join(" ")')" = \
		'bios esp root verity site usr2 var swap' ]
	[ "$(jq -c '[.predicate.parts[] | select(.data).name]' "$dir/1.iso.disk.medium.json")" = \
		'["site","usr2","var","swap"]' ]
	of_disc /esp "$dir/esp"
	mcopy -n -i "$dir/esp" ::/posmedia.img ::/EFI/debian/grub.cfg "$dir/"
	grep -aq 'posmedia-contents 1' "$dir/posmedia.img"
	grep -aq "$(sha256sum <(head -c 1M "$dir/disk") | cut -d' ' -f1)" "$dir/posmedia.img"
	# where the payload lies on the disc, the kernel is told
	read -r first count < <(sed -nE \
		's/.*posmedia.payload=POSINST_[0-9A-F]{16}@([0-9]+)[+]([0-9]+).*/\1 \2/p' \
		"$dir/grub.cfg")
	cmp "$dir/payload" <(dd if="$dir/1.iso" bs=512 skip="$first" count="$count" status=none)
}

@test "what only an installed disk needs is on no other" {
	"$posmedia" media "oci:$dir/image" --format raw -o "$dir/raw"
	[ "$(sfdisk -J "$dir/raw" | jq -r '[.partitiontable.partitions[].name] | join(" ")')" = \
		'bios esp root verity usr2 var swap' ]
	[ ! -e "$dir/raw.disk.medium.json" ]
	local of
	for of in raw disk; do
		mcopy -n -i "$dir/$of@@$(sfdisk -J "$dir/$of" | jq '.partitiontable.partitions[] |
			select(.name == "esp").start * 512')" ::/posmedia.img "$dir/$of.img"
		bsdtar -tf "$dir/$of.img" | sort >"$dir/$of.names"
	done
	[ "$(comm -13 "$dir/raw.names" "$dir/disk.names" | paste -sd' ')" = \
		'posmedia/identity posmedia/machine posmedia/raid.rules posmedia/raid1.ko' ]
}

@test "the manifest of its disk is signed as any, and a used disk is held against it" {
	local site_at
	"$posmedia" key new "$dir/k" >/dev/null
	"$posmedia" sign "$dir/1.iso.disk.medium.json" --key "$dir/k" >/dev/null
	site_at=$(sfdisk -J "$dir/disk" | jq '.partitiontable.partitions[] |
		select(.name == "site").start * 512')
	printf 'shop=1\n' | dd of="$dir/disk" bs=1 seek="$site_at" conv=notrunc status=none
	"$posmedia" verify --key "$dir/k.pub" --manifest "$dir/1.iso.disk.medium.json" --used \
		"$dir/disk"
	flip "$dir/disk" 70000000
	run "$posmedia" verify --key "$dir/k.pub" --manifest "$dir/1.iso.disk.medium.json" --used \
		"$dir/disk"
	[ "$status" -eq 4 ]
	# one that is made anew of another format leaves none of the former behind
	"$posmedia" media "oci:$dir/image" --format iso -o "$dir/2.iso"
	[ ! -e "$dir/2.iso.disk.medium.json" ]
}

@test "a key of firmware's: both entries are signed, that of the disc and that of the disk" {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/boot.key" -out "$dir/boot.pem" \
		-subj /CN=boot -days 30 2>/dev/null
	chmod 600 "$dir/boot.key"
	"$posmedia" media "oci:$dir/image" --format installer -o "$dir/own.iso" \
		--boot-key "$dir/boot.key" --boot-cert "$dir/boot.pem"
	local at
	xorriso -osirrox on -indev "$dir/own.iso" -extract /payload "$dir/payload" \
		-extract /esp "$dir/own.esp" 2>/dev/null
	as_disk "$dir/own.iso" "$dir/own.disk"
	at=$(sfdisk -J "$dir/own.disk" | jq '.partitiontable.partitions[] |
		select(.name == "esp").start * 512')
	mcopy -n -i "$dir/own.esp" ::/EFI/BOOT/BOOTX64.EFI "$dir/of-disc"
	mcopy -n -i "$dir/own.disk@@$at" ::/EFI/BOOT/BOOTX64.EFI "$dir/of-disk"
	sbverify --cert "$dir/boot.pem" "$dir/of-disc"
	sbverify --cert "$dir/boot.pem" "$dir/of-disk"
	objcopy -O binary --only-section=.cmdline "$dir/of-disc" "$dir/args"
	grep -aqE 'posmedia.payload=POSINST_[0-9A-F]{16}@[0-9]+[+]' "$dir/args"
	objcopy -O binary --only-section=.cmdline "$dir/of-disk" "$dir/args"
	grep -aq 'posmedia.verity=' "$dir/args"
}

@test "to a stick: it is written like any medium" {
	need_device 200M
	run --separate-stderr "$posmedia" media --write "$device" --serial "$dir/behind" \
		"$dir/1.iso"
	says 0 "to $device, and read it back"
	cmp -n "$(stat -c %s "$dir/1.iso")" "$dir/1.iso" "$dir/behind"
}

@test "the medium of a site: its label and its lines, and the same bytes twice" {
	make_site --disk A1 --disk 'B 2' --erase 12345600 -o "$dir/site"
	[ "$status" -eq 0 ] || { echo "$stderr" && false; }
	faketime -f +3y "$posmedia" media "$site" --format site --disk A1 --disk 'B 2' \
		--erase 12345600 -o "$dir/again"
	cmp "$dir/site" "$dir/again"
	[ "$(blkid -p -o value -s LABEL "$dir/site")" = POSSITE ]
	diff <(mtype -i "$dir/site" ::/install.txt) - <<-TXT
		# posmedia-installer(5)
		shop=12345600
		hostname=12345600.shops.example.org
		interface=eth1
		address=192.168.222.222/24
		gateway=192.168.222.1
		dns=192.168.222.1
		disk=A1
		disk=B 2
		erase=12345600
	TXT
	[ -z "$(find "$dir/store/tmp" -mindepth 1 -maxdepth 1)" ]
}

@test "the medium of a site has a manifest: it is signed, verified and written like any" {
	make_site --disk A1 -o "$dir/site"
	[ "$status" -eq 0 ]
	[ "$(jq -r '.predicate.format' "$dir/site.medium.json")" = site ]
	[ "$(jq -r '.predicate.image' "$dir/site.medium.json")" = \
		"sha256:$(mtype -i "$dir/site" ::/install.txt | sha256sum | cut -d' ' -f1)" ]
	(cd "$dir" && "$posmedia" key new release) >/dev/null 2>&1
	"$posmedia" sign "$dir/site" --key "$dir/release"
	"$posmedia" verify --key "$dir/release.pub" "$dir/site"
	need_device 4M
	run --separate-stderr "$posmedia" media --write "$device" --serial "$dir/behind" \
		--key "$dir/release.pub" "$dir/site"
	says 0 "to $device, and read it back"
	[ "$(blkid -p -o value -s LABEL "$device")" = POSSITE ]
	"$posmedia" verify --key "$dir/release.pub" --manifest "$dir/site.medium.json" "$device"
	# of another sheet it is another
	make_site --disk A2 -o "$dir/site"
	run --separate-stderr "$posmedia" verify --key "$dir/release.pub" "$dir/site"
	[ "$status" -eq 4 ]
}

@test "the medium of a site: what the installer would refuse is refused" {
	make_site -o "$dir/no"
	says 2 '--disk SERIAL is missing'
	make_site --disk A --erase 999 -o "$dir/no"
	says 3 'erase= names another shop'
	make_site --disk $'A\nerase=12345600' -o "$dir/no"
	says 2 '--disk: a character that may not be there'
	make_site --disk A --slots 2 -o "$dir/no"
	says 2 '--slots is not for a site'
	make_site --disk A --disk A -o "$dir/no"
	says 3 'it names one disk twice'
	make_site --disk A --disk B --disk C -o "$dir/no"
	says 2 '--disk: more than two'
	make_site --disk A
	says 2 '-o FILE is missing'
	make_site --disk A --append quiet -o "$dir/no"
	says 2 '--append is not for a site'
	run --separate-stderr "$posmedia" media "oci:$dir/image" --format raw --disk A -o "$dir/no"
	says 2 '--disk and --erase are for a site'
	run --separate-stderr "$posmedia" media "$dir/image" --format site --disk A -o "$dir/no"
	[ "$status" -ne 0 ]
	[ ! -e "$dir/no" ]
}

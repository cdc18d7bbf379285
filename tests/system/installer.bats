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

@test "the disc has the disk's blocks, and is the same bytes twice" {
	"$posmedia" media "oci:$dir/image" --format raw -o "$dir/disk"
	"$posmedia" media "oci:$dir/image" --format installer -o "$dir/1.iso"
	POSMEDIA_STORE=$dir/other faketime -f +3y "$posmedia" media "oci:$dir/image" \
		--format installer -o "$dir/2.iso"
	cmp "$dir/1.iso" "$dir/2.iso"
	[ "$(jq -r .predicate.format "$dir/1.iso.medium.json")" = installer ]
	of_disc /payload "$dir/payload"
	# each block of the disk that is not zeros, by its manifest
	perl -MJSON::PP -e '
		local $/; open my $j, "<", "$ARGV[0].medium.json" or die; my $m = decode_json(<$j>);
		open my $f, "<:raw", $ARGV[0] or die; open my $p, "<:raw", $ARGV[1] or die;
		for my $b (@{$m->{predicate}{blocks}}) {
			seek($f, $b->{zeros} << 20, 1), next if ref $b;
			read $f, my $is, 1 << 20; read $p, my $has, 1 << 20;
			die "another" if $is ne $has;
		}
		die "more" unless eof $p' "$dir/disk" "$dir/payload"
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

@test "the medium of a site: what the installer would refuse is refused" {
	make_site -o "$dir/no"
	says 2 '--disk SERIAL is missing'
	make_site --disk A --erase 999 -o "$dir/no"
	says 3 'erase= names another shop'
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

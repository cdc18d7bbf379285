#!/usr/bin/env bats
# An image's root tree as one file: what is in it, that it is the same bytes again, and what is said
# when it cannot be made.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/formats.XXXXXX")
	export dir POSMEDIA_STORE=$dir/store
	local root=$dir/root
	mkdir -p "$root/bin" "$root/etc/empty" "$root/var"
	chmod 755 "$root"
	echo hello >"$root/etc/motd"
	head -c 300000 /dev/urandom >"$root/var/random"
	head -c 3000000 /dev/zero | tr '\0' x >"$root/var/plain"
	cp /bin/true "$root/bin/set-uid"
	chmod 4755 "$root/bin/set-uid"
	cp /bin/true "$root/bin/capable"
	setcap cap_net_bind_service=ep "$root/bin/capable"
	ln "$root/bin/capable" "$root/bin/again"
	ln -s ../etc/motd "$root/var/link"
	echo secret >"$root/etc/shadow"
	chown 0:42 "$root/etc/shadow"
	chmod 640 "$root/etc/shadow"
	mkfifo -m 600 "$dir/pipe"
	find "$root" -exec touch -h -d 2021-02-03T04:05:06Z '{}' +
	tar -C "$root" --numeric-owner --format=pax --xattrs --xattrs-include='security.*' \
		-cf "$dir/layer.tar" .
	CREATED=2022-01-02T03:04:05Z tests/lib/make-layout "$dir/image" 1 s "@$dir/layer.tar"
}

teardown_file() {
	rm -rf "$dir"
}

# Everything that the files of tree $1 are.
listing() {
	(cd "$1" && find . -mindepth 1 -printf '%P %y %m %U:%G %T@ %s %n %l\n' |
		sed -E 's/^([^ ]+ d .*) [0-9]+ [0-9]+ $/\1/' | LC_ALL=C sort &&
		find . -type f -exec sha256sum '{}' + | LC_ALL=C sort -k2 && getcap -r .)
}

media() {
	run --separate-stderr "$posmedia" media "oci:$dir/image" "$@"
}

refused() {
	[ "$status" -eq "$1" ] && [[ $stderr == *"$2"* ]] && return
	echo "wanted $1 and $2, got $status: $output $stderr"
	return 1
}

no_traces() {
	[ -z "$(find "$dir/store/tmp" -mindepth 1 -maxdepth 1)" ]
}

# The format $1 twice, by stores of their own, the second time as the clock of another year has it.
twice() {
	media --format "$1" -o "$dir/1.$1"
	[ "$status" -eq 0 ] || { echo "$stderr" && false; }
	[ "$output" = "$dir/1.$1 sha256:$(sha256sum "$dir/1.$1" | cut -d' ' -f1)" ]
	POSMEDIA_STORE=$dir/other run faketime -f +3y "$posmedia" media "oci:$dir/image" \
		--format "$1" -o "$dir/2.$1"
	[ "$status" -eq 0 ] || { echo "$output" && false; }
	cmp "$dir/1.$1" "$dir/2.$1"
	no_traces
}

# Mode, links and attributes of a file in 1.erofs, as its inode has them.
inode() {
	local at
	at=$(dump.erofs --path="$1" "$dir/1.erofs" | sed -n 's/^NID: \([0-9]*\) .*/\1/p')
	# erofs_fs.h of Linux: struct erofs_super_block, struct erofs_inode_extended
	perl -e '
		open my $f, "<:raw", $ARGV[0] or die;
		sub at { my ($pos, $n) = @_; seek $f, $pos, 0; read $f, my $b, $n; $b }
		my $i = at(unpack("V", at(1024 + 40, 4)) * 4096 + $ARGV[1] * 32, 64);
		my ($format, $attributes, $mode) = unpack "vvv", $i;
		die "no extended inode" unless $format & 1;
		printf "%o %d %d\n", $mode, unpack("V", substr $i, 44, 4), $attributes' \
		"$dir/1.erofs" "$at"
}

@test "tar: every file is the image's, and the same bytes twice" {
	twice tar
	mkdir "$dir/tar"
	tar -C "$dir/tar" --xattrs --xattrs-include='*' --numeric-owner -xpf "$dir/1.tar"
	diff <(listing "$dir/root") <(listing "$dir/tar")
}

@test "squashfs: every file is the image's, and the same bytes twice" {
	twice squashfs
	unsquashfs -q -n -d "$dir/squashfs" "$dir/1.squashfs"
	diff <(listing "$dir/root") <(listing "$dir/squashfs")
	TZ=UTC unsquashfs -s "$dir/1.squashfs" | grep 'Jan .*2 .*03:04:05 2022'
}

@test "erofs: every file is the image's, and the same bytes twice" {
	twice erofs
	mkdir "$dir/erofs"
	fsck.erofs --extract="$dir/erofs" --preserve "$dir/1.erofs"
	# what extracts them makes a file of each link, and leaves set-uid and attributes out
	diff <(listing "$dir/root" | sed -E 's/ [0-9]+ $//;/cap_/d;s/ 4755 / 755 /') \
		<(listing "$dir/erofs" | sed -E 's/ [0-9]+ $//;/cap_/d')
	[ "$(inode /bin/set-uid)" = '104755 1 0' ]
	[[ $(inode /bin/again) == 100755\ 2\ [1-9]* ]]
}

@test "another image has other ids, and says so in JSON" {
	echo more >>"$dir/root/etc/motd"
	tar -C "$dir/root" --numeric-owner --format=pax -cf "$dir/other.tar" .
	tests/lib/make-layout "$dir/another" 1 s "@$dir/other.tar"
	"$posmedia" media "oci:$dir/image" --format erofs -o "$dir/1.erofs"
	run --separate-stderr "$posmedia" media "oci:$dir/another" --format erofs \
		-o "$dir/3.erofs" --json
	[ "$(jq -r .digest <<<"$output")" = "sha256:$(sha256sum "$dir/3.erofs" | cut -d' ' -f1)" ]
	[ "$(jq -r .size <<<"$output")" = "$(stat -c %s "$dir/3.erofs")" ]
	[ "$(jq -r .format <<<"$output")" = erofs ]
	local a b
	a=$(blkid -p -o value -s UUID "$dir/1.erofs")
	b=$(blkid -p -o value -s UUID "$dir/3.erofs")
	[ -n "$a" ] && [ -n "$b" ] && [ "$a" != "$b" ]
}

@test "what cannot be made is said before the work, and leaves nothing" {
	media --format floppy -o "$dir/x"
	refused 2 '--format: "floppy" is none'
	[[ $stderr == *'tar, squashfs, erofs, raw, qcow2, iso'* ]]
	media -o "$dir/x"
	refused 2 '--format FORMAT is missing'
	media --format tar
	refused 2 '-o FILE is missing'
	media --format tar -o "$dir/nowhere/x"
	refused 1 "write into $dir/nowhere: No such file"
	media --format tar -o "$dir/root"
	refused 1 "$dir/root is no file"
	media --format tar -o "$dir/pipe"
	refused 1 "$dir/pipe is no file"
	run --separate-stderr "$posmedia" media "oci:$dir/image:2" --format tar -o "$dir/x"
	refused 1 ''
	[ ! -e "$dir/x" ]
	no_traces
}

@test "a disk of what cannot start is refused" {
	media --format raw -o "$dir/x"
	refused 3 'the image cannot start: there is no kernel in it'
	[[ $stderr == *machine-debian.yaml* ]]
	PLATFORM=arm64 tests/lib/make-layout "$dir/arm" 1 s "@$dir/layer.tar"
	run --separate-stderr "$posmedia" media "oci:$dir/arm" --format qcow2 -o "$dir/x"
	refused 3 'disks are made of images for amd64, this is for arm64'
	media --format tar --append quiet -o "$dir/x"
	refused 2 '--append is for raw, qcow2, iso and installer'
	media --format raw --append 'a; reboot' -o "$dir/x"
	refused 2 '--append: a character that may not be there'
	[ ! -e "$dir/x" ]
	no_traces
}

@test "a damaged image is refused" {
	local blob
	cp -r "$dir/image" "$dir/damaged"
	blob=$(find "$dir/damaged/blobs/sha256" -size +1M)
	printf x | dd of="$blob" bs=1 seek=200000 conv=notrunc status=none
	run --separate-stderr "$posmedia" media "oci:$dir/damaged" --format tar -o "$dir/x"
	refused 4 ''
	[ ! -e "$dir/x" ]
	no_traces
}

@test "a full disk: where the file shall be, and where it is made" {
	mkdir "$dir/small"
	# shellcheck disable=SC2016 # expanded inside
	run --separate-stderr unshare --mount sh -c '
		mount -t tmpfs -o size=100k none "$0/small" || exit 99
		"$1" media "oci:$0/image" --format tar -o "$0/small/x"
		said=$?
		ls -A "$0/small"
		exit $said' "$dir" "$posmedia"
	refused 1 'No space left on device'
	[ -z "$output" ]
	# shellcheck disable=SC2016 # expanded inside
	run --separate-stderr unshare --mount sh -c '
		mount -t tmpfs -o size=5m none "$0/small" || exit 99
		mkdir "$0/small/store"
		POSMEDIA_STORE=$0/small/store "$1" media "oci:$0/image" --format tar -o "$0/y"' \
		"$dir" "$posmedia"
	refused 1 'No space left on device'
	[ ! -e "$dir/y" ]
	no_traces
}

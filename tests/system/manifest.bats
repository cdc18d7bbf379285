#!/usr/bin/env bats
# manifest: of trees that strangers' programs made, read by strangers' programs. rsync -c would not
# see all of these differences, and rsync without it fewer still.

bats_require_minimum_version 1.5.0
load lib

setup() {
	[ "$(id -u)" -eq 0 ] || skip "owners and devices are root's to make"
	dir=$(mktemp -d)
	mkdir "$dir/t"
}

teardown() {
	rm -rf "$dir"
}

manifest() {
	run --separate-stderr "$posmedia" manifest "$@"
}

time='2001-02-03 04:05:06.123456789'

# Writes one byte of a file over, so that it keeps size and time.
stealth() {
	touch -r "$1" "$dir/r"
	printf D | dd of="$1" conv=notrunc status=none
	touch -r "$dir/r" "$1"
}

# Gives a program back what a change of its owner took.
raw() {
	chmod 6755 "$1"
	setcap cap_net_raw+ep "$1"
}

# A tree with everything that is awkward, in $dir/t.
awkward() {
	(cd "$dir/t" && make_awkward)
}

make_awkward() {
	mkdir -p deep/er 'two
lines'
	printf x >'two
lines/ leading and trailing '
	printf y >$'\xff\xfe not utf-8'
	printf z >"$(printf 'n%.0s' {1..255})"
	printf w >'*?[#]=\back'
	printf v >'-rf'
	echo archive >data.tar
	echo fix >p.patch
	echo disc >i.iso
	: >empty
	truncate -s 10M sparse
	printf end | dd of=sparse bs=1 seek=5000000 conv=notrunc status=none
	cp /bin/true setuid
	chown 1:2 setuid
	chmod 6755 setuid
	mkfifo fifo
	mknod null c 1 3
	mknod disk b 7 300
	ln data.tar deep/er/same
	ln p.patch p2
	ln -s '../no where' dangling
	echo acl >acl
	setfacl -m u:daemon:rw,u:4711:r,g:mail:x,m::rwx acl
	setfacl -m d:u:mail:rwx,d:g::r-x deep
	setfattr -n user.comment -v 'a = b' acl
	setfattr -n user.binary -v 0x00ff0a acl
	setcap cap_net_raw+ep setuid
	find . -exec touch -hd "$time" {} +
	touch -hd @-5.5 dangling
}

# Copies $dir/t to $dir/$1 as it is.
copy_as_it_is() {
	rsync -aHAXS --numeric-ids "$dir/t/" "$dir/$1/"
}

@test "an awkward tree and its copy by rsync have one root hash" {
	awkward
	manifest -o "$dir/m" "dir:$dir/t"
	[ "$status" -eq 0 ]
	copy_as_it_is u
	manifest --compare "$dir/m" "dir:$dir/u"
	echo "$output"
	[ "$status" -eq 0 ]
	manifest --root "dir:$dir/u"
	[ "$(sha256sum <"$dir/m")" = "$output  -" ]
	# that of a tree by one thread is that by many
	manifest --root --threads 1 "dir:$dir/t"
	[ "$(sha256sum <"$dir/m")" = "$output  -" ]
	grep -qx '#+ acl=u::rw-,u:4711:r--,u:daemon:rw-,g::r--,g:mail:--x,m::rwx,o::r--.*' "$dir/m"
	grep -q '^#+ acl.default=u::rwx,u:mail:rwx,g::r-x,' "$dir/m"
	grep -q ' xattr.security.capability=' "$dir/m"
	grep -q ' xattr.user.binary=AP8K ' "$dir/m"
	grep -qF './two\012lines/\040leading\040and\040trailing\040 ' "$dir/m"
	grep -q '^[.]/disk .* device=native,7,300 ' "$dir/m"
	grep -q '^[.]/dangling .* time=-6.500000000$' "$dir/m"
}

@test "strangers read it: bsdtar lists every path, with type, owner, size, time and target" {
	awkward
	manifest -o "$dir/m" "dir:$dir/t"
	bsdtar -tf "$dir/m" >"$dir/paths" 2>"$dir/said"
	[ ! -s "$dir/said" ]
	[ "$(wc -l <"$dir/paths")" -eq "$(find "$dir/t" -printf x | wc -c)" ]
	# what bsdtar makes of our text is what it makes of the tree, but for modes with an ACL
	local as=(-cf - --format=mtree --options '!all,type,mode,uname,gname,size,link')
	bsdtar "${as[@]}" "@$dir/m" | grep -v '^#\|^[.]/acl ' | sort >"$dir/a"
	bsdtar "${as[@]}" -C "$dir/t" . | grep -v '^#\|^[.]/acl ' | sort >"$dir/b"
	diff "$dir/a" "$dir/b"
	# and the digests are sha256sum's
	(cd "$dir/t" && sha256sum -- data.tar empty sparse acl) | while read -r sum path; do
		grep -q "^./$path .* sha256digest=$sum\$" "$dir/m"
	done
}

@test "each change is found, and is the only one" {
	awkward
	manifest -o "$dir/m" "dir:$dir/t"
	local what expected n=0
	while IFS='|' read -r expected what; do
		rm -rf "$dir/u"
		copy_as_it_is u
		(cd "$dir/u" && eval "$what")
		touch -hd "$time" "$dir/u" "$dir/u/deep" "$dir/u/deep/er"
		manifest --compare "$dir/m" "dir:$dir/u"
		[ "$status" -eq 4 ]
		[[ $output == "${expected% }"* ]] && [ "$(wc -l <<<"$output")" -eq 1 ] ||
			{ echo "$what: $output"; false; }
		n=$((n + 1))
	done <<-'END'
		content ./i.iso |stealth i.iso
		mode    ./setuid 6755 -> 0755 |chmod 0755 setuid
		owner   ./setuid daemon -> bin |chown bin setuid; raw setuid
		group   ./empty root -> mail |chgrp mail empty
		mtime   ./empty |touch -d "${time%9}8" empty
		target  ./dangling |ln -sfn elsewhere dangling; touch -hd @-5.5 dangling
		acl     ./acl |setfacl -n -x u:daemon acl
		acl     ./deep |setfacl -k deep
		xattr   ./acl user.comment= |setfattr -x user.comment acl
		xattr   ./setuid security.capability= |setcap -r setuid
		link    ./p2 p.patch -> - |cp -p p2 q; mv q p2
		missing ./empty file -> - |rm empty
		extra   ./new - -> fifo |mkfifo new
		type    ./empty file -> dir |rm empty; mkdir empty
		device  ./null 1,3 -> 1,5 |rm null; mknod null c 1 5; touch -d "$time" null
	END
	[ "$n" -eq 15 ]
}

@test "a file that is written while it is read is refused by name" {
	head -c 300M /dev/zero >"$dir/t/busy"
	# shellcheck disable=SC2094 # that is the point
	(while [ ! -e "$dir/stop" ]; do
		printf x | dd of="$dir/t/busy" conv=notrunc status=none
	done) &
	local writer=$!
	manifest --root "dir:$dir/t"
	: >"$dir/stop"
	wait "$writer"
	[ "$status" -eq 7 ]
	[[ $stderr == *'./busy: changes while it is read'*hint:* ]]
	manifest --root "dir:$dir/t"
	[ "$status" -eq 0 ]
}

@test "with --seen only what changed is read, and a change that keeps size and time is one" {
	awkward
	cp -a /usr/bin "$dir/t/bin"
	sleep 3
	manifest --seen "$dir/seen" --root "dir:$dir/t"
	local first=$output
	manifest --seen "$dir/seen" --json "dir:$dir/t"
	[ "$(jq -r .root <<<"$output")" = "sha256:$first" ]
	[ "$(jq '.files - .files_remembered' <<<"$output")" -eq 0 ]
	stealth "$dir/t/i.iso"
	manifest --seen "$dir/seen" --json "dir:$dir/t"
	[ "$(jq '.files - .files_remembered' <<<"$output")" -eq 1 ]
	second=$(jq -r .root <<<"$output")
	[ "$second" != "sha256:$first" ]
	manifest --root "dir:$dir/t"
	[ "$second" = "sha256:$output" ]
	[ "$(stat -c %a "$dir/seen")" = 600 ]
}

@test "another file system below is entered, a socket is counted, a link is not followed" {
	mkdir "$dir/t/m"
	mount -t tmpfs none "$dir/t/m"
	echo inside >"$dir/t/m/f"
	perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1)' \
		"$dir/t/s"
	ln -s / "$dir/t/root"
	manifest --json "dir:$dir/t"
	umount "$dir/t/m"
	[ "$(jq -r '.entries, .files, .sockets_left_out' <<<"$output" | xargs)" = '4 1 1' ]
}

@test "an image is what its layers make, with its own names" {
	need_demo
	manifest -o "$dir/m" "oci:$OUT/demo"
	[ "$status" -eq 0 ]
	grep -q '^[.] type=dir uname=root gname=root mode=0755 time=0.000000000$' "$dir/m"
	grep -q '^[.]/etc/shadow .* gname=shadow ' "$dir/m"
	manifest --compare "$dir/m" "oci:$OUT/demo"
	[ "$status" -eq 0 ]
}

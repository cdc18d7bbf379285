#!/usr/bin/env bats
# The same lock gives the same bytes: elsewhere, at another time of day, under another umask.

load lib

setup() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/twice.XXXXXX")
	need_demo
}

teardown() {
	rm -rf "$dir"
}

@test "a build in another folder, with nothing cached, gives the same digest" {
	mkdir -p "$dir/elsewhere/out" "$dir/store/blobs"
	cp -r recipes overlays signing "$dir/elsewhere/"
	touch -d 2001-01-01 "$dir/elsewhere/overlays/demo/etc/samba/smb.conf"
	# the packages, but nothing that was made of them
	cp -al "$POSMEDIA_STORE/blobs/sha256" "$dir/store/blobs/sha256"
	lock=$(realpath "$(cat "$OUT/demo.lock.used")")
	(
		cd "$dir/elsewhere" || exit
		umask 077
		export TZ=Pacific/Kiritimati LANG=de_DE.UTF-8 POSMEDIA_STORE=$dir/store
		"$posmedia" build recipes/demo.yaml --lock "$lock" -o oci:out/demo:0.1.0 --threads 1
	) >"$dir/name"
	[ "$(sed 's/.*@//' "$dir/name")" = "$demo_digest" ]
}

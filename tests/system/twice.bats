#!/usr/bin/env bats
# The same lock gives the same bytes: elsewhere, at another time of day, under another umask. That
# an ordinary user's are the same too is in ordinary-user.bats.

load lib

setup() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/twice.XXXXXX")
	need_demo
}

teardown() {
	rm -rf "$dir"
}

# The tree as another checkout has it: other times, another folder.
elsewhere() {
	mkdir -p "$dir/elsewhere/out" "$dir/store/blobs"
	cp -r recipes overlays signing "$dir/elsewhere/"
	touch -d 2001-01-01 "$dir/elsewhere/overlays/pos/etc/samba/smb.conf"
	cp "$(cat "$OUT/demo.lock.used")" "$dir/lock"
}

build() {
	cd "$dir/elsewhere" || exit
	TZ=$1 LANG=de_DE.UTF-8 POSMEDIA_STORE=$dir/store "$2" build recipes/demo.yaml \
		--lock "$dir/lock" -o oci:out/demo:0.1.0 --threads "$3"
}

@test "a build in another folder, with nothing cached, gives the same digest" {
	elsewhere
	# the packages, but nothing that was made of them
	cp -al "$POSMEDIA_STORE/blobs/sha256" "$dir/store/blobs/sha256"
	(umask 077 && build Pacific/Kiritimati "$posmedia" 1) >"$dir/name"
	[ "$(sed 's/.*@//' "$dir/name")" = "$demo_digest" ]
}

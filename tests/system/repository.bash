#!/bin/bash
# A signed repository made of packages of one file each: $dir/mirror, or $mirror, as of now, or of
# $released.
# shellcheck disable=SC2154 # the tests set dir

new_key() {
	gpg -q --batch --pinentry-mode loopback --passphrase '' --quick-gen-key "$1" \
		rsa2048 sign never 2>/dev/null
}

# A package with one file, essential so that it is all a system needs here.
package() {
	local tree=$dir/tree mirror=${mirror:-$dir/mirror}
	rm -rf "$tree"
	mkdir -p "$tree/DEBIAN" "$tree/usr/share/$1" "$mirror/pool"
	echo "$1 $2" >"$tree/usr/share/$1/version"
	cat >"$tree/DEBIAN/control" <<-CONTROL
		Package: $1
		Version: $2
		Architecture: all
		Maintainer: nobody <nobody@localhost>
		Description: a test
		${3:+Depends: $3}
	CONTROL
	sed -i '/^$/d' "$tree/DEBIAN/control"
	rm -f "$mirror/pool/$1"_*
	dpkg-deb --root-owner-group -b "$tree" "$mirror/pool/$1_$2_all.deb" >"$dir/deb.log"
}

# Writes the index and its Release, signed by the key; "" leaves it unsigned.
publish() {
	local mirror=${mirror:-$dir/mirror} released=${released:-now} deb
	local dist=$mirror/dists/bookworm index=main/binary-amd64/Packages
	mkdir -p "$dist/main/binary-amd64"
	rm -f "$dist/InRelease"
	for deb in "$mirror"/pool/*.deb; do
		dpkg-deb -f "$deb"
		printf 'Filename: pool/%s\nSize: %s\nSHA256: %s\n\n' "$(basename "$deb")" \
			"$(stat -c %s "$deb")" "$(sha256sum <"$deb" | cut -c1-64)"
	done >"$dist/$index"
	cat >"$dist/Release" <<-RELEASE
		Suite: bookworm
		Codename: bookworm
		Date: $(date -u -R -d "$released")
		Architectures: amd64
		Components: main
		SHA256:
		 $(sha256sum <"$dist/$index" | cut -c1-64) $(stat -c %s "$dist/$index") $index
	RELEASE
	[ -z "$1" ] || gpg -q --batch -u "$1" --clearsign -o "$dist/InRelease" "$dist/Release"
}

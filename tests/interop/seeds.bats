#!/usr/bin/env bats
# The hardened image broken on purpose, in each way of tests/fixtures/seeds: what should notice it
# does, and nothing else. tests/interop runs the same on more images, and asks a stranger too.

load ../system/lib

# Takes the bulk out of a tree that is only searched for secrets and compared with its packages: an
# audit takes a third of the time. What packages say that they brought is shortened by it.
trim() {
	(
		cd "$1" || return
		find usr/share usr/lib/x86_64-linux-gnu -type f -size +24k \
			! -path '*/security/*' ! -path 'usr/share/posmedia/*' -delete
		find usr/share -type f ! -path 'usr/share/bash-completion/*' \
			! -path 'usr/share/posmedia/*' \
			! -path 'usr/share/zoneinfo/Etc/UTC' \
			! -path 'usr/share/ca-certificates/*' -delete
		# shellcheck disable=SC2016 # perl's
		perl -ni -e 'print if m{^([0-9a-f]+ [ *])?/?(\S.*)$} && lstat $2 || /^\/\.$/' \
			var/lib/dpkg/info/*.list var/lib/dpkg/info/*.md5sums
	)
}

setup_file() {
	bats_require_minimum_version 1.5.0
	load ../system/lib
	need_demo
	export dir
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/seeds.XXXXXX")
	umoci unpack --image "$OUT/demo:0.1.0" "$dir/bundle" >"$dir/umoci.log" 2>&1
	trim "$dir/bundle/rootfs"
}

teardown_file() {
	rm -rf "$dir"
}

@test "each breakage of the image fails the control that it is named for, and no other" {
	run "$posmedia" audit "dir:$dir/bundle/rootfs" --recipe recipes/demo.yaml --fail-on low
	[ "$status" -eq 0 ] || { echo "$output" && return 1; }
	run tests/lib/seeds "$posmedia" "$dir/bundle/rootfs" recipes/demo.yaml container
	echo "$output"
	[ "$status" -eq 0 ]
	[ "${output##* of }" -ge 190 ]
}

@test "no false alarm on three images that ship, of any severity, nor from their programs" {
	local name
	for name in minimal rti daisy; do
		build_shipped "$name" "$dir/$name" >"$dir/log" 2>&1 || { cat "$dir/log"; return 1; }
		run "$posmedia" audit "oci:$dir/$name:1" --recipe "recipes/$name.yaml" --gates \
			--fail-on low
		[ "$status" -eq 0 ] || { echo "$name: $output"; return 1; }
		[[ $output == *' pass, 0 fail, 0 waived, '*' not applicable' ]]
		rm -rf "${dir:?}/$name"
	done
}

#!/usr/bin/env bats
# The hardened image broken on purpose, in each way of tests/fixtures/seeds: what should notice it
# does, and nothing else. tests/interop runs the same on more images, and asks a stranger too.

load ../system/lib

setup_file() {
	bats_require_minimum_version 1.5.0
	load ../system/lib
	need_demo
	export dir
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/seeds.XXXXXX")
	umoci unpack --image "$OUT/demo:0.1.0" "$dir/bundle" >"$dir/umoci.log" 2>&1
	# without the bulk that is only searched for secrets: an audit takes a third of the time
	(
		cd "$dir/bundle/rootfs" || return
		find usr/share usr/lib/x86_64-linux-gnu -type f -size +24k \
			! -path '*/security/*' -delete
		find usr/share -type f ! -path 'usr/share/bash-completion/*' -delete
	)
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
	[ "${output##* of }" -ge 160 ]
}

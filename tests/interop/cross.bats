#!/usr/bin/env bats
# Strangers judge the images that we ship, and are asked about the same images broken on purpose.

load ../system/lib

setup_file() {
	bats_require_minimum_version 1.5.0
	load ../system/lib
	export dir
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/cross-bats.XXXXXX")
	mkdir "$dir/trees" "$dir/oscap"
	KEEP=$dir/trees tests/interop/cross >"$dir/cross" 2>&1 || echo "status $?" >>"$dir/cross"
}

teardown_file() {
	rm -rf "$dir"
}

@test "what fails with oscap in a hardened image is explained, and no more than that" {
	cat "$dir/cross"
	run ! grep -E '^(status|cross:|fails without|explained but)' "$dir/cross"
}

@test "nothing fails with us in the hardened images" {
	for view in container machine; do
		[ "$(jq .summary.fail "$dir/trees/$view.hardened.json")" = 0 ]
	done
}

# broken VIEW RECIPE: each breakage for that kind of tree, with oscap asked too.
broken() {
	local work=$dir/oscap tree=$dir/trees/$1
	# shellcheck source=tests/interop/strangers.bash
	. tests/interop/strangers.bash
	need_ssg
	tailor_both
	echo "$ssg" >"$work/ssg"
	oscap_eval "$tree" both "$work/clean"
	SEEDS_RUN="tests/interop/notices $work" tests/lib/seeds "$posmedia" "$tree" "$2" "$1" |
		tee "$dir/seeds.$1"
	echo "# $1: ours $(grep ^noticed "$dir/seeds.$1"), oscap $(grep ^asked "$dir/seeds.$1")" >&3
	grep -qE '^noticed ([0-9]+) of \1$' "$dir/seeds.$1"
}

@test "each breakage of the container is noticed; what oscap notices is told" {
	broken container recipes/demo.yaml
}

@test "each breakage of the machine is noticed; what oscap notices is told" {
	broken machine recipes/server.yaml
}

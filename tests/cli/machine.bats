#!/usr/bin/env bats
# The program for a machine that updates itself: what it is linked with is what
# recipes/base/machine-updates.yaml installs, and of the floors it has few.

bats_require_minimum_version 1.5.0
load lib

program=${OUT-out}/machine/usr/bin/posmedia

@test "it wants no library that a machine of its recipe has not got" {
	[ "$(readelf -d "$program" | sed -nE 's/.*NEEDED.*\[(.*)[.]so.*/\1/p' | sort | xargs)" = \
		'libc libcrypto libjansson libyaml-0' ]
}

@test "it has one verb, which says what it does" {
	run "$program" help
	[ "$status" -eq 0 ]
	[ "$(grep -oE '^  [a-z]+ ' <<<"$output" | xargs)" = 'help machine version' ]
	run "$program" machine --help
	[ "$status" -eq 0 ]
	[[ $output == *mark-good* ]]
	run "$program" build --help
	[ "$status" -eq 2 ]
}

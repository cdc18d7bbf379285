#!/usr/bin/env bats
# A share of `make check-faults`: restores and snapshots that die, or meet what disks and people do.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	load lib
	flock "$OUT/tests.flock" make -s "OUT=$OUT/faults" VARIANT=faults all
	flock "$OUT/tests.flock" make -s "OUT=$OUT" "$OUT/bench/tree" "$OUT/test/fault-shim.so"
}

setup() {
	dir=$(mktemp -d)
}

teardown() {
	rm -rf "$dir"
}

@test "forty-eight restores and snapshots with one fault each: not a file is lost" {
	run tests/lib/restore-runs "$OUT" 48 7 4
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[[ ${lines[-1]} == '48 runs, '*' 0 lost '* ]]
}

@test "a newest snapshot that is damaged is not passed over in silence" {
	mkdir "$dir/data"
	(umask 077 && echo 'a passphrase for the test' >"$dir/secret")
	keep() {
		echo "$1" >"$dir/data/orders"
		"$posmedia" snapshot -q "dir:$dir/data" --to "dir:$dir/kept" \
			--secret-file "$dir/secret"
	}
	keep monday
	sleep 1.1 # ids begin with the second
	keep tuesday
	local old new
	old=$(basename "$(find "$dir/kept/snapshots" -type f | sort | head -n 1)" .json)
	new=$(find "$dir/kept/snapshots" -type f | sort | tail -n 1)
	truncate -s -5 "$new"
	run --separate-stderr "$posmedia" restore -q --from "snapshot:dir:$dir/kept" \
		--to "dir:$dir/to" --secret-file "$dir/secret"
	[ "$status" -eq 4 ]
	[[ $stderr == *"$(basename "$new" .json)"*"@$old"* ]]
	[ ! -e "$dir/to/orders" ]
	"$posmedia" restore -q --from "snapshot:dir:$dir/kept@$old" --to "dir:$dir/to" \
		--secret-file "$dir/secret"
	[ "$(cat "$dir/to/orders")" = monday ]
}

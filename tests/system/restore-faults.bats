#!/usr/bin/env bats
# A share of `make check-faults`: restores and snapshots that die, or meet what disks and people do.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	load lib
	flock "$OUT/tests.flock" make -s "OUT=$OUT/faults" VARIANT=faults all
	local out=${OUT#"$PWD/"} # as the Makefile names it
	flock "$OUT/tests.flock" make -s "OUT=$OUT" "$out/bench/tree" "$out/test/fault-shim.so"
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

# TROUBLE: a restore with --verify from $dir/data to $dir/to that meets it.
troubled() {
	rm -rf "$dir/to" "$dir/.to.restore" "$dir/struck"
	run --separate-stderr env FAULT_SHIM="$1" FAULT_SHIM_LOG="$dir/struck" \
		LD_PRELOAD="$OUT/test/fault-shim.so" "$posmedia" restore --json --verify \
		--from "dir:$dir/data" --to "dir:$dir/to"
}

@test "a file that changes between the two looks at it is read again, and told" {
	local n again=0 trouble
	mkdir "$dir/data"
	for trouble in rewrite grow shrink; do
		for n in 1 2; do
			seq 10000 >"$dir/data/orders"
			troubled "$trouble open $n $dir/data/orders"
			[ "$status" -eq 0 ] || { echo "$trouble $n: $stderr"; false; }
			diff -r "$dir/data" "$dir/to" || { echo "$trouble $n"; false; }
			[[ $stderr != *'orders: changed since its manifest was made: all is'* ]] ||
				again=$((again + 1))
		done
	done
	# at the second look, but for one that keeps size and time: it is not another file yet
	[ "$again" -eq 2 ]
}

@test "what is not there as it was written is found when it is read again" {
	local size
	mkdir "$dir/data"
	# of the one the blocks are known, of the other the digest
	for size in 100000 10; do
		seq "$size" >"$dir/data/orders"
		troubled "rewrite open 1 $dir/to/orders"
		[ -s "$dir/struck" ]
		[ "$status" -eq 4 ] || { echo "$size: $status $stderr"; false; }
		[[ $stderr == *'the tree is not what its source is: '*'orders: content'* ]]
		[ -e "$dir/.to.restore/unfinished" ]
		# and mended by the next
		run "$posmedia" restore -q --verify --from "dir:$dir/data" --to "dir:$dir/to"
		[ "$status" -eq 0 ]
		diff -r "$dir/data" "$dir/to"
	done
}

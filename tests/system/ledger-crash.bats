#!/usr/bin/env bats
# Death at every step of an append (base/fault.h), in a segment, at the first line and where the
# next segment begins: what was told stays, the chain is whole, and the next line goes behind it.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	load lib
	flock "$OUT/tests.flock" make -s "OUT=$OUT/faults" VARIANT=faults all
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/ledger.XXXXXX")
	export dir
	# one segment that is full: the next line begins another
	perl -e 'my $x = "x" x 4000; print "2026-10-01T00:00:00Z\tnote\t-\t{\"x\":\"$x\"}\n"
		for 1 .. 2100' | tests/lib/make-ledger "$dir/full" --per 10000
	tests/lib/demo-ledger | tests/lib/make-ledger "$dir/some" --per 10000
	mkdir "$dir/none"
}

teardown_file() {
	rm -rf "$dir"
}

lines_of() {
	"$posmedia" report ledger --verify --ledger "$1" --json | jq '.[0].lines // 0'
}

@test "a kill at each step of an append: in a segment, at the next, and at the first line" {
	local from n was now begins segments
	for from in some full none; do
		was=$(lines_of "$dir/$from")
		begins=$([ "$from" = some ] && echo 0 || echo 1)
		segments=$([ "$from" = full ] && echo 2 || echo 1)
		for ((n = 1; ; n++)); do
			[ "$n" -lt 40 ]
			rm -rf "$dir/l" "$dir"/k*
			cp -r "$dir/$from" "$dir/l"
			run env POSMEDIA_DIE_AT="$n" "$OUT/faults/posmedia" key new "$dir/k" \
				--ledger "$dir/l"
			[ "$status" -ne 0 ] || break
			[ "$status" -eq 86 ] || { echo "$from, step $n: $output"; false; }
			"$posmedia" key new "$dir/k2" --ledger "$dir/l" || false
			now=$(lines_of "$dir/l")
			# the line of who died is there or it is not; the next is, and all before
			[[ $((now - was - begins)) == [12] ]] ||
				{ echo "$from, step $n: $was lines, then $now"; false; }
			[ "$(tail -n 1 "$(printf '%s\n' "$dir"/l/0*.jsonl | tail -n 1)" |
				jq -r .fields.file)" = "$dir/k2" ]
		done
		[ "$n" -gt 4 ]
		[ "$(lines_of "$dir/l")" -eq $((was + begins + 1)) ]
		[ "$(find "$dir/l" -name '0*.jsonl' | wc -l)" -eq "$segments" ]
		echo "# $from: $n steps" >&3
	done
}

#!/usr/bin/env bats
# The tree that the tests and the bench of restore have, tests/bench/tree*.c: the same each time.

bats_require_minimum_version 1.5.0

setup() {
	cd "${BATS_TEST_DIRNAME}/../.." || return
	OUT=$(realpath "${OUT:-out}")
	tree=$OUT/bench/tree
	[ -x "$tree" ] || flock "$OUT/tests.flock" make -s "OUT=$OUT" "$tree"
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/tree.XXXXXX")
}

teardown() {
	rm -rf "$dir"
}

# All of a tree but when it was made.
sum() {
	tar -C "$1" --sort=name --numeric-owner --format=posix --acls --xattrs \
		--pax-option=exthdr.name=%f,delete=atime,delete=ctime -cf - . | sha256sum
}

@test "a tree of a seed is the same twice, day after day, and another of another seed" {
	local day before
	"$tree" make "$dir/a" --scale 0.005
	"$tree" make "$dir/b" --scale 0.005
	[ "$(sum "$dir/a")" = "$(sum "$dir/b")" ]
	for day in 1 2 3 4 5 6 7 8 9; do
		before=$(sum "$dir/a")
		"$tree" change "$dir/a" "$day" --scale 0.005
		"$tree" change "$dir/b" "$day" --scale 0.005
		[ "$(sum "$dir/a")" = "$(sum "$dir/b")" ]
		[ "$(sum "$dir/a")" != "$before" ]
	done
	"$tree" make "$dir/c" --scale 0.005 --seed 1
	"$tree" make "$dir/d" --scale 0.005
	[ "$(sum "$dir/c")" != "$(sum "$dir/d")" ]
}

@test "a day changes three files behind the back of who looks at size and time" {
	"$tree" make "$dir/a" --scale 0.005
	cp -a "$dir/a" "$dir/b"
	"$tree" change "$dir/a" 1 --scale 0.005
	cd "$dir/a"
	find . -type f -size +1k -printf '%s %T@ %p\0' | sort -z >"$dir/now"
	cd "$dir/b"
	find . -type f -size +1k -printf '%s %T@ %p\0' | sort -z >"$dir/then"
	comm -z -12 "$dir/now" "$dir/then" | cut -z -d ' ' -f 3- |
		xargs -0 sha256sum -z >"$dir/sums"
	cd "$dir/a"
	tr '\0' '\n' <"$dir/sums" >"$dir/lines"
	run sha256sum -c --quiet --strict "$dir/lines"
	[ "$(grep -c 'FAILED$' <<<"$output")" -eq 3 ]
}

#!/usr/bin/env bats
# The mirror has moved on since the lock was committed: the demo names what is gone, locks anew and
# says what changed.

load lib

setup() {
	need_demo
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/moved.XXXXXX")
	mkdir -p "$dir/out"
	cp -r recipes overlays signing "$dir/"
	cp "$posmedia" "$dir/out/posmedia"
	demo=$(realpath tests/lib/demo)
}

teardown() {
	rm -rf "$dir"
}

@test "a locked version that is nowhere any more" {
	jq --indent 1 -S '(.packages[] | select(.name == "tzdata")) |= (.version = "2001a-1" |
		.path = "pool/main/t/tzdata/tzdata_2001a-1_all.deb" | .sha256 = ("0" * 64))' \
		"$(cat "$OUT/demo.lock.used")" >"$dir/recipes/demo.lock"
	touch "$dir/recipes/demo.lock"
	cp "$dir/recipes/demo.lock" "$dir/committed"
	cd "$dir" || return
	OUT=out run "$demo"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"package tzdata 2001a-1: neither the store nor a mirror has it any more"* ]]
	[[ $output == *"locking anew"*"tzdata 2001a-1 -> 20"* ]]
	[[ $output == *"verified sha256:"* ]]
	cmp recipes/demo.lock committed
}

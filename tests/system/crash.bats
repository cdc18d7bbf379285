#!/usr/bin/env bats
# Death at every durable step (base/fault.h): a program that has crash points is run again and
# again, ended at its first, second, third ... step. What it leaves is the old or the new, and
# the next run makes it whole, with the same bytes.

bats_require_minimum_version 1.5.0
load lib
load tiny

setup_file() {
	load lib
	load tiny
	flock "$OUT/tests.flock" make -s "OUT=$OUT/faults" VARIANT=faults all
	tiny_project "$(memory_dir crash)"
	export dir
	next_version
	env -C "$dir" "$posmedia" build -q recipes/till.yaml -o "oci:$dir/want:1" >"$dir/name.1"
	next_version welcome
	env -C "$dir" "$posmedia" build -q recipes/till.yaml -o "oci:$dir/want:2" >"$dir/name.2"
	"$posmedia" key new "$dir/key"
	mv "$dir/store" "$dir/store.2"
	next_version hello
	env -C "$dir" "$posmedia" build -q recipes/till.yaml -o "oci:$dir/warm:1"
	mv "$dir/store" "$dir/store.1"
}

# Another line in the overlay, and the lock that fits, which is made once.
next_version() {
	local word=${1-hello}
	echo "$word" >"$dir/overlay/etc/motd"
	[ -e "$dir/$word.lock" ] || {
		env -C "$dir" "$posmedia" lock recipes/till.yaml -q
		cp "$dir/recipes/till.lock" "$dir/$word.lock"
	}
	cp "$dir/$word.lock" "$dir/recipes/till.lock"
}

teardown_file() {
	memory_drop "$dir"
}

setup() {
	dying=$OUT/faults/posmedia
	digest=$(sed 's/.*@//' "$dir/name.1")
	digest2=$(sed 's/.*@//' "$dir/name.2")
	rm -rf "$dir/store" "$dir/out"
}

# Runs the program with these arguments, ended at its step $1: sets status, output and stderr.
dies_at() {
	run --separate-stderr env -C "$dir" POSMEDIA_DIE_AT="$1" "$dying" "${@:2}"
	[[ $status -eq 0 || $stderr == *'fault: died at'* ]] ||
		{ echo "step $1: status $status: $stderr" && return 1; }
}

# The numbers of the steps that a run of these arguments has and that are tried: fs_put's first ones
# change nothing that others see, which tests/unit/sys-crash.c has proven; for each of them there is
# a later one here. What a file that was linked and not renamed leaves is swept the same way
# everywhere: one of three is tried.
steps_of() {
	env -C "$dir" POSMEDIA_DIE_AT=0 "$dying" "$@" >"$dir/steps" 2>&1 ||
		{ cat "$dir/steps" && return 1; }
	sed -n 's/^fault: \([0-9]*\) /\1 /p' "$dir/steps" | sort -n |
		awk '$2 ~ /^(created|written)$/ || /^[0-9]+ (blob begun|partial open)/ { next }
			$2 == "linked" && int($1 / 4) % 3 { next }
			{ print $1 }'
}

# Every blob of a layout is what its name says; nothing else lies there.
whole_layout() {
	[ -n "$(ls "$1/blobs/sha256" 2>/dev/null)" ] || return 0
	(cd "$1/blobs/sha256" &&
		for f in *; do echo "$f  $f"; done | sha256sum --quiet -c) ||
		{ echo "$1 has a wrong blob" && return 1; }
}

no_litter() {
	local left
	left=$(find "$1" -name '*.new.*' -o -name '.pull.*')
	[ -z "$left" ] || { echo "litter: $left" && return 1; }
}

# The store is right and nothing is mounted; a build that had nothing to do leaves the sweeping of
# scratch to the next one, or to gc.
whole_store() {
	posmedia store verify --json
	succeeded
	[ "$(jq ".leftovers | length" <<<"$output")" = 0 ] ||
		"$posmedia" store gc --lock "$dir/recipes/till.lock"
	no_traces
}

# The image of a layout's tag, "none" when there is none.
tagged() {
	[ -e "$1/index.json" ] || { echo none && return; }
	jq -r --arg tag "$2" '[.manifests[] |
		select(.annotations."org.opencontainers.image.ref.name" == $tag).digest] |
		.[0] // "none"' "$1/index.json"
}

@test "the first build there ever was: the next one is whole and the same" {
	local n steps tried=0
	mkdir "$dir/out"
	steps=$(steps_of build -q recipes/till.yaml -o "oci:$dir/out/till:1")
	for n in $steps; do
		tried=$((tried + 1))
		rm -rf "$dir/store" "$dir/out"
		mkdir "$dir/out"
		dies_at "$n" build -q recipes/till.yaml -o "oci:$dir/out/till:1"
		whole_layout "$dir/out/till"
		[[ $(tagged "$dir/out/till" 1) =~ ^(none|$digest)$ ]]
		posmedia build -q recipes/till.yaml -o "oci:$dir/out/till:1"
		succeeded
		[ "${output##*@}" = "$digest" ] && [ "$(tagged "$dir/out/till" 1)" = "$digest" ]
		whole_layout "$dir/out/till"
		whole_store
	done
	echo "$tried of $n steps"
	[ "$n" -gt 60 ] && [ "$tried" -gt 30 ]
}

@test "a build on top of another one: the tag is the old image or the new one" {
	local n steps tried=0
	next_version welcome
	cp -a "$dir/store.1" "$dir/store"
	mkdir "$dir/out"
	cp -a "$dir/warm" "$dir/out/till"
	steps=$(steps_of build -q recipes/till.yaml -o "oci:$dir/out/till:1")
	for n in $steps; do
		tried=$((tried + 1))
		rm -rf "$dir/store" "$dir/out"
		cp -a "$dir/store.1" "$dir/store"
		mkdir "$dir/out"
		cp -a "$dir/warm" "$dir/out/till"
		dies_at "$n" build -q recipes/till.yaml -o "oci:$dir/out/till:1"
		whole_layout "$dir/out/till"
		[[ $(tagged "$dir/out/till" 1) =~ ^($digest|$digest2)$ ]]
		posmedia build -q recipes/till.yaml -o "oci:$dir/out/till:1"
		succeeded
		[ "${output##*@}" = "$digest2" ] && [ "$(tagged "$dir/out/till" 1)" = "$digest2" ]
		whole_store
	done
	next_version
	echo "$tried of $n steps"
	[ "$n" -gt 20 ] && [ "$tried" -gt 15 ]
}

@test "two builders on one store, one of them ended at a step: the other one goes through" {
	local n other rc
	for ((n = 2; n < 80; n += 7)); do
		rm -rf "$dir/store" "$dir/out"
		mkdir "$dir/out"
		env -C "$dir" "$posmedia" build -q recipes/till.yaml -o "oci:$dir/out/other:1" \
			>"$dir/other.out" 2>"$dir/other.err" 3>&- &
		other=$!
		dies_at "$n" build -q recipes/till.yaml -o "oci:$dir/out/till:1" || true
		rc=0
		wait "$other" || rc=$?
		echo "step $n: $rc $(cat "$dir/other.err")"
		[ "$rc" -eq 0 ]
		[ "$(sed 's/.*@//' "$dir/other.out")" = "$digest" ]
		posmedia build -q recipes/till.yaml -o "oci:$dir/out/till:1"
		succeeded
		[ "${output##*@}" = "$digest" ]
		whole_store
	done
}

@test "store gc: what is needed stays, and the next one removes the rest" {
	local n
	for ((n = 1; n < 200; n++)); do
		rm -rf "$dir/store"
		cp -a "$dir/store.2" "$dir/store"
		dies_at "$n" store gc --keep 1
		[ "$status" -ne 0 ] || break
		posmedia store verify
		succeeded
		posmedia store gc --keep 1
		succeeded
		whole_store
		next_version welcome
		posmedia build recipes/till.yaml -o "oci:$dir/out/till:2"
		next_version
		succeeded
		[[ $stderr == *'up to date'* || $stderr != *'base: '* ]]
		[ "${output##*@}" = "$digest2" ]
	done
	echo "$n steps"
	[ "$n" -gt 4 ] && [ "$n" -lt 200 ]
}

@test "store verify --repair: a wrong blob is here or there, and a build mends it" {
	local n
	for ((n = 1; n < 100; n++)); do
		rm -rf "$dir/store"
		cp -a "$dir/store.1" "$dir/store"
		flip "$(stored_package tiny-app)"
		dies_at "$n" store verify --repair
		[ "$status" -ne 0 ] || break
		posmedia build -q recipes/till.yaml --no-cache -o "oci:$dir/out/till:1"
		succeeded
		[ "${output##*@}" = "$digest" ]
		whole_store
	done
	echo "$n steps"
	[ "$n" -gt 2 ] && [ "$n" -lt 100 ]
}

@test "lock: the old lock, or the new one" {
	local n
	cp -a "$dir/store.1" "$dir/store"
	cp "$dir/recipes/till.lock" "$dir/old.lock"
	echo other >"$dir/overlay/etc/motd"
	for ((n = 1; n < 100; n++)); do
		cp "$dir/old.lock" "$dir/recipes/till.lock"
		dies_at "$n" lock recipes/till.yaml --update
		[ "$status" -ne 0 ] || break
		cmp -s "$dir/old.lock" "$dir/recipes/till.lock" && continue
		posmedia plan recipes/till.yaml
		succeeded
	done
	next_version
	no_litter "$dir/recipes" || rm -f "$dir"/recipes/.*.new.*
	echo "$n steps"
	[ "$n" -gt 4 ] && [ "$n" -lt 100 ]
}

@test "sign: the layout stays right, and signing again does it" {
	local n
	for ((n = 1; n < 200; n++)); do
		rm -rf "$dir/out"
		mkdir "$dir/out"
		cp -a "$dir/warm" "$dir/out/till"
		dies_at "$n" sign "oci:$dir/out/till:1" --key "$dir/key"
		[ "$status" -ne 0 ] || break
		whole_layout "$dir/out/till"
		[ "$(tagged "$dir/out/till" 1)" = "$digest" ]
		posmedia sign "oci:$dir/out/till:1" --key "$dir/key"
		succeeded
		posmedia verify "oci:$dir/out/till:1" --key "$dir/key.pub"
		succeeded
		[[ $output == *cosign* && $output == *openpgp* ]]
	done
	echo "$n steps"
	[ "$n" -gt 10 ] && [ "$n" -lt 200 ]
}

@test "push and pull: no tag before all of the image is there" {
	local n there
	rm -rf "$dir/out"
	mkdir "$dir/out"
	cp -a "$dir/warm" "$dir/out/till"
	"$posmedia" sign "oci:$dir/out/till:1" --key "$dir/key" --identity localhost/till:1
	start_registry "$dir/registry"
	there=docker://$registry/pos/till
	for ((n = 1; n < 100; n++)); do
		dies_at "$n" push "oci:$dir/out/till:1" "$there:n$n" --lookaside "$dir/aside.$n"
		[ "$status" -ne 0 ] || break
		posmedia push "oci:$dir/out/till:1" "$there:n$n" --lookaside "$dir/aside.$n"
		succeeded
	done
	for ((n = 1; n < 200; n++)); do
		rm -rf "$dir/out/back"
		dies_at "$n" pull "$there:n1" "oci:$dir/out/back:1"
		[ "$status" -ne 0 ] || break
		whole_layout "$dir/out/back"
		[[ $(tagged "$dir/out/back" 1) =~ ^(none|$digest)$ ]]
		posmedia pull "$there:n1" "oci:$dir/out/back:1"
		succeeded
		posmedia verify "oci:$dir/out/back:1" --key "$dir/key.pub" \
			--identity localhost/till:1
		succeeded
	done
	stop_registry
	echo "$n steps"
	[ "$n" -gt 15 ] && [ "$n" -lt 200 ]
}

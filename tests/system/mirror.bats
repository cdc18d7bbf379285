#!/usr/bin/env bats
# Mirrors that lie, stall, send elsewhere and die: what is not the locked bytes is not kept, what
# broke off goes on, and another mirror is asked.

bats_require_minimum_version 1.5.0
load lib
load tiny

setup_file() {
	load lib
	load tiny
	tiny_project "$(mktemp -d "${TMPDIR:-/var/tmp}/mirror.XXXXXX")"
	export dir
	env -C "$dir" "$posmedia" lock recipes/till.yaml -q
	cp "$dir/recipes/till.yaml" "$dir/till.yaml"
	cp "$dir/recipes/till.lock" "$dir/till.lock"
	rm -rf "$dir/store"
}

teardown_file() {
	rm -rf "$dir"
}

setup() {
	work=$dir/$BATS_TEST_NUMBER
	mkdir "$work"
	export POSMEDIA_STORE=$work/store
	start_mirror one
}

teardown() {
	# shellcheck disable=SC2154 # start_mirror sets them
	kill "${mirror_one-}" "${mirror_two-}" 2>/dev/null || true
	! pgrep -f "posmedia build.*$dir" || return 1
	! grep -F "$dir" /proc/self/mountinfo
}

# Starts a mirror called $1 with the rules of standard input: sets mirror_$1 and url_$1.
start_mirror() {
	: >"$work/rules.$1"
	: >"$work/log.$1"
	tests/lib/mirror "$dir/apt/mirror" "$work/rules.$1" "$work/log.$1" "$work/port.$1" \
		2>"$work/err.$1" 3>&- &
	declare -g "mirror_$1=$!"
	wait_for 10 test -s "$work/port.$1"
	declare -g "url_$1=http://127.0.0.1:$(cat "$work/port.$1")"
	recipe "$url_one" ${url_two+"$url_two"}
}

# The recipe with these mirrors; the lock fits, since where bytes come from is no part of it.
recipe() {
	local list
	printf -v list '"%s", ' "$@"
	sed "s|mirrors: .*|mirrors: [${list%, }]}|" "$dir/till.yaml" >"$dir/recipes/till.yaml"
	cp "$dir/till.lock" "$dir/recipes/till.lock"
	env -C "$dir" "$posmedia" lock recipes/till.yaml -q >"$work/lock.out" 2>&1 ||
		{ cat "$work/lock.out" && return 1; }
	rm -f "$work"/log.*
}

rules() {
	cat >"$work/rules.${1-one}"
}

build() {
	posmedia build recipes/till.yaml -o "oci:$work/out/till:1"
}

# How often a path that fits was asked for.
asked() {
	grep -cE "$1" "$work/log.${2-one}" || true
}

nothing_kept() {
	[ ! -e "$(stored "$1")" ] && [ ! -e "$work/out/till/index.json" ] && no_scratch
}

no_scratch() {
	[ -z "$(ls "$work/store/tmp")" ]
}

@test "a mirror that is right" {
	build
	succeeded
	[ "$(asked '^GET /pool/')" -eq 3 ]
}

@test "other bytes than the lock says: exit 4, the package is named, nothing of it is kept" {
	rules <<<'tiny-app wrong'
	build
	refused 4 'tiny-app'
	refused 4 'hint:'
	nothing_kept tiny-app
	rules <<<'tiny-app long'
	build
	refused 4 'tiny-app'
	rules </dev/null
	build
	succeeded
	posmedia store verify
	succeeded
}

stored() {
	POSMEDIA_STORE='' dir=$dir stored_package "$1" | sed "s,^$dir/store,$work/store,"
}

@test "a mirror that lies and one that does not: the second one is asked" {
	start_mirror two
	for mode in wrong long cut 'status 403' 'status 404' 'status 500' html loop \
		'to file://' 'to ftp://127.0.0.1' 'to http://user:pw@127.0.0.1'; do
		rm -rf "$work/store" "$work/out"
		echo "pool/tiny-app $mode" | rules
		build
		succeeded || { echo "$mode" && return 1; }
		[ "$(asked 'GET /pool/tiny-app' two)" -ge 1 ] || { echo "$mode" && return 1; }
	done
}

@test "a mirror that is not there and one that is" {
	start_mirror two
	kill "$mirror_one"
	build
	succeeded
}

@test "it dies half-way, always: exit 5; what came is kept, and goes on from there" {
	rules <<<'pool/tiny-base cut'
	build
	refused 5 'tiny-base'
	[ -n "$(ls "$work/store/partial")" ]
	rules </dev/null
	: >"$work/log.one"
	build
	succeeded
	[ "$(asked '^GET /pool/tiny-base[^ ]* [1-9]')" -eq 1 ]
	[ -z "$(ls "$work/store/partial")" ]
}

@test "it dies half-way, once: the build does not notice" {
	rules <<<'pool/ once cut'
	build
	succeeded
	[ "$(asked '^GET /pool/[^ ]* [1-9]')" -eq 3 ]
}

@test "what an earlier run left is rubbish: it is begun anew" {
	mkdir -p "$work/store/partial"
	head -c 100 /dev/urandom >"$work/store/partial/$(basename "$(stored tiny-base)")"
	build
	succeeded
	posmedia store verify
	succeeded
}

@test "it is killed while it sends: exit 5, and the next build goes through" {
	rules <<<'pool/tiny-base stall'
	env -C "$dir" "$posmedia" build recipes/till.yaml -o "oci:$work/out/till:1" \
		>"$work/build.out" 2>&1 3>&- &
	local pid=$!
	wait_for 10 grep -q 'GET /pool/tiny-base' "$work/log.one"
	sleep 0.3
	kill "$mirror_one"
	status=0
	wait "$pid" || status=$?
	cat "$work/build.out"
	[ "$status" -eq 5 ]
	grep -q tiny-base "$work/build.out"
	no_scratch
	start_mirror two
	recipe "$url_two"
	build
	succeeded
}

@test "redirects: here, to another host, for ever, to files of this machine" {
	start_mirror two
	recipe "$url_one"
	rules <<<"pool/ to $url_two"
	build
	succeeded
	[ "$(asked 'GET /pool/' two)" -eq 3 ]
	rm -rf "$work/store"
	rules <<<'pool/ once loop'
	build
	succeeded
	rm -rf "$work/store"
	rules <<<'pool/tiny-app loop'
	build
	refused 5 'more than 8 redirects'
	echo "pool/tiny-app to file://$dir/apt/mirror" | rules
	build
	refused 5 'tiny-app'
	[ ! -e "$(stored tiny-app)" ]
}

@test "redirects to a host that lies: the lock decides, not the host" {
	start_mirror two
	recipe "$url_one"
	rules <<<"pool/ to $url_two"
	rules two <<<'pool/tiny-lib wrong'
	build
	refused 4 'tiny-lib'
	nothing_kept tiny-lib
}

@test "an interrupt while a mirror is silent: exit 1 at once, no process, no scratch" {
	for mode in mute stall; do
		rm -rf "$work/store"
		: >"$work/log.one"
		echo "pool/tiny-base $mode" | rules
		env -C "$dir" "$posmedia" build recipes/till.yaml -o "oci:$work/out/till:1" \
			>"$work/build.out" 2>&1 3>&- &
		local pid=$!
		wait_for 10 grep -q 'GET /pool/tiny-base' "$work/log.one"
		kill -INT "$pid"
		status=0
		wait "$pid" || status=$?
		[ "$status" -eq 1 ]
		grep -q interrupted "$work/build.out"
		[ ! -e "$work/out/till/index.json" ]
		no_scratch
	done
}

@test "locking: pages instead of indexes, silence, redirects" {
	rm -rf "$work/store"
	cp "$dir/recipes/till.lock" "$work/before"
	local words
	for mode in html 'status 403' 'status 404' 'status 500' wrong cut "to $url_one"; do
		for what in InRelease Packages; do
			echo "$what $mode" | rules
			posmedia lock recipes/till.yaml --update
			[[ $status =~ ^[345]$ ]] || refused 5 "$mode of $what"
			words=$stderr
			[[ $words == *hint:* || $words == *"$what"* || $words == *127.0.0.1* ]]
			cmp "$work/before" "$dir/recipes/till.lock"
			no_scratch
		done
	done
	rules <<<'InRelease mute'
	env -C "$dir" "$posmedia" lock recipes/till.yaml --update >"$work/lock.out" 2>&1 3>&- &
	local pid=$!
	wait_for 10 grep -q 'InRelease 0 mute' "$work/log.one"
	kill -INT "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 1 ]
	no_scratch
	rules </dev/null
	start_mirror two
	recipe "$url_one"
	rules <<<"dists/ to $url_two"
	posmedia lock recipes/till.yaml --update
	succeeded
}

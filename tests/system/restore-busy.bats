#!/usr/bin/env bats
# A target that somebody else has: status 7, a word who or what, and what is there stays as it is.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage
load restore

setup_file() {
	load lib
	load tiny
	load engines
	load stage
	load restore
	local out=${OUT#"$PWD/"} # as the Makefile names it
	flock "$OUT/tests.flock" make -s "OUT=$OUT" "$out/test/fault-shim.so"
	restore_setup_file
}

teardown_file() {
	restore_teardown_file
}

setup() {
	restore_setup
	make_shop "$dir/shop"
}

teardown() {
	[ -z "${held-}" ] || kill -KILL "$held" 2>/dev/null || true
	! mountpoint -q "$dir/to/sub dir" || umount "$dir/to/sub dir"
	! mountpoint -q "$dir/srv/123/dev/usr2" || umount "$dir/srv/123/dev/usr2"
	restore_teardown
}

tree() {
	posmedia restore --from "dir:$dir/shop/usr2" --to "dir:$dir/to" "$@"
}

# A restore that stands still in its midst: before it reads this file to write it there.
hold() {
	(cd "$dir" && FAULT_SHIM="stop open 2 $dir/shop/usr2/bbx/bbxd/CUSTMST" \
		LD_PRELOAD=$OUT/test/fault-shim.so exec "$posmedia" "$@") \
		>"$dir/held.log" 2>&1 3>&- &
	held=$!
	wait_for 30 grep -q '^State:.T' "/proc/$held/status" || { cat "$dir/held.log"; false; }
	[ -e "$until" ]
}

# It goes on, ended well.
let_go() {
	kill -CONT "$held"
	wait "$held" || { cat "$dir/held.log"; false; }
	held=
}

run_from_there() {
	"$dir/to/daemon" 1000 3>&- &
	held=$!
	wait_for 10 test "$dir/to/daemon" -ef "/proc/$held/exe"
}

end_it() {
	kill "$held"
	wait "$held" || true
	held=
}

same_tree() {
	posmedia manifest --compare "dir:$dir/shop/usr2" "dir:$dir/to"
	succeeded
}

@test "a directory that another restore fills" {
	until=$dir/.to.restore/unfinished
	hold restore --from "dir:$dir/shop/usr2" --to "dir:$dir/to"
	tree
	refused 7 "process $held"
	tree --exclude /catalogue
	refused 7 "process $held"
	let_go
	same_tree
	tree
	succeeded
}

@test "a file system that is mounted in it, wanted there or not" {
	tree
	succeeded
	mount -t tmpfs posmedia-busy "$dir/to/sub dir"
	echo theirs >"$dir/to/sub dir/kept"
	tree
	refused 7 'a file system is mounted there'
	[ "$(cat "$dir/to/sub dir/kept")" = theirs ]
	rm -r "$dir/shop/usr2/sub dir"
	tree
	refused 7 'a file system is mounted there'
	[ "$(cat "$dir/to/sub dir/kept")" = theirs ]
	umount "$dir/to/sub dir"
	tree
	succeeded
	same_tree
}

@test "a program that runs from there" {
	cp /bin/sleep "$dir/shop/usr2/daemon"
	tree
	succeeded
	run_from_there
	cp /bin/cat "$dir/shop/usr2/daemon"
	tree
	refused 7 'daemon: Text file busy'
	[[ $stderr == *'end the program that runs from there'* ]]
	cmp /bin/sleep "$dir/to/daemon"
	end_it
	tree
	succeeded
	same_tree
}

@test "a site that another restore has: none comes between" {
	stage_till dev
	inside 'echo sale >>/usr2/sales'
	until=$(live dev)/.posmedia/restore/new/usr2
	hold restore --engine "$engine_socket" --state "$dir/srv" --runtime "$dir/run" --warm \
		--from "dir:$dir/shop" recipes/sites/dev.yaml
	for verb in "restore --from dir:$dir/shop" "restore --warm --from dir:$dir/shop" \
		'restore --commit' 'restore --rollback' 'restore --discard'; do
		# shellcheck disable=SC2086 # words
		verb $verb recipes/sites/dev.yaml
		refused 7 "$held" || { echo "$verb"; false; }
	done
	verb destroy --confirm 123 recipes/sites/dev.yaml
	refused 7 "$held"
	[ "$(inside 'cat /usr2/sales /usr2/catalogue')" = $'sale\nroses' ]
	let_go
	verb restore --from "dir:$dir/shop" recipes/sites/dev.yaml
	succeeded
	is_restored "$dir/shop"
}

@test "a site's data that is a file system of its own" {
	stage_till dev
	inside 'echo sale >>/usr2/sales'
	mount --bind "$(live dev)/usr2" "$(live dev)/usr2"
	verb restore --from "dir:$dir/shop" recipes/sites/dev.yaml
	refused 7 'a file system of its own'
	[ "$(inside 'cat /usr2/sales /usr2/catalogue')" = $'sale\nroses' ]
	umount "$(live dev)/usr2"
	verb restore --from "dir:$dir/shop" recipes/sites/dev.yaml
	succeeded
	is_restored "$dir/shop"
}

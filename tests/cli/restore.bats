#!/usr/bin/env bats
# What posmedia restore says when it is called wrongly, before it touches anything.

bats_require_minimum_version 1.5.0
load lib

setup() {
	dir=$(mktemp -d)
	mkdir -p "$dir/a/usr2"
	echo roses >"$dir/a/usr2/catalogue"
}

teardown() {
	rm -rf "$dir"
}

wants() {
	local says=$1
	shift
	run --separate-stderr "$posmedia" restore "$@"
	refused 2 "$says"
}

@test "what does not go together" {
	wants 'wants a site, or --from and --to'
	wants 'wants a site, or --from and --to' --from "dir:$dir/a"
	wants '--from SOURCE is missing' --to "dir:$dir/b"
	wants '--to goes without a site' --from "dir:$dir/a" --to "dir:$dir/b" site.yaml
	wants 'go alone, with a site' --commit --rollback site.yaml
	wants 'go alone, with a site' --commit --from "dir:$dir/a" site.yaml
	wants 'go alone, with a site' --discard
	wants 'two arguments go with --verify' "dir:$dir/a" "dir:$dir/a"
	wants 'a site is always verified' --verify site.yaml
	wants 'the site says its environment' --environment qa site.yaml
	wants 'dev, qa or prod' --environment test --from "dir:$dir/a" --to "dir:$dir/b"
	wants 'wants an absolute path' --exclude usr2 --from "dir:$dir/a" --to "dir:$dir/b"
	wants 'a directory with a name' --from "dir:$dir/a" --to dir:/
	wants 'a directory with a name' --from "dir:$dir/a" --to "dir:$dir/.."
	[ ! -e "$dir/b" ]
}

@test "what is no source" {
	local s
	for s in usr2 'http://h/' 'ssh://-oProxyCommand=x/usr2' 'ssh://h' 's3://'; do
		wants '' --from "$s" --to "dir:$dir/b"
		[ ! -e "$dir/b" ]
	done
}

@test "a pass reads only what changed since the last one, or every byte" {
	echo violets >"$dir/a/usr2/other"
	sleep 3
	pass() {
		"$posmedia" restore --json --from "dir:$dir/a" --to "dir:$dir/b" "$@" |
			jq -c '[.remembered, .changed]'
	}
	[ "$(pass)" = '[0,1]' ]
	[ "$(pass --dry-run)" = '[2,0]' ]
	[ "$(pass)" = '[2,0]' ]
	# of the same size and mtime
	touch -r "$dir/a/usr2/catalogue" "$dir/time"
	echo tulip >"$dir/a/usr2/catalogue"
	touch -r "$dir/time" "$dir/a/usr2/catalogue"
	[ "$(pass)" = '[1,1]' ]
	cmp "$dir/a/usr2/catalogue" "$dir/b/usr2/catalogue"
	[ "$(pass --content)" = '[0,0]' ]
}

@test "an interrupted fill is marked, and the next one goes on" {
	run "$posmedia" restore --from "dir:$dir/a" --to "dir:$dir/b"
	[ "$status" -eq 0 ]
	# as a kill leaves it
	echo "dir:$dir/a" >"$dir/.b.restore/unfinished"
	rm "$dir/b/usr2/catalogue"
	run "$posmedia" restore --from "dir:$dir/a" --to "dir:$dir/b" --verify
	[ "$status" -eq 0 ]
	[ ! -e "$dir/.b.restore/unfinished" ]
	[ "$(cat "$dir/b/usr2/catalogue")" = roses ]
	run "$posmedia" restore --verify "dir:$dir/a" "dir:$dir/b"
	[ "$status" -eq 0 ]
}

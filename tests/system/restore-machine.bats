#!/usr/bin/env bats
# A live machine of before, by the real ssh and the real rsync: only what the site has is fetched,
# the tables of users say whose it is, and behind a fence one pass is enough.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage
load ../lib/cutover

setup_file() {
	load lib
	load tiny
	load ../lib/cutover
	export made
	made=$(mktemp -d)
	dir=$made
	cutover_programs
	make_cutover_image
}

teardown_file() {
	rm -rf "$made"
}

setup() {
	dir=$(mktemp -d)
	cp -a "$made/." "$dir"
	export POSMEDIA_STORE=$dir/store
	cutover_programs made
	make_old 5
	start_shop
	start_old
	start_new docker
	cutover_site
}

teardown() {
	stop_cutover
	rm -rf "$dir"
}

# From OLD, all of it.
restore() {
	verb restore --json --from ssh://root@192.0.2.5/. --known-hosts "$dir/known" \
		--secret-file "$dir/oldkey" "$@" recipes/sites/prod.yaml
}

live() {
	echo "$dir/srv/123/prod/usr2"
}

same_data() {
	run rsync -rlptDHAXSnc --delete --itemize-changes "$dir/old/usr2/" "$(live)/"
	[ -z "$output" ] || { echo "$output"; false; }
	[ "$(stat -c %u:%g "$(live)/bbx/REC0.4")" = 1500:1500 ]
}

@test "only the site's data is fetched, and behind a fence in one pass" {
	local fetched=$dir/srv/123/prod/.posmedia/restore/fetched
	echo secret >"$dir/old/root/own"
	# a link of the machine's that leads to what is to be left alone
	ln -s /root "$dir/old/usr2/theirs"
	stage --closed 192.0.2.10/24 recipes/sites/prod.yaml
	succeeded
	restore --only-data --warm
	succeeded
	jq -e '.data[0].name == "usr2" and .times["warm-ms"] > 0' <<<"$output"
	[ "$(cd "$fetched" && echo * etc/*)" = 'etc usr2 etc/group etc/passwd' ]
	[ "$(readlink "$fetched/usr2/theirs")" = /root ]
	# it lives on; then it is at rest, and one pass brings the rest
	start_sales 50
	stop_sales
	in_old /etc/init.d/pos stop
	tests/lib/cutover-data change "$dir/old/usr2" 2 2
	chown -R -h 777:778 "$dir/old/usr2"
	restore --only-data --fenced
	succeeded
	jq -e '.state == "restored" and .times["warm-ms"] == 0 and .times["last-ms"] > 0 and
		.verified' <<<"$output"
	same_data
	# the instance goes on where it was: closed, on its own address
	[ "$(cat "$dir/srv/123/prod/.posmedia/closed")" = 192.0.2.10/24 ]
	run shop curl -s -m 5 http://192.0.2.10:2001/
	[ "$status" -eq 7 ]
	sales_are_whole old
}

@test "what changes behind the fence is no data to go on with" {
	stage --closed 192.0.2.10/24 recipes/sites/prod.yaml
	succeeded
	restore --only-data --warm
	succeeded
	# a clerk's program that nobody stopped
	in_old sh -c 'while :; do echo a sale; sleep 0.01; done >>/usr2/bbx/now' 3>&- &
	writer=$!
	wait_for 5 test -s "$dir/old/usr2/bbx/now"
	restore --only-data --fenced
	kill "$writer"
	refused 7 'changes while it is copied'
	[ ! -e "$(live)/bbx" ]
}

@test "what does not go together is refused" {
	restore --only-data --fenced --warm
	refused 2 'a warm copy is of what changes'
	verb restore --only-data --from dir:/tmp --to "dir:$dir/x"
	refused 2 '--to goes without a site'
}

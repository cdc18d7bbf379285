#!/usr/bin/env bats
# What people changed in an instance, on its way to the next one and back, on a real dockerd.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage

setup_file() {
	load lib
	load tiny
	load engines
	load stage
	dir=$(mktemp -d)
	export made=$dir engine_socket engine_pid
	make_image
	posmedia sign oci:out/till:1 --key k
	succeeded
	start_service "$dir/engine" docker
}

teardown_file() {
	load engines
	stop_service "$made/engine"
	rm -rf "$made"
}

setup() {
	dir=$made
	install -m 600 /dev/null "$dir/token"
	echo 'the token of shop 123' >"$dir/token"
}

teardown() {
	local id
	for id in $(ask '/containers/json?all=1' | jq -r '.[].Id'); do
		ask "/containers/$id?force=1" -X DELETE
	done
	rm -rf "$dir/srv" "$dir/run"
}

# A site of the licence and with that line.
licensed() {
	site dev "$1"
	echo "licence: {file: $dir/token, at: /licence}" >>"$dir/recipes/sites/dev.yaml"
}

# As a reboot: nothing runs, and what was in memory is gone.
reboot() {
	local id
	for id in $(ask '/containers/json' | jq -r '.[].Id'); do
		ask "/containers/$id/stop?t=1" -X POST
	done
	rm -rf "$dir/run"
}

@test "after a reboot, before any start: gone back, staged, destroyed" {
	licensed 'limits: {files: 3000}'
	stage recipes/sites/dev.yaml
	succeeded
	inside 'chmod 755 /home/clerk'
	licensed 'limits: {files: 4000}'
	stage recipes/sites/dev.yaml
	succeeded
	inside 'echo "clerk:x:1600:1600:Ann:/home/clerk:/bin/sh" >/etc/passwd'
	reboot
	stage --rollback recipes/sites/dev.yaml
	succeeded
	[[ $(inside 'cat /etc/passwd /run/host/credentials/token') == *:Ann:*'token of shop 123' ]]
	# a home that is there stays as it is
	[ "$(inside 'stat -c %a /home/clerk')" = 755 ]
	reboot
	licensed 'limits: {files: 5000}'
	stage recipes/sites/dev.yaml
	succeeded
	[[ $(inside 'cat /etc/passwd /licence') == *:Ann:*'token of shop 123' ]]
	reboot
	verb destroy --confirm 123 recipes/sites/dev.yaml
	succeeded
	[ -z "$(containers)" ]
}

@test "more than can be kept is refused, and what was kept stays" {
	local keep=$dir/srv/123/dev/.posmedia/kept.tar
	site dev 'keep: [/a, /b, /c]'
	stage recipes/sites/dev.yaml
	succeeded
	cp "$keep" "$dir/kept"
	# shellcheck disable=SC2016 # the instance's
	inside 'for f in /a /b /c; do head -c 12000000 /dev/zero >$f; done'
	site dev 'keep: [/a, /b, /d]'
	stage recipes/sites/dev.yaml
	refused 3 '/b of pos-123-dev-'
	cmp "$keep" "$dir/kept"
	inside 'rm /b /c; echo serial >/a'
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(inside 'cat /a')" = serial ]
}

@test "gone back only where that one may live, and where its accounts can be" {
	site dev
	stage recipes/sites/dev.yaml
	succeeded
	site dev 'limits: {files: 3000}'
	stage recipes/sites/dev.yaml
	succeeded
	local now since
	now=$(running)
	since=$(ask "/containers/$now/json" | jq -r .State.StartedAt)
	# what cannot be brought over stops nothing
	inside 'echo damaged >/etc/passwd'
	stage --rollback recipes/sites/dev.yaml
	refused 4 'damaged row'
	[ "$(running)" = "$now" ]
	[ "$(ask "/containers/$now/json" | jq -r .State.StartedAt)" = "$since" ]
	verb stop recipes/sites/dev.yaml
	# a production that was alone, and now shares its host
	local env
	for env in qa prod; do
		posmedia promote oci:out/till:1 --to "$env" --key k
		succeeded
	done
	rm -r "$dir/srv/123/dev"
	site prod
	stage recipes/sites/prod.yaml
	succeeded
	site prod 'shared: true'
	stage recipes/sites/prod.yaml
	succeeded
	now=$(running)
	site dev
	stage recipes/sites/dev.yaml
	succeeded
	stage --rollback recipes/sites/prod.yaml
	refused 7 'shop 123 in prod: shop 123 in dev is on this host'
	grep -q "$now" <(running)
	jq -e '.pending == null' "$dir/srv/123/prod/.posmedia/state.json"
}

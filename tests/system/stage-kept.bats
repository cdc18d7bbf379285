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
	licensed 'limits: {files: 4000}'
	stage recipes/sites/dev.yaml
	succeeded
	inside 'echo "clerk:x:1600:1600:Ann:/home/clerk:/bin/sh" >/etc/passwd'
	reboot
	stage --rollback recipes/sites/dev.yaml
	succeeded
	[[ $(inside 'cat /etc/passwd /run/host/credentials/token') == *:Ann:*'token of shop 123' ]]
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

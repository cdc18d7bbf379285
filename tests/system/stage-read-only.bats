#!/usr/bin/env bats
# An image whose recipe says that its root is read-only, on a real dockerd and a real podman.
# shellcheck disable=SC2016 # expanded inside

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage

setup_file() {
	load lib
	load tiny
	load stage
	stage_set_up_file unsigned
	sed -i 's/version: 1$/version: 2/; s/^run: {/&read-only: true, /' "$dir/recipes/till.yaml"
	posmedia lock recipes/till.yaml
	succeeded
	posmedia build recipes/till.yaml -o oci:out/till:2
	succeeded
	for tag in 1 2; do
		posmedia sign "oci:out/till:$tag" --key k
		succeeded
	done
}

teardown_file() {
	rm -rf "$made"
}

setup() {
	stage_set_up shared
}

teardown() {
	stop_service "$dir/engine"
	rm -rf "$dir/srv" "$dir/run"
}

whole() {
	local first second
	start_service "$dir/engine" "$1"
	site dev
	stage recipes/sites/dev.yaml
	succeeded
	first=$(running)
	inside 'echo sale >/usr2/sales
		echo "alice:x:1700:1600::/:/bin/sh" >>/etc/passwd'
	# what the site wants in its root cannot be had, and the one before runs on
	stage recipes/sites/dev.yaml oci:out/till:2
	refused 3 'the image'"'"'s root is read-only, and takes no users'
	[ "$(running)" = "$first" ]
	sed -i '/^users:/d' "$dir/recipes/sites/dev.yaml"
	stage recipes/sites/dev.yaml oci:out/till:2
	succeeded
	second=$(running)
	[ "$second" != "$first" ]
	run inside 'for at in / /etc /bin /var; do echo no >$at/no; done 2>&1'
	[ "$(grep -c 'Read-only file system' <<<"$output")" -eq 4 ] || { echo "$output"; false; }
	inside 'for at in /tmp /run /var/tmp /usr2 /var/log; do echo yes >$at/yes || exit 1; done'
	[ "$(inside 'cat /usr2/sales; cat /run/host/credentials/token')" = \
		$'sale\nthe token of shop 123' ]
	stage recipes/sites/dev.yaml oci:out/till:2
	succeeded
	[[ $output == 'nothing changed'* ]]
	# back to one that is not: with what people changed in it
	stage --rollback recipes/sites/dev.yaml
	succeeded
	[ "$(running)" = "$first" ]
	[ "$(inside 'cat /usr2/sales; grep -c ^alice: /etc/passwd')" = $'sale\n1' ]
	inside 'echo yes >/etc/yes'
	stage --rollback recipes/sites/dev.yaml
	succeeded
	[ "$(running)" = "$second" ]
}

@test "dockerd: a root that is read-only" {
	whole docker
}

@test "podman: a root that is read-only" {
	whole podman
}

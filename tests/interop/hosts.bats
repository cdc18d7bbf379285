#!/usr/bin/env bats
# The user data of hosts, as cloud-init itself reads it.

bats_require_minimum_version 1.5.0
load ../system/lib

words=recipes/hosts/aws-user-data.yaml

setup() {
	dir=$(mktemp -d)
}

teardown() {
	rm -rf "$dir"
}

# cloud-init of Debian, unpacked, not installed: it would set this machine up at its next start.
need_cloud_init() {
	local lib=usr/lib/python3/dist-packages at=$OUT/tests/cloud-init
	local packages="cloud-init python3-jinja2 python3-markupsafe python3-configobj
		python3-netifaces python3-jsonpatch python3-json-pointer python3-serial
		python3-oauthlib python3-requests python3-urllib3 python3-chardet python3-certifi
		python3-idna python3-six python3-yaml python3-jsonschema python3-attr
		python3-pyrsistent"
	[ -d "$at/$lib/cloudinit" ] || flock "$OUT/tests.flock" tests/system/fetch-tool bookworm \
		"$(xargs <<<"$packages")" "$at" >"$OUT/tests-cloud-init.log" 2>&1 ||
		skip "no cloud-init: $(tail -n 1 "$OUT/tests-cloud-init.log")"
	export PYTHONPATH=$at/$lib
}

cloud_init() {
	run /usr/bin/python3 -m cloudinit.cmd.main schema --config-file "$1"
}

@test "cloud-init takes the user data, and not what is wrong in it" {
	need_cloud_init
	cloud_init "$words"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[[ $output == 'Valid cloud-config'* ]]
	sed 's/^package_update: true/package_update: [1]/' "$words" >"$dir/words"
	cloud_init "$dir/words"
	[ "$status" -ne 0 ]
	[[ $output == *package_update* ]]
}

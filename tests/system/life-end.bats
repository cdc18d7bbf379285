#!/usr/bin/env bats
# What an end, a start and a look must not fall for: archives that go with the rest, containers that
# nobody knows, mounts, and stagings that died. On a real dockerd.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage
load life

setup_file() {
	load lib
	load tiny
	load engines
	load stage
	load life
	life_set_up_file
}

teardown_file() {
	life_tear_down_file
}

setup() {
	stage_set_up
	watcher=
}

teardown() {
	life_tear_down
}

# A container $1 with the site's data, and labels $2; it runs.
another() {
	ask "/containers/$(running | head -n 1)/json" | jq --argjson labels "$2" \
		--arg from "$dir/srv/123/dev/usr2" '{Image, Labels: $labels, StopSignal: "SIGKILL",
		Entrypoint: ["/bin/busybox", "sleep", "600"],
		HostConfig: {Mounts: [{Type: "bind", Source: $from, Target: "/usr2"}],
		NetworkMode: "host"}}' >"$dir/spec"
	ask "/containers/create?name=$1" -H 'Content-Type: application/json' -d @"$dir/spec"
	ask "/containers/$1/start" -X POST
}

@test "destroy: an archive that would go with the rest, and mounts of the same file system" {
	local at
	staged dev
	at=$(running)
	verb destroy --confirm 123 --archive "$dir/run/123-dev/a.tar.zst" recipes/sites/dev.yaml
	refused 2 'is in what will be removed'
	# the same directory, by another way
	mkdir "$dir/alias"
	mount --bind "$dir/srv/123/dev/usr2" "$dir/alias"
	verb destroy --confirm 123 --archive "$dir/alias/a" recipes/sites/dev.yaml
	refused 2 'is in what will be removed'
	[ "$(running)" = "$at" ]
	umount "$dir/alias"
	mkdir -p "$dir/outside" "$dir/srv/123/dev/usr2/a/pictures"
	echo roses >"$dir/outside/roses"
	mount --bind "$dir/outside" "$dir/srv/123/dev/usr2/a/pictures"
	verb destroy --confirm 123 recipes/sites/dev.yaml
	[ "$(cat "$dir/outside/roses")" = roses ]
	refused 7 'pictures is a file system of its own, or mounted there'
	umount "$dir/srv/123/dev/usr2/a/pictures"
	mount -t tmpfs none "$dir/srv/123/dev/usr2/a/pictures"
	verb destroy --confirm 123 recipes/sites/dev.yaml
	refused 7 'pictures is a file system of its own, or mounted there'
	umount "$dir/srv/123/dev/usr2/a/pictures"
	[ "$(running)" = "$at" ]
	verb destroy --confirm 123 recipes/sites/dev.yaml
	succeeded
	[ ! -e "$dir/srv/123" ]
}

@test "destroy: what else has the data is stopped before it is kept, or refused" {
	local at
	staged dev
	at=$(running)
	# nobody's, with the same data: a sale comes in each moment
	another backup '{}'
	verb destroy --confirm 123 recipes/sites/dev.yaml
	refused 7 'backup runs with files of'
	[ "$(running | wc -l)" -eq 2 ]
	ask "/containers/backup?force=1" -X DELETE
	another pos-123-dev-old '{"posmedia.shop": "123", "posmedia.environment": "dev"}'
	status_is 1 '.[0].trouble[0] == "pos-123-dev-old is not in the record, and runs"' \
		--vici "unix://$dir/none"
	# parts of archives, whose writers were killed
	: >"$dir/srv/.destroyed/.123-dev-20261126T010101Z.tar.zst.new.77.0"
	: >"$dir/srv/.destroyed/.1234-dev-20261126T010101Z.tar.zst.new.78.0"
	verb destroy --confirm 123 recipes/sites/dev.yaml
	succeeded
	[ "$(cd "$dir/srv/.destroyed" && echo .1*)" = .1234-dev-20261126T010101Z.tar.zst.new.78.0 ]
	[[ $output == *'stopped pos-123-dev-old'*"kept $dir/srv"*'removed pos-123-dev-old'* ]]
	[ -z "$(containers)" ]
}

@test "an instance that is made anew stays on record, and its supervisor in its senses" {
	local at layer
	site dev
	stage --rollback recipes/sites/dev.yaml
	refused 7 'nothing was staged'
	# only a staging makes places for a site
	[ ! -e "$dir/srv" ]
	staged dev
	at=$(running)
	watch
	wait_for 20 told READY=1
	# the engine has lost it, and its image; and the image does not come
	kill "$watcher"
	watch_ends
	ask "/containers/$at?force=1" -X DELETE
	layer=$(jq -r .Id <<<"$(ask "/images/json" | jq '.[0]')")
	ask "/images/$layer?force=1" -X DELETE >/dev/null
	mv "$dir/out/till/blobs/sha256" "$dir/out/till/blobs/kept"
	mkdir "$dir/out/till/blobs/sha256"
	for layer in "$dir/out/till/blobs/kept"/*; do
		[ "$(stat -c %s "$layer")" -gt 100000 ] || cp "$layer" "$dir/out/till/blobs/sha256/"
	done
	stage recipes/sites/dev.yaml
	[ "$status" -ne 0 ]
	[ "$(record .current.container)" = "$at" ]
	verb start recipes/sites/dev.yaml
	refused 7 "$at is gone from the engine"
	rm -r "$dir/out/till/blobs/sha256"
	mv "$dir/out/till/blobs/kept" "$dir/out/till/blobs/sha256"
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(running)" = "$at" ] && [ "$(inside 'cat /usr2/sales')" = sale ]
	[ "$(record .pending)" = null ]
	# a record of one that is only begun
	watch
	wait_for 20 told READY=1
	jq '.pending = .current | del(.current)' "$dir/srv/123/dev/.posmedia/state.json" \
		>"$dir/record"
	cp "$dir/record" "$dir/srv/123/dev/.posmedia/state.json"
	ask "/containers/$at/kill" -X POST
	watch_ends
	[ "$status" -eq 0 ] || { echo "$status"; cat "$dir/said"; false; }
	grep -q 'is no more' "$dir/said"
}

@test "two with the same data are seen and ended, whatever the lock still says" {
	local first second own
	staged dev
	first=$(running)
	own=$dir/srv/123/dev/.posmedia
	cp "$own/state.json" "$dir/record"
	site dev 'limits: {files: 2000}'
	stage recipes/sites/dev.yaml
	succeeded
	second=$(running)
	# as if the staging and its guard had died before the record; the lock names a process of
	# ours that does not hold it
	jq --argjson begun "$(jq .current "$own/state.json")" '.pending = $begun' "$dir/record" \
		>"$dir/both"
	cp "$dir/both" "$own/state.json"
	mkdir "$dir/bin"
	ln -s /bin/sleep "$dir/bin/posmedia"
	"$dir/bin/posmedia" 600 3>&- &
	listener=$!
	echo -n "$listener" >"$own/lock"
	ask "/containers/$first/start" -X POST
	wait_for 10 running_are 2
	status_is 1 '.[0] | (has("at_work") | not) and
		(.trouble | index("'"$second"' runs, and should not"))' \
		--vici "unix://$dir/none"
	kill "$listener"
	listener=
	ask "/containers/$first/stop?t=1" -X POST
	verb start recipes/sites/dev.yaml
	refused 7 "$second runs, which has the same data"
	watch
	wait_for 20 told READY=1 || { cat "$dir/said"; false; }
	[ "$(running)" = "$first" ]
	[ "$(containers)" = "$first" ]
	[ "$(record .pending)" = null ]
	[ "$(inside 'cat /usr2/sales')" = sale ]
}

running_are() {
	[ "$(running | wc -l)" -eq "$1" ]
}

@test "status: programs that hang are ended, with one time for all; one that is paused" {
	local start script='[ ! -e /usr2/hang ] || /bin/busybox sleep 99; true'
	local hang="run: [/bin/busybox, sh, -c, \"$script\"]"
	staged dev "health: [{name: a, $hang}, {name: b, $hang}, {name: web, tcp: 8080}]"
	inside ': >/usr2/hang'
	start=$SECONDS
	status_is 1 '.[0].checks == [{name: "a", passes: null}, {name: "b", passes: null},
		{name: "web", passes: true}]' --checks --vici "unix://$dir/none"
	[ $((SECONDS - start)) -lt 90 ]
	[ -z "$(inside '/bin/busybox ps | /bin/busybox grep "[s]leep 99"')" ]
	rm "$dir/srv/123/dev/usr2/hang"
	status_is 1 '.[0].checks | all(.passes)' --checks --vici "unix://$dir/none"
	ask "/containers/$(running)/pause" -X POST
	status_is 1 '.[0] | .state == "paused" and (.trouble | index("it is paused"))' \
		--vici "unix://$dir/none"
	verb start recipes/sites/dev.yaml
	refused 7 'is paused'
	ask "/containers/$(containers)/unpause" -X POST
}

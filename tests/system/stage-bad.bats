#!/usr/bin/env bats
# What stage must not take, and an engine, a disk and others that do not play along: what ran before
# runs on, and the error says what it was.

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
	posmedia key new other --uid 'Other <other@example.org>'
	succeeded
}

teardown_file() {
	rm -rf "$made"
}

setup() {
	stage_set_up
	start_service "$dir/engine" docker
}

teardown() {
	kill -CONT "$engine_pid" 2>/dev/null
	stop_service "$dir/engine"
	[ -z "${registry-}" ] || stop_registry
	umount "$dir/srv" 2>/dev/null
	rm -rf "$dir"
}

signed() {
	posmedia sign oci:out/till:1 --key "${1-k}"
	succeeded
}

# Staged, with a sale; sets at.
staged() {
	signed
	site dev
	stage recipes/sites/dev.yaml
	succeeded
	at=$(running)
	inside 'echo sale >>/usr2/sales'
}

# Begins to stage what waits for a check that never passes, and waits until it does; sets stager.
begin() {
	site dev 'health: [{name: never, tcp: 9999, within: 60s}]'
	(cd "$dir" && exec "$posmedia" stage --engine "$engine_socket" --state "$dir/srv" \
		--runtime "$dir/run" recipes/sites/dev.yaml) >"$dir/said" 2>&1 3>&- &
	stager=$!
	wait_for 20 other_runs
}
other_runs() {
	[ -n "$(running)" ] && [ "$(running)" != "$at" ]
}

former_runs() {
	[ "$(running)" = "$at" ] && [ "$(inside 'cat /usr2/sales')" = sale ]
}

@test "signed by a stranger, damaged, and by a key whose time is over" {
	local blob
	site dev
	signed other
	stage recipes/sites/dev.yaml
	refused 4 'signature'
	signed
	blob=$(jq -r '.manifests[0].digest' "$dir/out/till/index.json")
	blob=$(jq -r '.layers[0].digest' "$dir/out/till/blobs/sha256/${blob#sha256:}")
	flip "$dir/out/till/blobs/sha256/${blob#sha256:}"
	stage recipes/sites/dev.yaml
	refused 4 "${blob#sha256:}"
	flip "$dir/out/till/blobs/sha256/${blob#sha256:}"
	[ -z "$(containers)" ]
	stage recipes/sites/dev.yaml
	succeeded
	verb stop recipes/sites/dev.yaml
	succeeded
	# what is there already may be started; it may not be staged
	sed -i 's,keys: \[../k.pub\],keys: [{file: ../k.pub\, until: 2020-01-01}],' \
		"$dir/signing/policy.yaml"
	verb start recipes/sites/dev.yaml
	succeeded
	stage recipes/sites/dev.yaml
	refused 4 ''
	[ "$(running | wc -l)" -eq 1 ]
}

@test "a shop without a code, a secret that is a link, and one that nobody may read" {
	signed
	site dev
	sed -i 's/^shop: .*/shop: ""/' "$dir/recipes/sites/dev.yaml"
	local name
	for name in stage start stop status; do
		verb "$name" recipes/sites/dev.yaml
		refused 3 'dev.yaml:2:7'
	done
	verb destroy --confirm '' recipes/sites/dev.yaml
	refused 3 'dev.yaml:2:7'
	site dev
	mv "$dir/token" "$dir/real"
	ln -s real "$dir/token"
	stage recipes/sites/dev.yaml
	refused 1 'read the secret'
	rm "$dir/token"
	mkdir "$dir/token"
	stage recipes/sites/dev.yaml
	refused 4 'must be a regular file'
	rmdir "$dir/token"
	install -m 600 -o 12345 "$dir/real" "$dir/token"
	stage recipes/sites/dev.yaml
	refused 4 'belongs to another user'
	[ -z "$(running)" ]
}

@test "a disk without room: what ran before runs on" {
	mkdir "$dir/srv"
	mount -t tmpfs -o size=4m none "$dir/srv"
	staged
	head -c 8M /dev/zero >"$dir/srv/123/dev/usr2/large" 2>/dev/null || true
	site dev 'limits: {files: 2000}'
	stage recipes/sites/dev.yaml
	refused 1 'No space left'
	former_runs
	verb status --vici "unix://$dir/none"
	[ "$status" -eq 1 ]
	[[ $output == *'its disk is nearly full'* ]]
	rm "$dir/srv/123/dev/usr2/large"
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(inside 'cat /usr2/sales')" = sale ]
}

@test "an engine that dies in the middle and comes back" {
	local pid
	staged
	begin
	kill -KILL "$engine_pid" "$(cat "$dir/engine/exec/containerd/containerd.pid")"
	wait "$engine_pid" || true
	pid=0
	wait "$stager" || pid=$?
	[ "$pid" -eq 5 ] || [ "$pid" -eq 1 ] || { echo "$pid"; cat "$dir/said"; false; }
	grep -q 'a process in the background starts it once more' "$dir/said"
	rm -f "$dir/engine/pid" "$dir/engine/sock"
	start_service "$dir/engine" docker
	wait_for 60 former_runs
	# and the next one makes it whole
	site dev
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(running)" = "$at" ]
}

@test "an engine that is slow, and one that says nothing any more" {
	local from
	staged
	site dev 'limits: {files: 2000}'
	kill -STOP "$engine_pid"
	(sleep 3; kill -CONT "$engine_pid") 3>&- &
	stage recipes/sites/dev.yaml
	succeeded
	at=$(running)
	kill -STOP "$engine_pid"
	from=$SECONDS
	verb status --json --vici "unix://$dir/none"
	[ $((SECONDS - from)) -lt 60 ]
	[ "$status" -eq 1 ]
	jq -e '.[0].state == "unknown"' <<<"$output"
	kill -CONT "$engine_pid"
	former_runs
}

@test "from a registry: what is there does not move again" {
	start_registry "$dir/registry"
	signed
	posmedia sign oci:out/till:1 --key k --identity "$registry/pos/till:1"
	posmedia push oci:out/till:1 "docker://$registry/pos/till:1"
	succeeded
	site dev
	sed -i "s,oci:out/till:1,docker://$registry/pos/till:1," "$dir/recipes/sites/dev.yaml"
	stage recipes/sites/dev.yaml
	refused 4 ''
	sed -i "s,match: \"localhost/till\",match: \"$registry/pos/till\"," \
		"$dir/signing/policy.yaml"
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(inside 'cat /usr2/catalogue')" = roses ]
	[ -z "$(find "$dir/store/tmp" -mindepth 1)" ]
	# the layers are gone from the registry, and nobody asks for them
	find "$dir/registry/data" -path '*/blobs/*' -name data -size +8k -delete
	stage recipes/sites/dev.yaml
	succeeded
	[[ $output == 'nothing changed'* ]]
	posmedia store gc
	succeeded
	[ -z "$(ls "$dir/store/pulled")" ]
}

#!/usr/bin/env bats
# A signed image and a site file to an instance that runs, on a real dockerd and a real podman.

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
}

teardown_file() {
	rm -rf "$made"
}

setup() {
	stage_set_up
}

teardown() {
	stop_service "$dir/engine"
	rm -rf "$dir"
}

sign_and_stage() {
	site dev
	stage recipes/sites/dev.yaml
	refused 4 'it has no OpenPGP signature'
	[ -z "$(containers)" ]
	posmedia sign oci:out/till:1 --key k
	succeeded
	stage recipes/sites/dev.yaml
	succeeded
	[[ $output == *"loaded sha256:"*"made pos-123-dev-"*"started pos-123-dev-"* ]]
}

# What the instance is and has, after sign_and_stage.
look_inside() {
	run stat -c '%u %a' "$dir/srv/123/dev/usr2" "$dir/srv/123/dev/usr2/catalogue"
	[ "$output" = $'1500 755\n1500 640' ] || { echo "$output"; false; }
	[ "$(inside 'cat /usr2/catalogue; hostname')" = $'roses\nshop123-dev' ]
	[ "$(inside 'cat /run/host/credentials/token')" = 'the token of shop 123' ]
	run inside 'ls /run/host/credentials'
	[ "$output" = token ]
	inside 'cat /run/posmedia/site.json' | jq -e '.shop == "123" and (.secrets|not)'
	inside 'ls /run/posmedia/keys/clerk'
	[ "$(inside 'grep -E "^(NoNewPrivs|Seccomp):" /proc/1/status' | tr -d '\t' | xargs)" = \
		'NoNewPrivs:1 Seccomp:2' ]
	# what spec.c names, and no more
	[ "$(inside 'grep CapBnd /proc/1/status' | cut -f2)" = 00000000200405fb ]
	[ "$(ask "/containers/$(running)/json" | jq .HostConfig.Privileged)" = false ]
	# the secret is where it belongs, and nowhere else
	run grep -rl 'the token of shop' "$dir/srv" "$dir/engine/data" "$dir/out" "$dir/engine/log"
	[ -z "$output" ] || { echo "$output"; false; }
	[ "$(stat -c %a "$dir"/run/123-dev/*/token "$dir"/run/123-dev/* | sort -u | xargs)" = \
		'400 700' ]
}

nothing_changes() {
	local before after from
	before=$(ask "/containers/$(running)/json" | jq -c '[.Id,.State.StartedAt]')
	from=$(date +%s%N)
	stage recipes/sites/dev.yaml
	succeeded
	echo "# a second stage: $((($(date +%s%N) - from) / 1000000)) ms" >&3
	[[ $output == 'nothing changed'* ]]
	after=$(ask "/containers/$(running)/json" | jq -c '[.Id,.State.StartedAt]')
	[ "$before" = "$after" ]
}

change_and_go_back() {
	local first second
	first=$(running)
	inside 'echo sale >>/usr2/sales'
	local sold='{name: sold, run: [/bin/busybox, test, -f, /usr2/sales]}'
	site dev "health: [{name: web, tcp: 8080}, $sold]"
	stage --dry-run recipes/sites/dev.yaml
	succeeded
	# what one left that died, and what an older version made
	mkdir -p "$dir/srv/123/dev/.posmedia/seed/root/etc"
	chmod 755 "$dir/srv/123"
	[[ $output == *'would: '*"stopped $first"* ]]
	[ "$(running)" = "$first" ]
	stage recipes/sites/dev.yaml
	succeeded
	second=$(running)
	[ ! -e "$dir/srv/123/dev/.posmedia/seed" ]
	[ "$(stat -c %a "$dir/srv/123")" = 700 ]
	[ "$first" != "$second" ]
	[ "$(containers | wc -l)" -eq 2 ]
	[ "$(inside 'cat /usr2/sales')" = sale ]
	sed -i 's,localhost/till,localhost/other,' "$dir/signing/policy.yaml"
	stage --rollback recipes/sites/dev.yaml
	refused 4 'no rule for localhost/till'
	[ "$(running)" = "$second" ]
	sed -i 's,localhost/other,localhost/till,' "$dir/signing/policy.yaml"
	stage --rollback recipes/sites/dev.yaml
	succeeded
	[ "$(running)" = "$first" ]
	[ "$(inside 'cat /usr2/sales')" = sale ]
	stage --rollback recipes/sites/dev.yaml
	succeeded
	[ "$(running)" = "$second" ]
	# a third leaves the first behind
	site dev 'limits: {files: 2000}'
	stage recipes/sites/dev.yaml
	succeeded
	[[ $output == *"removed $first"* ]]
	[ "$(containers | wc -l)" -eq 2 ]
	[ "$(find "$dir/srv/123/dev/.posmedia" -mindepth 1 -maxdepth 1 -type d | wc -l)" -eq 2 ]
}

comes_back() {
	local at
	at=$(running)
	ask "/containers/$at/stop?t=5" -X POST
	[ -z "$(running)" ]
	stage recipes/sites/dev.yaml
	succeeded
	[[ $output == "started $at"* ]]
	[ "$(running)" = "$at" ]
	# the engine has lost it: it is made anew, with its data
	ask "/containers/$at?force=1" -X DELETE
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(running)" = "$at" ]
	[ "$(inside 'cat /usr2/sales')" = sale ]
}

ill_one_goes() {
	local at
	at=$(running)
	site dev 'health: [{name: never, tcp: 9999, within: 1s}]'
	stage recipes/sites/dev.yaml
	refused 1 'the check "never" does not pass'
	[[ $stderr == *'what was before runs again'* ]]
	[ "$(running)" = "$at" ]
	[ "$(inside 'cat /usr2/sales')" = sale ]
	site dev 'health: [{name: no, run: [/bin/busybox, "false"], within: 1s}]'
	stage recipes/sites/dev.yaml
	refused 1 'the check "no" does not pass'
	[ "$(running)" = "$at" ]
}

# Without a check, what ends at once and is started again and again is not well.
loop_goes() {
	local at
	at=$(running)
	cp "$dir/recipes/till.yaml" "$dir/till.yaml"
	sed -i 's,\[/bin/till\],[/bin/busybox\, sleep\, "0.2"],' "$dir/recipes/till.yaml"
	posmedia lock recipes/till.yaml
	posmedia build recipes/till.yaml -o oci:out/till:3
	succeeded
	posmedia sign oci:out/till:3 --key k
	succeeded
	site dev ''
	stage recipes/sites/dev.yaml oci:out/till:3
	[ "$status" -eq 1 ] || { echo "$status $output $stderr"; false; }
	[[ $stderr == *'does not '* && $stderr == *'what was before runs again'* ]]
	[ "$(running)" = "$at" ]
	[ "$(inside 'cat /usr2/sales')" = sale ]
	cp "$dir/till.yaml" "$dir/recipes/till.yaml"
}

# Interrupted while the one goes or the other comes: what was before runs again, and that is what it
# says.
interrupted() {
	local i
	for i in 1 2 3 4 5; do
		one_interrupted "0.0$i"
	done
}
one_interrupted() {
	local at pid
	at=$(running)
	site dev 'health: [{name: never, tcp: 9999, within: 60s}]'
	(cd "$dir" && exec "$posmedia" stage --engine "$dir/engine/sock" --state "$dir/srv" \
		--runtime "$dir/run" recipes/sites/dev.yaml) 2>"$dir/said" >&2 3>&- &
	pid=$!
	wait_for 20 other_runs "$at"
	sleep "$1"
	kill -TERM "$pid"
	wait "$pid" || true
	[ "$(running)" = "$at" ] || { running; cat "$dir/said"; false; }
	grep -q 'interrupted before pos-123-dev-' "$dir/said" || { cat "$dir/said"; false; }
	grep -q 'what was before runs again' "$dir/said"
}
other_runs() {
	[ -n "$(running)" ] && [ "$(running)" != "$1" ]
}

# The policy of then is no longer there: what ran before comes back all the same.
policy_moves() {
	local at
	at=$(running)
	mv "$dir/signing/policy.yaml" "$dir/signing/other.yaml"
	site dev 'health: [{name: never, tcp: 9999, within: 1s}]'
	sed -i 's,signing/policy.yaml,signing/other.yaml,' "$dir/recipes/sites/dev.yaml"
	stage recipes/sites/dev.yaml
	refused 1 'the check "never" does not pass'
	[[ $stderr == *'what was before runs again'* ]]
	[ "$(running)" = "$at" ]
	mv "$dir/signing/other.yaml" "$dir/signing/policy.yaml"
}

# Two that have the same data do not run at once, whoever started the other.
one_at_a_time() {
	local at other
	at=$(running)
	other=$(jq -r .previous.container "$dir/srv/123/dev/.posmedia/state.json")
	[ "$at" != "$other" ]
	ask "/containers/$other/start" -X POST
	[ "$(running | wc -l)" -eq 2 ]
	site dev 'limits: {files: 2000}'
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(running)" = "$at" ]
}

# Production has its host for itself, unless it says otherwise, whoever comes second.
alone() {
	local before kept=$dir/srv/123/prod/.posmedia
	before=$(containers)
	stage recipes/sites/prod.yaml
	refused 7 'shop 123 in prod: shop 123 in dev is on this host'
	stage --dry-run recipes/sites/prod.yaml
	refused 7 'is on this host'
	[ "$(containers)" = "$before" ]
	[ "$(find "$kept" -mindepth 1 | wc -l)" -eq 2 ]
	site prod 'shared: true'
	stage recipes/sites/prod.yaml
	succeeded
	kept=$(echo "$kept"/*.site)
	sed -i 's/"shared":true/"shared":false/' "$kept"
	site dev 'limits: {files: 4000}'
	stage recipes/sites/dev.yaml
	refused 7 'shop 123 in dev: shop 123 in prod is on this host'
	sed -i 's/"shared":false/"shared":true/' "$kept"
	stage recipes/sites/dev.yaml
	succeeded
}

promoted_only() {
	local env
	for env in qa prod; do
		site "$env"
		stage "recipes/sites/$env.yaml"
		refused 4 'is not promoted'
		posmedia promote oci:out/till:1 --to "$env" --key k
		succeeded
		[ "$env" = qa ] || alone
		stage --json "recipes/sites/$env.yaml"
		succeeded
		jq -r '.manifest + " " + .config' <<<"$output" >>"$dir/digests"
	done
	[ "$(sort -u "$dir/digests" | wc -l)" -eq 1 ]
	[ "$(running | wc -l)" -eq 3 ]
	[ "$(ask '/containers/json' | jq -r '.[].ImageID' | sort -u | wc -l)" -eq 1 ]
	# another environment's sale is not here
	[ ! -e "$dir/srv/123/qa/usr2/sales" ]
}

refusals() {
	site dev
	posmedia sign oci:out/till:1 --key k --identity localhost/other:1
	stage --identity localhost/other:1 recipes/sites/dev.yaml
	refused 4 'is not the application of shop 123, which is localhost/till'
	flock -o "$dir/srv/123/dev/.posmedia/lock" sleep 30 3>&- &
	local holder=$!
	wait_for 5 sh -c "! flock -n '$dir/srv/123/dev/.posmedia/lock' true"
	stage recipes/sites/dev.yaml
	refused 7 'shop 123 in dev'
	kill "$holder"
	wait "$holder" || true
	chmod 644 "$dir/token"
	site dev 'limits: {files: 3000}'
	stage recipes/sites/dev.yaml
	refused 4 'others may read this secret'
	chmod 600 "$dir/token"
	site dev
	posmedia stage --engine "$dir/nobody" --state "$dir/srv" recipes/sites/dev.yaml
	refused 5 "the engine at $dir/nobody"
	posmedia stage --engine sock --state "$dir/srv" recipes/sites/dev.yaml
	refused 2 'absolute paths'
}

whole() {
	start_service "$dir/engine" "$1"
	sign_and_stage
	look_inside
	nothing_changes
	change_and_go_back
	comes_back
	one_at_a_time
	ill_one_goes
	policy_moves
	interrupted
	loop_goes
	promoted_only
	refusals
}

@test "dockerd: staged, sold, changed, gone back, lost, ill, promoted, refused" {
	whole docker
}

@test "podman: staged, sold, changed, gone back, lost, ill, promoted, refused" {
	whole podman
}

@test "dockerd: what calls itself init gets no controller of the host's" {
	start_service "$dir/engine" docker
	sed -i 's,/bin/till,/bin/init,' "$dir/recipes/till.yaml"
	posmedia lock recipes/till.yaml
	succeeded
	posmedia build recipes/till.yaml -o oci:out/till:2
	succeeded
	posmedia sign oci:out/till:2 --key k
	succeeded
	site dev
	stage recipes/sites/dev.yaml oci:out/till:2
	succeeded
	local at new
	for at in memory pids cpu devices systemd; do
		new=/sys/fs/cgroup/$at/posmedia-test-$$
		[ -d "/sys/fs/cgroup/$at" ] || continue
		run inside "/bin/busybox mkdir $new"
		[ ! -d "$new" ] || rmdir "$new"
		if [ "$at" = systemd ]; then
			[ "$status" -eq 0 ] || { echo "$at: $output"; false; }
		else
			[ "$status" -ne 0 ] || { echo "$at is writable"; false; }
		fi
	done
	[ ! -e /sys/fs/cgroup/systemd/release_agent ] ||
		! inside 'exec 3>>/sys/fs/cgroup/systemd/release_agent'
}

@test "dockerd: an image of two compressions" {
	start_service "$dir/engine" docker
	printf 'layers: {compression: both}\n' >>"$dir/recipes/till.yaml"
	posmedia lock recipes/till.yaml
	succeeded
	posmedia build recipes/till.yaml -o oci:out/till:2
	succeeded
	posmedia sign oci:out/till:2 --key k
	succeeded
	site dev
	stage recipes/sites/dev.yaml oci:out/till:2
	succeeded
	[ "$(inside 'cat /usr2/catalogue')" = roses ]
	stage recipes/sites/dev.yaml oci:out/till:2
	succeeded
	[[ $output == 'nothing changed'* ]]
}

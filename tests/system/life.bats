#!/usr/bin/env bats
# What was staged is stopped, started, watched, lost and found, and brought to its end, with its
# sales: on a real dockerd, and the first part on a real podman too.

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

# The controls that fail, of the instance that runs.
failing() {
	verb status --json --controls
	jq -r '.[0].controls[] | select(.passes | not) | "\(.control): \(.found)"' <<<"$output"
}

running_is() {
	[ "$(running)" = "$1" ]
}

# Nothing is lost by a stop, and nothing but a start starts what was stopped.
stop_and_start() {
	local at
	staged dev
	at=$(running)
	verb stop --dry-run recipes/sites/dev.yaml
	succeeded
	[ "$(running)" = "$at" ]
	verb stop recipes/sites/dev.yaml
	succeeded
	[[ $output == *"stopped $at"*"$at is stopped" ]]
	[ -z "$(running)" ]
	[ "$(containers)" = "$at" ]
	[ "$(record .stopped)" = true ]
	verb stop recipes/sites/dev.yaml
	succeeded
	[[ $output == 'nothing changed'* ]]
	stage recipes/sites/dev.yaml
	refused 7 'was stopped on purpose'
	[[ $stderr == *'posmedia start recipes/sites/dev.yaml'* ]]
	stage --rollback recipes/sites/dev.yaml
	refused 7 'was stopped on purpose'
	[ -z "$(running)" ]
	verb status
	succeeded
	[[ $output == *"123 "*"dev "*"stopped"* ]]
	# secrets are those of the start
	echo 'another token' >"$dir/token"
	verb start --dry-run recipes/sites/dev.yaml
	succeeded
	[[ $output == "would: started $at"* ]]
	verb start recipes/sites/dev.yaml
	succeeded
	[[ $output == "started $at"* ]]
	[ "$(running)" = "$at" ]
	[ "$(inside 'cat /usr2/sales /run/host/credentials/token')" = $'sale\nanother token' ]
	[ "$(record .stopped)" = null ]
	verb start --json recipes/sites/dev.yaml
	succeeded
	jq -e '.changed == false and .container == "'"$at"'"' <<<"$output"
	stage recipes/sites/dev.yaml
	succeeded
	[[ $output == 'nothing changed'* ]]
}

@test "dockerd: stopped and started, with its sales and fresh secrets" {
	stop_and_start
}

@test "podman: stopped and started, with its sales and fresh secrets" {
	# shellcheck disable=SC2034 # stop_service uses it
	local engine_socket engine_pid
	start_service "$dir/podman" podman
	stop_and_start
	stop_service "$dir/podman"
}

@test "what cannot be started says why" {
	local first second
	site dev
	verb start recipes/sites/dev.yaml
	refused 7 'nothing was staged'
	verb stop recipes/sites/dev.yaml
	refused 7 'nothing was staged'
	[ ! -e "$dir/srv" ]
	staged dev
	first=$(running)
	site dev 'limits: {files: 2000}'
	stage recipes/sites/dev.yaml
	succeeded
	second=$(running)
	verb stop recipes/sites/dev.yaml
	succeeded
	# another has the same data
	ask "/containers/$first/start" -X POST
	verb start recipes/sites/dev.yaml
	refused 7 "$first runs, which has the same data"
	verb stop recipes/sites/dev.yaml
	succeeded
	[ -z "$(running)" ]
	chmod 644 "$dir/token"
	verb start recipes/sites/dev.yaml
	refused 4 'others may read this secret'
	chmod 600 "$dir/token"
	mv "$dir/token" "$dir/elsewhere"
	verb start recipes/sites/dev.yaml
	refused 1 'the secret "token"'
	mv "$dir/elsewhere" "$dir/token"
	[ -z "$(running)" ]
	ask "/containers/$second?force=1" -X DELETE
	verb start recipes/sites/dev.yaml
	refused 7 "$second is gone from the engine"
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(inside 'cat /usr2/sales')" = sale ]
	posmedia start --engine "$dir/nobody" --state "$dir/srv" recipes/sites/dev.yaml
	refused 5 "the engine at $dir/nobody"
	posmedia start --watch --json recipes/sites/dev.yaml
	refused 2 '--watch goes with neither'
}

@test "the supervisor starts it, sees it end, and stops it with itself" {
	local at
	staged dev
	at=$(running)
	ask "/containers/$at/stop?t=1" -X POST
	watch
	wait_for 20 told READY=1
	[ "$(running)" = "$at" ]
	grep -q "STATUS=$at runs" "$dir/told"
	ask "/containers/$at/kill" -X POST
	watch_ends
	[ "$status" -eq 1 ] || { echo "$status"; cat "$dir/said"; false; }
	grep -q "$at ended with 137" "$dir/said" || { cat "$dir/said"; false; }
	# as systemd does
	watch
	wait_for 20 told READY=1
	[ "$(running)" = "$at" ]
	[ "$(inside 'cat /usr2/sales')" = sale ]
	kill -TERM "$watcher"
	watch_ends
	[ "$status" -eq 0 ] || { echo "$status"; cat "$dir/said"; false; }
	told STOPPING=1
	[ -z "$(running)" ]
	# a shutdown is no purpose: the next boot starts it
	[ "$(record .stopped)" = null ]
}

@test "the supervisor knows what others do meanwhile" {
	local first second
	staged dev
	first=$(running)
	watch
	wait_for 20 told READY=1
	verb stop recipes/sites/dev.yaml
	succeeded
	wait_for 20 told 'STATUS=stopped on purpose'
	kill -0 "$watcher"
	verb start recipes/sites/dev.yaml
	succeeded
	: >"$dir/told"
	wait_for 20 told "STATUS=$first runs"
	# another generation
	site dev 'limits: {files: 2000}'
	stage recipes/sites/dev.yaml
	succeeded
	second=$(running)
	[ "$first" != "$second" ]
	wait_for 20 told "STATUS=$second runs"
	kill -0 "$watcher"
	verb destroy --confirm 123 recipes/sites/dev.yaml
	succeeded
	watch_ends
	[ "$status" -eq 0 ] || { echo "$status"; cat "$dir/said"; false; }
	[ -z "$(containers)" ]
}

@test "the supervisor of what was stopped on purpose leaves it stopped" {
	staged dev
	verb stop recipes/sites/dev.yaml
	succeeded
	watch
	wait_for 20 told READY=1
	told 'STATUS=stopped on purpose'
	[ -z "$(running)" ]
	kill -TERM "$watcher"
	watch_ends
	[ "$status" -eq 0 ]
	[ "$(record .stopped)" = true ]
}

@test "the supervisor stops what does not get well" {
	staged dev
	site dev 'health: [{name: sold, run: [/bin/busybox, test, -f, /usr2/sales], within: 1s}]'
	stage recipes/sites/dev.yaml
	succeeded
	rm "$dir/srv/123/dev/usr2/sales"
	ask "/containers/$(running)/stop?t=1" -X POST
	watch
	watch_ends
	[ "$status" -eq 1 ]
	grep -q 'the check "sold" does not pass' "$dir/said"
	[ -z "$(running)" ]
	run ! told READY=1
}

@test "status: what runs, since when, of which image, and how well" {
	local digest at
	verb status
	succeeded
	[ "$output" = 'no instances' ]
	plain_site dev 123
	status_is 1 '.[0] | .state == "none" and .trouble == ["nothing was staged"]' \
		recipes/sites/dev.yaml
	stage recipes/sites/dev.yaml
	succeeded
	at=$(running)
	digest=$(jq -r '.manifests[0].digest' "$dir/out/till/index.json")
	status_is 0 '.[0] | .shop == "123" and .environment == "dev" and .state == "runs" and
		.container == "'"$at"'" and .manifest == "'"$digest"'" and
		.image == "localhost/till:1" and .up_seconds < 600 and .pid > 1 and
		.restarts == 0 and
		.checks == [{name: "web", passes: true}] and .backup == null and
		.image_days >= 0 and .disk_free > 0 and .disk_size > .disk_free and
		.hostname == "shop123-dev" and (has("tunnels") | not) and .trouble == []'
	verb status
	succeeded
	[[ $output == *"123 "*"dev "*" runs "*" 1/1 "*" never "*"localhost/till:1@${digest:7:12}" ]]
	# what the engine was told by others is found out all the same
	ask "/containers/$at/restart?t=1" -X POST
	status_is 0 '.[0] | .state == "runs" and .restarts == null and .up_seconds < 600'
	ask "/containers/$at/stop?t=1" -X POST
	status_is 1 '.[0] | .state == "dead" and
		.trouble == ["it ended, and nobody has started it again"]'
	verb start recipes/sites/dev.yaml
	succeeded
	echo '{"at":"2026-11-25T01:00:00Z"}' >"$dir/srv/123/dev/.posmedia/backup.json"
	status_is 0 '.[0] | .restarts == 1 and .backup == "2026-11-25T01:00:00Z"'
	inside "kill \$(/bin/busybox ps | /bin/busybox awk '/[h]ttpd -p/ { print \$1 }')"
	status_is 1 '.[0] | .checks[0].passes == false and .trouble == ["the check \"web\" fails"]'
	posmedia status --json --engine "$dir/nobody" --state "$dir/srv"
	[ "$status" -eq 1 ]
	jq -e '.[0] | .state == "unknown" and .pid == null' <<<"$output"
	ask "/containers/$at?force=1" -X DELETE
	status_is 1 '.[0].state == "lost"'
}

@test "status: two shops, one with a staging that was not finished, and a damaged record" {
	local own=$dir/srv/123/dev/.posmedia
	plain_site dev 99
	stage recipes/sites/99-dev.yaml
	succeeded
	local asked='{name: no, run: [/bin/busybox, "true"]}'
	plain_site dev 123 "health: [{name: web, tcp: 8080}, $asked]"
	stage recipes/sites/dev.yaml
	succeeded
	status_is 0 'map(.shop) == ["123", "99"] and .[0].checks[1].passes == null'
	status_is 0 'length == 1 and .[0].checks[1].passes' recipes/sites/dev.yaml
	status_is 0 '.[0].checks[1].passes' --checks
	# a tree of the operator's own is no instance
	mkdir -p "$dir/srv/lost+found" "$dir/srv/notes/dev"
	status_is 0 'length == 2'
	cp "$own/state.json" "$dir/record"
	jq '.pending = .current | .pending.generation = .current.config |
		.pending.container = "pos-123-dev-x"' "$dir/record" >"$own/state.json"
	status_is 1 '.[0].trouble == ["a staging was begun and not finished: pos-123-dev-x"] and
		.[1].trouble == []'
	jq '.current.generation = .current.config' "$dir/record" >"$own/state.json"
	status_is 1 '.[0].trouble[0] | endswith("is not what the record says that it is")'
	echo '{' >"$own/state.json"
	status_is 1 '.[0].state == "unknown" and .[1].state == "runs"'
}

@test "status: tunnels are not guessed" {
	staged dev
	status_is 1 '.[0] | .tunnels == [{peer: "a", up: null}] and
		.trouble == ["its tunnels are not known: charon does not answer"]' \
		--vici "unix://$dir/no.vici"
	verb status --vici "unix://$dir/no.vici"
	[ "$status" -eq 1 ]
	[[ $output == *' ?/1 '* ]]
}

@test "status: controls that the engine and the site hold are looked at" {
	local at
	plain_site dev 123 'limits: {memory: 64M, processes: 100, files: 1000}'
	stage recipes/sites/dev.yaml
	succeeded
	verb status --controls
	succeeded
	[[ $output == *'123 dev OCI-05b: passes: system calls are filtered'* ]]
	[[ $output == *'123 dev OCI-05: passes: it is not privileged'* ]]
	[[ $output == *'123 dev OCI-05: passes: Memory is 67108864, of 67108864'* ]]
	[[ $output == *'123 dev NET-11: passes: only declared ports listen'* ]]
	inside '/bin/busybox httpd -p 8081 -h /usr2'
	[ "$(failing)" = 'NET-11: 8081/tcp listens, and the image does not declare it' ]
	# one that was made by hand, in the place of the other
	at=$(running)
	ask "/containers/$at/json" | jq '{Image, Labels: .Config.Labels, Env: .Config.Env,
		HostConfig: (.HostConfig | {Mounts, Tmpfs, NetworkMode: "host", PidMode: "host",
		SecurityOpt: ["seccomp=unconfined"]})}' >"$dir/spec"
	ask "/containers/$at?force=1" -X DELETE
	ask "/containers/create?name=$at" -H 'Content-Type: application/json' -d @"$dir/spec"
	ask "/containers/$at/start" -X POST
	wait_for 10 running_is "$at"
	run failing
	[[ $output == *'OCI-05b: system calls are not filtered'* ]]
	[[ $output == *'OCI-05b: capabilities beyond those of the instance:'* ]]
	[[ $output == *'OCI-05: programs may gain new privileges'* ]]
	[[ $output == *"OCI-05: it has the host's: pid"* ]]
	[[ $output == *'OCI-05: Memory is 0, of 67108864'* ]]
	[[ $output == *'OCI-05: a process may open '* ]]
}

@test "an instance is audited by its name, and only while it runs" {
	local at profile=$PWD/recipes/profiles/pa-dss-3.2.yaml
	plain_site dev 123
	stage recipes/sites/dev.yaml
	succeeded
	at=$(running)
	posmedia audit "instance:$at" --engine "$engine_socket" --profile "$profile" \
		--fail-on never
	succeeded
	[[ $output == *"object   instance:$at"* ]]
	posmedia audit instance:../x --engine "$engine_socket" --profile "$profile"
	[ "$status" -ne 0 ] && [[ $stderr == *'../x'* ]]
	verb stop recipes/sites/dev.yaml
	succeeded
	posmedia audit "instance:$at" --engine "$engine_socket" --profile "$profile"
	refused 7 "$at does not run"
}

@test "destroy keeps all in an archive, and leaves the neighbours alone" {
	local at file lists
	plain_site dev 1234
	stage recipes/sites/1234-dev.yaml
	succeeded
	at=$(running)
	ask "/containers/$at/stop?t=1" -X POST
	staged dev
	posmedia promote oci:out/till:1 --to qa --key k
	succeeded
	mkdir "$dir/srv/123/qa"
	setcap cap_net_raw=ep "$dir/srv/123/dev/usr2/sales"
	ln "$dir/srv/123/dev/usr2/sales" "$dir/srv/123/dev/usr2/same"
	setfacl -m u:1600:rw "$dir/srv/123/dev/usr2/catalogue"
	setfacl -d -m g:1700:rx "$dir/srv/123/dev/usr2"
	lists=$(getfacl -nR "$dir/srv/123/dev/usr2" 2>/dev/null | grep -v '^# file')
	verb destroy recipes/sites/dev.yaml
	refused 2 'wants --confirm'
	verb destroy --confirm '' recipes/sites/dev.yaml
	refused 2 'wants --confirm'
	verb destroy --confirm 1234 recipes/sites/dev.yaml
	refused 2 'is of another shop'
	verb destroy --confirm 123 --dry-run recipes/sites/dev.yaml
	succeeded
	[[ $output == *"would: kept $dir/srv/123/dev as "*"would: removed $dir/srv/123/dev"* ]]
	[ "$(running | wc -l)" -eq 1 ]
	verb destroy --confirm 123 --archive "$dir/srv/123/dev/usr2/x" recipes/sites/dev.yaml
	refused 2 'is in what will be removed'
	verb destroy --confirm 123 --archive "$dir/token" recipes/sites/dev.yaml
	refused 7 'is there already'
	[[ $stderr == *'nothing of shop 123 is removed'* ]]
	[ -e "$dir/srv/123/dev/usr2/sales" ]
	verb destroy --confirm 123 recipes/sites/dev.yaml
	succeeded
	[ "$(containers)" = "$at" ]
	[ ! -e "$dir/srv/123/dev" ] && [ ! -e "$dir/run/123-dev" ] && [ -d "$dir/srv/123/qa" ]
	[ -e "$dir/srv/1234/dev/usr2/catalogue" ] && [ -d "$dir/run/1234-dev" ]
	file=$(archive_of 123-dev)
	[[ $output == *"sha256:$(sha256sum <"$file" | cut -c1-64)" ]]
	[ "$(stat -c '%a' "$file" "$dir/srv/.destroyed" | xargs)" = '600 700' ]
	mkdir "$dir/back"
	tar --zstd -C "$dir/back" --acls --xattrs --xattrs-include='*' -xpf "$file"
	[[ $lists == *'user:1600:rw-'*'default:group:1700:r-x'* ]] ||
		[[ $lists == *'default:group:1700:r-x'*'user:1600:rw-'* ]]
	[ "$(getfacl -nR "$dir/back/usr2" 2>/dev/null | grep -v '^# file')" = "$lists" ]
	[ "$(cat "$dir/back/usr2/sales")" = sale ]
	[ "$(stat -c %h "$dir/back/usr2/same")" -eq 2 ]
	[[ $(getcap "$dir/back/usr2/sales") == *cap_net_raw=ep ]]
	[ "$(stat -c '%u %a' "$dir/back/usr2/catalogue")" = '1500 660' ]
	[ -e "$dir/back/.posmedia/state.json" ]
	run ! grep -rq 'the token of shop' "$dir/back"
	verb destroy --confirm 123 recipes/sites/dev.yaml
	succeeded
	[ "$output" = 'nothing changed' ]
	# it may come back
	rmdir "$dir/srv/123/qa"
	stage recipes/sites/dev.yaml
	succeeded
	verb destroy --json --confirm 123 --archive "$dir/last" recipes/sites/dev.yaml
	succeeded
	jq -e '.archive == "'"$dir/last"'" and .changed' <<<"$output"
	[ ! -e "$dir/srv/123" ]
}

@test "destroy: production, a link in the place of a shop, another's container, a file system" {
	plain_site prod 55
	plain_site prod 123
	posmedia promote oci:out/till:1 --to qa --key k
	posmedia promote oci:out/till:1 --to prod --key k
	succeeded
	stage recipes/sites/prod.yaml
	succeeded
	verb destroy --confirm 123 recipes/sites/prod.yaml
	refused 2 'is in production'
	[ "$(running | wc -l)" -eq 1 ]
	# shop 55 is a link to shop 123
	ln -s 123 "$dir/srv/55"
	verb destroy --confirm 55 --really recipes/sites/55-prod.yaml
	refused 1 'open 55'
	[ "$(running | wc -l)" -eq 1 ]
	[ -e "$dir/srv/123/prod/usr2/catalogue" ]
	mkdir "$dir/srv/123/prod/disk"
	mount -t tmpfs none "$dir/srv/123/prod/disk"
	verb destroy --confirm 123 --really recipes/sites/prod.yaml
	umount "$dir/srv/123/prod/disk"
	refused 7 'disk is a file system of its own'
	[ "$(running | wc -l)" -eq 1 ]
	verb destroy --confirm 123 --really recipes/sites/prod.yaml
	succeeded
	[ -z "$(containers)" ]
}

@test "destroy: a disk without room keeps all" {
	mkdir "$dir/small"
	mount -t tmpfs -o size=2m none "$dir/small"
	staged dev
	head -c 6M /dev/urandom >"$dir/srv/123/dev/usr2/large"
	verb destroy --confirm 123 --archive "$dir/small/a" recipes/sites/dev.yaml
	[ -z "$(ls -A "$dir/small")" ]
	umount "$dir/small"
	refused 1 'No space left'
	[[ $stderr == *'nothing of shop 123 is removed'* ]]
	[ "$(stat -c %s "$dir/srv/123/dev/usr2/large")" -eq 6291456 ]
	[ "$(containers | wc -l)" -eq 1 ]
	verb start recipes/sites/dev.yaml
	succeeded
	[ "$(inside 'cat /usr2/sales')" = sale ]
}

#!/usr/bin/env bats
# What RTI and Daisy are on a host: systemd, users, printers and a till that sells, in three
# environments, on dockerd and on podman. What was sold and who may come in is still there after a
# stop, a start, a crash, another generation and the way back. The images are stand-ins of the size
# of the real ones.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines

setup_file() {
	load lib
	load tiny
	export made
	made=$(mktemp -d)
	dir=$made
	need_demo
	mkdir -p "$dir/out" "$dir/recipes/sites" "$dir/recipes/hosts" "$dir/signing"
	copy_demo "$dir/out/rti"
	cp recipes/hosts/seccomp.yaml "$dir/recipes/hosts/"
	daisy_image
	"$posmedia" key new "$dir/k" --uid 'Release <release@example.org>'
	cat >"$dir/signing/policy.yaml" <<-'YAML'
		posmedia: 1
		repositories: [{match: "localhost/*", keys: [../k.pub]}]
		default: accept
	YAML
	for app in rti:0.1.0 daisy:1; do
		posmedia sign "oci:out/$app" --key k
		succeeded
		for env in qa prod; do
			posmedia promote "oci:out/$app" --to "$env" --key k
			succeeded
		done
	done
	ssh-keygen -q -t ed25519 -N '' -f "$dir/ssh"
}

teardown_file() {
	rm -rf "$made"
}

setup() {
	dir=$made
}

teardown() {
	stop_service "$dir/engine"
	rm -rf "$dir/srv" "$dir/run"
}

# Daisy's accounts, data and till, on the other image.
daisy_image() {
	mkdir -p "$dir/media" "$dir/overlay/etc/tmpfiles.d"
	cp recipes/media/tulip-1.0.iso "$dir/media/"
	printf 'd /d/till 0750 daisy daisy -\n' >"$dir/overlay/etc/tmpfiles.d/till.conf"
	cat >"$dir/recipes/daisy.yaml" <<-YAML
		posmedia: 1
		name: daisy
		version: 1
		base:
		  oci: {image: "oci:out/rti@$demo_digest"}
		groups: [{name: daisy, gid: 1520}, {name: dsyadmins, gid: 1521}]
		users:
		  - {name: daisy, uid: 1520, groups: [daisy], shell: /bin/bash, password: locked}
		overlays: [{from: overlay, to: /}]
		media:
		  tulip:
		    url: media/tulip-1.0.iso
		    sha256: $(sha256sum <recipes/media/tulip-1.0.iso | cut -c1-64)
		steps:
		  - name: install
		    mount: {tulip: /media/tulip}
		    run: [perl, /media/tulip/install_tulip.pl, --user, daisy, --data, /d/till]
		    writes: [/opt, /d, /etc/systemd/system]
		run: {entrypoint: [/sbin/init], stop-signal: SIGRTMIN+3, volumes: [/d]}
	YAML
	posmedia lock recipes/daisy.yaml
	succeeded
	posmedia build recipes/daisy.yaml -o oci:out/daisy:1
	succeeded
}

# A site file recipes/sites/$1.yaml ("rti-dev") with more lines. A shop that is not new brings the
# directories of its data.
site() {
	local app=${1%-*} env=${1#*-} tag=0.1.0 shop=123 at=/usr2 groups=rti,rtiadmins name=usr2
	local home=
	[ "$app" = rti ] || home=', {name: home, at: /home}'
	[ "$app" = rti ] || { tag=1 shop=456 at=/d groups=daisy,dsyadmins name=d; }
	local clerk key
	key=$(cat "$dir/ssh.pub")
	clerk="users: [{name: clerk, uid: 1600, groups: [$groups], keys: [\"$key\"]}]"
	[ "$env" = dev ] || mkdir -p "$dir/srv/$shop/$env"/{"$name",log,home}
	cat >"$dir/recipes/sites/$1.yaml" <<-YAML
		posmedia: 1
		shop: "$shop"
		environment: $env
		image: {reference: "oci:out/$app:$tag", policy: signing/policy.yaml}
		hostname: $1
		data: [{name: $name, at: $at}, {name: log, at: /var/log}$home]
		printers: [{name: order1, uri: "socket://192.0.2.31:9100"}]
		health: [{name: till, tcp: 2001, within: 60s}]
		${2-$clerk}
		shared: $([ "$env" = prod ] && echo true || echo false)
	YAML
}

stage() {
	posmedia stage --engine "$dir/engine/sock" --state "$dir/srv" --runtime "$dir/run" "$@"
}

container() {
	jq -r .current.container "$dir"/srv/*/"${1#*-}"/.posmedia/state.json |
		grep "^pos-$([ "${1%-*}" = rti ] && echo 123 || echo 456)-"
}
pid_of() {
	ask "/containers/$(container "$1")/json" | jq .State.Pid
}
# Runs a program in an instance.
inside() {
	local pid
	pid=$(pid_of "$1")
	shift
	nsenter -t "$pid" -m -u -i -n -p -r -w "$@"
}
till() {
	local pid
	pid=$(pid_of "$1")
	shift
	nsenter -t "$pid" -n curl -sS "$@" http://127.0.0.1:2001/sales
}
sell() {
	[[ $(till "$1" -d "amount=12.50&what=$2") == *'"sale":'* || -n $(sold "$1" "$2") ]]
}
sold() {
	till "$1" | grep -o "\"$2\"" | sort -u
}
# What a user of the site is, who comes in with the site's key; the answer of sshd proves itself.
key_of() {
	nsenter -t "$(pid_of "$1")" -n ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null
}
enters() {
	key_of "$1" >"$dir/known"
	nsenter -t "$(pid_of "$1")" -n ssh -o UserKnownHostsFile="$dir/known" -o BatchMode=yes \
		-o LogLevel=ERROR -i "$dir/ssh" "$2@127.0.0.1" id -Gn
}
is_up() {
	wait_for 60 inside "$1" timeout 90 systemctl is-system-running --wait ||
		{ inside "$1" systemctl --failed --no-pager; return 1; }
}

stopped_and_started() {
	local at
	at=$(container "$1")
	# who does not stop by itself in that time is killed, and has another exit code
	ask "/containers/$at/stop?t=60" -X POST
	[ "$(ask "/containers/$at/json" | jq .State.ExitCode)" -eq 0 ]
	stage "recipes/sites/$1.yaml"
	succeeded
}

# All that the container was asked for, without what is the site's own.
shape() {
	ask "/containers/$(container "$1")/json" | jq -S '{Image, ImageName,
		Config: (.Config | del(.CreateCommand) | .Env |= sort),
		HostConfig: (.HostConfig | .Binds |= ((. // []) | sort))}' | sed -E "
		s/$(container "$1")/NAME/g
		s/[0-9a-f]{64}/ID/g; s,/[0-9a-f]{16}([./:\"]),/GENERATION\\1,g
		s/container_uuid=[0-9a-f]*/UUID/
		s#(rti|daisy|123|456)([-/])${1#*-}\b#\\1\\2ENV#g; s/\"${1#*-}\"/ENV/g
		s/sha256:[0-9a-f]*/sha256/g"
}

# Of two mounts of one place podman shows either, so that nothing compared would be the same twice.
mounted_once() {
	local id
	id=$(ask "/containers/$(container "$1")/json" | jq -r .Id)
	jq -e '[.mounts[].destination] | length == (unique | length)' \
		"$dir/engine/data/overlay-containers/$id/userdata/config.json"
}

# One application in three environments: one digest, and nothing else between them but the site.
three() {
	local app=$1 env
	for env in dev qa prod; do
		site "$app-$env"
		stage --json "recipes/sites/$app-$env.yaml"
		succeeded
		jq -r '.manifest + " " + .config' <<<"$output" >>"$dir/$app.digests"
	done
	[ "$(sort -u "$dir/$app.digests" | wc -l)" -eq 1 ]
	for env in dev qa prod; do
		sell "$app-$env" "$env"
		[ ! -d "$dir/engine/data/overlay-containers" ] || mounted_once "$app-$env"
		shape "$app-$env" >"$dir/$env.shape"
		is_up "$app-$env"
	done
	diff "$dir/dev.shape" "$dir/qa.shape"
	diff "$dir/dev.shape" "$dir/prod.shape"
	rm "$dir/$app.digests"
	for env in qa prod; do
		stopped_and_started "$app-$env"
		[ "$(sold "$app-$env" "$env")" = "\"$env\"" ]
		[ -z "$(sold "$app-$env" dev)" ]
	done
}

# Who is there, and what they were given by people since.
look_at_people() {
	is_up rti-dev
	[[ " $(enters rti-dev clerk) " == *' rti rtiadmins '* ]]
	[ "$(key_of rti-dev)" = "$(cat "$dir/hostkey")" ]
	[ "$(inside rti-dev getent shadow alice | cut -d: -f2)" = "$(cat "$dir/alice")" ]
	[[ " $(inside rti-dev id -Gn alice) " == *' sudo '* ]]
	[ "$(inside rti-dev stat -c '%a %U' /home/clerk)" = '700 clerk' ]
	[ "$(inside rti-dev stat -c '%a %U:%G' /etc/shadow)" = '640 root:shadow' ]
	[ "$(inside rti-dev cat /etc/machine-id)" = "$(cat "$dir/machine")" ]
	[ "$(inside rti-dev cat /var/spool/cron/crontabs/alice)" = '0 3 * * * true' ]
	[ "$(inside rti-dev stat -c %U:%G /var/spool/cron/crontabs/alice)" = alice:crontab ]
	inside rti-dev lpstat -v order1 | grep -q 'socket://192.0.2.31:9100'
	inside rti-dev lpstat -v theirs | grep -q 'socket://192.0.2.32:9100'
	[ "$(sold rti-dev dev)" = '"dev"' ]
}

people_come() {
	key_of rti-dev >"$dir/hostkey"
	[ -s "$dir/hostkey" ]
	inside rti-dev cat /etc/machine-id >"$dir/machine"
	[ "$(wc -c <"$dir/machine")" -eq 33 ]
	inside rti-dev useradd -m -s /bin/bash -G sudo alice
	inside rti-dev sh -c "echo 'alice:Xk9#mQ2!vL7pzT4w' | chpasswd"
	inside rti-dev getent shadow alice | cut -d: -f2 >"$dir/alice"
	inside rti-dev sh -c 'cd /var/spool/cron/crontabs && echo "0 3 * * * true" >alice &&
		chown alice:crontab alice && chmod 600 alice'
	inside rti-dev lpadmin -p theirs -E -v socket://192.0.2.32:9100
}

another_generation() {
	local first key
	first=$(container rti-dev)
	key=$(cat "$dir/ssh.pub")
	site rti-dev "users: [
  {name: clerk, uid: 1600, groups: [rti, rtiadmins], keys: [\"$key\"]},
  {name: temp, uid: 1800, keys: [\"$key\"]}]"
	stage recipes/sites/rti-dev.yaml
	succeeded
	[[ $output == *'made the user temp'* && $output != *'made the host keys'* ]]
	[ "$(container rti-dev)" != "$first" ]
	look_at_people
	[ "$(enters rti-dev temp)" = temp ]
	# whom the site has no more nothing lets in; alice changed her password meanwhile
	inside rti-dev sh -c "echo 'alice:Yk7#mS2!vJ7pzT4wR' | chpasswd"
	inside rti-dev getent shadow alice | cut -d: -f2 >"$dir/alice"
	stage --rollback recipes/sites/rti-dev.yaml
	succeeded
	[ "$(container rti-dev)" = "$first" ]
	[[ $output == *'locked the user temp'* ]]
	look_at_people
	inside rti-dev getent shadow temp | grep -q '^temp:!.*:1:$'
	run enters rti-dev temp
	[ "$status" -ne 0 ]
	site rti-dev
}

# The engine has seen that it ended.
has_ended() {
	! ask /containers/json | jq -e --arg n "/$1" 'any(.[].Names[]; . == $n)'
}

crash_and_loss() {
	local at
	at=$(container rti-dev)
	kill -KILL "$(pid_of rti-dev)"
	wait_for 30 has_ended "$at"
	stage recipes/sites/rti-dev.yaml
	succeeded
	wait_for 30 sold rti-dev dev
	look_at_people
	ask "/containers/$(container rti-dev)?force=1" -X DELETE
	stage recipes/sites/rti-dev.yaml
	succeeded
	look_at_people
}

conflicts() {
	local at
	at=$(container rti-dev)
	site rti-dev "users: [{name: bob, uid: 1510}]"
	stage recipes/sites/rti-dev.yaml
	refused 3 'bob cannot be 1510: that is tulip'
	site rti-dev "users: [{name: bob, uid: $(inside rti-dev id -u alice)}]"
	stage recipes/sites/rti-dev.yaml
	refused 3 'that is alice'
	[ "$(container rti-dev)" = "$at" ]
	[ "$(sold rti-dev dev)" = '"dev"' ]
}

whole() {
	start_service "$dir/engine" "$1"
	site rti-dev
	stage recipes/sites/rti-dev.yaml
	succeeded
	sell rti-dev dev
	is_up rti-dev
	people_come
	another_generation
	crash_and_loss
	conflicts
	three rti
	three daisy
	[ "$(inside daisy-prod stat -c %U /d/till)" = daisy ]
	[ "$(inside daisy-prod stat -c '%a %U' /home/clerk)" = '700 clerk' ]
	[ "$(stat -c '%a %u' "$dir/srv/456/prod/home/clerk")" = '700 1600' ]
	[[ " $(enters daisy-prod clerk) " == *' dsyadmins '* ]]
	[ "$(find "$dir/srv" -name kept.tar -perm 600 | wc -l)" -eq 6 ]
	[ "$(ask /containers/json | jq length)" -eq 6 ]
}

@test "dockerd: sold, stopped, started, crashed, changed, gone back, lost" {
	whole docker
}

@test "podman: sold, stopped, started, crashed, changed, gone back, lost" {
	whole podman
}

#!/usr/bin/env bats
# The image runs: systemd reaches its target, the services listen, and a sale survives a stop.

load lib

setup() {
	dir=$(mktemp -d)
	need_demo
	start_engine "$dir/engine"
}

teardown() {
	stop_engine
	rm -rf "$dir"
}

in_demo() {
	engine exec demo "$@"
}

healthy() {
	curl -sf "http://127.0.0.1:$port/health"
}

sell() {
	curl -s -d "$1" "http://127.0.0.1:$port/sales"
}

sales() {
	curl -s "http://127.0.0.1:$port/sales"
}

@test "it boots to running, sells, and keeps its sales over a stop" {
	engine pull -q --signature-policy "$dir/engine/policy.json" "oci:$OUT/demo:0.1.0" >"$dir/id"
	port=$(free_port)
	engine run -d --name demo --systemd=always -v usr2:/usr2 -p "127.0.0.1:$port:2001" \
		"$(cat "$dir/id")"
	wait_for 60 in_demo timeout 90 systemctl is-system-running --wait ||
		in_demo systemctl --failed --no-pager
	[ "$(in_demo systemctl is-system-running)" = running ]

	wait_for 20 healthy
	[ "$(sell 'amount=12.50&what=roses')" = '{"number":1}' ]
	first_keys=$(in_demo sha256sum /etc/ssh/ssh_host_ed25519_key.pub)
	in_demo ss -Hltn >"$dir/ports"
	for p in 22 445 631 2001; do
		grep -q "0.0.0.0:$p " "$dir/ports" || { cat "$dir/ports"; false; }
	done
	run grep -vE ':(22|445|631|2001) ' "$dir/ports"
	[ -z "$output" ]

	engine stop -t 20 demo
	[ "$(engine inspect -f '{{.State.ExitCode}}' demo)" = 0 ]
	run curl -s -m 2 "http://127.0.0.1:$port/sales"
	[ "$status" -ne 0 ]

	engine start demo
	wait_for 60 healthy
	[ "$(sales | jq -c 'map([.number, .what])')" = '[[1,"roses"]]' ]
	[ "$(sell 'amount=3')" = '{"number":2}' ]
	[ "$(in_demo sha256sum /etc/ssh/ssh_host_ed25519_key.pub)" = "$first_keys" ]

	# the data outlives the container, too
	engine rm -f -t 5 demo
	engine run -d --name demo --systemd=always -v usr2:/usr2 -p "127.0.0.1:$port:2001" \
		"$(cat "$dir/id")"
	wait_for 60 healthy
	[ "$(sales | jq length)" = 2 ]
	wait_for 20 in_demo test -e /etc/ssh/ssh_host_ed25519_key.pub
	[ "$(in_demo sha256sum /etc/ssh/ssh_host_ed25519_key.pub)" != "$first_keys" ]
}

#!/usr/bin/env bats
# What diff says of the demo and of a variant of it, built on the demo's cached packages.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	need_demo
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/diff.XXXXXX")
	export dir
	cp -r recipes overlays signing "$dir/"
	cp "$(cat "$OUT/demo.lock.used")" "$dir/recipes/next.lock"
	cat >"$dir/recipes/next.yaml" <<-'YAML'
		posmedia: 1
		name: next
		extends: [demo.yaml]
		groups: [{name: florist, gid: 1600}]
		users:
		  - {name: florist, uid: 1600, groups: [florist], gecos: shop, home: /nonexistent,
		     shell: /usr/sbin/nologin, password: locked}
		services: {mask: [rsync]}
		ports: [9100/tcp]
		steps:
		  - name: change
		    run: [sh, -c, "head -c 300000 /dev/zero >/opt/big; chmod 640 /etc/motd; \
		      rm /opt/tulip/doc/README.txt; chown 1600 /usr2/tulip"]
		    writes: [/opt, /usr2, /etc]
		hardening: {fail-on: never}
		run: {env: {SHOP: flowers}, stop-signal: SIGTERM}
	YAML
	env -C "$dir" "$posmedia" lock recipes/next.yaml -q
	env -C "$dir" "$posmedia" build recipes/next.yaml -q -o "oci:$dir/next:1" >"$dir/name"
	export was=oci:$OUT/demo:0.1.0 is=oci:$dir/next:1
}

teardown_file() {
	rm -rf "$dir"
}

has() {
	grep -qE -e "$1" <<<"$output" || { echo "no $1 in: $output" && false; }
}

@test "text: each change is told under its own heading, and nothing is left in the store" {
	run -0 --separate-stderr "$posmedia" diff "$was" "$is"
	has '^  [+] florist uid 1600, gid 1600, '
	has '^  [+] florist gid 1600'
	has '^  [+] rsync.service masked$'
	has '^  [+] 9100/tcp$'
	has '^  [+] env SHOP flowers$'
	has '^  ~ stop signal SIGRTMIN[+]3 -> SIGTERM$'
	has '^  [+] /opt/big, 300.0 kB$'
	has '^  - /opt/tulip/doc/README.txt, '
	has '^  ~ /usr2/tulip, owner [0-9:]+ -> 1600:'
	has '^  ~ /etc/motd, mode 0644 -> 0640$'
	has '^  ~ /etc/nftables.conf, content .* [(]of nftables[)]$'
	has '^  [+] pos sha256:[0-9a-f]{64}, '
	has '^layers: [0-9]+ of [0-9]+ as before, '
	run ! grep -E '^(packages|file capabilities|controls|not compared):' <<<"$output"
	[ -z "$(find "$POSMEDIA_STORE/tmp" -name "diff.*")" ]
}

@test "JSON tells the same; the status says it when asked" {
	run -1 --separate-stderr "$posmedia" diff "$was" "$is" --json --exit-code
	[[ $stderr == *"differ"* ]]
	jq -e '.differ and .unknown == [] and .packages == [] and .controls == [] and
		(.users | map(.name) == ["florist"]) and (.files | map(.path) | . == sort) and
		([.is.layers[] | .shared] | any and (all | not))' <<<"$output"
}

@test "Markdown of two trees; what is not compared is said" {
	mkdir -p "$dir/a" "$dir/b/srv"
	echo hello >"$dir/b/srv/note"
	run -0 --separate-stderr "$posmedia" diff "dir:$dir/a" "dir:$dir/b" --markdown --no-controls
	has '^## What changed$'
	has '^### Files: 2 added$'
	has '^- added ./srv/note., 6 B$'
	has '^not compared: ports, controls, run configuration$'
	run -2 "$posmedia" diff "dir:$dir/a" "dir:$dir/b" --markdown --json
}

@test "an image and its own tree are the same" {
	umoci raw unpack --image "$OUT/demo:0.1.0" "$dir/tree" >"$dir/umoci.log" 2>&1
	run -0 "$posmedia" diff "$was" "dir:$dir/tree" --exit-code
	has '^no difference$'
	has '^not compared: ports, run configuration$'
}

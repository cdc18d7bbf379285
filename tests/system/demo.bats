#!/usr/bin/env bats
# The demo: its words, its image as a stranger unpacks it, and what verify thinks of changes to it.

bats_require_minimum_version 1.5.0
load lib

setup() {
	dir=$(mktemp -d)
	need_demo
}

teardown() {
	rm -rf "$dir"
}

@test "the demo ends in ten lines that say what was made and what to try" {
	run tail -n 11 "$OUT/demo.out"
	[ "${#lines[@]}" -eq 10 ]
	[[ ${lines[0]} == "Made    demo:0.1.0@sha256:"*" in oci:$OUT/demo:0.1.0" ]]
	[[ ${lines[5]} == "Run     podman run "* ]]
}

@test "a second build finds nothing to do" {
	run --separate-stderr "$posmedia" build recipes/demo.yaml \
		--lock "$(cat "$OUT/demo.lock.used")" -o "oci:$OUT/demo:0.1.0" --json
	[ "$status" -eq 0 ]
	[ "$(jq -c '[.digest, ."stages-run", ."up-to-date"]' <<<"$output")" = \
		"[\"$demo_digest\",0,true]" ]
}

@test "nobody else reaches the set-uid programs of cached trees" {
	[ "$(stat -c %a "$POSMEDIA_STORE/cache")" = 700 ]
}

@test "umoci unpacks it, and the tree is as the recipe says" {
	umoci unpack --image "$OUT/demo:0.1.0" "$dir/bundle"
	root=$dir/bundle/rootfs
	grep -qx 'tulip:x:1510:1510:Tulip point of sale:/usr2/tulip/data:/usr/sbin/nologin' \
		"$root/etc/passwd"
	grep -q '^tulip:[!*]*:' "$root/etc/shadow"
	[ "$(stat -c '%u:%g %a' "$root/usr2/tulip/data")" = '1510:1510 750' ]
	[ "$(stat -c '%u:%g %a' "$root/etc/samba/smb.conf")" = '0:0 644' ]
	[ -L "$root/etc/systemd/system/multi-user.target.wants/tulip.service" ]
	[ "$(readlink "$root/etc/systemd/system/systemd-logind.service")" = /dev/null ]
	[ ! -e "$root/media/tulip" ]
	[ -x "$root/usr/bin/passwd" ] && [ -u "$root/usr/bin/passwd" ]
	jq -e '.process.args == ["/sbin/init"]' "$dir/bundle/config.json"
}

@test "nothing in it is a secret, or different on every machine" {
	umoci raw unpack --image "$OUT/demo:0.1.0" "$dir/tree"
	root=$dir/tree
	run find "$root/etc/ssh" -name 'ssh_host_*'
	[ -z "$output" ]
	[ ! -s "$root/etc/machine-id" ]
	[ ! -e "$root/var/lib/systemd/random-seed" ]
	run awk -F: '$2 ~ /^[$]/ { print $1 }' "$root/etc/shadow"
	[ -z "$output" ]
	run grep -rlI -e '-----BEGIN [A-Z ]*PRIVATE KEY-----' "$root/etc" "$root/root" "$root/home"
	[ -z "$output" ]
	run grep -rlIF -e "$PWD" "$root/etc" "$root/usr/lib/systemd" "$root/opt"
	[ -z "$output" ]
}

@test "the configuration of the image says how to run it" {
	skopeo inspect --config "oci:$OUT/demo:0.1.0" >"$dir/config"
	[ "$(jq -r .os "$dir/config")" = linux ]
	[ "$(jq -c .config.Entrypoint "$dir/config")" = '["/sbin/init"]' ]
	[ "$(jq -r .config.StopSignal "$dir/config")" = SIGRTMIN+3 ]
	[ "$(jq -c .config.Volumes "$dir/config")" = '{"/usr2":{}}' ]
	[ "$(jq -c '.config.ExposedPorts | keys' "$dir/config")" = \
		'["2001/tcp","22/tcp","445/tcp","631/tcp"]' ]
	[ "$(jq -r .created "$dir/config")" != null ]
}

@test "verify accepts our key and no other" {
	run "$posmedia" verify "oci:$OUT/demo:0.1.0" --key "$demo_key.pub"
	[ "$status" -eq 0 ]
	"$posmedia" key new "$dir/other"
	run "$posmedia" verify "oci:$OUT/demo:0.1.0" --key "$dir/other.pub"
	[ "$status" -eq 4 ]
}

@test "verify refuses one flipped byte in any kind of blob" {
	local kind digest
	copy_demo "$dir/demo"
	manifest=$dir/demo/blobs/sha256/${demo_digest#sha256:}
	for kind in .config.digest '.layers[0].digest' '.layers[-1].digest'; do
		digest=$(jq -r "$kind" "$manifest")
		flip "$dir/demo/blobs/sha256/${digest#sha256:}"
		run "$posmedia" verify "oci:$dir/demo:0.1.0" --key "$demo_key.pub"
		[ "$status" -eq 4 ] || { echo "$kind: $status"; false; }
		[[ $output == *"${digest#sha256:}"* ]]
		flip "$dir/demo/blobs/sha256/${digest#sha256:}"
	done
	flip "$manifest"
	run "$posmedia" verify "oci:$dir/demo:0.1.0" --key "$demo_key.pub"
	[ "$status" -eq 4 ]
}

@test "verify refuses a layer that is not there" {
	copy_demo "$dir/demo"
	digest=$(jq -r '.layers[0].digest' "$dir/demo/blobs/sha256/${demo_digest#sha256:}")
	rm "$dir/demo/blobs/sha256/${digest#sha256:}"
	run "$posmedia" verify "oci:$dir/demo:0.1.0" --key "$demo_key.pub"
	[ "$status" -eq 4 ]
}

@test "a build puts back what the layout lost" {
	copy_demo "$dir/demo"
	lost=$(find "$dir/demo/blobs/sha256" -type f -size +1M | head -n 1)
	rm "$lost"
	run --separate-stderr "$posmedia" build recipes/demo.yaml \
		--lock "$(cat "$OUT/demo.lock.used")" -o "oci:$dir/demo:0.1.0"
	[ "$status" -eq 0 ]
	[ "${output##*@}" = "$demo_digest" ]
	[ -f "$lost" ]
}
